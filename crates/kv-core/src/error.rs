use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

/// What every operation of this workspace's stores returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the terms a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server cannot be reached, or answers that it cannot serve just now.
    Unavailable,
    /// No answer came in time.
    Timeout,
    /// The server refuses the credentials, or the user may not do this.
    Auth,
    /// An argument that can never work: empty key, zero TTL, oversized value.
    InvalidInput,
    /// Options, URL or topology that can never work; found at construction where possible.
    InvalidConfig,
    /// The key holds another kind of value than the operation works on.
    WrongType,
    /// This store does not have the capability.
    Unsupported,
    /// The server is at its memory limit and refuses to write.
    OutOfMemory,
    /// Stored bytes are not what this library writes, or do not decode.
    Corrupt,
    /// The server answers with an error that has no kind of its own.
    Rejected,
    /// The server answers with a reply of an unexpected shape.
    UnexpectedReply,
}

impl ErrorKind {
    /// Whether the same call may well succeed later without anybody changing anything.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Unavailable | Self::Timeout)
    }

    /// Whether an error of this kind is known before the operation takes effect.
    fn executed(self) -> Executed {
        match self {
            Self::Auth
            | Self::InvalidInput
            | Self::InvalidConfig
            | Self::WrongType
            | Self::Unsupported
            | Self::OutOfMemory => Executed::No,
            _ => Executed::Maybe,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "store is unavailable",
            Self::Timeout => "no answer in time",
            Self::Auth => "not authorised",
            Self::InvalidInput => "invalid input",
            Self::InvalidConfig => "invalid configuration",
            Self::WrongType => "key holds another type of value",
            Self::Unsupported => "not supported by this store",
            Self::OutOfMemory => "server is out of memory",
            Self::Corrupt => "stored bytes are corrupt",
            Self::Rejected => "rejected by the server",
            Self::UnexpectedReply => "unexpected reply",
        })
    }
}

/// Whether the operation behind an error took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Executed {
    /// It did not: the same call may be made again without harm.
    No,
    /// It was sent and no reply came, so it may have happened.
    Maybe,
}

/// The one error of a store: what went wrong, in which operation, and whether it may have happened all the same.
///
/// It never carries a key, a value or a password.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Error {
    kind: ErrorKind,
    operation: Cow<'static, str>,
    executed: Executed,
    detail: Option<Cow<'static, str>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of this kind; [`executed`](Self::executed) follows from the kind unless [`with_executed`](Self::with_executed) says otherwise.
    pub fn new(kind: ErrorKind, operation: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, operation: operation.into(), executed: kind.executed(), detail: None, source: None }
    }

    /// Shorthand for an argument that can never work.
    pub fn invalid_input(operation: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, operation).with_detail(detail)
    }

    /// Shorthand for options that can never work; the detail names the field.
    pub fn invalid_config(operation: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidConfig, operation).with_detail(detail)
    }

    /// Shorthand for a [`Twin`](crate::Twin) called with the wrong number of keys or arguments.
    pub fn wrong_arity() -> Self {
        Self::invalid_input("script", "wrong number of keys or arguments")
    }

    /// Adds a lower-case fragment that says more; it must hold no key, value or password.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says whether the operation may have taken effect.
    #[must_use]
    pub fn with_executed(mut self, executed: Executed) -> Self {
        self.executed = executed;
        self
    }

    /// Names the operation that failed, where the place of failure did not know it.
    #[must_use]
    pub fn with_operation(mut self, operation: impl Into<Cow<'static, str>>) -> Self {
        self.operation = operation.into();
        self
    }

    /// Adds the error behind this one.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The operation that failed: `get`, `set`, a script's name.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// Whether the operation may have taken effect.
    pub fn executed(&self) -> Executed {
        self.executed
    }

    /// Whether the same call may well succeed later; says nothing about whether repeating it is safe.
    pub fn is_temporary(&self) -> bool {
        self.kind.is_temporary()
    }

    /// Whether repeating the call is both promising and safe for any operation: temporary, and not executed.
    ///
    /// An idempotent operation may be repeated whenever the error [is temporary](Self::is_temporary).
    pub fn is_retryable(&self) -> bool {
        self.is_temporary() && self.executed == Executed::No
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.kind)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        if self.is_temporary() && self.executed == Executed::Maybe {
            f.write_str(" (it may have been executed)")?;
        }
        Ok(())
    }
}
