use super::event::{Event, Outcome, What};
use crate::moment::Micros;

/// One acquisition, as far as it was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) worker: usize,
    pub(crate) name: u8,
    pub(crate) asked: Micros,
    /// For how long, 0 for a try.
    pub(crate) wait: Micros,
    pub(crate) manager: i64,
    /// When it was decided.
    pub(crate) ended: Option<Micros>,
    /// When, and with which fencing token.
    pub(crate) granted: Option<(Micros, i64)>,
    pub(crate) valid_until: Micros,
    pub(crate) releasing: Option<Micros>,
    /// The lock was somebody else's though valid.
    pub(crate) missed: bool,
    /// The register refused it though valid.
    pub(crate) refused: bool,
    pub(crate) wrote: Vec<i64>,
    /// Writes that nobody told the end of.
    pub(crate) unsure: u64,
    pub(crate) cancelled: bool,
    pub(crate) lost: bool,
    pub(crate) writing: bool,
}

impl Ask {
    pub(crate) fn hear(&mut self, event: Event) {
        let at = event.at;
        match event.what {
            What::Asked(wait, manager) => {
                (self.name, self.asked, self.wait, self.manager) = (event.name, at, wait * 1000, manager);
            }
            What::Granted(fence, until) => {
                (self.ended, self.granted, self.valid_until) = (Some(at), Some((at, fence)), until);
            }
            What::Valid(until) => {
                self.valid_until = self.valid_until.max(until);
                self.unsure += u64::from(self.writing);
                self.writing = true;
            }
            What::Wrote(value, sure) => {
                if sure {
                    self.wrote.push(value);
                } else {
                    self.unsure += 1;
                }
                self.writing = false;
            }
            What::Refused(valid) => {
                self.refused |= valid;
                self.writing = false;
            }
            What::Releasing(until) => {
                self.valid_until = self.valid_until.max(until);
                self.releasing = Some(at);
            }
            What::Released(outcome) => self.missed = outcome == Outcome::NotOurs && at < self.valid_until,
            What::Lost => self.lost = true,
            What::Cancelled => (self.ended, self.cancelled) = (Some(at), true),
            What::TimedOut | What::Failed => self.ended = Some(at),
        }
    }

    /// Writes that may have been accepted without anybody telling.
    pub(crate) fn maybe_wrote(&self) -> u64 {
        self.unsure + u64::from(self.writing)
    }

    /// From when to when it held the lock, and had no reason to doubt it.
    pub(crate) fn valid(&self) -> Option<(Micros, Micros)> {
        let (from, _) = self.granted?;
        let to = self.releasing.map_or(self.valid_until, |at| at.min(self.valid_until));
        (to > from).then_some((from, to))
    }
}
