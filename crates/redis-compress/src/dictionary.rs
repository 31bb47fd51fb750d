use kv_core::{Error, ErrorKind, Result};
use std::{fmt, sync::Arc};
use zstd_safe::{CDict, DDict};

/// What zstd knows before a value begins: the strings that many values of one kind share.
///
/// Values of some hundred bytes shrink with it that shrink by little without. Keep it as long as there are values written with it: each
/// of them carries its [`id`](Self::id), and reading one without it is [`Unsupported`](kv_core::ErrorKind::Unsupported).
#[derive(Clone)]
pub struct Dictionary {
    known: Arc<Known>,
}

struct Known {
    bytes: Vec<u8>,
    id: u32,
    reader: DDict<'static>,
}

impl Dictionary {
    /// One that was trained before, by [`train`](Self::train) or by `zstd --train`; [`InvalidConfig`](ErrorKind::InvalidConfig) for other bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let bytes = bytes.into();
        let invalid = || Error::invalid_config("compress", "dictionary must be one that was trained");
        let id = zstd_safe::get_dict_id_from_dict(&bytes).ok_or_else(invalid)?.get();
        let reader = DDict::try_create(&bytes).ok_or_else(invalid)?;
        Ok(Self { known: Arc::new(Known { bytes, id, reader }) })
    }

    /// Learns from values of one kind what they share, in at most so many bytes.
    ///
    /// Some hundred values of a hundred times the size in all, and 16 to 110 KiB, serve most. It works on the calling thread, a second
    /// for 10 MiB. [`InvalidInput`](ErrorKind::InvalidInput) where there are too few to learn from.
    pub fn train(samples: impl IntoIterator<Item = impl AsRef<[u8]>>, max_bytes: usize) -> Result<Self> {
        let (mut all, mut lengths) = (Vec::new(), Vec::new());
        for sample in samples {
            all.extend_from_slice(sample.as_ref());
            lengths.push(sample.as_ref().len());
        }
        let mut bytes = Vec::with_capacity(max_bytes);
        match zstd_safe::train_from_buffer(&mut bytes, &all, &lengths) {
            Ok(_) => Self::new(bytes),
            Err(_) => Err(Error::invalid_input("compress", "too few samples to train from")),
        }
    }

    /// The dictionary, to be kept in a file or under a key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.known.bytes
    }

    /// What values written with it say it is.
    pub fn id(&self) -> u32 {
        self.known.id
    }

    pub(crate) fn reader(&self) -> &DDict<'static> {
        &self.known.reader
    }

    pub(crate) fn writer(&self, level: i32) -> Result<CDict<'static>> {
        let full = || Error::new(ErrorKind::Unavailable, "compress").with_detail("no memory for the dictionary");
        CDict::try_create(self.as_bytes(), level).ok_or_else(full)
    }
}

impl PartialEq for Dictionary {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Dictionary {}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dictionary").field("id", &self.id()).field("bytes", &self.as_bytes().len()).finish()
    }
}
