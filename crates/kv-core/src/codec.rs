use crate::Result;
use bytes::Bytes;
use std::fmt;

/// A value to bytes and back.
pub trait Codec<T>: fmt::Debug + Send + Sync {
    /// Tells values of this codec from those of others, for ever the same; those below 16 are this crate's. Default: 0, for one that is not told from others.
    fn id(&self) -> u8 {
        0
    }

    /// The value as bytes.
    fn encode(&self, value: &T) -> Result<Bytes>;

    /// The value behind the bytes, or [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt).
    fn decode(&self, bytes: &Bytes) -> Result<T>;
}

/// Bytes as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

impl Codec<Bytes> for Raw {
    fn id(&self) -> u8 {
        1
    }
    fn encode(&self, value: &Bytes) -> Result<Bytes> {
        Ok(value.clone())
    }
    fn decode(&self, bytes: &Bytes) -> Result<Bytes> {
        Ok(bytes.clone())
    }
}

/// JSON, for every serde type.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

#[cfg(feature = "json")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Codec<T> for Json {
    fn id(&self) -> u8 {
        2
    }
    fn encode(&self, value: &T) -> Result<Bytes> {
        use crate::Error;
        // serde_json's messages may quote the value, so they stay out of the error.
        serde_json::to_vec(value).map(Bytes::from).map_err(|_| Error::invalid_input("encode", "value has no json form"))
    }
    fn decode(&self, bytes: &Bytes) -> Result<T> {
        use crate::{Error, ErrorKind};
        serde_json::from_slice(bytes)
            .map_err(|_| Error::new(ErrorKind::Corrupt, "decode").with_detail("not the json of this type"))
    }
}
