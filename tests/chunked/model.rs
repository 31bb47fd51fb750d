use super::{MINUTE, options, value};
use crate::backend::cases;
use kv_core::{KvStore, KvStoreExt, MemoryStore, SetOptions};
use proptest::prelude::*;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    Set { len: usize, part_bytes: usize, trip: usize },
    Plain(Vec<u8>),
    Delete,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..300, 1usize..40, 1usize..9).prop_map(|(len, part_bytes, trip)| Step::Set { len, part_bytes, trip }),
        1 => prop::collection::vec(any::<u8>(), 0..9).prop_map(|tail| Step::Plain([&b"text"[..], &tail].concat())),
        1 => Just(Step::Delete),
        1 => (0u64..150).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(cases(256))]

    /// Whatever is written, overwritten, deleted and expired: reads are those of a map, and no part is left behind.
    #[test]
    fn reads_are_those_of_a_map(steps in prop::collection::vec(step(), 0..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let store = MemoryStore::new();
            // The value, how many keys it takes, and the seconds it has.
            let mut model: Option<(Vec<u8>, usize, Option<u64>)> = None;
            // A part outlives its manifest where that expires, and a plain write knows of none.
            let mut leftovers = false;
            for (tag, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Set { len, part_bytes, trip } => {
                        let options = options().part_bytes(part_bytes).parts_per_trip(trip);
                        let value = value(tag as u8, len);
                        store.set_chunked("key", &value, &options).await.unwrap();
                        let keys = if len > part_bytes { 1 + len.div_ceil(part_bytes) } else { 1 };
                        model = Some((value, keys, Some(60)));
                    }
                    Step::Plain(value) => {
                        leftovers |= model.as_ref().is_some_and(|(_, keys, _)| *keys > 1);
                        store.set("key", &value, SetOptions::default()).await.unwrap();
                        model = Some((value, 1, None));
                    }
                    Step::Delete => {
                        prop_assert_eq!(store.delete_chunked("key").await.unwrap(), model.take().is_some());
                    }
                    Step::Pass(seconds) => {
                        store.clock().advance(Duration::from_secs(seconds));
                        if let Some((_, keys, Some(left))) = &mut model {
                            *left = left.saturating_sub(seconds);
                            if *left == 0 {
                                leftovers |= *keys > 1;
                                store.clock().advance(Duration::from_millis(1));
                                model = None;
                            }
                        }
                    }
                }
                let read = store.get_chunked("key", &options()).await.unwrap();
                prop_assert_eq!(read.as_deref(), model.as_ref().map(|(value, ..)| &value[..]));
                let keys = model.as_ref().map_or(0, |(_, keys, _)| *keys);
                prop_assert!(leftovers || store.len() == keys);
            }
            store.clock().advance(MINUTE * 3);
            prop_assert!(store.len() <= 1);
            Ok(())
        })?;
    }
}
