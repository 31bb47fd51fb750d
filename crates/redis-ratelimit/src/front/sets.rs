use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// A map from ids that never grows beyond a number of entries: each id has a set it belongs to, of a few entries and with a lock of
/// its own, and in a full one whoever ranks first goes.
pub(super) struct Sets<T> {
    sets: Box<[Mutex<Vec<Entry<T>>>]>,
}

struct Entry<T> {
    hash: u64,
    id: Box<str>,
    value: T,
}

/// Hashes ids, with a seed of its own.
///
/// Not the standard library's, which takes as long as all the rest: who finds ids that meet in a set gets them forgotten, and no more.
#[derive(Debug)]
pub(super) struct Hash(u64);

impl Hash {
    pub(super) fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    pub(super) fn of(&self, id: &str) -> u64 {
        let mix = |hash: u64, word: u64| {
            let product = u128::from(hash ^ word) * 0x9E37_79B9_7F4A_7C15;
            product as u64 ^ (product >> 64) as u64
        };
        let (words, rest) = id.as_bytes().as_chunks::<8>();
        let hash = words.iter().fold(self.0, |hash, word| mix(hash, u64::from_le_bytes(*word)));
        let rest = rest.iter().fold(id.len() as u64, |word, byte| word << 8 | u64::from(*byte));
        mix(mix(hash, rest), self.0)
    }
}

/// How many there are in a set.
const WAYS: usize = 8;

/// What an entry is held in order of: the earliest goes first.
pub(super) trait Rank {
    fn rank(&self) -> Instant;
}

impl<T: Rank> Sets<T> {
    /// Room for so many, rounded up to whole sets.
    pub(super) fn new(entries: usize) -> Self {
        Self { sets: (0..entries.div_ceil(WAYS).max(1)).map(|_| Mutex::default()).collect() }
    }

    /// What is done with the value of an id, if it has one.
    pub(super) fn with<R>(&self, hash: u64, id: &str, act: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.set(hash).iter_mut().find(|entry| entry.is(hash, id)).map(|entry| act(&mut entry.value))
    }

    /// What is done with the value of an id, which gets one if it has none; and who had to go for it.
    pub(super) fn upsert<R>(
        &self,
        hash: u64,
        id: &str,
        new: impl FnOnce() -> T,
        act: impl FnOnce(&mut T) -> R,
    ) -> (R, Option<(Box<str>, T)>) {
        let mut set = self.set(hash);
        if let Some(entry) = set.iter_mut().find(|entry| entry.is(hash, id)) {
            return (act(&mut entry.value), None);
        }
        let first = (0..set.len()).min_by_key(|at| set.get(*at).map(|entry| entry.value.rank()));
        let gone = first.filter(|_| set.len() >= WAYS).map(|at| set.swap_remove(at));
        let mut value = new();
        let done = act(&mut value);
        set.push(Entry { hash, id: id.into(), value });
        (done, gone.map(|entry| (entry.id, entry.value)))
    }

    pub(super) fn remove(&self, hash: u64, id: &str) -> Option<T> {
        let mut set = self.set(hash);
        let at = set.iter().position(|entry| entry.is(hash, id))?;
        Some(set.swap_remove(at).value)
    }

    /// Looks at all there are, and leaves those for which it is true.
    pub(super) fn retain(&self, mut stays: impl FnMut(&str, &mut T) -> bool) {
        for set in &self.sets {
            lock(set).retain_mut(|entry| stays(&entry.id, &mut entry.value));
        }
    }

    fn set(&self, hash: u64) -> MutexGuard<'_, Vec<Entry<T>>> {
        // The upper half of the hash, in proportion: there is always such a set.
        let at = ((hash >> 32) * self.sets.len() as u64) >> 32;
        lock(&self.sets[at as usize])
    }
}

impl<T> Entry<T> {
    fn is(&self, hash: u64, id: &str) -> bool {
        self.hash == hash && *self.id == *id
    }
}

fn lock<T>(set: &Mutex<T>) -> MutexGuard<'_, T> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> fmt::Debug for Sets<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sets").field("sets", &self.sets.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    impl Rank for (Instant, u32) {
        fn rank(&self) -> Instant {
            self.0
        }
    }

    #[test]
    fn ids_spread_over_the_sets() {
        let hash = Hash::new();
        for prefix in ["", "user:00000", "a-longer-prefix-of-some-tenant/"] {
            let sets = Sets::new(16_384);
            let ids: Vec<String> = (0..8192).map(|number| format!("{prefix}{number}")).collect();
            let gone = ids.iter().filter(|id| {
                let gone = sets.upsert(hash.of(id), id, || (Instant::now(), 0), |_| ()).1;
                gone.is_some()
            });
            // Four to a set on average: about one in a hundred meets eight others.
            assert!(gone.count() < 8192 / 30, "{prefix}");
        }
        assert_ne!(hash.of(""), hash.of("\0"));
        assert_ne!(hash.of("a\0"), hash.of("a"));
    }

    #[test]
    fn there_are_never_more_than_there_is_room_for_and_the_first_goes_first() {
        let (sets, start) = (Sets::new(4), Instant::now());
        for number in 0..100u32 {
            let value = (start + Duration::from_secs(1000 - u64::from(number)), number);
            let ((), gone) = sets.upsert(u64::from(number) << 32, &number.to_string(), || value, |_| ());
            // Each later one ranks before those that came earlier, so it goes when the next comes.
            let expected = (number >= WAYS as u32).then(|| (number - 1).to_string());
            assert_eq!(gone.map(|(id, _)| id.into_string()), expected);
        }
        let mut left = Vec::new();
        sets.retain(|_, value| {
            left.push(value.1);
            value.1 != 3
        });
        left.sort_unstable();
        assert_eq!(left, [0, 1, 2, 3, 4, 5, 6, 99]);
        assert_eq!((sets.remove(3 << 32, "3"), sets.with(4 << 32, "4", |value| value.1)), (None, Some(4)));
        assert_eq!(sets.with(4 << 32, "5", |value| value.1), None, "the same hash is not the same id");
    }
}
