use super::MemoryStore;
use crate::{Cursor, Page, Result, ScanStore};
use async_trait::async_trait;

#[async_trait]
impl ScanStore for MemoryStore {
    /// A page costs what `count` says, however many keys there are, and nothing is locked between two of them.
    ///
    /// The walk ends where the keys ended as it began: it does not run after those that its caller adds.
    async fn scan_page(&self, prefix: &str, cursor: &Cursor, count: u32) -> Result<Page> {
        let (entries, now) = self.lock();
        // Where slots were cut off since, there is nobody who was there as it began.
        let end = match cursor.place() {
            "" => entries.slots(),
            place => place.parse().unwrap_or(0).min(entries.slots()),
        };
        let at = usize::try_from(cursor.position()).unwrap_or(usize::MAX).min(end);
        let count = usize::try_from(count.max(1)).unwrap_or(usize::MAX).min(end - at);
        let keys = entries.keys_from(at, count, now).filter(|key| key.starts_with(prefix)).map(str::to_owned).collect();
        let next = at + count;
        Ok(Page { keys, next: (next < end).then(|| Cursor::new(end.to_string(), next as u64)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KvStore, SetOptions};
    use std::{collections::BTreeMap, time::Duration};

    async fn set(store: &MemoryStore, key: &str) {
        store.set(key, b"", SetOptions::default()).await.unwrap();
    }

    #[tokio::test]
    async fn keys_that_stay_are_seen_once_while_others_come_and_go() {
        for count in [1, 3, 100] {
            let store = MemoryStore::new();
            for at in 0..50 {
                set(&store, &format!("stays:{at}")).await;
                set(&store, &format!("goes:{at}")).await;
            }
            let (mut seen, mut cursor, mut pages) = (BTreeMap::new(), Some(Cursor::start()), 0);
            while let Some(from) = cursor {
                let page = store.scan_page("stays:", &from, count).await.unwrap();
                assert!(page.keys.len() <= count as usize);
                page.keys.into_iter().for_each(|key| *seen.entry(key).or_insert(0) += 1);
                cursor = page.next;
                store.delete(&[&format!("goes:{pages}"), &format!("comes:{}", pages / 2)]).await.unwrap();
                // More than a page holds: a walk to the end of all keys would never end.
                for at in 0..count * 2 {
                    set(&store, &format!("comes:{pages}:{at}")).await;
                }
                set(&store, &format!("stays:{}", pages % 50)).await;
                pages += 1;
            }
            assert!(seen.len() == 50 && seen.values().all(|times| *times == 1), "{seen:?}");
        }
    }

    #[tokio::test]
    async fn the_dead_are_left_out_and_foreign_cursors_do_no_harm() {
        let store = MemoryStore::new();
        store.set("a", b"", SetOptions::default().ttl(Duration::from_secs(1))).await.unwrap();
        set(&store, "b").await;
        store.clock().advance(Duration::from_secs(2));
        let page = store.scan_page("", &Cursor::start(), 0).await.unwrap();
        assert_eq!((page.keys.len(), page.next.is_some()), (0, true));
        assert_eq!(store.scan_page("", &Cursor::start(), u32::MAX).await.unwrap().keys, ["b"]);
        for cursor in [Cursor::new("", u64::MAX), Cursor::new("elsewhere", 7), Cursor::new("99999", u64::MAX)] {
            let page = store.scan_page("", &cursor, u32::MAX).await.unwrap();
            assert_eq!(page, Page { keys: Vec::new(), next: None });
        }
    }
}
