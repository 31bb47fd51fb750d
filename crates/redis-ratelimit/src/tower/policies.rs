use http::request::Parts;
use kv_core::Error;
use std::{fmt, sync::Arc};

/// What becomes of a request whose [`Key`](super::Key) is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithoutKey {
    /// It is refused with 400.
    Refuse,
    /// It passes, and is not limited.
    Pass,
    /// All of them share the quota of this id.
    Shared(String),
}

/// What becomes of a request when the store fails.
#[derive(Clone)]
pub enum OnError {
    /// It passes, and is not limited: fail open.
    Pass,
    /// It is refused with 503 and a `Retry-After`: fail closed.
    Refuse,
    /// It passes if this says so.
    Ask(Passes),
}

type Passes = Arc<dyn Fn(&Error, &Parts) -> bool + Send + Sync>;

impl OnError {
    /// [`Ask`](Self::Ask) with a closure: whether this request passes.
    pub fn ask(passes: impl Fn(&Error, &Parts) -> bool + Send + Sync + 'static) -> Self {
        Self::Ask(Arc::new(passes))
    }
}

impl fmt::Debug for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "Pass",
            Self::Refuse => "Refuse",
            Self::Ask(_) => "Ask(_)",
        })
    }
}

/// Whether requests over the limit are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[doc(alias = "dry_run")]
pub enum Mode {
    /// They are.
    #[default]
    Enforce,
    /// Everything is decided and told to `tracing`, and nothing is refused.
    Shadow {
        /// Whether responses get the fields all the same.
        fields: bool,
    },
}

/// Which of the older fields responses get: `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
///
/// Where several layers limit, they tell of the one with the least that remains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Legacy {
    /// None.
    #[default]
    Off,
    /// All three; the reset is so many seconds from now.
    Delta,
    /// All three; the reset is in seconds since 1970, by the clock of this machine.
    Epoch,
}

/// What a quota counts: the `qu` of the draft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Requests, which needs no saying.
    #[default]
    Requests,
    /// Bytes of content.
    ContentBytes,
    /// Requests at a time.
    ConcurrentRequests,
}
