use super::Kind;
use crate::moment::Micros;
use std::{fmt, str::FromStr};

/// What a worker tells, a line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A read of a key that began then, and what it returned.
    Read { key: u8, kind: Kind, began: Micros, value: u64 },
    /// From then on, nothing that is older may be read.
    Told { key: u8, value: u64, at: Micros },
    /// A read that ended with an error.
    Failed,
    /// One that did not end.
    Hung,
    /// So many reads that the process answered from what it keeps.
    NearHits(u64),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { key, kind, began, value } => write!(f, "read {key} {value} {began} {}", *kind as u8),
            Self::Told { key, value, at } => write!(f, "told {key} {value} {at}"),
            Self::Failed => f.write_str("failed"),
            Self::Hung => f.write_str("hung"),
            Self::NearHits(count) => write!(f, "near {count}"),
        }
    }
}

impl FromStr for Event {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        let mut next = || words.next().unwrap_or_default().parse::<u64>();
        Ok(match kind {
            "read" => {
                let (key, value, began) = (u8::try_from(next()?)?, next()?, next()?.cast_signed());
                Self::Read { key, kind: Kind::ALL[usize::try_from(next()?)? % Kind::ALL.len()], began, value }
            }
            "told" => Self::Told { key: u8::try_from(next()?)?, value: next()?, at: next()?.cast_signed() },
            "failed" => Self::Failed,
            "hung" => Self::Hung,
            "near" => Self::NearHits(next()?),
            _ => anyhow::bail!("{kind} is no event"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let read = Event::Read { key: 1, kind: Kind::Tracked, began: 7, value: 3 };
        for event in [read, Event::Told { key: 2, value: 9, at: 4 }, Event::Failed, Event::Hung, Event::NearHits(5)] {
            assert_eq!(event.to_string().parse::<Event>().unwrap(), event);
        }
        assert!("read 1".parse::<Event>().is_err());
    }
}
