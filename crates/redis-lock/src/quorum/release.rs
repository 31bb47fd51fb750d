use super::{
    attempt::undecided,
    claim::Claim,
    tally::{Verdict, Vote},
};
use crate::{LockError, Release};
use kv_core::Result;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Asks all servers, answers at the decisive vote, and leaves those that fail to the sweepers.
pub(crate) async fn release(claim: Arc<Claim>, answer: oneshot::Sender<Result<Release, LockError>>) {
    let mut round = claim.release();
    let mut tally = claim.servers.tally();
    let mut failures = Vec::new();
    let mut answer = Some(answer);
    while let Some((at, reply)) = round.next().await {
        let vote = Vote::of(&reply);
        claim.released(at, vote);
        tally.count(vote);
        failures.extend(reply.err());
        let outcome = match tally.verdict() {
            Some(Verdict::Majority) => Ok(Release::Released),
            Some(Verdict::Refused) => match tally.is_stolen() {
                Some(true) => Ok(Release::Stolen),
                Some(false) => Ok(Release::AlreadyExpired),
                None => continue,
            },
            Some(Verdict::Undecided) => Err(undecided("release", &failures, claim.servers.nodes.len()).into()),
            None => continue,
        };
        if let Some(answer) = answer.take() {
            let _ = answer.send(outcome);
        }
    }
}
