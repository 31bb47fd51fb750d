//! How behaviours look at answers.

use super::Failure;
use crate::{Error, ErrorKind, Executed, SetOptions};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A TTL for what is not to expire during a behaviour, and not to stay for long after it.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// How long what has to happen may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// An unconditional set that is gone in a minute.
pub(super) fn for_a_minute() -> SetOptions {
    SetOptions::default().ttl(MINUTE)
}

/// Fails unless it holds.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err($crate::conformance::Failure::new(format!($($text)+)));
        }
    };
}
pub(super) use ensure;

/// Fails unless the answer is the expected one.
macro_rules! same {
    ($what:literal, $got:expr, $expected:expr $(,)?) => {
        match (&$got, &$expected) {
            (got, expected) => {
                $crate::conformance::check::ensure!(got == expected, "{}: {got:?}, expected {expected:?}", $what);
            }
        }
    };
}
pub(super) use same;

/// Checks that a call is refused with an error of this kind, and that the error says it did nothing.
pub(super) fn refused<T>(what: &str, answer: Result<T, Error>, kind: ErrorKind) -> Result<(), Failure> {
    let error = fails(what, answer, kind)?;
    ensure!(error.executed() == Executed::No, "{what}: the error says it may have been executed: {error}");
    Ok(())
}

/// Checks that a call fails with an error of this kind.
pub(super) fn fails<T>(what: &str, answer: Result<T, Error>, kind: ErrorKind) -> Result<Error, Failure> {
    let Err(error) = answer else { return Err(Failure::new(format!("{what}: succeeds, expected {kind:?}"))) };
    ensure!(error.kind() == kind, "{what}: fails as {:?}, expected {kind:?}: {error}", error.kind());
    Ok(error)
}

/// Bounds what has to happen.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> Result<T, Failure> {
    timeout(PATIENCE, future).await.map_err(|_| Failure::new(format!("{what}: never happens")))
}

/// Asks again until it is so.
pub(super) async fn eventually<F>(what: &str, mut holds: impl FnMut() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<bool, Error>>,
{
    let asking = async {
        while !holds().await? {
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    };
    soon(what, asking).await?
}
