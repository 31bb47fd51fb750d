use super::{
    node::Node,
    round::{Ask, Round},
    servers::Servers,
    standing::Standing,
    sweeper::Leftover,
    tally::Vote,
};
use kv_core::{Executed, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// What is known of the lock's key on one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seat {
    /// Not ours.
    Clear,
    Ours,
    /// It is asked for; whoever asks sees to the answer.
    Asked {
        /// It was asked for before: a no may come from our own key.
        again: bool,
    },
    /// It was asked for, and no answer came.
    Doubtful,
}

impl Seat {
    fn is_asked(self) -> bool {
        matches!(self, Self::Asked { .. })
    }
}

#[derive(Debug)]
struct Seats {
    each: Vec<Seat>,
    /// Whose answer to a release is outstanding.
    releasing: Vec<bool>,
    /// Nobody wants the lock any more: what is ours goes to the sweepers.
    over: bool,
    /// When the lease ends at the latest, on any server.
    until: Instant,
}

/// A lock that may be ours on some of the servers. Whatever ends it, no server is left with it for longer than it takes
/// to tell.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) servers: Arc<Servers>,
    pub(crate) standing: Standing,
    key: Arc<str>,
    token: Arc<str>,
    seats: Mutex<Seats>,
}

impl Claim {
    pub(crate) fn new(servers: Arc<Servers>, key: String) -> Self {
        let token = format!("{:032x}", rand::random::<u128>());
        let until = Instant::now() + servers.options.lease;
        let count = servers.nodes.len();
        let seats = Seats { each: vec![Seat::Clear; count], releasing: vec![false; count], over: false, until };
        Self { servers, standing: Standing::new(), key: key.into(), token: token.into(), seats: seats.into() }
    }

    /// Asks these servers for the lock: every answer belongs to [`settle`](Self::settle).
    pub(crate) fn take(self: &Arc<Self>, servers: impl IntoIterator<Item = usize>, again: bool) -> Round<bool> {
        let mut seats = self.seats();
        let mut asked = Vec::new();
        for at in servers {
            if !seats.over && !seats.each[at].is_asked() {
                seats.each[at] = Seat::Asked { again };
                asked.push(at);
            }
        }
        seats.until = Instant::now() + self.servers.options.lease;
        drop(seats);
        self.round(asked, |claim, node| {
            Box::pin(async move { claim.node(node).take(&claim.key, &claim.token, claim.servers.options.lease).await })
        })
    }

    /// Asks every server to prolong the lease.
    pub(crate) fn extend(self: &Arc<Self>) -> Round<i64> {
        self.seats().until = Instant::now() + self.servers.options.lease;
        self.round(0..self.servers.nodes.len(), |claim, node| {
            Box::pin(
                async move { claim.node(node).extend(&claim.key, &claim.token, claim.servers.options.lease).await },
            )
        })
    }

    /// Ends the claim, and asks every server to release the lock: every answer belongs to [`released`](Self::released).
    pub(crate) fn release(self: &Arc<Self>) -> Round<i64> {
        self.standing.close();
        let mut seats = self.seats();
        seats.over = true;
        seats.releasing.fill(true);
        drop(seats);
        self.round(0..self.servers.nodes.len(), |claim, node| {
            Box::pin(async move { claim.node(node).release(&claim.key, &claim.token).await })
        })
    }

    /// Ends the claim, if it is not over: what is ours, or may be, is released in the background.
    pub(crate) fn close(&self) {
        self.standing.close();
        let mut seats = self.seats();
        if !seats.over {
            seats.over = true;
            for at in 0..seats.each.len() {
                self.sweep(&mut seats, at);
            }
        }
    }

    pub(crate) fn settle(&self, at: usize, taken: &Result<bool>) {
        let mut seats = self.seats();
        let is_first = seats.each[at] == Seat::Asked { again: false };
        seats.each[at] = match taken {
            // Which of the two came first, the answer to the release will tell.
            Ok(true) if seats.releasing[at] => Seat::Doubtful,
            Ok(true) => Seat::Ours,
            Ok(false) if is_first => Seat::Clear,
            Err(error) if is_first && error.executed() == Executed::No => Seat::Clear,
            Ok(false) | Err(_) => Seat::Doubtful,
        };
        if seats.over && !seats.releasing[at] {
            self.sweep(&mut seats, at);
        }
    }

    pub(crate) fn extended(&self, at: usize, vote: Vote) {
        let mut seats = self.seats();
        if vote == Vote::Ours && !seats.each[at].is_asked() && !seats.over {
            seats.each[at] = Seat::Ours;
        }
    }

    pub(crate) fn released(&self, at: usize, vote: Vote) {
        let mut seats = self.seats();
        seats.releasing[at] = false;
        match (vote, seats.each[at]) {
            (_, Seat::Asked { .. }) => {}
            (Vote::Ours, _) | (Vote::Nobodys | Vote::Anothers, Seat::Ours) => seats.each[at] = Seat::Clear,
            (Vote::Unknown, _) | (_, Seat::Doubtful) => self.sweep(&mut seats, at),
            (_, Seat::Clear) => {}
        }
    }

    fn sweep(&self, seats: &mut Seats, at: usize) {
        let doubtful = seats.each[at] == Seat::Doubtful;
        if doubtful || seats.each[at] == Seat::Ours {
            seats.each[at] = Seat::Clear;
            let (key, token) = (self.key.clone(), self.token.clone());
            self.node(at).sweep(Leftover { key, token, until: seats.until, doubtful });
        }
    }

    fn round<T>(
        self: &Arc<Self>,
        servers: impl IntoIterator<Item = usize>,
        ask: impl Fn(Arc<Self>, usize) -> Ask<T>,
    ) -> Round<T> {
        Round::new(servers.into_iter().map(|at| (at, ask(self.clone(), at))), self.servers.options.patience())
    }

    fn node(&self, at: usize) -> &Node {
        &self.servers.nodes[at]
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut seats = self.seats();
        for at in 0..seats.each.len() {
            // Whoever asked is gone too.
            if seats.each[at].is_asked() {
                seats.each[at] = Seat::Doubtful;
            }
            self.sweep(&mut seats, at);
        }
    }
}
