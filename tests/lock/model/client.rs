use super::{
    mutant::Mutant,
    server::{Answer, CLAIM, LEASE, Letter, Millis, RESERVE, Token},
};

/// Somebody who wants the lock, as `request.rs`, `lease.rs` and `renewer.rs` have it; all times are from now on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Client {
    pub(super) phase: Phase,
    /// How many acquisitions it has left.
    pub(super) turns: u8,
    pub(super) serial: u8,
    /// Crashed ones listen no more, once the server has noticed.
    pub(super) listens: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Phase {
    Idle,
    Waiting(Wait),
    Holding(Hold),
    Crashed,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Wait {
    pub(super) in_line: bool,
    /// When that was sent which was answered last.
    pub(super) sent: Millis,
    pub(super) look_at: Millis,
    pub(super) asked: Option<Asked>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Hold {
    pub(super) fence: i64,
    /// The last number that was reserved.
    pub(super) last: i64,
    pub(super) valid_for: Millis,
    pub(super) renew_at: Millis,
    pub(super) asked: Option<Asked>,
}

/// A question that was sent at a time, and its answer as soon as there is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Asked {
    pub(super) sent: Millis,
    pub(super) answer: Option<Answer>,
}

impl Asked {
    pub(super) fn now() -> Option<Self> {
        Some(Self { sent: 0, answer: None })
    }
}

/// Per mille of the server's time that a slow clock shows: within the 1 % that a lease allows for.
const SLOW: Millis = 992;

/// How a client reckons time, for one whose clock may be slow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reckoning {
    pub(super) slow: bool,
    pub(super) mutant: Mutant,
}

impl Reckoning {
    /// How much of the server's time passes while this clock shows so much.
    fn of_server(self, local: Millis) -> Millis {
        if self.slow { local * 1000 / SLOW } else { local }
    }

    fn lasts(self, sent: Millis, length: Millis) -> Millis {
        let (sent, margin) = match self.mutant {
            Mutant::ValidFromReceipt => (0, length / 100 + 2),
            Mutant::ValidInFull => (sent, 0),
            _ => (sent, length / 100 + 2),
        };
        (sent + self.of_server(length - margin)).max(0)
    }

    pub(super) fn hold(self, last: i64, sent: Millis, length: Millis) -> Hold {
        let renew_at = (sent + self.of_server(length / 3)).max(0);
        let valid_for = self.lasts(sent, length);
        Hold { fence: last + 1 - RESERVE, last, valid_for, renew_at, asked: None }
    }

    /// What becomes of one who waits and gets an answer; `None` for one who asks again at once, under another name.
    pub(super) fn answered(self, wait: &Wait, sent: Millis, answer: Answer) -> Option<Phase> {
        match answer {
            Answer::Ours(last) => Some(Phase::Holding(self.hold(last, sent, LEASE))),
            Answer::Held(left) => {
                let look_at = left.map_or(CLAIM / 4, |left| (left + 1).min(CLAIM / 4));
                Some(Phase::Waiting(Wait { in_line: true, sent, look_at, asked: None }))
            }
            Answer::Passed => None,
            Answer::Found(_) => Some(Phase::Waiting(wait.clone())),
        }
    }

    /// How long a letter grants anything.
    pub(super) fn heeds_letters(self, wait: &Wait) -> Millis {
        wait.sent + self.of_server(CLAIM - CLAIM / 4)
    }

    /// What a letter grants; `None` for one that comes too late.
    pub(super) fn granted(self, wait: &Wait, letter: Letter) -> Option<Hold> {
        let length = if self.mutant == Mutant::GrantsAreLeases { LEASE } else { CLAIM };
        let in_time = self.heeds_letters(wait) > 0 || self.mutant == Mutant::LateLettersGrant;
        let sent = if self.mutant == Mutant::LateLettersGrant { 0 } else { wait.sent };
        in_time.then(|| self.hold(letter.last, sent, length))
    }

    /// What becomes of a holder whose renewal is answered; nothing for one that is told of its loss.
    pub(super) fn renewed(self, hold: &Hold, sent: Millis, answer: Answer) -> Option<Hold> {
        let renewed = self.hold(hold.last, sent, LEASE);
        let renewed = Hold { fence: hold.fence, ..renewed };
        match answer {
            // Beyond that somebody may have had it meanwhile, and a late question of ours may have taken it since.
            Answer::Found(1) if hold.valid_for > 0 || self.mutant == Mutant::RenewalsRevive => Some(renewed),
            _ if self.mutant == Mutant::NobodyMindsLosses => Some(renewed),
            _ => None,
        }
    }
}

impl Client {
    pub(super) fn new(turns: u8) -> Self {
        Self { phase: Phase::Idle, turns, serial: 0, listens: true }
    }

    pub(super) fn is_valid(&self) -> bool {
        matches!(&self.phase, Phase::Holding(hold) if hold.valid_for > 0)
    }

    pub(super) fn waits_for(&self, token: Token) -> bool {
        matches!(self.phase, Phase::Waiting(_)) && self.serial == token.serial
    }

    /// Lets time pass; what is past for good is forgotten.
    pub(super) fn pass(&mut self, time: Millis) {
        let asked = |asked: &mut Option<Asked>| {
            if let Some(asked) = asked {
                asked.sent = (asked.sent - time).max(-LEASE - CLAIM);
            }
        };
        match &mut self.phase {
            Phase::Waiting(wait) => {
                wait.sent = (wait.sent - time).max(-LEASE - CLAIM);
                wait.look_at = (wait.look_at - time).max(0);
                asked(&mut wait.asked);
            }
            Phase::Holding(hold) => {
                hold.valid_for = (hold.valid_for - time).max(0);
                hold.renew_at = (hold.renew_at - time).max(0);
                asked(&mut hold.asked);
            }
            Phase::Idle | Phase::Crashed => {}
        }
    }
}
