use super::{
    Key, LayerOptions, Limit, Mode, OnError, Reason, Refusal, WithoutKey,
    fields::{self, Fields, Standing},
    refunds::Refunds,
};
use crate::Decision;
use http::{HeaderMap, Response, request, response};
use kv_core::Result;
use std::{sync::Arc, time::Duration};

/// Decides what passes, and tells of it.
#[derive(Debug)]
pub(super) struct Gate {
    limiter: Arc<dyn Limit>,
    key: Key,
    options: LayerOptions,
    fields: Fields,
    refunds: Refunds,
}

/// A request that passes.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// What to tell of it, if anything.
    standing: Option<Standing>,
    /// What was taken, and from whom.
    taken: Option<(String, u64)>,
}

impl Gate {
    pub(super) fn new(limiter: Arc<dyn Limit>, key: Key, options: LayerOptions) -> Result<Self> {
        key.check()?;
        options.check()?;
        let shown = options.mode != Mode::Shadow { fields: false };
        let legacy = if shown { options.legacy } else { super::Legacy::Off };
        let fields = Fields::new(&options.name, options.unit, limiter.quota(), shown && options.fields, legacy);
        Ok(Self { limiter, key, options, fields, refunds: Refunds::new() })
    }

    /// Lets a request pass, or says what it gets instead.
    pub(super) async fn decide(&self, request: &request::Parts) -> Result<Pass, Box<Response<String>>> {
        let options = &self.options;
        if options.skip.as_ref().is_some_and(|skip| skip(request)) {
            return Ok(Pass::default());
        }
        let id = match (self.key.of(request), &options.without_key) {
            (Some(id), _) => id,
            (None, WithoutKey::Shared(id)) => id.clone(),
            (None, WithoutKey::Pass) => return Ok(Pass::default()),
            (None, WithoutKey::Refuse) => return self.refuse(request, Reason::NoKey, None),
        };
        let cost = options.cost.as_ref().map_or(1, |cost| cost(request));
        let (decision, is_counted) = match self.limiter.check_counted(&id, cost).await {
            Ok(decision) => decision,
            Err(error) => {
                tracing::warn!(policy = options.name, %error, "a quota cannot be checked");
                let passes = match &options.on_error {
                    OnError::Pass => true,
                    OnError::Refuse => false,
                    OnError::Ask(passes) => passes(&error, request),
                };
                // What may have been taken is not given back: it may not have been.
                return if passes { Ok(Pass::default()) } else { self.refuse(request, Reason::Store(&error), None) };
            }
        };
        let standing = Standing::new(&*self.limiter, &decision, self.jitter());
        if let Decision::Denied { .. } = decision {
            return self.refuse(request, Reason::Quota(decision), Some(standing));
        }
        Ok(Pass { standing: Some(standing), taken: is_counted.then_some((id, cost)) })
    }

    /// Refuses a request, unless nothing is refused.
    fn refuse(
        &self,
        request: &request::Parts,
        reason: Reason<'_>,
        standing: Option<Standing>,
    ) -> Result<Pass, Box<Response<String>>> {
        let retry_after = match reason {
            Reason::Quota(_) => standing.and_then(|standing| standing.retry),
            Reason::NoKey => None,
            Reason::Store(_) => Some(fields::seconds(self.options.unavailable_retry.saturating_add(self.jitter()))),
        };
        let refusal = Refusal { request, policy: &self.options.name, reason, retry_after };
        if let Mode::Shadow { .. } = self.options.mode {
            tracing::info!(policy = refusal.policy, status = refusal.status().as_u16(), "a request would be refused");
            return Ok(Pass { standing, taken: None });
        }
        tracing::debug!(policy = refusal.policy, status = refusal.status().as_u16(), "a request is refused");
        let mut response = match &self.options.respond {
            Some(respond) => respond(&refusal),
            None => refusal.problem(),
        };
        if let Some(after) = retry_after {
            fields::retry_after(response.headers_mut(), after);
        }
        self.tell(standing, response.headers_mut());
        Err(Box::new(response))
    }

    /// Ends a request that passed: fields on its response, and back goes what it did not use.
    pub(super) fn settle(&self, pass: Pass, response: Option<&mut response::Parts>) {
        if let (Some((id, cost)), Some(refund)) = (pass.taken, &self.options.refund) {
            let units = refund(response.as_deref(), cost).min(cost);
            if units > 0 {
                self.refunds.start(self.limiter.clone(), id, units);
            }
        }
        if let Some(response) = response {
            self.tell(pass.standing, &mut response.headers);
        }
    }

    fn tell(&self, standing: Option<Standing>, headers: &mut HeaderMap) {
        if let Some(standing) = standing {
            self.fields.write(headers, standing);
        }
    }

    fn jitter(&self) -> Duration {
        let most = u64::try_from(self.options.jitter.as_nanos()).unwrap_or(u64::MAX);
        if most == 0 { Duration::ZERO } else { Duration::from_nanos(rand::random_range(0..=most)) }
    }
}
