use super::script::QUORUM_RELEASE;
use kv_core::{Arg, Error, ErrorKind, KvStore, KvStoreExt, Result, ScriptCall};
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::{Instant, sleep_until, timeout, timeout_at},
};

/// One server's key that may be ours, and that nobody will release by hand.
#[derive(Debug)]
pub(crate) struct Leftover {
    pub(crate) key: Arc<str>,
    pub(crate) token: Arc<str>,
    /// When the lease ends by itself.
    pub(crate) until: Instant,
    /// What sets the key may arrive yet: that it is absent proves nothing.
    pub(crate) doubtful: bool,
}

const BATCH: usize = 64;
/// Beyond this many, leases end what a server that does not answer keeps.
const MOST: usize = 10_000;
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// For one batch; the store's own deadline may be shorter.
const PATIENCE: Duration = Duration::from_secs(1);

/// Releases on one server what dropped guards and failed attempts leave, in a task of its own that ends with the
/// manager, its last guard and what is left over.
#[derive(Debug)]
pub(crate) struct Sweeper(UnboundedSender<Leftover>);

impl Sweeper {
    pub(crate) fn start(store: Arc<dyn KvStore>, runtime: &Handle) -> Self {
        let (sender, leftovers) = mpsc::unbounded_channel();
        runtime.spawn(sweep(store, leftovers));
        Self(sender)
    }

    /// Never waits and never panics, runtime or not.
    pub(crate) fn take(&self, leftover: Leftover) {
        // With the task gone its runtime is gone; the lease ends the lock then.
        let _ = self.0.send(leftover);
    }
}

async fn sweep(store: Arc<dyn KvStore>, mut leftovers: UnboundedReceiver<Leftover>) {
    let (mut batch, mut stuck) = (Vec::new(), Vec::new());
    let (mut pause, mut again) = (SHORTEST_PAUSE, Instant::now());
    loop {
        if stuck.is_empty() {
            if leftovers.recv_many(&mut batch, BATCH).await == 0 {
                return;
            }
            (pause, again) = (SHORTEST_PAUSE, Instant::now() + SHORTEST_PAUSE);
        } else if timeout_at(again, leftovers.recv_many(&mut batch, BATCH)).await == Ok(0) {
            sleep_until(again).await;
        }
        if Instant::now() >= again {
            batch.append(&mut stuck);
            pause = (pause * 2).min(LONGEST_PAUSE);
            again = Instant::now() + pause.mul_f64(1.0 - rand::random::<f64>() / 2.0);
        }
        while !batch.is_empty() {
            let rest = batch.split_off(batch.len().min(BATCH));
            release(&*store, batch, &mut stuck).await;
            batch = rest;
        }
        stuck.truncate(MOST);
    }
}

/// Compare-and-delete is idempotent, so it is tried until the lease is over anyway.
async fn release(store: &dyn KvStore, mut batch: Vec<Leftover>, stuck: &mut Vec<Leftover>) {
    let now = Instant::now();
    batch.retain(|leftover| leftover.until > now);
    if batch.is_empty() {
        return;
    }
    let replies = timeout(PATIENCE, release_all(store, &batch)).await;
    let mut replies = match replies.unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, QUORUM_RELEASE.name()))) {
        Ok(replies) => replies,
        Err(error) => vec![Err(error); batch.len()],
    }
    .into_iter();
    stuck.extend(batch.into_iter().filter(|leftover| match replies.next() {
        Some(Ok(1)) => false,
        Some(Ok(_)) => leftover.doubtful,
        Some(Err(error)) if !error.is_temporary() => {
            tracing::warn!(%error, "a lock stays on one server until its lease ends");
            false
        }
        Some(Err(_)) | None => true,
    }));
}

async fn release_all(store: &dyn KvStore, batch: &[Leftover]) -> Result<Vec<Result<i64>>> {
    let calls: Vec<([&str; 1], [Arg<'_>; 1])> =
        batch.iter().map(|leftover| ([&*leftover.key], [Arg::from(&*leftover.token)])).collect();
    let calls: Vec<ScriptCall<'_>> = calls.iter().map(|(keys, args)| ScriptCall { keys, args }).collect();
    let name = QUORUM_RELEASE.name();
    let replies = store.require_scripts(name)?.run_many(&QUORUM_RELEASE, &calls).await?;
    Ok(replies.into_iter().map(|reply| reply.and_then(|reply| reply.into_int(name))).collect())
}
