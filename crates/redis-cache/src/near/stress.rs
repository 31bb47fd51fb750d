//! Many threads that invalidate, ask and put in: nobody reads what was forgotten before.

use super::*;
use std::{
    sync::atomic::{AtomicBool, AtomicUsize},
    thread,
    time::Duration,
};

const KEYS: usize = 3;

/// A store of counters, whose answers are put in late.
#[derive(Default)]
struct Store {
    versions: [AtomicU64; KEYS],
    /// The youngest version of each key that was forgotten by all: nobody may read less.
    forgotten: [AtomicU64; KEYS],
    over: AtomicBool,
    put_in: AtomicUsize,
    refused: AtomicUsize,
    hits: AtomicUsize,
}

impl Store {
    /// As the cache does it: the epoch, the store, then the insertion some time later.
    fn ask(&self, near: &Near<u64, ()>, key: usize, dawdle: u64) {
        let name = key.to_string();
        let epoch = near.epoch(&name);
        let version = self.versions[key].load(Ordering::SeqCst);
        for _ in 0..dawdle {
            std::hint::spin_loop();
        }
        if dawdle > 90 {
            thread::yield_now();
        }
        let deadline = Instant::now() + Duration::from_secs(3600);
        let kept = near.insert(&name, epoch, Some(Arc::new(version)), 8, deadline, ());
        let counter = if kept { &self.put_in } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self, near: &Near<u64, ()>, key: usize) {
        let least = self.forgotten[key].load(Ordering::SeqCst);
        if let Some(hit) = near.get(&key.to_string()) {
            let version = *hit.value.expect("a value");
            assert!(version >= least, "version {version} is read after {least} was invalidated");
            self.hits.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn write(&self, near: &Near<u64, ()>, key: usize, all: bool) {
        let version = self.versions[key].fetch_add(1, Ordering::SeqCst) + 1;
        if all {
            near.clear();
        } else {
            near.forget(&key.to_string());
        }
        self.forgotten[key].fetch_max(version, Ordering::SeqCst);
    }
}

#[test]
fn no_answer_from_before_an_invalidation_is_read_after_it() {
    let near: Near<u64, ()> = Near::new(NearOptions::default());
    let store = Store::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4_u64)
            .map(|worker| {
                let (near, store) = (&near, &store);
                scope.spawn(move || {
                    let mut dice = worker + 1;
                    while !store.over.load(Ordering::Relaxed) {
                        dice ^= dice << 13;
                        dice ^= dice >> 7;
                        dice ^= dice << 17;
                        let key = (dice >> 20) as usize % KEYS;
                        match dice >> 40 & 15 {
                            0 => store.write(near, key, false),
                            1 if dice >> 50 & 7 == 0 => store.write(near, key, true),
                            2..8 => store.ask(near, key, dice >> 30 & 127),
                            _ => store.read(near, key),
                        }
                    }
                })
            })
            .collect();
        let started = std::time::Instant::now();
        while started.elapsed() < Duration::from_millis(1500)
            && !workers.iter().any(thread::ScopedJoinHandle::is_finished)
        {
            thread::sleep(Duration::from_millis(10));
        }
        store.over.store(true, Ordering::Relaxed);
    });
    for (what, count) in [("put in", &store.put_in), ("refused", &store.refused), ("hits", &store.hits)] {
        assert!(count.load(Ordering::Relaxed) > 100, "too few {what}: {count:?}");
    }
}
