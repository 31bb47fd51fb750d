use super::{
    claim::Claim,
    tally::{Verdict, Vote},
};
use std::sync::Arc;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

/// What an attempt to extend a lock found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a lock that is lost protects nothing"]
pub enum Renewal {
    /// A majority of the servers has prolonged the lease: it runs anew.
    Renewed,
    /// So many servers hold nothing, or somebody else's lock, that no majority is left; or the lease ran out by the
    /// local clock.
    Lost,
    /// Too few servers answered to tell. The lease is what it was, or longer on some servers, and nothing was taken
    /// away.
    Unknown,
}

/// Prolongs the lease on a majority, in a task of its own.
pub(crate) async fn extend(claim: &Arc<Claim>) -> Renewal {
    if !claim.standing.is_held() {
        claim.standing.lose();
        return Renewal::Lost;
    }
    claim.servers.detached(|answer| ask(claim.clone(), answer)).await.unwrap_or(Renewal::Unknown)
}

/// Asks all servers, those that did not give us the lock too, and answers at the decisive vote.
async fn ask(claim: Arc<Claim>, answer: oneshot::Sender<Renewal>) {
    let until = Instant::now() + claim.servers.options.sure_lease();
    let mut round = claim.extend();
    let mut tally = claim.servers.tally();
    let mut empty = Vec::new();
    let mut answer = Some(answer);
    let mut renewed = false;
    while let Some((at, reply)) = round.next().await {
        let vote = Vote::of(&reply);
        claim.extended(at, vote);
        tally.count(vote);
        if vote == Vote::Nobodys {
            empty.push(at);
        }
        if let Some(verdict) = tally.verdict()
            && let Some(answer) = answer.take()
        {
            let renewal = match verdict {
                Verdict::Majority if claim.standing.prolong(until) => Renewal::Renewed,
                Verdict::Majority | Verdict::Refused => Renewal::Lost,
                Verdict::Undecided => Renewal::Unknown,
            };
            if renewal == Renewal::Lost {
                claim.standing.lose();
            }
            renewed = renewal == Renewal::Renewed;
            // Who does not wait any more has a renewed lock all the same.
            let _ = answer.send(renewal);
        }
    }
    // A majority has just confirmed the lock, so nobody else can have it: a server that lost it, or was away, may have
    // it too.
    if renewed && !empty.is_empty() && claim.standing.is_held() {
        let mut round = claim.take(empty, true);
        while let Some((at, taken)) = round.next().await {
            claim.settle(at, &taken);
        }
    }
}

/// Extends the lock until it is lost, or the task is stopped.
pub(crate) async fn keep(claim: Arc<Claim>) {
    let lease = claim.servers.options.lease;
    let mut pause = lease / 3;
    loop {
        sleep(pause.mul_f64(1.0 - rand::random::<f64>() / 5.0)).await;
        pause = match extend(&claim).await {
            Renewal::Renewed => lease / 3,
            Renewal::Unknown => lease / 12,
            Renewal::Lost => return,
        };
    }
}
