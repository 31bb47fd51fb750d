use crate::{
    LockError, LockGuard, LockManager, Release,
    backend::Backend,
    holding::Holding,
    keys::{Keys, same_slot},
    lease::Lease,
    reaper::Leftover,
    token::Token,
};
use kv_core::{Error, Executed, Result};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::Instant};

/// Several locks that are held together; dropped, all are released in the background.
#[must_use = "dropping the guard releases the locks"]
pub struct MultiGuard {
    /// In the order of the names.
    guards: Vec<(String, LockGuard)>,
}

impl LockManager {
    /// Takes all of these locks if all are free, or none; `None` when one is not.
    ///
    /// One round trip and atomic where all keys share a hash slot: on one server, or by names with a hash tag and
    /// [`KeyStyle::Verbatim`](crate::KeyStyle::Verbatim). Else one after the other, and what was taken before one that is not free is given back.
    pub async fn try_acquire_all(&self, names: &[&str]) -> Result<Option<MultiGuard>, LockError> {
        let names = distinct(names)?;
        let keys = names.iter().map(|name| self.naming().keys(name)).collect::<Result<Vec<_>>>()?;
        if self.backend().server.is_one() || same_slot(&keys) {
            let Some(taken) = self.take_all(keys).await? else { return Ok(None) };
            let mut guards = Vec::with_capacity(names.len());
            for (name, guard) in names.into_iter().zip(taken) {
                guards.push((name, guard.replicated().await?));
            }
            return Ok(Some(MultiGuard { guards }));
        }
        let mut guards = Vec::with_capacity(names.len());
        for name in names {
            let Some(guard) = self.try_acquire(&name).await?.acquired() else { return Ok(None) };
            guards.push((name, guard));
        }
        Ok(Some(MultiGuard { guards }))
    }

    /// Takes all of these locks, waiting no longer than `wait` for the whole.
    ///
    /// All at once if all are free, as [`try_acquire_all`](Self::try_acquire_all) does; else one after the other in the order of their names, which is the
    /// same for everybody, so that no two wait for each other. What is held meanwhile is renewed. A failure gives back what was taken.
    #[doc(alias = "multi_lock")]
    pub async fn acquire_all(&self, names: &[&str], wait: Duration) -> Result<MultiGuard, LockError> {
        let started = Instant::now();
        if let Some(guard) = self.try_acquire_all(names).await? {
            return Ok(guard);
        }
        let mut guards = Vec::with_capacity(names.len());
        for name in distinct(names)? {
            let guard = self.acquire(&name, wait.saturating_sub(started.elapsed())).await?;
            guards.push((name, guard));
        }
        Ok(MultiGuard { guards })
    }

    async fn take_all(&self, keys: Vec<Keys>) -> Result<Option<Vec<LockGuard>>> {
        let (sent, options) = (Instant::now(), &self.backend().options);
        let label = options.label.as_deref();
        let of = |keys| Leftover {
            keys,
            token: Token::random(label, None),
            ticket: String::new(),
            until: sent + options.lease,
        };
        let mut pending = Pending { backend: self.backend().clone(), left: keys.into_iter().map(of).collect() };
        let wanted: Vec<_> = pending.left.iter().map(|left| (&left.keys, left.token.as_str())).collect();
        let fences = match self.backend().server.acquire_all(&wanted, options.lease).await {
            Ok(Some(fences)) if fences.len() == wanted.len() => fences,
            Ok(fences) => {
                pending.left.clear();
                return if fences.is_some() {
                    Err(Error::invalid_input("acquire_all", "as many tokens as locks"))
                } else {
                    Ok(None)
                };
            }
            Err(error) => {
                if error.executed() == Executed::No {
                    pending.left.clear();
                }
                return Err(error);
            }
        };
        let renewal = options.renew.then_some(options.lease);
        let guards = std::mem::take(&mut pending.left).into_iter().zip(fences).map(|(left, fence)| {
            let lease = Lease::new(left.keys, left.token, sent, options.lease, renewal);
            LockGuard::new(Holding::new(self.backend().clone(), lease, None, fence..fence + 1))
        });
        Ok(Some(guards.collect()))
    }
}

/// Locks that may be ours until it is decided.
struct Pending {
    backend: Arc<Backend>,
    left: Vec<Leftover>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.left.drain(..).for_each(|left| self.backend.reaper.take(left));
    }
}

/// In the order in which everybody takes them, each once.
fn distinct(names: &[&str]) -> Result<Vec<String>> {
    if names.is_empty() {
        return Err(Error::invalid_input("acquire_all", "no name given"));
    }
    let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

impl MultiGuard {
    /// The fencing token of one of the locks.
    pub fn fencing_token(&self, name: &str) -> Option<u64> {
        self.guards.iter().find(|(held, _)| held == name).map(|(_, guard)| guard.fencing_token())
    }

    /// How long the shortest lease surely runs unless it is renewed.
    pub fn remaining(&self) -> Duration {
        self.guards.iter().map(|(_, guard)| guard.remaining()).min().unwrap_or_default()
    }

    /// Whether all leases surely run, as far as this process knows.
    pub fn is_valid(&self) -> bool {
        !self.remaining().is_zero()
    }

    /// Ends when the first of the locks is [lost](LockGuard::lost). Cancel safe.
    pub async fn lost(&self) {
        let mut losses: Vec<_> = self.guards.iter().map(|(_, guard)| Box::pin(guard.lost())).collect();
        std::future::poll_fn(|context| {
            let lost = losses.iter_mut().any(|loss| loss.as_mut().poll(context).is_ready());
            if lost { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }

    /// Runs a future for as long as none of the locks is lost; then drops it, with [`LockError::Lost`].
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, LockError> {
        tokio::select! {
            biased;
            () = self.lost() => Err(LockError::Lost),
            done = work => Ok(done),
        }
    }

    /// Gives all locks back, and says of each what it found. One round trip each, at the same time.
    ///
    /// Whatever fails or is dropped meanwhile is given back in the background.
    pub async fn release(self) -> Result<Vec<(String, Release)>, LockError> {
        let mut releases = JoinSet::new();
        for (at, (name, guard)) in self.guards.into_iter().enumerate() {
            releases.spawn(async move { guard.release().await.map(|release| (at, name, release)) });
        }
        let mut outcomes = Vec::with_capacity(releases.len());
        let mut failure = None;
        while let Some(outcome) = releases.join_next().await {
            match outcome {
                Ok(Ok(outcome)) => outcomes.push(outcome),
                Ok(Err(error)) => failure = Some(error),
                Err(_) => failure = Some(LockError::Lost),
            }
        }
        outcomes.sort_unstable_by_key(|(at, ..)| *at);
        failure.map_or_else(|| Ok(outcomes.into_iter().map(|(_, name, release)| (name, release)).collect()), Err)
    }
}

impl fmt::Debug for MultiGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiGuard")
            .field("locks", &self.guards.len())
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}
