use kv_core::{Error, ErrorKind, Result};

/// How values are made smaller. The id of each stands before what it wrote, for ever the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// gzip (RFC 1952), which everything reads: id 1, levels 1 to 9.
    #[default]
    #[doc(alias = "deflate")]
    #[doc(alias = "zlib")]
    Gzip,
    /// A CRC-32 and a Zstandard frame (RFC 8878), smaller and faster than gzip: id 2, levels 1 to 22.
    #[cfg(feature = "zstd")]
    #[doc(alias = "zstandard")]
    Zstd,
    /// A CRC-32, a length and an LZ4 block, faster and larger than gzip: id 3, no levels.
    #[cfg(feature = "lz4")]
    Lz4,
}

pub(crate) const GZIP: u8 = 1;
pub(crate) const ZSTD: u8 = 2;
pub(crate) const LZ4: u8 = 3;

impl Algorithm {
    /// Every one that is compiled in.
    pub const ALL: &[Self] = &[
        Self::Gzip,
        #[cfg(feature = "zstd")]
        Self::Zstd,
        #[cfg(feature = "lz4")]
        Self::Lz4,
    ];

    /// The id that stands before what it wrote.
    pub fn id(self) -> u8 {
        match self {
            Self::Gzip => GZIP,
            #[cfg(feature = "zstd")]
            Self::Zstd => ZSTD,
            #[cfg(feature = "lz4")]
            Self::Lz4 => LZ4,
        }
    }

    /// The level where none is asked for, and the highest there is; 0 where there are none.
    pub(crate) fn levels(self) -> (u32, u32) {
        match self {
            Self::Gzip => (5, 9),
            #[cfg(feature = "zstd")]
            Self::Zstd => (3, 22),
            #[cfg(feature = "lz4")]
            Self::Lz4 => (0, 0),
        }
    }

    /// The one with this id.
    pub(crate) fn of_id(id: u8) -> Result<Self> {
        if let Some(known) = Self::ALL.iter().find(|known| known.id() == id) {
            return Ok(*known);
        }
        let unsupported = |detail| Err(Error::new(ErrorKind::Unsupported, "decompress").with_detail(detail));
        match id {
            ZSTD => unsupported("written with zstd, and the feature zstd is off"),
            LZ4 => unsupported("written with lz4, and the feature lz4 is off"),
            _ => Err(crate::corrupt("unknown algorithm")),
        }
    }
}
