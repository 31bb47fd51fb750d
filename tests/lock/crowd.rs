//! Many locks and many tasks: what they cost, what they leave, and who gets how much.

use super::Counted;
use crate::backend::{Backend, eventually, on_every_backend, soon};
use kv_core::{Layered, MemoryStore};
use redis_lock::{LockManager, LockOptions};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, task::JoinSet, time::sleep};
use xtask::{fixture::Server, resp::Reply};

on_every_backend!(tasks_of_one_process_have_as_many_turns);

const LONG: Duration = Duration::from_secs(60);

async fn tasks_of_one_process_have_as_many_turns(backend: &Backend) {
    const TASKS: usize = 32;
    let locks = LockManager::new(backend.store.clone(), LockOptions::default()).unwrap();
    let turns = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (locks, turns) = (locks.clone(), turns.clone());
        tasks.spawn(async move {
            let mut own = 0;
            while turns.fetch_add(1, Ordering::Relaxed) < 100 * TASKS as u64 {
                drop(locks.acquire("job", LONG).await.unwrap());
                own += 1;
            }
            own
        });
    }
    let counts: Vec<u64> = soon("all turns", tasks.join_all()).await;
    let (most, least) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
    assert!(most <= &(3 * least), "{counts:?}");
}

/// Two processes that want the same locks, each one after the other.
async fn contend(here: &LockManager, there: &LockManager, names: std::ops::Range<usize>) {
    let mut waits = JoinSet::new();
    for name in names {
        let (here, there, name) = (here.clone(), there.clone(), format!("job-{name}"));
        waits.spawn(async move {
            let held = here.acquire(&name, LONG).await.unwrap();
            let (waits, wanted) = (there.clone(), name.clone());
            let next = tokio::spawn(async move { waits.acquire(&wanted, LONG).await.unwrap() });
            eventually("in line", || async { here.inspect(&name).await.unwrap().waiting == 1 }).await;
            held.release().await.unwrap();
            next.await.unwrap().release().await.unwrap();
        });
    }
    waits.join_all().await;
}

/// Keys, channels and connections.
fn left(server: &Server) -> [usize; 3] {
    let Reply::Integer(keys) = server.call(&["DBSIZE"]).unwrap() else { panic!("no number of keys") };
    let Reply::Array(channels) = server.call(&["PUBSUB", "CHANNELS"]).unwrap() else { panic!("no channels") };
    let Reply::Bulk(Some(clients)) = server.call(&["CLIENT", "LIST"]).unwrap() else { panic!("no clients") };
    [keys as usize, channels.len(), clients.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count()]
}

#[tokio::test]
async fn ten_thousand_contended_names_leave_nothing_but_fences() {
    const NAMES: usize = 10_000;
    let backend = Backend::redis("").await;
    let server = backend.server.as_ref().unwrap();
    let manager = || LockManager::new(backend.store.clone(), LockOptions::default()).unwrap();
    let (here, there) = (manager(), manager());
    contend(&here, &there, 0..1).await;
    let [_, channels, connections] = left(server);
    let tasks = Handle::current().metrics().num_alive_tasks();
    for first in (0..NAMES).step_by(500) {
        contend(&here, &there, first..first + 500).await;
    }
    assert_eq!(left(server), [NAMES, channels, connections]);
    assert_eq!(channels, 1, "only those who wait have a mailbox");
    eventually("no task", || async { Handle::current().metrics().num_alive_tasks() <= tasks }).await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_leases_are_renewed_together() {
    let calls = Counted::default();
    let store = Layered::new(MemoryStore::new(), calls.clone());
    let options = LockOptions::default().lease(Duration::from_secs(3)).claim(Duration::from_secs(2));
    let locks = LockManager::new(Arc::new(store), options).unwrap();
    let mut guards = Vec::new();
    for name in 0..1000 {
        guards.push(locks.try_acquire(&format!("job-{name}")).await.unwrap().acquired().unwrap());
        // Not all at the same instant.
        sleep(Duration::from_millis(1)).await;
    }
    let before = calls.0.load(Ordering::Relaxed);
    sleep(Duration::from_secs(60)).await;
    let renewals = calls.0.load(Ordering::Relaxed) - before;
    assert!(guards.iter().all(redis_lock::LockGuard::is_valid));
    // A tick is a 24th of the claim, and each is one call at most, where single renewals would be a thousand a second.
    assert!((30..=60 * 12 + 1).contains(&renewals), "{renewals} calls in a minute");
}

#[tokio::test]
async fn leases_that_are_renewed_together_are_one_write() {
    let backend = Backend::redis("").await;
    let server = backend.server.as_ref().unwrap();
    let locks = LockManager::new(backend.store.clone(), LockOptions::default().lease(Duration::from_secs(3))).unwrap();
    let mut guards = Vec::new();
    for name in 0..1000 {
        guards.push(locks.try_acquire(&format!("job-{name}")).await.unwrap().acquired().unwrap());
    }
    let count = |line: &str, section: &str| {
        let Reply::Bulk(Some(info)) = server.call(&["INFO", section]).unwrap() else { panic!("no statistics") };
        let info = String::from_utf8(info).unwrap();
        let figure = info.lines().find_map(|other| other.strip_prefix(line)).unwrap_or("0");
        figure.split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let scripts = || count("cmdstat_evalsha:calls=", "commandstats");
    let (first, reads) = (scripts(), count("total_reads_processed:", "stats"));
    eventually("all are renewed", || async {
        // Seldom, since asking is reading too.
        sleep(Duration::from_millis(200)).await;
        scripts() >= first + 1000
    })
    .await;
    let renewed = scripts() - first;
    let reads = count("total_reads_processed:", "stats") - reads;
    // A thousand of them are more than one read of 16 KB, and fewer than one each by far.
    assert!(reads < renewed / 4, "{reads} reads for {renewed} renewals");
    assert!(guards.iter().all(redis_lock::LockGuard::is_valid));
}
