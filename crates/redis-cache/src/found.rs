use crate::{
    CacheOptions,
    entry::{HEADER, Times},
    tags::Tags,
};
use std::{sync::Arc, time::Duration};

/// What the store knows of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<V> {
    /// The value.
    Hit(Arc<V>),
    /// That there is none.
    Null,
    /// Nothing.
    Miss,
}

/// An entry as it was read: a value or the knowledge that there is none.
#[derive(Debug)]
pub(crate) struct Found<V> {
    pub(crate) value: Option<Arc<V>>,
    pub(crate) stamp: Stamp,
    pub(crate) tags: Tags,
}

impl<V> Found<V> {
    /// What a guard knows of a key that cannot exist.
    pub(crate) fn absent() -> Self {
        let stamp = Stamp { times: Times::default(), mark: [0; HEADER], size: 0 };
        Self { value: None, stamp, tags: Tags::default() }
    }
}

/// What is known of an entry beside its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) times: Times,
    /// What tells it from the entry that replaces it.
    pub(crate) mark: [u8; HEADER],
    /// How many bytes it takes in the store.
    pub(crate) size: usize,
}

/// What is to be done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Serve it.
    Fresh,
    /// Serve it, and load it anew meanwhile.
    Refresh,
    /// Load it anew, and serve it if that fails.
    Fallback,
}

impl Times {
    /// What is to be done with the entry at a time of the server's clock; `luck` is drawn from 0 to 1.
    ///
    /// Refreshing ahead is `XFetch`: the longer the load took, and the nearer the end, the likelier. See Vattani, Chierichetti and
    /// Lowenstein, "Optimal probabilistic cache stampede prevention", <https://doi.org/10.14778/2757807.2757813>.
    pub(crate) fn freshness(&self, options: &CacheOptions, now: u64, luck: impl FnOnce() -> f64) -> Freshness {
        let age = now.saturating_sub(self.loaded_at);
        let left = u64::from(self.fresh_for).saturating_sub(age);
        if left > 0 {
            let ahead = self.may_be_ahead(options, left) && self.is_ahead(options, left, luck());
            return if ahead { Freshness::Refresh } else { Freshness::Fresh };
        }
        let stale = Duration::from_millis(age.saturating_sub(self.fresh_for.into()));
        if stale < options.stale_while_revalidate { Freshness::Refresh } else { Freshness::Fallback }
    }
}

impl Times {
    /// Whether there is any use in trying one's luck: nobody draws an Exp(1) of 50.
    pub(crate) fn may_be_ahead(&self, options: &CacheOptions, left: u64) -> bool {
        (left as f64) < f64::from(self.cost.max(1)) * options.early_refresh * 50.0
    }

    /// Whether an entry that is fresh for so many milliseconds more is loaded anew already.
    pub(crate) fn is_ahead(&self, options: &CacheOptions, left: u64, luck: f64) -> bool {
        let ahead = -f64::from(self.cost.max(1)) * options.early_refresh * luck.max(f64::MIN_POSITIVE).ln();
        ahead >= left as f64
    }
}

impl<V> Clone for Found<V> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), stamp: self.stamp, tags: self.tags.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_repeated_ahead_as_often_as_is_said() {
        let options = CacheOptions::default().stale_while_revalidate(Duration::from_millis(500));
        let times = Times { cost: 100, loaded_at: 1_000_000, fresh_for: 10_000, stale_for: 500 };
        let at = |age: u64, luck: f64| times.freshness(&options, 1_000_000 + age, || luck);
        assert_eq!(at(0, 0.01), Freshness::Fresh);
        // Exp(1) exceeds 1 with probability 1/e: at one load's time before the end.
        assert_eq!((at(9_900, 0.367), at(9_900, 0.369)), (Freshness::Refresh, Freshness::Fresh));
        assert_eq!((at(9_999, 0.98), at(10_000, 1.0)), (Freshness::Refresh, Freshness::Refresh));
        assert_eq!((at(10_499, 1.0), at(10_500, 1.0)), (Freshness::Refresh, Freshness::Fallback));
        assert_eq!(at(9_999, 0.0), Freshness::Refresh, "no luck at all is no failure");
        let never = options.early_refresh(0.0);
        assert_eq!(times.freshness(&never, 1_009_999, || 0.0), Freshness::Fresh);
        assert_eq!(times.freshness(&never, 0, || 0.5), Freshness::Fresh, "a clock that jumped back");
    }
}
