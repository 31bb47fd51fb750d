use super::{Flight, Flights, Late, Ticket, Waiter, seats::Stage, tell};
use crate::{CacheError, found::Found};
use std::{collections::hash_map::Entry, mem, sync::Arc};
use tokio::sync::oneshot;

/// The one who looks into the store for all who came before it looks. Dropped, it leaves that to the next.
pub(crate) struct Lead<V> {
    pub(super) flights: Flights<V>,
    pub(super) key: Arc<str>,
    pub(super) number: u64,
    pub(super) members: Vec<Waiter<V>>,
    pub(super) over: bool,
}

impl<V> Lead<V> {
    /// Gives everybody on board what was found.
    pub(crate) fn found(mut self, found: &Found<V>) {
        for member in self.members.drain(..) {
            let _ = member.send(Ticket::Found(found.clone()));
        }
    }

    /// Gives everybody on board the error.
    pub(crate) fn failed(mut self, error: &CacheError) {
        tell(self.members.drain(..), &Err(error.clone()));
    }

    /// Begins a load, for all on board and whoever comes; the ticket is the lead's own.
    pub(crate) fn take_off(mut self) -> (Flight<V>, oneshot::Receiver<Ticket<V>>) {
        self.over = true;
        let (waiter, ticket) = oneshot::channel();
        let late = Late::default();
        let mut on_time = mem::take(&mut self.members);
        on_time.push(waiter);
        if let Some(seat) = self.flights.lock().own(&self.key, self.number) {
            on_time.append(&mut seat.waiting);
            seat.stage = Stage::Loading { late: late.clone() };
        }
        let (flights, key) = (self.flights.clone(), self.key.clone());
        (Flight { flights, key, number: self.number, on_time, late }, ticket)
    }
}

impl<V> Drop for Lead<V> {
    fn drop(&mut self) {
        if !self.over {
            let mut wave = mem::take(&mut self.members);
            let mut seats = self.flights.lock();
            let Entry::Occupied(mut seat) = seats.by_key.entry(self.key.clone()) else { return };
            if seat.get().number != self.number {
                return;
            }
            wave.append(&mut seat.get_mut().waiting);
            if wave.is_empty() {
                seat.remove();
                return;
            }
            drop(seats);
            self.flights.hand_over(&self.key, self.number, wave);
        }
    }
}
