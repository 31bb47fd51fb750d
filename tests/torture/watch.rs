use crate::moment::{Micros, now};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread,
    time::Duration,
};

/// Sleeps, to see how long a process has to wait that has something to do.
pub(crate) struct Watch {
    worst: Arc<AtomicI64>,
    done: Arc<AtomicBool>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        let (worst, done) = (Arc::<AtomicI64>::default(), Arc::<AtomicBool>::default());
        thread::spawn({
            let (worst, done) = (worst.clone(), done.clone());
            move || {
                while !done.load(Ordering::Relaxed) {
                    let before = now();
                    thread::sleep(Duration::from_millis(5));
                    worst.fetch_max(now() - before - 5_000, Ordering::Relaxed);
                }
            }
        });
        Self { worst, done }
    }

    pub(crate) fn worst(&self) -> Micros {
        self.done.store(true, Ordering::Relaxed);
        self.worst.load(Ordering::Relaxed)
    }
}
