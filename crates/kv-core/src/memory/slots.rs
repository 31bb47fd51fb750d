use std::sync::Arc;

/// Where a scan meets each key: a key has one slot for as long as it lives, whatever comes and goes around it.
#[derive(Default)]
pub(super) struct Slots {
    keys: Vec<Option<Arc<str>>>,
    /// Slots to use again; those that were taken or cut off meanwhile are in it, too.
    free: Vec<usize>,
}

impl Slots {
    /// Gives a slot to a key that has none.
    pub(super) fn take(&mut self, key: Arc<str>) -> usize {
        while let Some(at) = self.free.pop() {
            if let Some(slot) = self.keys.get_mut(at).filter(|slot| slot.is_none()) {
                *slot = Some(key);
                return at;
            }
        }
        self.keys.push(Some(key));
        self.keys.len() - 1
    }

    pub(super) fn free(&mut self, at: usize) {
        if let Some(slot) = self.keys.get_mut(at) {
            *slot = None;
            self.free.push(at);
        }
        while self.keys.pop_if(|last| last.is_none()).is_some() {}
        if self.keys.is_empty() {
            self.free.clear();
        }
    }

    /// How many slots there are, empty ones included.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys in so many slots from this one on.
    pub(super) fn from(&self, at: usize, count: usize) -> impl Iterator<Item = &Arc<str>> {
        self.keys.iter().skip(at).take(count).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(slots: &Slots) -> Vec<&str> {
        slots.from(0, usize::MAX).map(|key| &**key).collect()
    }

    #[test]
    fn a_slot_is_used_again_and_never_twice_at_once() {
        let mut slots = Slots::default();
        let taken: Vec<usize> = ["a", "b", "c", "d"].into_iter().map(|key| slots.take(key.into())).collect();
        assert_eq!(taken, [0, 1, 2, 3]);
        // The hole stays, and goes when all behind it went.
        slots.free(1);
        slots.free(3);
        assert_eq!((slots.len(), keys(&slots)), (3, vec!["a", "c"]));
        slots.free(2);
        assert_eq!((slots.len(), keys(&slots)), (1, vec!["a"]));
        for key in ["e", "f", "g", "h"] {
            slots.take(key.into());
        }
        let mut all = keys(&slots);
        all.sort_unstable();
        assert_eq!(all, ["a", "e", "f", "g", "h"]);
    }

    #[test]
    fn slots_stay_as_few_as_the_keys_were_at_most() {
        let mut slots = Slots::default();
        let first: Vec<usize> = (0..100).map(|_| slots.take("key".into())).collect();
        for round in 0..10_000 {
            slots.free(first[round % 100]);
            assert_eq!(slots.take("key".into()), first[round % 100]);
        }
        assert!(slots.len() == 100 && slots.free.is_empty());
    }
}
