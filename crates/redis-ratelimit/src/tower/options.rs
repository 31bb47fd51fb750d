use super::{Legacy, Mode, OnError, Refusal, Unit, WithoutKey};
use http::{Response, request, response};
use kv_core::{Error, Result};
use std::{fmt, sync::Arc, time::Duration};

/// How a [`RateLimitLayer`](super::RateLimitLayer) asks and answers.
#[derive(Clone)]
#[non_exhaustive]
pub struct LayerOptions {
    /// The name of the policy in fields and problems, visible ASCII and spaces; layers on one service need different ones. Default: `default`.
    pub name: String,
    /// What the quota counts. Default: requests.
    pub unit: Unit,
    /// What becomes of requests without a key. Default: they share the quota of `anonymous`.
    pub without_key: WithoutKey,
    /// What becomes of requests when the store fails; the error is traced. Default: they pass.
    pub on_error: OnError,
    /// What `Retry-After` says when the store fails, in whole seconds rounded up. Default: 1 s.
    pub unavailable_retry: Duration,
    /// Whether requests over the limit are refused. Default: they are.
    pub mode: Mode,
    /// Whether responses get `RateLimit-Policy` and `RateLimit`. Default: yes.
    pub fields: bool,
    /// Which of the older fields responses get. Default: none.
    pub legacy: Legacy,
    /// Up to how much is added to every time that clients are told, at random, so that they do not come back all at once. Default: nothing.
    pub jitter: Duration,
    /// What a request costs. Default: 1.
    pub cost: Option<Cost>,
    /// Which requests are neither counted nor limited. Default: none.
    pub skip: Option<Skip>,
    /// How much of its cost a request gets back once it is answered, in the background. Default: nothing.
    pub refund: Option<Refund>,
    /// What those get who are refused. Default: [`Refusal::problem`].
    pub respond: Option<Respond>,
}

type Cost = Arc<dyn Fn(&request::Parts) -> u64 + Send + Sync>;
type Skip = Arc<dyn Fn(&request::Parts) -> bool + Send + Sync>;
type Refund = Arc<dyn Fn(Option<&response::Parts>, u64) -> u64 + Send + Sync>;
type Respond = Arc<dyn Fn(&Refusal<'_>) -> Response<String> + Send + Sync>;

impl Default for LayerOptions {
    fn default() -> Self {
        Self {
            name: "default".into(),
            unit: Unit::default(),
            without_key: WithoutKey::Shared("anonymous".into()),
            on_error: OnError::Pass,
            unavailable_retry: Duration::from_secs(1),
            mode: Mode::default(),
            fields: true,
            legacy: Legacy::default(),
            jitter: Duration::ZERO,
            cost: None,
            skip: None,
            refund: None,
            respond: None,
        }
    }
}

impl LayerOptions {
    /// Sets [`name`](Self::name).
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets [`unit`](Self::unit).
    #[must_use]
    pub fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// Sets [`without_key`](Self::without_key).
    #[must_use]
    pub fn without_key(mut self, without_key: WithoutKey) -> Self {
        self.without_key = without_key;
        self
    }

    /// Sets [`on_error`](Self::on_error).
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// Sets [`unavailable_retry`](Self::unavailable_retry).
    #[must_use]
    pub fn unavailable_retry(mut self, after: Duration) -> Self {
        self.unavailable_retry = after;
        self
    }

    /// Sets [`mode`](Self::mode).
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets [`fields`](Self::fields).
    #[must_use]
    pub fn fields(mut self, fields: bool) -> Self {
        self.fields = fields;
        self
    }

    /// Sets [`legacy`](Self::legacy).
    #[must_use]
    pub fn legacy(mut self, legacy: Legacy) -> Self {
        self.legacy = legacy;
        self
    }

    /// Sets [`jitter`](Self::jitter).
    #[must_use]
    pub fn jitter(mut self, most: Duration) -> Self {
        self.jitter = most;
        self
    }

    /// Sets [`cost`](Self::cost); a request of no cost always passes.
    #[must_use]
    pub fn cost(mut self, cost: impl Fn(&request::Parts) -> u64 + Send + Sync + 'static) -> Self {
        self.cost = Some(Arc::new(cost));
        self
    }

    /// Sets [`skip`](Self::skip).
    #[must_use]
    pub fn skip(mut self, skip: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.skip = Some(Arc::new(skip));
        self
    }

    /// Sets [`refund`](Self::refund): from the response, none if the service failed without one, and the cost, to what is given back.
    ///
    /// To charge only failed logins: `.refund(|response, cost| if response.is_some_and(|r| r.status == 401) { 0 } else { cost })`.
    #[must_use]
    pub fn refund(mut self, refund: impl Fn(Option<&response::Parts>, u64) -> u64 + Send + Sync + 'static) -> Self {
        self.refund = Some(Arc::new(refund));
        self
    }

    /// Sets [`respond`](Self::respond); fields and `Retry-After` are added to what it returns.
    #[must_use]
    pub fn respond(mut self, respond: impl Fn(&Refusal<'_>) -> Response<String> + Send + Sync + 'static) -> Self {
        self.respond = Some(Arc::new(respond));
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let invalid = |detail| Err(Error::invalid_config("ratelimit", detail));
        if self.name.is_empty() || !self.name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return invalid("name must be visible ASCII and spaces");
        }
        if matches!(&self.without_key, WithoutKey::Shared(id) if id.is_empty()) {
            return invalid("without_key: the shared id must not be empty");
        }
        Ok(())
    }
}

impl fmt::Debug for LayerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerOptions")
            .field("name", &self.name)
            .field("unit", &self.unit)
            .field("without_key", &self.without_key)
            .field("on_error", &self.on_error)
            .field("unavailable_retry", &self.unavailable_retry)
            .field("mode", &self.mode)
            .field("fields", &self.fields)
            .field("legacy", &self.legacy)
            .field("jitter", &self.jitter)
            .field("cost", &self.cost.is_some())
            .field("skip", &self.skip.is_some())
            .field("refund", &self.refund.is_some())
            .field("respond", &self.respond.is_some())
            .finish()
    }
}
