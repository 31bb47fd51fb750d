use crate::Result;
use std::fmt;

/// Bytes to bytes and back, with an id that travels beside the result: compression, encryption.
///
/// A store layer sees get and set but not what travels as a script's argument. Whatever writes through scripts takes a
/// `Transform` instead, writes its id beside the bytes, and calls [`revert`](Self::revert) only on bytes with that id.
pub trait Transform: fmt::Debug + Send + Sync {
    /// The id, 1 to 255, for ever the same; 0 stands for bytes left as they are.
    fn id(&self) -> u8;

    /// The transformed bytes, or `None` to leave these as they are.
    fn apply(&self, plain: &[u8]) -> Result<Option<Vec<u8>>>;

    /// The plain bytes, or [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt).
    fn revert(&self, transformed: &[u8]) -> Result<Vec<u8>>;
}
