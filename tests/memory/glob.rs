//! Random patterns and names: the memory store hears exactly what a server's `KEYS` finds.

use crate::backend::{cases, patient};
use kv_core::{KvStore, MemoryStore, PubSub};
use kv_redis::{RedisStore, redis::cmd};
use proptest::{prelude::*, test_runner::TestRunner};
use std::{cell::Cell, collections::BTreeSet};
use xtask::fixture::Server;

/// Everything that means something, twice as often a letter, and one letter of two bytes.
const ALPHABET: &[char] = &['a', 'b', 'c', 'a', 'b', 'c', '[', ']', '^', '-', '\\', '*', '?', '[', ']', 'é'];

fn text(len: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(ALPHABET), len).prop_map(|letters| letters.into_iter().collect())
}

/// A name, and a pattern that has a fair chance to match it: its letters, some of them replaced.
fn derived() -> impl Strategy<Value = (String, String)> {
    let letter = (prop::sample::select(ALPHABET), 0..8u8, text(0..3));
    prop::collection::vec(letter, 1..8).prop_map(|letters| {
        let name = letters.iter().map(|(letter, ..)| *letter).collect();
        let pattern = letters.iter().map(|(letter, how, extra)| match how {
            0 => "*".to_owned(),
            1 => "?".to_owned(),
            2 => format!("[{extra}{letter}]"),
            3 => format!("[^{extra}]"),
            4 => format!("\\{letter}"),
            5 => format!("[{letter}-{extra}]"),
            6 => format!("[\\{letter}{extra}"),
            _ => letter.to_string(),
        });
        (name, pattern.collect())
    })
}

#[test]
fn patterns_match_what_they_match_on_a_server() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = Server::start().unwrap();
    let redis = runtime.block_on(RedisStore::connect_with(&server.url(), patient())).unwrap();
    let matched = Cell::new(0);
    let cases_of = (
        prop::collection::vec(text(1..8), 1..20),
        prop::collection::vec(text(1..10), 1..10),
        prop::collection::vec(derived(), 1..10),
    );
    let config = ProptestConfig { source_file: Some(file!()), ..cases(200) };
    let outcome = TestRunner::new(config).run(&cases_of, |(mut names, mut patterns, derived)| {
        names.extend(derived.iter().map(|(name, _)| name.clone()));
        patterns.extend(derived.into_iter().map(|(_, pattern)| pattern));
        runtime.block_on(async {
            let mut connection = redis.connection();
            cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
            let values: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
            redis.mset(&values, None).await.unwrap();
            for pattern in &patterns {
                let found: BTreeSet<String> = cmd("KEYS").arg(pattern).query_async(&mut connection).await.unwrap();
                let memory = MemoryStore::new();
                let _subscription = memory.psubscribe(&[pattern]).await.unwrap();
                for name in &names {
                    let heard = memory.publish(name, b"").await.unwrap() == 1;
                    prop_assert_eq!(heard, found.contains(name), "{} on {}", pattern, name);
                    matched.set(matched.get() + u32::from(heard));
                }
            }
            Ok(())
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(matched.get() > 1000, "only {} matches", matched.get());
}
