//! Histories of reads and writes from many caches at once, and what none of them may show: a value that was invalidated before
//! the read began.

use crate::backend::{Backend, on_every_backend};
use redis_cache::{Cache, CacheError, CacheOptions};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use xtask::fixture::Server;

on_every_backend!(
    no_read_returns_what_was_invalidated_before_it,
    no_read_returns_what_was_written_over_before_it,
    no_read_of_many_returns_what_was_invalidated_before_it,
    no_read_returns_what_was_invalidated_by_its_tag_before_it,
);

/// How a writer tells the cache.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Invalidate,
    Update,
    Through,
    Tag,
}

/// A row whose value only grows, and up to where the cache has been told.
#[derive(Debug, Default)]
struct Row {
    value: AtomicU64,
    told: AtomicU64,
}

#[derive(Debug)]
pub(super) struct World {
    rows: Vec<Row>,
    ends: Instant,
    reads: AtomicU64,
    writes: AtomicU64,
    loads: AtomicU64,
}

pub(super) const KEYS: usize = 3;

impl World {
    fn new(time: Duration) -> Arc<Self> {
        let rows = (0..KEYS).map(|_| Row::default()).collect();
        let (reads, writes, loads) = Default::default();
        Arc::new(Self { rows, ends: Instant::now() + time, reads, writes, loads })
    }

    fn is_over(&self) -> bool {
        // On a busy machine it takes longer.
        let [reads, writes, loads] = [&self.reads, &self.writes, &self.loads].map(|count| count.load(Ordering::SeqCst));
        Instant::now() >= self.ends && reads > 50 && writes > 10 && loads > 10
    }

    /// Reads the row, and takes its time before and after.
    async fn load(self: Arc<Self>, key: usize) -> Result<Option<u64>, io::Error> {
        let pause = || tokio::time::sleep(Duration::from_micros(rand::random::<u64>() % 2000));
        self.loads.fetch_add(1, Ordering::SeqCst);
        pause().await;
        let value = self.rows[key].value.load(Ordering::SeqCst);
        pause().await;
        Ok(Some(value))
    }

    fn check(&self, key: usize, told: u64, value: u64) {
        self.reads.fetch_add(1, Ordering::SeqCst);
        assert!(value >= told, "key {key}: {value} is read after {told} was told");
    }

    async fn read(self: Arc<Self>, cache: Cache<u64>, way: Way) {
        while !self.is_over() {
            let key = rand::random::<u64>() as usize % KEYS;
            let told = self.rows[key].told.load(Ordering::SeqCst);
            let (name, world) = (key.to_string(), self.clone());
            let loader = move || world.load(key);
            let value = match way {
                Way::Tag => cache.tagged(&[&format!("tag-{key}")]).unwrap().get_or_load(&name, loader).await,
                _ => cache.get_or_load(&name, loader).await,
            };
            match value {
                Ok(value) => self.check(key, told, *value.unwrap()),
                Err(error) => assert!(error.is_temporary(), "{error:?}"),
            }
        }
    }

    async fn read_many(self: Arc<Self>, cache: Cache<u64>) {
        let names: Vec<String> = (0..KEYS).map(|key| key.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        while !self.is_over() {
            let told: Vec<u64> = self.rows.iter().map(|row| row.told.load(Ordering::SeqCst)).collect();
            let world = self.clone();
            let loader = move |keys: Vec<String>| {
                let world = world.clone();
                async move {
                    let mut values = std::collections::HashMap::new();
                    for key in keys {
                        let value = world.clone().load(key.parse().unwrap()).await?;
                        values.insert(key, value.unwrap());
                    }
                    Ok::<_, io::Error>(values)
                }
            };
            let values = cache.get_many_or_load(&names, loader).await.unwrap();
            for (key, value) in values.into_iter().enumerate() {
                self.check(key, told[key], *value.unwrap());
            }
        }
    }

    /// Writes, and tells the cache until it has heard.
    async fn write(self: Arc<Self>, cache: Cache<u64>, key: usize, way: Way) {
        let name = key.to_string();
        while !self.is_over() {
            tokio::time::sleep(Duration::from_micros(rand::random::<u64>() % 4000)).await;
            let row = self.clone();
            let write = move || row.rows[key].value.fetch_add(1, Ordering::SeqCst) + 1;
            let told: Result<u64, CacheError> = match way {
                Way::Invalidate => {
                    let value = write();
                    cache.invalidate(&name).await.map(|()| value)
                }
                Way::Tag => {
                    let value = write();
                    cache.invalidate_tag(&format!("tag-{key}")).await.map(|()| value)
                }
                Way::Update => cache.update(&name, || async move { Ok::<_, io::Error>(write()) }).await,
                Way::Through => {
                    let through = || async move { Ok::<_, io::Error>(Some(write())) };
                    cache.write_through(&name, through).await.map(|value| *value.unwrap())
                }
            };
            match told {
                Ok(value) => {
                    self.rows[key].told.fetch_max(value, Ordering::SeqCst);
                    self.writes.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => assert!(error.is_temporary(), "{error:?}"),
            }
        }
    }
}

/// Lets four caches loose on the same keys.
pub(super) async fn history(caches: Vec<Cache<u64>>, ways: [Way; KEYS], many: bool, time: Duration) -> Arc<World> {
    let (world, mut tasks) = (World::new(time), JoinSet::new());
    for cache in &caches {
        for _ in 0..4 {
            match many {
                true => tasks.spawn(world.clone().read_many(cache.clone())),
                false => tasks.spawn(world.clone().read(cache.clone(), ways[0])),
            };
        }
    }
    for (key, way) in ways.into_iter().enumerate() {
        tasks.spawn(world.clone().write(caches[key].clone(), key, way));
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    world
}

fn caches(backend: &Backend) -> Vec<Cache<u64>> {
    let options = CacheOptions::default().budget(Duration::from_secs(8)).lease(Duration::from_millis(500));
    (0..4).map(|_| Cache::new(backend.store.clone(), options.clone()).unwrap()).collect()
}

pub(super) const TIME: Duration = Duration::from_millis(800);

async fn is_clean(backend: &Backend) {
    for key in 0..KEYS {
        let lease = format!("cache:{{{key}}}:load");
        crate::backend::eventually("no lease is left", || async { !backend.store.exists(&lease).await.unwrap() }).await;
    }
}

async fn no_read_returns_what_was_invalidated_before_it(backend: &Backend) {
    history(caches(backend), [Way::Invalidate; KEYS], false, TIME).await;
    is_clean(backend).await;
}

async fn no_read_returns_what_was_written_over_before_it(backend: &Backend) {
    history(caches(backend), [Way::Update, Way::Through, Way::Update], false, TIME).await;
    is_clean(backend).await;
}

async fn no_read_of_many_returns_what_was_invalidated_before_it(backend: &Backend) {
    history(caches(backend), [Way::Invalidate, Way::Through, Way::Invalidate], true, TIME).await;
    is_clean(backend).await;
}

async fn no_read_returns_what_was_invalidated_by_its_tag_before_it(backend: &Backend) {
    history(caches(backend), [Way::Tag; KEYS], false, TIME).await;
    is_clean(backend).await;
}

/// Breaks what can be broken without a write getting lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_brings_back_what_was_invalidated() {
    let server = Server::start().unwrap();
    let options = CacheOptions::default().lease(Duration::from_millis(300)).budget(Duration::from_millis(200));
    let mut caches = Vec::new();
    for _ in 0..4 {
        let store = kv_redis::RedisStore::connect_with(&server.url(), crate::backend::patient()).await.unwrap();
        caches.push(Cache::new(Arc::new(store), options.clone()).unwrap());
    }
    let over = Arc::new(AtomicBool::new(false));
    let faults = std::thread::spawn({
        let over = over.clone();
        move || {
            let mut faults = 0;
            while !over.load(Ordering::SeqCst) {
                let call = |command: &[&str]| drop(server.call(command));
                match faults % 4 {
                    0 => call(&["SCRIPT", "FLUSH"]),
                    1 => call(&["CLIENT", "KILL", "TYPE", "pubsub"]),
                    2 => call(&["CLIENT", "KILL", "TYPE", "normal"]),
                    _ => {
                        server.pause().unwrap();
                        std::thread::sleep(Duration::from_millis(rand::random::<u64>() % 400));
                        server.resume().unwrap();
                    }
                }
                std::thread::sleep(Duration::from_millis(30));
                faults += 1;
            }
            (server, faults)
        }
    });
    let world = history(caches, [Way::Invalidate; KEYS], false, Duration::from_secs(4)).await;
    over.store(true, Ordering::SeqCst);
    let (server, faults) = faults.join().unwrap();
    assert!(faults > 10, "{faults} faults, {world:?}");
    let keys = "return #redis.call('KEYS', '*')";
    let mortal = "local n = 0 for _, key in ipairs(redis.call('KEYS', '*')) do if redis.call('PTTL', key) > 0 then n = n + 1 end end return n";
    let count = |lua: &str| server.call(&["EVAL", lua, "0"]).unwrap();
    assert_eq!(format!("{:?}", count(keys)), format!("{:?}", count(mortal)), "every key has a time to live");
}

/// The checker itself: a cache that is told nothing shows what was written over.
#[tokio::test]
async fn a_cache_that_is_not_told_is_found_out() {
    let (backend, world) = (Backend::memory(), World::new(Duration::from_secs(8)));
    let ids: Cache<u64> = Cache::new(backend.store, CacheOptions::default()).unwrap();
    let read = |told| {
        let (ids, world) = (ids.clone(), world.clone());
        tokio::spawn(async move {
            let value = ids.get_or_load("0", || world.clone().load(0)).await.unwrap();
            world.check(0, told, *value.unwrap());
        })
    };
    read(0).await.unwrap();
    world.rows[0].value.store(1, Ordering::SeqCst);
    assert!(read(1).await.is_err());
}
