use crate::stage::CONNECT_TIMEOUT;
use std::time::Duration;

/// Who connects to one server: calls, all together, the subscription, a sharded one, and a replica.
const CALLERS: usize = 4;

/// Checks how often a server was knocked at that let nobody in: at most one attempt at a time, each as long as it may take.
pub(crate) fn judge(knocks: usize, time: Duration) -> Option<String> {
    let rounds = time.as_millis() / CONNECT_TIMEOUT.as_millis() + 2;
    let most = CALLERS * usize::try_from(rounds).unwrap_or(usize::MAX);
    (knocks > most).then(|| format!("{knocks} attempts to connect within {time:?}, where {most} are enough"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_at_the_door_is_found() {
        let time = CONNECT_TIMEOUT * 3;
        assert_eq!(judge(20, time), None);
        let crowd = judge(21, time).unwrap();
        assert_eq!(crowd, "21 attempts to connect within 900ms, where 20 are enough");
    }
}
