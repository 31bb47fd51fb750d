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

    /// The value behind the bytes, or [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt). It gets the bytes, so that a value may keep them.
    fn decode(&self, bytes: Bytes) -> Result<T>;
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
    fn decode(&self, bytes: Bytes) -> Result<Bytes> {
        Ok(bytes)
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
    fn decode(&self, bytes: Bytes) -> Result<T> {
        use crate::{Error, ErrorKind};
        serde_json::from_slice(&bytes)
            .map_err(|_| Error::new(ErrorKind::Corrupt, "decode").with_detail("not the json of this type"))
    }
}

/// `MessagePack` with the names of fields, for every serde type: smaller than JSON, and as forgiving of a field that comes or goes.
#[cfg(feature = "msgpack")]
#[derive(Clone, Copy, Debug, Default)]
#[doc(alias = "rmp")]
pub struct MessagePack;

#[cfg(feature = "msgpack")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Codec<T> for MessagePack {
    fn id(&self) -> u8 {
        3
    }
    fn encode(&self, value: &T) -> Result<Bytes> {
        use crate::Error;
        let encoded = rmp_serde::to_vec_named(value);
        encoded.map(Bytes::from).map_err(|_| Error::invalid_input("encode", "value has no messagepack form"))
    }
    fn decode(&self, bytes: Bytes) -> Result<T> {
        use crate::{Error, ErrorKind};
        let mut decoder = rmp_serde::Deserializer::new(std::io::Cursor::new(&bytes));
        // As deep as JSON may be.
        decoder.set_max_depth(128);
        let value = T::deserialize(&mut decoder).ok().filter(|_| decoder.position() == bytes.len() as u64);
        value.ok_or_else(|| Error::new(ErrorKind::Corrupt, "decode").with_detail("not the messagepack of this type"))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(any(feature = "json", feature = "msgpack"))]
    use super::*;

    #[cfg(any(feature = "json", feature = "msgpack"))]
    fn round_trips(codec: &impl Codec<std::collections::BTreeMap<String, Option<(u64, f64, String)>>>) {
        let value = [("a".to_owned(), Some((u64::MAX, 0.1, "é".to_owned()))), (String::new(), None)].into();
        let bytes = codec.encode(&value).unwrap();
        assert_eq!(codec.decode(bytes.clone()).unwrap(), value);
        for damaged in [bytes.slice(..bytes.len() - 1), [&bytes[..], b" x"].concat().into(), Bytes::new()] {
            let kind = codec.decode(damaged.clone()).unwrap_err().kind();
            assert_eq!(kind, crate::ErrorKind::Corrupt, "{damaged:?}");
        }
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_comes_back() {
        round_trips(&Json);
    }

    #[cfg(feature = "msgpack")]
    #[test]
    fn messagepack_comes_back() {
        round_trips(&MessagePack);
    }

    #[cfg(feature = "msgpack")]
    #[test]
    fn messagepack_names_its_fields_and_claims_no_memory() {
        #[derive(serde::Serialize)]
        struct Old {
            id: u32,
            name: &'static str,
        }
        #[derive(Debug, serde::Serialize, serde::Deserialize)]
        struct New {
            #[serde(default)]
            price: Option<u32>,
            id: u32,
        }
        let bytes = Bytes::from(rmp_serde::to_vec_named(&Old { id: 7, name: "kettle" }).unwrap());
        assert_eq!(&bytes[..], b"\x82\xa2id\x07\xa4name\xa6kettle");
        let new: New = MessagePack.decode(bytes).unwrap();
        assert_eq!((new.id, new.price), (7, None));
        let claims = Bytes::from_static(b"\xdd\xff\xff\xff\xff\x01");
        assert!(Codec::<Vec<u64>>::decode(&MessagePack, claims).is_err());
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Deep(Vec<Deep>);
        let deep = Bytes::from(vec![0x91; 1 << 20]);
        assert!(Codec::<Deep>::decode(&MessagePack, deep).is_err());
    }
}
