//! What is decided in this process: too short for a clock around each.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use governor::RateLimiter as GovernorLimiter;
use kv_redis::RedisStore;
use limitador::RateLimiter as LimitadorLimiter;
use limitador::limit::{Context as LimitadorContext, Limit, Namespace};
use redis_ratelimit::{FrontLimiter, FrontOptions, LeaseOptions, Quota, RateLimitOptions, RateLimiter, Source};

use crate::load::Operation;
use crate::scenario::{BoxFuture, Contender, Contenders, Sample};

/// As long as an id often is.
const ID: &str = "user:000000000042";

/// How many are run between two looks at the clock.
const AT_ONCE: u64 = 1000;

pub(super) fn contenders(url: String) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let store = Arc::new(RedisStore::connect(&url).await?);
        let front = |prefix: &str, quota, options| {
            let limiter = RateLimiter::new(store.clone(), quota, RateLimitOptions::default().prefix(prefix))?;
            FrontLimiter::new(limiter, options)
        };
        let denied = front("denied", Quota::per_day(1), FrontOptions::default().deny_cache(10_000))?;
        denied.check(ID).await?;
        denied.check(ID).await?;
        // As much as is spent in 10 ms.
        let lease = FrontOptions::default().lease(LeaseOptions::default().units(1_000_000));
        let leased = front("leased", Quota::per_second(1_000_000_000), lease)?;
        let map = Arc::new(Mutex::new(HashMap::from([(ID.to_owned(), 0)])));
        Ok(vec![
            Short::boxed("a map, a mutex and a clock", Map(map)),
            Short::boxed("deny cache", Denied(denied)),
            Short::boxed("lease, with what is asked for", Leased(leased)),
            Short::boxed(
                "governor, keyed, of this process alone",
                Governed(Arc::new(GovernorLimiter::keyed(plenty()))),
            ),
            Short::boxed(
                "governor, one key, of this process alone",
                GovernedOne(Arc::new(GovernorLimiter::direct(plenty()))),
            ),
            Short::boxed("limitador, keyed, of this process alone", Limitador::new()?),
            Short::boxed("limitador, one context, of this process alone", LimitadorOne(Limitador::new()?, asks())),
        ])
    })
}

/// The least that finds a number under an id and knows the time.
struct Map(Arc<Mutex<HashMap<String, u64>>>);

impl Operation for Map {
    async fn run(&mut self) -> Result<()> {
        black_box(Instant::now());
        if let Some(count) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(black_box(ID)) {
            *count += 1;
        }
        Ok(())
    }
}

struct Denied(FrontLimiter);

impl Operation for Denied {
    async fn run(&mut self) -> Result<()> {
        ensure!(self.0.check(black_box(ID)).await?.source == Source::DenyCache, "asked");
        Ok(())
    }
}

struct Leased(FrontLimiter);

impl Operation for Leased {
    async fn run(&mut self) -> Result<()> {
        ensure!(self.0.check(black_box(ID)).await?.is_allowed(), "denied");
        Ok(())
    }
}

/// More than anybody can ask for.
fn plenty() -> governor::Quota {
    governor::Quota::per_second(std::num::NonZeroU32::MAX)
}

struct Governed(Arc<governor::DefaultKeyedRateLimiter<String>>);

impl Operation for Governed {
    async fn run(&mut self) -> Result<()> {
        // It wants a key of its own kind.
        ensure!(self.0.check_key(&black_box(ID).to_owned()).is_ok(), "denied");
        Ok(())
    }
}

struct GovernedOne(Arc<governor::DefaultDirectRateLimiter>);

impl Operation for GovernedOne {
    async fn run(&mut self) -> Result<()> {
        ensure!(black_box(&self.0).check().is_ok(), "denied");
        Ok(())
    }
}

/// In its own memory, with a limit per `user_id`.
struct Limitador {
    limiter: LimitadorLimiter,
    namespace: Namespace,
}

impl Limitador {
    fn new() -> Result<Self> {
        let (limiter, namespace) = (LimitadorLimiter::new(10_000), "bench");
        limiter.add_limit(Limit::new(namespace, u64::from(u32::MAX), 1, vec![], vec!["user_id".try_into()?]));
        Ok(Self { limiter, namespace: namespace.into() })
    }

    fn check(&self, context: &LimitadorContext<'_>) -> Result<()> {
        let checked = self.limiter.check_rate_limited_and_update(&self.namespace, context, 1);
        let checked = checked.map_err(|error| anyhow!("{error}"))?;
        // Without a limit that applies, it would count nothing.
        ensure!(!checked.limited && checked.counters.len() == 1, "denied");
        Ok(())
    }
}

/// Who asks, as it wants to be told.
fn asks() -> LimitadorContext<'static> {
    HashMap::from([("user_id".to_owned(), black_box(ID).to_owned())]).into()
}

impl Operation for Limitador {
    async fn run(&mut self) -> Result<()> {
        self.check(&asks())
    }
}

/// Without what it takes to say who asks.
struct LimitadorOne(Limitador, LimitadorContext<'static>);

impl Operation for LimitadorOne {
    async fn run(&mut self) -> Result<()> {
        self.0.check(black_box(&self.1))
    }
}

/// A contender that runs one [`Operation`] in one task, and seldom looks at the clock.
struct Short<O> {
    name: &'static str,
    operation: Option<O>,
}

impl<O: Operation> Short<O> {
    fn boxed(name: &'static str, operation: O) -> Box<dyn Contender> {
        Box::new(Self { name, operation: Some(operation) })
    }
}

impl<O: Operation> Contender for Short<O> {
    fn name(&self) -> &'static str {
        self.name
    }

    /// None of its own; what is left of a lease is given back some time.
    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move {
            let Some(operation) = self.operation.take() else { return Ok(Sample::default()) };
            let (operation, sample) = tokio::spawn(repeat(operation, time)).await??;
            self.operation = Some(operation);
            Ok(sample)
        })
    }
}

async fn repeat<O: Operation>(mut operation: O, time: Duration) -> Result<(O, Sample)> {
    let (mut sample, started) = (Sample::default(), Instant::now());
    while started.elapsed() < time {
        for _ in 0..AT_ONCE {
            operation.run().await?;
        }
        sample.ops += AT_ONCE;
    }
    sample.elapsed = started.elapsed();
    sample.figures.push(("ns", sample.elapsed.as_nanos() as f64 / sample.ops as f64));
    Ok((operation, sample))
}
