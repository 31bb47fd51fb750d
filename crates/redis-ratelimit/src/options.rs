/// How a [`RateLimiter`](crate::RateLimiter) keeps its buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitOptions {
    /// What every key begins with; no braces. Limiters with different quotas need different prefixes.
    /// Default: `ratelimit`.
    pub prefix: String,
}

impl Default for RateLimitOptions {
    fn default() -> Self {
        Self { prefix: "ratelimit".into() }
    }
}

impl RateLimitOptions {
    /// Sets [`prefix`](Self::prefix).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }
}
