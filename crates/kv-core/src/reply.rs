use crate::{Error, ErrorKind, Result};
use bytes::Bytes;

/// What a script returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Lua's `false` or `nil`.
    Nil,
    /// An integer.
    Int(i64),
    /// A string.
    Bytes(Bytes),
    /// A table.
    Array(Vec<Reply>),
}

impl Reply {
    /// The integer, or [`ErrorKind::UnexpectedReply`].
    pub fn into_int(self, operation: &'static str) -> Result<i64> {
        match self {
            Self::Int(int) => Ok(int),
            _ => Err(Error::new(ErrorKind::UnexpectedReply, operation).with_detail("expected an integer")),
        }
    }

    /// The string, `None` for nil, or [`ErrorKind::UnexpectedReply`].
    pub fn into_bytes(self, operation: &'static str) -> Result<Option<Bytes>> {
        match self {
            Self::Nil => Ok(None),
            Self::Bytes(bytes) => Ok(Some(bytes)),
            _ => Err(Error::new(ErrorKind::UnexpectedReply, operation).with_detail("expected a string")),
        }
    }

    /// The table, or [`ErrorKind::UnexpectedReply`].
    pub fn into_array(self, operation: &'static str) -> Result<Vec<Reply>> {
        match self {
            Self::Array(items) => Ok(items),
            _ => Err(Error::new(ErrorKind::UnexpectedReply, operation).with_detail("expected a table")),
        }
    }
}
