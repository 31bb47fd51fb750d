use super::{Flights, PATIENCE, Ticket};
use tokio::{
    sync::oneshot::{self, error::TryRecvError},
    time::timeout,
};

/// A place behind others.
pub(crate) struct Ride<V> {
    pub(super) flights: Flights<V>,
    pub(super) number: u64,
    pub(super) ticket: oneshot::Receiver<Ticket<V>>,
}

impl<V> Ride<V> {
    /// What the others have found by now; the ride itself if they have not.
    pub(crate) fn try_ticket(mut self) -> Result<Option<Ticket<V>>, Self> {
        match self.ticket.try_recv() {
            Ok(ticket) => Ok(Some(ticket)),
            Err(TryRecvError::Closed) => Ok(None),
            Err(TryRecvError::Empty) => Err(self),
        }
    }

    /// What the others find; `None` to come again, because whoever looks does not go on.
    pub(crate) async fn ticket(mut self, key: &str) -> Option<Ticket<V>> {
        loop {
            match timeout(PATIENCE, &mut self.ticket).await {
                Ok(ticket) => return ticket.ok(),
                Err(_) if self.flights.goes_on(key, self.number) => {}
                Err(_) => return None,
            }
        }
    }
}
