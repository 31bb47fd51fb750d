use std::{
    fmt,
    future::poll_fn,
    mem,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

/// Ends futures that take too long, for two short locks each instead of a timer: what nearly always ends in time pays for no more.
///
/// One task looks every `grain` who is late, for as long as somebody waits. Nothing is ended before its time, and nothing more than a grain after
/// it. Clones share the task. Needs a tokio runtime with timers; should that end, the next one in which somebody waits takes over.
///
/// ```
/// use kv_core::Timeouts;
/// use std::{future::pending, time::Duration};
/// use tokio::time::Instant;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let timeouts = Timeouts::new(Duration::from_millis(5));
/// let by = || Instant::now() + Duration::from_millis(20);
/// assert_eq!(timeouts.within(by(), async { 42 }).await, Some(42));
/// assert_eq!(timeouts.within(by(), pending::<()>()).await, None);
/// # });
/// ```
#[derive(Clone)]
#[doc(alias = "timeout")]
pub struct Timeouts {
    shared: Arc<Shared>,
}

struct Shared {
    grain: Duration,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// By number; `None` for those whose time is up, and for free numbers.
    seats: Vec<Option<(Instant, Waker)>>,
    free: Vec<usize>,
    watched: bool,
}

impl Timeouts {
    /// Looks as often as this, a millisecond at least.
    pub fn new(grain: Duration) -> Self {
        let grain = grain.max(Duration::from_millis(1));
        Self { shared: Arc::new(Shared { grain, waiting: Mutex::default() }) }
    }

    /// For calls that may take so long: nothing is late by more than a sixteenth of it.
    pub fn of(time: Duration) -> Self {
        Self::new((time / 16).min(Duration::from_millis(100)))
    }

    /// What the future returns; `None`, and the future is dropped, if that is not there in time.
    pub async fn within<F: Future>(&self, by: Instant, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut seat = Seat { shared: &self.shared, by, number: None };
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if seat.is_late(context) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

/// The place of one who waits; dropped, it is free.
struct Seat<'a> {
    shared: &'a Arc<Shared>,
    by: Instant,
    number: Option<usize>,
}

impl Seat<'_> {
    fn is_late(&mut self, context: &Context<'_>) -> bool {
        let mut waiting = self.shared.lock();
        // What a waker drops may wait here, too.
        let replaced = match self.number.map(|number| &mut waiting.seats[number]) {
            None => {
                self.number = Some(waiting.seat(self.by, context.waker().clone()));
                None
            }
            Some(None) => return true,
            Some(Some((_, waker))) if waker.will_wake(context.waker()) => None,
            Some(Some((_, waker))) => Some(mem::replace(waker, context.waker().clone())),
        };
        let runtime = if waiting.watched { None } else { Handle::try_current().ok() };
        waiting.watched |= runtime.is_some();
        drop(waiting);
        drop(replaced);
        if let Some(runtime) = runtime {
            runtime.spawn(Watch { shared: self.shared.clone(), over: false }.look());
        }
        false
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let mut waiting = self.shared.lock();
            let left = waiting.seats[number].take();
            waiting.free.push(number);
            drop(waiting);
            drop(left);
        }
    }
}

impl Waiting {
    fn seat(&mut self, by: Instant, waker: Waker) -> usize {
        let number = self.free.pop().unwrap_or(self.seats.len());
        match self.seats.get_mut(number) {
            Some(seat) => *seat = Some((by, waker)),
            None => self.seats.push(Some((by, waker))),
        }
        number
    }

    fn is_empty(&self) -> bool {
        self.free.len() == self.seats.len()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that looks who is late.
struct Watch {
    shared: Arc<Shared>,
    over: bool,
}

impl Watch {
    async fn look(mut self) {
        while !self.over {
            sleep(self.shared.grain).await;
            let now = Instant::now();
            let mut waiting = self.shared.lock();
            if waiting.is_empty() {
                // With all the room that a busy hour took.
                *waiting = Waiting::default();
                self.over = true;
            }
            let late = waiting.seats.iter_mut().filter(|seat| matches!(seat, Some((by, _)) if *by <= now));
            let late: Vec<_> = late.filter_map(Option::take).collect();
            drop(waiting);
            late.into_iter().for_each(|(_, waker)| waker.wake());
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut waiting = self.shared.lock();
        waiting.watched = false;
        // In a runtime without timers the next one would panic, too.
        if thread::panicking() {
            return;
        }
        let wakers: Vec<_> = waiting.seats.iter().flatten().map(|(_, waker)| waker.clone()).collect();
        drop(waiting);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Timeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeouts").field("grain", &self.shared.grain).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use tokio::{sync::oneshot, time::advance};

    const GRAIN: Duration = Duration::from_millis(10);

    fn waiting(timeouts: &Timeouts) -> usize {
        let waiting = timeouts.shared.lock();
        waiting.seats.len() - waiting.free.len()
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_early_nor_late_by_more_than_a_grain() {
        let timeouts = Timeouts::new(GRAIN);
        let mut all = tokio::task::JoinSet::new();
        for millis in 0..100 {
            let timeouts = timeouts.clone();
            all.spawn(async move {
                sleep(Duration::from_millis(millis * 7 % 31)).await;
                let (begun, time) = (Instant::now(), Duration::from_millis(millis));
                assert_eq!(timeouts.within(begun + time, pending::<()>()).await, None);
                let late = begun.elapsed().checked_sub(time).expect("early");
                // A timer of tokio's has a grain too.
                assert!(late <= GRAIN + Duration::from_millis(1), "{late:?}");
            });
        }
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
        assert_eq!(waiting(&timeouts), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_in_time_or_is_dropped_leaves_nothing() {
        let timeouts = Timeouts::new(GRAIN);
        let by = Instant::now() + Duration::from_secs(60);
        assert_eq!(timeouts.within(by, ready(1)).await, Some(1));
        assert!(!timeouts.shared.lock().watched, "nobody waited");
        let (tell, told) = oneshot::channel();
        let one = tokio::spawn({
            let timeouts = timeouts.clone();
            async move { timeouts.within(by, told).await }
        });
        let other = tokio::spawn({
            let timeouts = timeouts.clone();
            async move { timeouts.within(by, pending::<()>()).await }
        });
        advance(GRAIN * 3).await;
        assert_eq!(waiting(&timeouts), 2);
        tell.send(7).unwrap();
        assert_eq!(one.await.unwrap(), Some(Ok(7)));
        other.abort();
        assert!(other.await.unwrap_err().is_cancelled());
        assert_eq!(waiting(&timeouts), 0);
        sleep(GRAIN * 2).await;
        let waiting = timeouts.shared.lock();
        assert!(!waiting.watched && waiting.seats.capacity() == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_moves_to_another_task_is_woken_there() {
        let timeouts = Timeouts::new(GRAIN);
        let by = Instant::now() + GRAIN * 3;
        let mut waits = Box::pin({
            let timeouts = timeouts.clone();
            async move { timeouts.within(by, pending::<()>()).await }
        });
        assert!(polled_once(&mut waits).await.is_none());
        assert_eq!(tokio::spawn(waits).await.unwrap(), None);
    }

    /// Polls once.
    async fn polled_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        poll_fn(|context| match std::pin::Pin::new(&mut *future).poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    #[test]
    fn a_runtime_that_ends_takes_nobodys_time_along() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let timeouts = Timeouts::new(GRAIN);
        let (first, second) = (runtime(), runtime());
        let by = Instant::now() + GRAIN;
        first.block_on(async {
            let ready = timeouts.within(by + GRAIN * 100, tokio::task::yield_now()).await;
            assert_eq!(ready, Some(()));
        });
        assert!(timeouts.shared.lock().watched);
        let waits = thread::spawn({
            let timeouts = timeouts.clone();
            move || second.block_on(timeouts.within(by, pending::<()>()))
        });
        while waiting(&timeouts) == 0 {
            thread::yield_now();
        }
        drop(first);
        assert_eq!(waits.join().unwrap(), None);
    }
}
