#[cfg(feature = "lz4")]
use crate::lz4;
#[cfg(feature = "zstd")]
use crate::zstd;
use crate::{Algorithm, CompressOptions, Format, checksum, corrupt, gzip, noise};
use kv_core::{Error, Result, Transform};

/// The id of an algorithm, a checksum and a length.
const HEADER: usize = 9;

/// Compression as a [`Transform`], for whatever writes through scripts: id 1.
///
/// What it writes begins with the id of its [`Algorithm`], so that values stay readable when another one is chosen. It works on the calling
/// task: 2 ms for 100 KiB of JSON with gzip, see the table in the [crate's documentation](crate).
#[derive(Clone, Debug)]
pub struct Compressor {
    options: CompressOptions,
    #[cfg(feature = "zstd")]
    zstd: zstd::Writer,
}

impl Compressor {
    /// The id that says a value is compressed by this crate.
    pub const ID: u8 = 1;

    /// A transform; [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) names the option that cannot be.
    pub fn new(options: CompressOptions) -> Result<Self> {
        if options.format != Format::Marked {
            return Err(Error::invalid_config("compress", "format must be marked for a transform"));
        }
        Self::of_store(options)
    }

    pub(crate) fn of_store(options: CompressOptions) -> Result<Self> {
        options.check()?;
        Ok(Self {
            #[cfg(feature = "zstd")]
            zstd: zstd::Writer::new(&options)?,
            options,
        })
    }

    pub(crate) fn options(&self) -> &CompressOptions {
        &self.options
    }

    /// Whether a value of this size is compressed.
    pub(crate) fn takes(&self, length: usize) -> bool {
        (self.options.threshold..=self.options.max_decompressed).contains(&length)
    }

    /// The id of an algorithm and what it wrote, behind a mark; `None` where the value is to stay as it is.
    pub(crate) fn shrink(&self, plain: &[u8], mark: &[u8]) -> Option<Vec<u8>> {
        let &CompressOptions { algorithm, min_saving_percent, .. } = &self.options;
        if !self.takes(plain.len()) || noise::is_noise(plain, min_saving_percent) {
            return None;
        }
        let worth = plain.len() as u64 * u64::from(100 - min_saving_percent) / 100;
        let limit = usize::try_from(worth).unwrap_or(usize::MAX).min(plain.len().saturating_sub(1));
        if limit <= mark.len() {
            return None;
        }
        let mut frame = Vec::new();
        frame.reserve_exact(mark.len() + HEADER + plain.len() / 2);
        frame.extend_from_slice(mark);
        frame.push(algorithm.id());
        if algorithm != Algorithm::Gzip {
            frame.extend_from_slice(&checksum::of(plain));
        }
        let is_kept = match algorithm {
            Algorithm::Gzip => gzip::write(plain, self.options.written_level(), &mut frame, limit),
            #[cfg(feature = "zstd")]
            Algorithm::Zstd => self.zstd.write(plain, &mut frame, limit),
            #[cfg(feature = "lz4")]
            Algorithm::Lz4 => lz4::write(plain, &mut frame, limit),
        };
        is_kept.then_some(frame)
    }

    /// The value behind the id of an algorithm and what it wrote.
    pub(crate) fn expand(&self, frame: &[u8]) -> Result<Vec<u8>> {
        let (&id, body) = frame.split_first().ok_or_else(|| corrupt("ends within the mark"))?;
        let max = self.options.max_decompressed;
        let plain = match Algorithm::of_id(id)? {
            Algorithm::Gzip => gzip::gunzip(body, max)?,
            #[cfg(feature = "zstd")]
            Algorithm::Zstd => checksum::behind(body, |frame| zstd::read(frame, &self.options.dictionaries, max))?,
            #[cfg(feature = "lz4")]
            Algorithm::Lz4 => checksum::behind(body, |block| lz4::read(block, max))?,
        };
        // Nobody compresses nothing, but zeros in place of a frame may say so, with the sum of nothing.
        if plain.is_empty() { Err(corrupt("nothing in it")) } else { Ok(plain) }
    }

    /// How large the value is at most, as what is read claims; it is held to it.
    pub(crate) fn claimed(&self, frame: &[u8]) -> usize {
        let Some((&id, body)) = frame.split_first() else { return 0 };
        match Algorithm::of_id(id) {
            Ok(Algorithm::Gzip) => gzip::claimed(body),
            #[cfg(feature = "zstd")]
            Ok(Algorithm::Zstd) => zstd::claimed(body.get(checksum::LENGTH..).unwrap_or_default()),
            #[cfg(feature = "lz4")]
            Ok(Algorithm::Lz4) => lz4::claimed(body.get(checksum::LENGTH..).unwrap_or_default()),
            Err(_) => 0,
        }
    }
}

impl Transform for Compressor {
    fn id(&self) -> u8 {
        Self::ID
    }

    /// The value compressed, unless it is below the threshold, saves too little, or could not be read back.
    fn apply(&self, plain: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.shrink(plain, &[]))
    }

    /// The value; [`Corrupt`](kv_core::ErrorKind::Corrupt) for what no `Compressor` wrote, or is larger than `max_decompressed`.
    fn revert(&self, transformed: &[u8]) -> Result<Vec<u8>> {
        self.expand(transformed)
    }
}
