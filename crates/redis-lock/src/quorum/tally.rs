/// What one server says about a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vote {
    Ours,
    Nobodys,
    Anothers,
    /// It failed, or did not answer in time.
    Unknown,
}

impl Vote {
    /// A script's 1, 0 or -1.
    pub(crate) fn of(reply: &kv_core::Result<i64>) -> Self {
        match reply {
            Ok(1) => Self::Ours,
            Ok(0) => Self::Nobodys,
            Ok(_) => Self::Anothers,
            Err(_) => Self::Unknown,
        }
    }
}

/// What all votes together say, as soon as no further vote can change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Majority,
    /// Definite answers rule a majority out.
    Refused,
    /// Servers that failed leave it open.
    Undecided,
}

/// Counts the votes of all servers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    pending: usize,
    quorum: usize,
    /// How many votes a majority can do without.
    spare: usize,
    ours: usize,
    nobodys: usize,
    anothers: usize,
    unknown: usize,
}

impl Tally {
    pub(crate) fn new(servers: usize) -> Self {
        let quorum = servers / 2 + 1;
        Self { pending: servers, quorum, spare: servers - quorum, ours: 0, nobodys: 0, anothers: 0, unknown: 0 }
    }

    pub(crate) fn count(&mut self, vote: Vote) {
        self.pending = self.pending.saturating_sub(1);
        *match vote {
            Vote::Ours => &mut self.ours,
            Vote::Nobodys => &mut self.nobodys,
            Vote::Anothers => &mut self.anothers,
            Vote::Unknown => &mut self.unknown,
        } += 1;
    }

    /// Whether a majority can no longer come together.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.nobodys + self.anothers + self.unknown > self.spare
    }

    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let refused = self.nobodys + self.anothers;
        if self.ours >= self.quorum {
            Some(Verdict::Majority)
        } else if refused > self.spare {
            Some(Verdict::Refused)
        } else {
            // A server that fails fast must not turn "held" into "failed" while slower ones can still tell.
            (self.is_hopeless() && refused + self.pending <= self.spare).then_some(Verdict::Undecided)
        }
    }

    /// Whether one other holder has, or may still turn out to have, a majority: `None` while it can turn out either
    /// way.
    pub(crate) fn is_stolen(&self) -> Option<bool> {
        match self.anothers {
            anothers if anothers >= self.quorum => Some(true),
            anothers if anothers + self.pending < self.quorum => Some(false),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Tally, Verdict, Vote};
    use Vote::{Anothers, Nobodys, Ours, Unknown};

    /// After which vote there is which verdict.
    fn decided(servers: usize, votes: &[Vote]) -> Option<(usize, Verdict)> {
        let mut tally = Tally::new(servers);
        votes.iter().enumerate().find_map(|(at, &vote)| {
            tally.count(vote);
            tally.verdict().map(|verdict| (at + 1, verdict))
        })
    }

    #[test]
    fn the_earliest_decisive_vote_decides() {
        assert_eq!(decided(1, &[Ours]), Some((1, Verdict::Majority)));
        assert_eq!(decided(1, &[Unknown]), Some((1, Verdict::Undecided)));
        assert_eq!(decided(2, &[Ours]), None);
        assert_eq!(decided(2, &[Anothers]), Some((1, Verdict::Refused)));
        assert_eq!(decided(3, &[Ours, Unknown, Ours]), Some((3, Verdict::Majority)));
        assert_eq!(decided(3, &[Ours, Ours, Anothers]), Some((2, Verdict::Majority)));
        assert_eq!(decided(3, &[Anothers, Nobodys, Ours]), Some((2, Verdict::Refused)));
        assert_eq!(decided(3, &[Unknown, Unknown, Ours]), Some((2, Verdict::Undecided)));
        assert_eq!(decided(4, &[Ours, Ours, Anothers, Anothers]), Some((4, Verdict::Refused)));
        assert_eq!(decided(5, &[Ours, Ours, Ours]), Some((3, Verdict::Majority)));
    }

    #[test]
    fn down_is_never_held_and_held_is_waited_for() {
        assert_eq!(decided(3, &[Unknown, Anothers, Anothers]), Some((3, Verdict::Refused)));
        assert_eq!(decided(3, &[Unknown, Anothers, Ours]), Some((3, Verdict::Undecided)));
        assert_eq!(decided(5, &[Unknown, Unknown, Anothers, Ours, Anothers]), Some((4, Verdict::Undecided)));
        let mut tally = Tally::new(3);
        tally.count(Unknown);
        tally.count(Anothers);
        assert!(tally.is_hopeless() && tally.verdict().is_none(), "what was taken goes back before the verdict");
    }

    #[test]
    fn stolen_takes_a_majority() {
        let stolen = |votes: &[Vote]| {
            let mut tally = Tally::new(3);
            votes.iter().for_each(|&vote| tally.count(vote));
            tally.is_stolen()
        };
        assert_eq!(stolen(&[Anothers, Nobodys]), None);
        assert_eq!(stolen(&[Nobodys, Nobodys]), Some(false));
        assert_eq!(stolen(&[Anothers, Anothers]), Some(true));
        assert_eq!(stolen(&[Anothers, Nobodys, Unknown]), Some(false));
    }
}
