use super::{
    Front,
    lease::{Leases, Unused},
};
use crate::{Decision, RateLimiter};
use kv_core::Result;
use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

/// How many ids are given back in one round trip.
const AT_ONCE: usize = 256;

impl Front {
    /// Keeps units for later checks, and sees to it that they are given back.
    pub(super) fn keep(self: &Arc<Self>, hash: u64, id: &str, decision: &Decision, units: u64, sent: Instant) {
        let Some(leases) = &self.leases else { return };
        self.give_back_soon(leases.learn(hash, id, decision, units, sent));
        if let Ok(runtime) = Handle::try_current() {
            self.keep_swept(leases, &runtime);
            self.runtime.get_or_init(|| runtime);
        }
    }

    fn keep_swept(self: &Arc<Self>, leases: &Leases, runtime: &Handle) {
        if !self.is_swept.swap(true, Ordering::AcqRel) {
            runtime.spawn(sweep(Sweep(Arc::downgrade(self)), leases.options.time));
        }
    }

    pub(super) async fn give_back(&self, unused: &Unused) -> Result<()> {
        let given = give_back(&self.limiter, unused).await;
        if let Some(denied) = &self.denied {
            unused.iter().for_each(|(id, _)| denied.forget(self.hash(id), id));
        }
        given
    }

    pub(super) fn give_back_soon(self: &Arc<Self>, unused: Unused) {
        if unused.is_empty() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let front = self.clone();
            // What fails is lost until its bucket drains, and never given back twice.
            runtime.spawn(async move { drop(front.give_back(&unused).await) });
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let unused = self.leases.as_ref().map(Leases::take_all).unwrap_or_default();
        if let Some(runtime) = self.runtime.get().filter(|_| !unused.is_empty()) {
            let limiter = self.limiter.clone();
            runtime.spawn(async move { drop(give_back(&limiter, &unused).await) });
        }
    }
}

async fn give_back(limiter: &RateLimiter, unused: &Unused) -> Result<()> {
    let mut given = Ok(());
    for some in unused.chunks(AT_ONCE) {
        let some: Vec<(&str, u64)> = some.iter().map(|(id, units)| (&**id, *units)).collect();
        given = given.and(limiter.give_back(&some).await.map(drop));
    }
    given
}

/// The task that gives back what may be spent no longer; there is one while there is something to sweep.
struct Sweep(Weak<Front>);

async fn sweep(sweep: Sweep, every: Duration) {
    loop {
        sleep(every).await;
        let Some(front) = sweep.0.upgrade() else { return };
        let Some(leases) = &front.leases else { return };
        let (unused, any) = leases.sweep(Instant::now());
        drop(front.give_back(&unused).await);
        if !any {
            drop(sweep);
            // Whoever kept units just now relied on this one.
            if leases.any() {
                front.keep_swept(leases, &Handle::current());
            }
            return;
        }
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        if let Some(front) = self.0.upgrade() {
            front.is_swept.store(false, Ordering::Release);
        }
    }
}
