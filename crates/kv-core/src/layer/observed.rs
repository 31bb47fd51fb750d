use super::{Around, Call};
use crate::{ErrorKind, Result};
use std::time::Instant;
use tracing::{Instrument, Span, field::Empty};

/// A layer that tells `tracing` and `metrics` of each call: its name, how it ended and how long it took, never a key or a value.
///
/// A span `kv` at debug level with the fields `operation` and `outcome`; the counter `kv_operations_total{operation, outcome}` and
/// the histogram `kv_operation_seconds{operation}`. An operation is a method or a script, an outcome is `ok`, `dropped`
/// or an error's kind: both are few.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Observed;

impl Observed {
    /// The layer; it has no options.
    pub fn new() -> Self {
        Self
    }
}

impl Around for Observed {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        let span = tracing::debug_span!("kv", operation = call.name(), outcome = Empty);
        let mut observation =
            Observation { operation: call.name(), outcome: "dropped", began: Instant::now(), span: span.clone() };
        let result = call.run().instrument(span).await;
        observation.outcome = result.as_ref().map_or_else(|error| label(error.kind()), |_| "ok");
        result
    }
}

/// Tells what became of a call when it goes, so that one that is dropped half way is told of, too.
struct Observation {
    operation: &'static str,
    outcome: &'static str,
    began: Instant,
    span: Span,
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.span.record("outcome", self.outcome);
        metrics::counter!("kv_operations_total", "operation" => self.operation, "outcome" => self.outcome).increment(1);
        metrics::histogram!("kv_operation_seconds", "operation" => self.operation).record(self.began.elapsed());
    }
}

fn label(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Auth => "auth",
        ErrorKind::InvalidInput => "invalid_input",
        ErrorKind::InvalidConfig => "invalid_config",
        ErrorKind::WrongType => "wrong_type",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::OutOfMemory => "out_of_memory",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::Rejected => "rejected",
        ErrorKind::UnexpectedReply => "unexpected_reply",
    }
}
