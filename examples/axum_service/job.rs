//! A job that one worker at a time may do: each wants to all the time.

use crate::{guards::Guards, meter::Meter};
use redis_lock::LockManager;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;

const WORKERS: u32 = 4;
const WORK: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_millis(5);

/// What the workers share: who is at it, and what the job has written down.
#[derive(Default)]
pub(crate) struct Job {
    inside: AtomicU32,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    worker: Option<u32>,
    fence: u64,
}

impl Job {
    pub(crate) fn start(locks: &LockManager, guards: &Arc<Guards>, meter: &Arc<Meter>) {
        let job = Arc::new(Self::default());
        for worker in 0..WORKERS {
            let (job, locks, guards, meter) = (job.clone(), locks.clone(), guards.clone(), meter.clone());
            tokio::spawn(async move {
                loop {
                    if guards.lock() {
                        // Without its store nobody works: that is what it is for.
                        let Ok(guard) = locks.acquire("job", Duration::from_secs(5)).await else { continue };
                        job.work(worker, Some(guard.fencing_token()), &meter).await;
                        let _ = guard.release().await;
                    } else {
                        job.work(worker, None, &meter).await;
                    }
                    sleep(PAUSE).await;
                }
            });
        }
    }

    async fn work(&self, worker: u32, fence: Option<u64>, meter: &Meter) {
        if self.inside.fetch_add(1, Ordering::SeqCst) > 0 {
            meter.overlaps.fetch_add(1, Ordering::Relaxed);
        }
        sleep(WORK).await;
        self.write(worker, fence, meter);
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    /// As a database does that knows fencing tokens: who comes with an older one is late.
    fn write(&self, worker: u32, fence: Option<u64>, meter: &Meter) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fence) = fence {
            if fence < last.fence {
                meter.refused.fetch_add(1, Ordering::Relaxed);
                return;
            }
            last.fence = fence;
        }
        if last.worker.replace(worker) != Some(worker) {
            meter.handovers.fetch_add(1, Ordering::Relaxed);
        }
    }
}
