mod lead;
mod ride;
mod seats;

pub(crate) use lead::Lead;
pub(crate) use ride::Ride;

use crate::{CacheError, found::Found};
use seats::{Seats, Stage};
use std::{
    collections::{HashMap, hash_map::Entry as Slot},
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::oneshot, time::Instant};

/// How long the look of another is waited for: whoever looks may be a future that nobody polls.
const PATIENCE: Duration = Duration::from_millis(250);

/// What a read brings: a value, its absence, or an error, the same for all who wait for it.
pub(crate) type Outcome<V> = Result<Option<Arc<V>>, CacheError>;

/// Reads of the same key, gathered so that one asks for all, without anybody being given what is older than his question.
///
/// The first to come looks into the store at once. Those who come while its question is on its way may not share what it finds, which
/// may have been invalidated before they came: they wait, and one of them looks for all of them next. A miss is a
/// flight: everybody who waits boards it, and those who come later do too, until it is about to land. If it then turns out that the key
/// was invalidated on the way, those who boarded later look again.
pub(crate) struct Flights<V>(Arc<Mutex<Seats<V>>>);

type Waiter<V> = oneshot::Sender<Ticket<V>>;
type Late<V> = Arc<Mutex<Vec<Waiter<V>>>>;

/// What a reader is to do.
pub(crate) enum Place<V> {
    /// Look into the store.
    First(Lead<V>),
    /// Wait for what others find.
    Behind(Ride<V>),
}

/// What one who waited gets.
pub(crate) enum Ticket<V> {
    Lead(Lead<V>),
    /// What the store had.
    Found(Found<V>),
    /// What a load brought.
    Landed(Outcome<V>),
}

/// The load of a key. Dropped without landing, it tells all who wait so.
pub(crate) struct Flight<V> {
    flights: Flights<V>,
    key: Arc<str>,
    number: u64,
    on_time: Vec<Waiter<V>>,
    late: Late<V>,
}

impl<V> Flights<V> {
    pub(crate) fn join(&self, key: &str) -> Place<V> {
        let key: Arc<str> = key.into();
        match self.lock().take(key.clone()) {
            Ok(number) => Place::First(Lead { flights: self.clone(), key, number, members: Vec::new(), over: false }),
            Err(seat) => {
                let (waiter, ticket) = oneshot::channel();
                seat.push(waiter);
                Place::Behind(Ride { flights: self.clone(), number: seat.number, ticket })
            }
        }
    }

    /// Lets the load of a key go on for those who wait, and for nobody who comes later.
    pub(crate) fn forget(&self, key: &str) {
        let mut seats = self.lock();
        // One that looks is shared by nobody who comes later anyway.
        if seats.by_key.get(key).is_some_and(|seat| !matches!(seat.stage, Stage::Looking))
            && let Some((key, seat)) = seats.by_key.remove_entry(key)
        {
            drop(seats);
            self.gather(&key, seat.waiting);
        }
    }

    /// Lets nobody on board of a flight any more: what it brings is about to be stored.
    pub(crate) fn close(&self, key: &str, number: u64) {
        if let Some(seat) = self.lock().own(key, number) {
            seat.stage = Stage::Landing;
        }
    }

    /// Whether what has this number is under way; what does not go on is passed by.
    fn goes_on(&self, key: &str, number: u64) -> bool {
        let mut seats = self.lock();
        let Some(seat) = seats.own(key, number) else { return false };
        if !matches!(seat.stage, Stage::Looking) || seat.is_within(PATIENCE) {
            return true;
        }
        if let Some((key, seat)) = seats.by_key.remove_entry(key) {
            drop(seats);
            self.gather(&key, seat.waiting);
        }
        false
    }

    /// Gives those who have to look again a place.
    fn gather(&self, key: &Arc<str>, mut waiters: Vec<Waiter<V>>) {
        waiters.retain(|waiter| !waiter.is_closed());
        if waiters.is_empty() {
            return;
        }
        let number = match self.lock().take(key.clone()) {
            Ok(number) => number,
            Err(seat) => return waiters.into_iter().for_each(|waiter| seat.push(waiter)),
        };
        self.hand_over(key, number, waiters);
    }

    /// Lets the first of them who is still there look for the others.
    fn hand_over(&self, key: &Arc<str>, number: u64, mut wave: Vec<Waiter<V>>) {
        loop {
            if let Some(seat) = self.lock().own(key, number) {
                seat.since = Some(Instant::now());
            }
            let mut members = wave.into_iter();
            while let Some(next) = members.next() {
                let members_left = members.collect();
                let lead = Lead { flights: self.clone(), key: key.clone(), number, members: members_left, over: false };
                let Err(Ticket::Lead(mut refused)) = next.send(Ticket::Lead(lead)) else { return };
                refused.over = true;
                members = mem::take(&mut refused.members).into_iter();
            }
            let mut seats = self.lock();
            let Slot::Occupied(mut seat) = seats.by_key.entry(key.clone()) else { return };
            if seat.get().number != number {
                return;
            }
            wave = mem::take(&mut seat.get_mut().waiting);
            if wave.is_empty() {
                seat.remove();
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seats<V>> {
        lock(&self.0)
    }
}

impl<V> Flight<V> {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Gives all who wait what there is now, and goes on for nobody.
    pub(crate) fn serve(&mut self, outcome: &Outcome<V>) {
        self.end(outcome, true);
    }

    /// Brings everybody an outcome that holds now.
    pub(crate) fn land(mut self, outcome: &Outcome<V>) {
        self.end(outcome, true);
    }

    /// Brings an outcome that may have been invalidated since the flight began, to those who asked before.
    pub(crate) fn land_on_time(mut self, outcome: &Outcome<V>) {
        self.end(outcome, false);
    }

    fn end(&mut self, outcome: &Outcome<V>, all: bool) {
        let mut seats = self.flights.lock();
        let mut next = match seats.own(&self.key, self.number) {
            Some(_) => seats.by_key.remove(&self.key).map_or_else(Vec::new, |seat| seat.waiting),
            None => Vec::new(),
        };
        drop(seats);
        let late = mem::take(&mut *lock(&self.late));
        tell(self.on_time.drain(..), outcome);
        if all {
            tell(late.into_iter(), outcome);
        } else {
            next.extend(late);
        }
        self.flights.gather(&self.key, next);
    }
}

impl<V> Drop for Flight<V> {
    fn drop(&mut self) {
        self.end(&Err(CacheError::LoadAborted), true);
    }
}

fn tell<V>(waiters: impl Iterator<Item = Waiter<V>>, outcome: &Outcome<V>) {
    for waiter in waiters {
        let _ = waiter.send(Ticket::Landed(outcome.clone()));
    }
}

impl<V> Clone for Flights<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> Default for Flights<V> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Seats { by_key: HashMap::new(), last: 0 })))
    }
}

impl<V> fmt::Debug for Flights<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("under_way", &self.lock().by_key.len()).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
