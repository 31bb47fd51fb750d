//! The limiter, and the front of it that sends what comes together together.

use std::sync::Arc;

use anyhow::{Result, ensure};
use kv_redis::RedisStore;
use redis_ratelimit::{FrontLimiter, FrontOptions, Quota, RateLimitOptions, RateLimiter};

use super::{Ids, QUOTA};
use crate::load::{ClosedLoop, Operation};
use crate::scenario::{Contender, Contenders};

pub(super) fn contenders(store: &RedisStore, tasks: usize, keys: usize) -> Result<Contenders> {
    let store = Arc::new(store.clone());
    let limiter = |prefix: &str| RateLimiter::new(store.clone(), QUOTA, RateLimitOptions::default().prefix(prefix));
    let plain = limiter("plain")?;
    let front = FrontLimiter::new(limiter("front")?, FrontOptions::default())?;
    let alone = FrontLimiter::new(limiter("alone")?, FrontOptions::default().batch(1))?;
    let ids = || Ids::of_tasks(tasks, keys, |key| key.to_string());
    let one: &[(&str, u64)] = &[("evalsha", 1)];
    Ok(vec![
        ClosedLoop::boxed("redis-ratelimit", one, ids().map(|ids| Plain(plain.clone(), ids)).collect()),
        ClosedLoop::boxed("front, batch 1", one, ids().map(|ids| Front(alone.clone(), ids)).collect()),
        ClosedLoop::boxed("front", &[], ids().map(|ids| Front(front.clone(), ids)).collect()),
    ])
}

/// A limiter whose only unit of the hour is taken, and no front that knows it.
pub(super) struct Denied(RateLimiter);

impl Denied {
    pub(super) async fn new(store: &RedisStore) -> Result<Self> {
        let options = RateLimitOptions::default().prefix("denied");
        let limiter = RateLimiter::new(Arc::new(store.clone()), Quota::per_hour(1), options)?;
        ensure!(limiter.check("user").await?.is_allowed(), "denied at once");
        Ok(Self(limiter))
    }

    pub(super) fn boxed(self) -> Box<dyn Contender> {
        ClosedLoop::boxed("redis-ratelimit", &[("evalsha", 1)], vec![self])
    }
}

impl Operation for Denied {
    async fn run(&mut self) -> Result<()> {
        ensure!(!self.0.check("user").await?.is_allowed(), "admitted");
        Ok(())
    }
}

struct Plain(RateLimiter, Ids);

impl Operation for Plain {
    async fn run(&mut self) -> Result<()> {
        ensure!(self.0.check(self.1.next()).await?.is_allowed(), "denied");
        Ok(())
    }
}

struct Front(FrontLimiter, Ids);

impl Operation for Front {
    async fn run(&mut self) -> Result<()> {
        ensure!(self.0.check(self.1.next()).await?.is_allowed(), "denied");
        Ok(())
    }
}
