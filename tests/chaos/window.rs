use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Twentieths of a second since the run began.
pub(crate) type Tick = u32;

const TICK: Duration = Duration::from_millis(50);

/// When the run began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(pub(crate) Instant);

impl Clock {
    pub(crate) fn now(&self) -> Tick {
        self.at(Instant::now())
    }

    pub(crate) fn at(&self, at: Instant) -> Tick {
        ticks(at.saturating_duration_since(self.0))
    }
}

pub(crate) fn ticks(time: Duration) -> Tick {
    Tick::try_from(time.as_millis() / TICK.as_millis()).unwrap_or(Tick::MAX)
}

/// Times in which something is forgiven: an acknowledged write may be lost, a connection may die.
#[derive(Debug, Default)]
pub(crate) struct Windows(Mutex<Vec<(Tick, Tick)>>);

impl Windows {
    /// Begins a window, this long before now.
    pub(crate) fn open(&self, now: Tick, before: Duration) {
        self.spans().push((now.saturating_sub(ticks(before)), Tick::MAX));
    }

    /// Ends the window that is open.
    pub(crate) fn close(&self, now: Tick) {
        self.spans().iter_mut().filter(|(_, end)| *end == Tick::MAX).for_each(|(_, end)| *end = now);
    }

    pub(crate) fn covers(&self, tick: Tick) -> bool {
        self.touches(tick, tick)
    }

    /// Whether any of these ticks is in a window.
    pub(crate) fn touches(&self, from: Tick, to: Tick) -> bool {
        self.spans().iter().any(|(start, end)| *start <= to && from <= *end)
    }

    fn spans(&self) -> MutexGuard<'_, Vec<(Tick, Tick)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A breach unless each of these times is forgiven; the windows are known later than what is seen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Suspicion {
    /// None: nothing can forgive it.
    pub(crate) ticks: Vec<Tick>,
    pub(crate) what: String,
}

impl Suspicion {
    pub(crate) fn certain(what: String) -> Self {
        Self { ticks: Vec::new(), what }
    }

    pub(crate) fn confirmed(&self, losses: &Windows) -> bool {
        self.ticks.is_empty() || self.ticks.iter().any(|tick| !losses.covers(*tick))
    }
}

/// How much was acknowledged when.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged(BTreeMap<Tick, u64>);

impl Acknowledged {
    pub(crate) fn add(&mut self, tick: Tick) {
        *self.0.entry(tick).or_default() += 1;
    }

    pub(crate) fn all(&self) -> u64 {
        self.0.values().sum()
    }

    /// Those that nothing excuses the loss of.
    pub(crate) fn outside(&self, losses: &Windows) -> u64 {
        self.0.iter().filter(|(tick, _)| !losses.covers(**tick)).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_a_window_is_forgiven() {
        let windows = Windows::default();
        windows.open(100, Duration::from_secs(1));
        assert!(windows.covers(80) && !windows.covers(79) && windows.covers(1_000_000), "open");
        windows.close(120);
        assert!(windows.covers(120) && !windows.covers(121) && windows.touches(0, 80) && !windows.touches(0, 79));
        let mut acknowledged = Acknowledged::default();
        for tick in [79, 80, 120, 121, 121] {
            acknowledged.add(tick);
        }
        assert_eq!((acknowledged.all(), acknowledged.outside(&windows)), (5, 3));
        let suspicion = |ticks: &[Tick]| Suspicion { ticks: ticks.to_vec(), what: String::new() };
        assert!(!suspicion(&[80, 120]).confirmed(&windows));
        assert!(suspicion(&[80, 121]).confirmed(&windows) && suspicion(&[]).confirmed(&windows));
    }
}
