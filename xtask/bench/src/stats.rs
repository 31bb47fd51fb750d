//! Many rounds, three numbers.

use crate::round::{Row, Turn};

/// The median, and how far the rounds are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// `None` if there is no value.
pub(crate) fn spread(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (&min, &max) = (values.first()?, values.last()?);
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
    Some(Spread { median, min, max })
}

impl Turn {
    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }
}

impl Row {
    /// The speed against another row, compared round by round: both met the same disturbances.
    pub(crate) fn ratio(&self, floor: &Self) -> Option<Spread> {
        spread(self.turns.iter().zip(&floor.turns).map(|(own, floor)| own.ops_per_s / floor.ops_per_s))
    }

    /// One number of every turn that has it.
    pub(crate) fn spread(&self, number: impl Fn(&Turn) -> Option<f64>) -> Option<Spread> {
        spread(self.turns.iter().filter_map(number))
    }

    /// Like [`Row::spread`], the median alone.
    pub(crate) fn median(&self, number: impl Fn(&Turn) -> Option<f64>) -> Option<f64> {
        self.spread(number).map(|spread| spread.median)
    }
}

#[cfg(test)]
mod tests {
    use super::{Spread, spread};

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(spread([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(spread([4.0, 1.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(spread([]), None);
    }
}
