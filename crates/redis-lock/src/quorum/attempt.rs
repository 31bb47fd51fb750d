use super::{
    claim::Claim,
    guard::QuorumGuard,
    manager::QuorumAcquire,
    tally::{Verdict, Vote},
};
use crate::LockError;
use kv_core::{Error, ErrorKind, Result};
use std::sync::Arc;
use tokio::{sync::oneshot, time::Instant};

/// Asks all servers, answers at the decisive vote, and sees to the votes after it.
pub(crate) async fn attempt(claim: Arc<Claim>, answer: oneshot::Sender<Result<QuorumAcquire, LockError>>) {
    let sent = Instant::now();
    let mut round = claim.take(0..claim.servers.nodes.len(), false);
    let mut tally = claim.servers.tally();
    let mut failures = Vec::new();
    let mut answer = Some(answer);
    while let Some((at, taken)) = round.next().await {
        claim.settle(at, &taken);
        tally.count(match &taken {
            Ok(true) => Vote::Ours,
            Ok(false) => Vote::Anothers,
            Err(_) => Vote::Unknown,
        });
        failures.extend(taken.err());
        if tally.is_hopeless() {
            claim.close();
        }
        if let Some(verdict) = tally.verdict()
            && let Some(answer) = answer.take()
        {
            let outcome = match verdict {
                Verdict::Majority => held(&claim, sent),
                Verdict::Refused => Ok(QuorumAcquire::Held),
                Verdict::Undecided => Err(undecided("acquire", &failures, claim.servers.nodes.len()).into()),
            };
            // A guard that nobody waits for is dropped here, which gives the lock back.
            let _ = answer.send(outcome);
        }
    }
}

fn held(claim: &Arc<Claim>, sent: Instant) -> Result<QuorumAcquire, LockError> {
    let options = &claim.servers.options;
    let until = sent + options.sure_lease();
    if until.saturating_duration_since(Instant::now()) <= options.least_validity() {
        claim.close();
        return Err(Error::new(ErrorKind::Timeout, "acquire").with_detail("the servers took most of the lease").into());
    }
    claim.standing.hold(until);
    Ok(QuorumAcquire::Acquired(QuorumGuard::new(claim.clone())))
}

/// Why there is no verdict; temporary unless servers that will never do are too many to do without.
pub(crate) fn undecided(operation: &'static str, failures: &[Error], servers: usize) -> Error {
    let mut lasting = failures.iter().filter(|error| !error.is_temporary());
    let (first, more) = (lasting.next(), lasting.count());
    match first {
        Some(error) if more >= servers - (servers / 2 + 1) => error.clone(),
        _ => {
            let error = Error::new(ErrorKind::Unavailable, operation).with_detail("too few servers answered");
            match failures.last() {
                Some(failure) => error.with_source(failure.clone()),
                None => error,
            }
        }
    }
}

pub(crate) fn runtime_gone(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation).with_detail("the tokio runtime is gone")
}
