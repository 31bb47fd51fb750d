//! What tracking is for: a copy that drops what is reported, and everything at a gap, is never stale for long.

use super::broken::{options, trackers};
use crate::backend::eventually;
use bytes::Bytes;
use kv_core::{Event, KeyChanges, KvStore, MemoryStore, SetOptions, Tracking};
use kv_redis::RedisStore;
use rand::seq::IndexedRandom;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use xtask::fixture::{Cluster, Sentinel, Server};

const KEYS: usize = 30;

/// Values as they were read, as long as nothing says that they changed.
struct Copy {
    store: Arc<dyn KvStore>,
    changes: KeyChanges,
    values: HashMap<String, Option<Bytes>>,
}

impl Copy {
    async fn new(store: impl KvStore + Tracking + Clone + 'static) -> Self {
        let changes = store.track(&["key"]).await.unwrap();
        Self { store: Arc::new(store), changes, values: HashMap::new() }
    }

    async fn read(&mut self, key: String) {
        if let Ok(value) = self.store.get(&key).await {
            self.values.insert(key, value);
        }
        self.listen(Duration::ZERO).await;
    }

    /// Until nothing more is heard for a while.
    async fn listen(&mut self, quiet: Duration) {
        while let Ok(Some(event)) = timeout(quiet, self.changes.next_event()).await {
            match event {
                Event::Message(key) => drop(self.values.remove(&*key)),
                Event::Gap => self.values.clear(),
            }
        }
    }

    /// Whether all that is left is as it is in the store.
    async fn is_right(&mut self) -> bool {
        self.listen(Duration::from_millis(20)).await;
        for (key, value) in &self.values {
            if !self.store.get(key).await.is_ok_and(|now| now == *value) {
                return false;
            }
        }
        true
    }
}

fn any_key() -> String {
    format!("key{}", rand::random_range(0..KEYS))
}

/// Writes and reads for so long, while something goes wrong again and again.
async fn stays_right(
    store: impl KvStore + Tracking + Clone + 'static,
    writer: impl KvStore + 'static,
    time: Duration,
    mut fault: impl FnMut(u32) + Send + 'static,
) {
    let mut copy = Copy::new(store).await;
    let end = Instant::now() + time;
    let breaking = tokio::task::spawn_blocking(move || {
        for round in 0.. {
            std::thread::sleep(Duration::from_millis(rand::random_range(20..150)));
            if Instant::now() > end {
                return;
            }
            fault(round);
        }
    });
    let mut number = 0;
    while !breaking.is_finished() {
        for _ in 0..5 {
            number += 1;
            let _ = match rand::random_range(0..4) {
                0 => writer.delete(&[&any_key()]).await.map(drop),
                _ => writer.set(&any_key(), format!("{number}").as_bytes(), SetOptions::default()).await.map(drop),
            };
            copy.read(any_key()).await;
        }
    }
    breaking.await.unwrap();
    // So that there is something that can be wrong.
    eventually("it is heard again", || async {
        let writing = ["key0", "key1", "key2"].map(|key| writer.set(key, b"0", SetOptions::default()));
        let mut fine = true;
        for write in writing {
            fine &= write.await.is_ok();
        }
        fine
    })
    .await;
    soon_right(&mut copy).await;
    for at in 0..KEYS {
        copy.read(format!("key{at}")).await;
    }
    soon_right(&mut copy).await;
    assert!(copy.changes.is_live());
}

async fn soon_right(copy: &mut Copy) {
    let checking = async { while !(copy.is_right().await && copy.changes.is_live()) {} };
    timeout(Duration::from_secs(20), checking).await.expect("what changed is known");
}

async fn connect(url: &str) -> RedisStore {
    RedisStore::connect_with(url, options()).await.unwrap()
}

#[tokio::test]
async fn on_memory() {
    let store = MemoryStore::new();
    stays_right(store.clone(), store, Duration::from_millis(300), |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_links_are_killed_and_the_server_is_flushed_paused_and_restarted() {
    let server = Arc::new(Server::start().unwrap());
    let broken = server.clone();
    let (store, writer) = (connect(&server.url()).await, connect(&server.url()).await);
    stays_right(store, writer, Duration::from_secs(5), move |round| match round % 12 {
        3 => drop(broken.call(&["FLUSHALL"]).unwrap()),
        7 => {
            broken.pause().unwrap();
            std::thread::sleep(Duration::from_millis(700));
            broken.resume().unwrap();
        }
        11 => broken.restart().unwrap(),
        _ => {
            for id in trackers(&broken) {
                broken.call(&["CLIENT", "KILL", "ID", &id]).unwrap();
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_cluster_fails_over_and_moves_its_slots() {
    let cluster = Arc::new(Cluster::start().unwrap());
    let broken = cluster.clone();
    let (store, writer) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    stays_right(store, writer, Duration::from_secs(8), move |round| {
        let masters = broken.masters().unwrap();
        match round % 3 {
            0 => {
                broken.fail_over(*masters.choose(&mut rand::rng()).unwrap()).unwrap();
            }
            1 => {
                let slot = broken.slot_of(&any_key()).unwrap();
                let from = broken.owner_of(slot).unwrap();
                let to = masters.iter().copied().find(|to| *to != from).unwrap();
                broken.move_slots(slot..=slot, from, to).unwrap();
            }
            _ => {
                for node in broken.nodes() {
                    for id in trackers(node) {
                        node.call(&["CLIENT", "KILL", "ID", &id]).unwrap();
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_sentinels_fail_over() {
    let sentinel = Arc::new(Sentinel::start().unwrap());
    let broken = sentinel.clone();
    let (store, writer) = (connect(&sentinel.url()).await, connect(&sentinel.url()).await);
    stays_right(store, writer, Duration::from_secs(5), move |_| {
        broken.fail_over().unwrap();
    })
    .await;
}
