use super::{Kind, LONGEST, Way, event::Event, key, rows::Rows, tag};
use crate::{LEASE, dice::Dice, moment::now};
use anyhow::Result;
use kv_core::KvStore;
use kv_redis::RedisStore;
use redis_cache::{Cache, CacheError, Lookup};
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// Those who read, by each kind of cache, and those who write.
const READERS: usize = 3;
const WRITERS: usize = 2;

/// What a process does until it is told to stop.
pub(crate) async fn work(store: Arc<RedisStore>, rows: &str, mut dice: Dice, stop: Arc<AtomicBool>) -> Result<()> {
    let rows = Rows::open(rows).await?;
    let mut caches = Vec::new();
    for kind in Kind::ALL {
        caches.push((kind, Cache::<u64>::new(store.clone() as Arc<dyn KvStore>, kind.options())?));
    }
    let mut running = Vec::new();
    for (kind, cache) in &caches {
        let mut task =
            || Task { kind: *kind, cache: cache.clone(), rows: rows.clone(), dice: dice.fork(), stop: stop.clone() };
        running.extend((0..READERS).map(|_| tokio::spawn(task().read())));
        running.extend((0..WRITERS).map(|_| tokio::spawn(task().write())));
    }
    for task in running {
        task.await?;
    }
    let near: u64 = caches.iter().map(|(_, cache)| cache.stats().near_hits).sum();
    println!("{}", Event::NearHits(near));
    Ok(())
}

/// One who reads or writes, again and again.
struct Task {
    kind: Kind,
    cache: Cache<u64>,
    rows: Rows,
    dice: Dice,
    stop: Arc<AtomicBool>,
}

impl Task {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Reads a row, and takes its time before and after; now and then as long as a lease, or in vain.
    fn load(&mut self) -> impl FnOnce(u8) -> Load + use<> {
        let (before, mut after) = (self.dice.micros(0..2000), self.dice.micros(0..2000));
        let fails = self.dice.one_in(32);
        if self.dice.one_in(64) {
            after += LEASE;
        }
        let rows = self.rows.clone();
        move |key| {
            Box::pin(async move {
                sleep(before).await;
                let value = rows.read(key).await.map_err(io::Error::other)?;
                sleep(after).await;
                if fails { Err(io::Error::other("the database is down")) } else { Ok(Some(value)) }
            })
        }
    }

    async fn read(mut self) {
        while !self.is_over() {
            let key = key(&mut self.dice);
            // Now and then somebody goes away while he waits.
            let patience = if self.dice.one_in(16) { self.dice.micros(0..3000) } else { LONGEST };
            let began = now();
            match timeout(patience, self.ask(key)).await {
                Ok(Ok(values)) => {
                    let kind = self.kind;
                    values.into_iter().for_each(|(key, value)| println!("{}", Event::Read { key, kind, began, value }));
                }
                Ok(Err(_)) => println!("{}", Event::Failed),
                Err(_) if patience == LONGEST => println!("{}", Event::Hung),
                Err(_) => {}
            }
            sleep(self.dice.micros(0..6_000)).await;
        }
    }

    async fn ask(&mut self, key: u8) -> Result<Vec<(u8, u64)>, CacheError> {
        let (load, name) = (self.load(), key.to_string());
        let one = |value: Option<Arc<u64>>| value.map(|value| (key, *value)).into_iter().collect();
        match (Way::of(key), self.dice.below(8)) {
            (_, 0) => Ok(match self.cache.get(&name).await? {
                Lookup::Hit(value) => vec![(key, *value)],
                _ => Vec::new(),
            }),
            (Way::Tag, _) => Ok(one(self.cache.tagged(&[&tag(key)])?.get_or_load(&name, || load(key)).await?)),
            (_, 1 | 2) => self.ask_many().await,
            _ => Ok(one(self.cache.get_or_load(&name, || load(key)).await?)),
        }
    }

    async fn ask_many(&mut self) -> Result<Vec<(u8, u64)>, CacheError> {
        let keys: Vec<u8> = (0..super::KEYS).filter(|key| Way::of(*key) != Way::Tag).collect();
        let names: Vec<String> = keys.iter().map(u8::to_string).collect();
        let rows = self.rows.clone();
        let pause = self.dice.micros(0..2000);
        let loader = move |wanted: Vec<String>| {
            let rows = rows.clone();
            async move {
                let mut values = HashMap::new();
                for name in wanted {
                    let value = rows.read(name.parse().map_err(io::Error::other)?).await.map_err(io::Error::other)?;
                    values.insert(name, value);
                }
                sleep(pause).await;
                Ok::<_, io::Error>(values)
            }
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let values = self.cache.get_many_or_load(&names, loader).await?;
        Ok(keys.into_iter().zip(values).filter_map(|(key, value)| Some((key, *value?))).collect())
    }

    /// Writes, and tells the caches until they have heard.
    async fn write(mut self) {
        while !self.is_over() {
            sleep(self.dice.millis(0..1000)).await;
            let key = key(&mut self.dice);
            let name = key.to_string();
            let told = match (Way::of(key), self.dice.one_in(2)) {
                (Way::Invalidate | Way::Tag, _) => None,
                (Way::Update, true) => {
                    let write = self.change(key);
                    self.cache.update(&name, || write).await.ok()
                }
                (Way::Update, false) => {
                    let write = self.change(key);
                    let write = || async move { write.await.map(Some) };
                    self.cache.write_through(&name, write).await.ok().flatten().map(|value| *value)
                }
            };
            let told = match told {
                Some(value) => Some(value),
                None => self.tell(key, &name).await,
            };
            if let Some(value) = told {
                println!("{}", Event::Told { key, value, at: now() });
            }
        }
    }

    /// Writes a row, and takes its time before and after.
    fn change(&mut self, key: u8) -> impl Future<Output = kv_core::Result<u64>> + use<> {
        let (before, after) = (self.dice.millis(0..60), self.dice.millis(0..60));
        let rows = self.rows.clone();
        async move {
            sleep(before).await;
            let written = rows.write(key).await;
            sleep(after).await;
            written
        }
    }

    /// Writes a row as one who does not update it within the cache, nor whether an update came to pass.
    async fn tell(&mut self, key: u8, name: &str) -> Option<u64> {
        let written = self.rows.write(key).await.ok()?;
        loop {
            let told = match Way::of(key) {
                Way::Tag => self.cache.invalidate_tag(&tag(key)).await,
                Way::Invalidate | Way::Update => self.cache.invalidate(name).await,
            };
            match told {
                Ok(()) => return Some(written),
                Err(_) if self.is_over() => return None,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

type Load = std::pin::Pin<Box<dyn Future<Output = io::Result<Option<u64>>> + Send>>;
