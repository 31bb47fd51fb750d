use crate::{
    keys::Kind,
    lease::Lease,
    server::{Found, Server},
};
use slab::Slab;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::AbortHandle,
    time::{Instant, sleep},
};

/// Renews all leases of a manager, in a task that looks for those that are due and asks for them together.
#[derive(Debug)]
pub(crate) struct Renewer {
    held: Arc<Held>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Held {
    leases: Mutex<Slab<Arc<Lease>>>,
    /// The task waits for somebody to wake it.
    asleep: AtomicBool,
    wake: Notify,
}

/// How many looks at nothing it takes to fall asleep: waking the task costs more than a few looks.
const LOOKS: u32 = 8;

impl Renewer {
    /// Leases are at least as long as the shortest.
    pub(crate) fn start(runtime: &Handle, server: Server, shortest: Duration) -> Self {
        let held = Arc::<Held>::default();
        // Often enough that nobody is late by more than a small part of a third.
        let every = (shortest / 24).clamp(Duration::from_millis(1), Duration::from_millis(500));
        let task = runtime.spawn(watch(held.clone(), server, every));
        Self { held, task: task.abort_handle() }
    }

    /// Renews a lease from now on; the number is for [`forget`](Self::forget).
    pub(crate) fn keep(&self, lease: Arc<Lease>) -> usize {
        let at = self.held.leases().insert(lease);
        if self.held.asleep.swap(false, Ordering::AcqRel) {
            self.held.wake.notify_one();
        }
        at
    }

    pub(crate) fn forget(&self, at: usize) {
        self.held.leases().try_remove(at);
    }
}

impl Drop for Renewer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Held {
    fn leases(&self) -> MutexGuard<'_, Slab<Arc<Lease>>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn watch(held: Arc<Held>, server: Server, every: Duration) {
    let mut empty = 0;
    loop {
        sleep(every).await;
        let now = Instant::now();
        let due: Vec<(Arc<Lease>, Duration)> = {
            let leases = held.leases();
            empty = if leases.is_empty() { empty + 1 } else { 0 };
            if empty > LOOKS {
                // Under the lock, so that whoever comes next sees it.
                held.asleep.store(true, Ordering::Release);
            }
            leases.iter().filter_map(|(_, lease)| Some((lease.clone(), lease.due(now)?))).collect()
        };
        let (locks, rooms): (Vec<_>, Vec<_>) = due.into_iter().partition(|(lease, _)| lease.keys.kind == Kind::Lock);
        for (kind, due) in [(Kind::Lock, locks), (Kind::Room, rooms)] {
            if !due.is_empty() {
                // Not awaited: a server that hangs keeps nobody else from being renewed.
                tokio::spawn(renew(server.clone(), kind, due));
            }
        }
        if empty > LOOKS {
            held.wake.notified().await;
            empty = 0;
        }
    }
}

async fn renew(server: Server, kind: Kind, due: Vec<(Arc<Lease>, Duration)>) {
    let asked: Vec<_> =
        due.iter().map(|(lease, length)| (lease.keys.lock.clone(), lease.token.as_str().to_owned(), *length)).collect();
    let sent = Instant::now();
    let answers = server.extend_many(kind, &asked).await;
    for ((lease, length), answer) in due.iter().zip(answers) {
        match answer {
            Ok(Found::Ours) => drop(lease.renewed(sent, *length)),
            Ok(Found::Nobody | Found::Another) => lease.lose(),
            // The lease still runs, and it is tried again for as long as it does.
            Err(error) => tracing::warn!(%error, "cannot renew a lease"),
        }
    }
}
