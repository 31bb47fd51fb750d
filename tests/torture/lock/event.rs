use crate::moment::Micros;
use std::{fmt, str::FromStr};

/// What a worker tells of one acquisition, a line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The number of the acquisition in its process.
    pub(crate) ask: u64,
    pub(crate) name: u8,
    pub(crate) at: Micros,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// For so many milliseconds, 0 for a try, of the manager with this number.
    Asked(i64, i64),
    /// With this fencing token, and valid until then.
    Granted(i64, Micros),
    /// Still valid until then.
    Valid(Micros),
    /// A register was written, certainly or perhaps.
    Wrote(i64, bool),
    /// A register refused a write as too late; whether the lock was valid after that.
    Refused(bool),
    /// About to give back what is valid until then.
    Releasing(Micros),
    /// What giving back found.
    Released(Outcome),
    Lost,
    TimedOut,
    Cancelled,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ours,
    NotOurs,
    Unknown,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, one, other) = match self.what {
            What::Asked(wait, manager) => ("asked", wait, manager),
            What::Granted(fence, until) => ("granted", fence, until),
            What::Valid(until) => ("valid", until, 0),
            What::Wrote(value, sure) => ("wrote", value, i64::from(sure)),
            What::Refused(valid) => ("refused", i64::from(valid), 0),
            What::Releasing(until) => ("releasing", until, 0),
            What::Released(outcome) => ("released", outcome as i64, 0),
            What::Lost => ("lost", 0, 0),
            What::TimedOut => ("timed-out", 0, 0),
            What::Cancelled => ("cancelled", 0, 0),
            What::Failed => ("failed", 0, 0),
        };
        write!(f, "{kind} {} {} {} {one} {other}", self.ask, self.name, self.at)
    }
}

impl FromStr for Event {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        let mut next = || words.next().unwrap_or_default().parse::<i64>();
        let (ask, name, at, one, other) = (next()?, next()?, next()?, next()?, next()?);
        let what = match kind {
            "asked" => What::Asked(one, other),
            "granted" => What::Granted(one, other),
            "valid" => What::Valid(one),
            "wrote" => What::Wrote(one, other == 1),
            "refused" => What::Refused(one == 1),
            "releasing" => What::Releasing(one),
            "released" => {
                What::Released([Outcome::Ours, Outcome::NotOurs, Outcome::Unknown][usize::try_from(one)? % 3])
            }
            "lost" => What::Lost,
            "timed-out" => What::TimedOut,
            "cancelled" => What::Cancelled,
            "failed" => What::Failed,
            _ => anyhow::bail!("{kind} is no event"),
        };
        Ok(Self { ask: u64::try_from(ask)?, name: u8::try_from(name)?, at, what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        for what in [What::Asked(7, 2), What::Granted(5, 9), What::Wrote(3, false), What::Released(Outcome::Unknown)] {
            let event = Event { ask: 1, name: 2, at: 3, what };
            assert_eq!(event.to_string().parse::<Event>().unwrap(), event);
        }
        assert!("asked 1".parse::<Event>().is_err());
    }
}
