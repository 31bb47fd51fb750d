use super::{Behaviour, Failure, Need};
use std::fmt;

/// How a store did in one [`Behaviour`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It keeps the promise.
    Passed,
    /// The promise is that of other stores.
    NotApplicable(Need),
    /// It does not keep it.
    Failed(Failure),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::NotApplicable(need) => write!(f, "not applicable: for {need}"),
            Self::Failed(failure) => write!(f, "failed: {failure}"),
        }
    }
}

/// How a store did in all [`BEHAVIOURS`](super::BEHAVIOURS).
#[derive(Clone, Debug)]
pub struct Report {
    outcomes: Vec<(&'static Behaviour, Outcome)>,
}

impl Report {
    pub(super) fn new(outcomes: Vec<(&'static Behaviour, Outcome)>) -> Self {
        Self { outcomes }
    }

    /// Each behaviour with its outcome.
    pub fn outcomes(&self) -> &[(&'static Behaviour, Outcome)] {
        &self.outcomes
    }

    /// The outcome of one behaviour, by its name.
    pub fn outcome(&self, name: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|(behaviour, _)| behaviour.name() == name).map(|(_, outcome)| outcome)
    }

    /// An error that lists the failures, if there are any.
    pub fn into_result(self) -> Result<Self, Failure> {
        let failed = |(behaviour, outcome): &(&Behaviour, Outcome)| match outcome {
            Outcome::Failed(failure) => Some(format!("\n  {}: {failure}", behaviour.name())),
            Outcome::Passed | Outcome::NotApplicable(_) => None,
        };
        let lines: Vec<String> = self.outcomes.iter().filter_map(failed).collect();
        if lines.is_empty() {
            return Ok(self);
        }
        Err(Failure::new(format!("{} of {} behaviours failed{}", lines.len(), self.outcomes.len(), lines.concat())))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (behaviour, outcome) in &self.outcomes {
            writeln!(f, "{}: {outcome}", behaviour.name())?;
        }
        let count = |wanted: fn(&Outcome) -> bool| self.outcomes.iter().filter(|(_, outcome)| wanted(outcome)).count();
        let passed = count(|outcome| matches!(outcome, Outcome::Passed));
        let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
        write!(f, "{passed} passed, {failed} failed, {} not applicable", self.outcomes.len() - passed - failed)
    }
}
