use async_trait::async_trait;
use std::fmt;

/// What knows of ids that cannot exist, so that nobody has to look for them.
///
/// A cache asks it on a miss, before it loads, and takes `false` for a known absence. So an implementation answers `true`
/// whenever it does not know, and while it cannot be asked.
#[async_trait]
pub trait Guard: fmt::Debug + Send + Sync {
    /// Whether the id may exist; `false` only if it certainly does not.
    async fn may_exist(&self, id: &str) -> bool;
}
