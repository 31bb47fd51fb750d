use super::{Way, front, limiter};
use crate::{
    backend::{Backend, cases, on_every_backend, soon},
    cancellation::{at_every_await, poll_times, stepping},
};
use kv_core::{Arg, Error, ErrorKind, Executed, KvStore, MemoryStore, Reply, Result, Script};
use kv_redis::{RedisOptions, RedisStore};
use proptest::prelude::*;
use redis_ratelimit::{FrontLimiter, FrontOptions, Quota, RateLimitOptions, RateLimiter, Source};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::task::{JoinSet, yield_now};
use xtask::fixture::Server;

on_every_backend!(
    concurrent_checks_never_exceed_the_burst_and_use_all_of_it,
    ids_and_costs_of_a_batch_are_each_on_their_own,
    a_bucket_that_is_none_harms_nobody_else,
);

fn over(backend: &Backend, quota: Quota) -> FrontLimiter {
    let limiter = RateLimiter::new(backend.store.clone(), quota, RateLimitOptions::default()).unwrap();
    FrontLimiter::new(limiter, FrontOptions::default()).unwrap()
}

async fn all<T: Send + 'static>(checks: impl Iterator<Item = impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let running: Vec<_> = checks.map(tokio::spawn).collect();
    let mut done = Vec::with_capacity(running.len());
    for check in running {
        done.push(check.await.unwrap());
    }
    done
}

async fn concurrent_checks_never_exceed_the_burst_and_use_all_of_it(backend: &Backend) {
    let limiter = over(backend, Quota::per_day(50));
    let check = |_| {
        let limiter = limiter.clone();
        async move { limiter.check("ada").await.unwrap() }
    };
    let answers = all((0..300).map(check)).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_allowed()).count(), 50);
    assert!(answers.iter().all(|answer| answer.source == Source::Store));
}

async fn ids_and_costs_of_a_batch_are_each_on_their_own(backend: &Backend) {
    let limiter = over(backend, Quota::per_day(20));
    let check = |number: u64| {
        let limiter = limiter.clone();
        async move {
            let (id, n) = (format!("{}", number % 3), number % 4);
            (number % 3, n, limiter.check_n(&id, n).await.unwrap().is_allowed())
        }
    };
    let answers = all((0..240).map(check)).await;
    for id in 0..3 {
        let taken: u64 = answers.iter().filter(|(of, _, allowed)| *of == id && *allowed).map(|(_, n, _)| n).sum();
        let left = limiter.limiter().peek(&id.to_string()).await.unwrap().remaining();
        assert_eq!(taken + left, 20);
        assert_eq!(left, 0, "there is a check for one that fits");
    }
    assert!(answers.iter().all(|(_, n, allowed)| *n > 0 || *allowed), "nothing is always allowed");
}

async fn a_bucket_that_is_none_harms_nobody_else(backend: &Backend) {
    let limiter = over(backend, Quota::per_day(100));
    backend.store.set("ratelimit:{garbage}", b"1e9", Default::default()).await.unwrap();
    backend.put_other_type("ratelimit:{other}").await;
    let check = |number: usize| {
        let (limiter, id) = (limiter.clone(), ["garbage", "other", "ada"][number % 3]);
        async move { (id, limiter.check(id).await) }
    };
    for (id, answer) in all((0..90).map(check)).await {
        match id {
            "garbage" => assert_eq!(answer.unwrap_err().kind(), ErrorKind::Corrupt),
            "other" => assert_eq!(answer.unwrap_err().kind(), ErrorKind::WrongType),
            _ => assert!(answer.unwrap().is_allowed()),
        }
    }
    assert_eq!(limiter.limiter().peek("ada").await.unwrap().remaining(), 70);
    assert_eq!(limiter.check("").await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn what_comes_while_one_is_on_its_way_goes_together() {
    let (way, memory) = (Way::default(), MemoryStore::new());
    let limiter = front(&way.to(&memory), Quota::per_day(1000), FrontOptions::default().batch(50));
    limiter.check("ada").await.unwrap();
    assert_eq!(way.calls(), 1, "at once");
    tokio::time::pause();
    way.0.there.store(1000, Ordering::SeqCst);
    let checks: JoinSet<_> = (0..121)
        .map(|_| {
            let limiter = limiter.clone();
            async move { limiter.check("ada").await.unwrap().is_allowed() }
        })
        .collect();
    assert!(checks.join_all().await.into_iter().all(|allowed| allowed));
    // Two alone, then 50, 50 and 19.
    assert_eq!(way.calls(), 1 + 5);
}

#[tokio::test]
async fn nobody_depends_on_a_caller_who_is_dropped() {
    // Whoever is dropped is the first, who sends alone, or one of those who wait.
    for dropped in [0, 3] {
        at_every_await(|polls| async move {
            let store = stepping();
            let limiter = front(&store, Quota::per_day(100), FrontOptions::default());
            let done = Arc::new(AtomicBool::new(false));
            let checks: JoinSet<_> = (0..6)
                .map(|number| {
                    let (limiter, done) = (limiter.clone(), done.clone());
                    async move {
                        if number != dropped {
                            assert!(limiter.check("ada").await.unwrap().is_allowed());
                        } else if poll_times(polls, limiter.check("ada")).await.is_some() {
                            done.store(true, Ordering::SeqCst);
                        }
                    }
                })
                .collect();
            soon("the others", checks.join_all()).await;
            // A later one is not held up either.
            soon("the next", limiter.check("ada")).await.unwrap();
            let left = limiter.limiter().peek("ada").await.unwrap().remaining();
            assert!(left == 94 || left == 93, "{left}");
            done.load(Ordering::SeqCst)
        })
        .await;
    }
}

#[tokio::test]
async fn who_is_gone_before_it_is_sent_takes_nothing() {
    let store = stepping();
    let limiter = front(&store, Quota::per_day(100), FrontOptions::default());
    let first: JoinSet<_> = (0..2)
        .map(|_| {
            let limiter = limiter.clone();
            async move { limiter.check("ada").await.unwrap().is_allowed() }
        })
        .collect();
    yield_now().await;
    assert!(poll_times(1, limiter.check_n("ada", 50)).await.is_none());
    assert_eq!(first.join_all().await, [true, true]);
    limiter.check("ada").await.unwrap();
    assert_eq!(limiter.limiter().peek("ada").await.unwrap().remaining(), 97);
}

#[tokio::test]
async fn a_lost_reply_to_a_batch_is_lost_for_each_and_not_asked_again() {
    let store = stepping();
    let limiter = front(&store, Quota::per_day(100), FrontOptions::default());
    let mut checks = JoinSet::new();
    for number in 0..8 {
        let (limiter, store) = (limiter.clone(), store.clone());
        checks.spawn(async move {
            let answer = limiter.check("ada").await;
            if number == 1 {
                // The first two went alone; all others are in the batch that follows.
                store.layer().lose_next_reply();
            }
            answer
        });
    }
    let answers = checks.join_all().await;
    let lost: Vec<Error> = answers.into_iter().filter_map(Result::err).collect();
    assert_eq!(lost.len(), 6);
    assert!(lost.iter().all(|error| error.executed() == Executed::Maybe && !error.is_retryable()));
    assert_eq!(limiter.limiter().peek("ada").await.unwrap().remaining(), 92);
}

#[test]
fn checks_outlive_the_runtime_that_sent_the_last_batch() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (way, memory) = (Way::default(), MemoryStore::new());
    let limiter = runtime().block_on(async { front(&way.to(&memory), Quota::per_day(100), FrontOptions::default()) });
    let first = runtime();
    way.0.is_silent.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        let limiter = limiter.clone();
        first.spawn(async move { limiter.check("ada").await });
    }
    while way.calls() == 0 {
        std::thread::yield_now();
    }
    drop(first);
    way.0.is_silent.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        runtime().block_on(soon("the next runtime", limiter.check("ada"))).unwrap();
    }
    // Without any, too.
    let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::pin!(limiter.check("ada")).poll(context).is_ready());
}

/// Never a grant over the limit, from four stores of 64 tasks each, while scripts are flushed and connections killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_grant_is_over_the_limit_whatever_breaks() {
    const BURST: u64 = 6000;
    let server = Server::start().unwrap();
    let (granted, failed, stop) =
        (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let options = RedisOptions::default().deadline(Duration::from_secs(8));
        let store = RedisStore::connect_with(&server.url(), options).await.unwrap();
        let limiter = front(&store, Quota::per_day(BURST), FrontOptions::default().breaker(None));
        for _ in 0..64 {
            let (limiter, granted, failed, stop) = (limiter.clone(), granted.clone(), failed.clone(), stop.clone());
            tasks.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    match limiter.check("ada").await {
                        Ok(answer) if answer.is_allowed() => granted.fetch_add(1, Ordering::SeqCst),
                        Ok(_) => return,
                        Err(_) => failed.fetch_add(1, Ordering::SeqCst),
                    };
                }
            });
        }
    }
    let mut broken = 0;
    while granted.load(Ordering::SeqCst) < BURST && !tasks.is_empty() && broken < 30 {
        server.call(&["SCRIPT", "FLUSH"]).unwrap();
        server.call(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
        broken += 1;
        while tasks.try_join_next().is_some() {}
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    // Whatever the day's refill adds in the seconds this takes.
    soon("all are denied in the end", async { while tasks.join_next().await.is_some() {} }).await;
    let (granted, failed) = (granted.load(Ordering::SeqCst), failed.load(Ordering::SeqCst));
    assert!(granted <= BURST + 5, "{granted} of {BURST}");
    assert!(granted + failed >= BURST, "{granted} were granted and {failed} failed: the rest was lost");
    assert!(broken > 0);
}

fn script(name: &str) -> &'static Script {
    redis_ratelimit::SCRIPTS.iter().find(|script| script.name() == name).expect("a script of ours")
}

/// A run of checks: of which bucket, for how many units, and how many of them.
type Run = (usize, i64, i64);

async fn many(backend: &Backend, keys: &[String], fixed: [i64; 4], runs: &[Run]) -> Result<Reply, ErrorKind> {
    let keys: Vec<&str> = runs.iter().map(|(bucket, ..)| &*keys[*bucket]).collect();
    let args: Vec<Arg<'_>> =
        fixed.into_iter().chain(runs.iter().flat_map(|run| [run.1, run.2])).map(Arg::Int).collect();
    backend.run(script("redis-ratelimit/check_many"), &keys, &args).await.map_err(|error| error.kind())
}

/// The same, one by one: the room before each run.
async fn singles(backend: &Backend, keys: &[String], fixed: [i64; 4], runs: &[Run]) -> Vec<Reply> {
    let [capacity, rate, ttl, now] = fixed;
    let mut rooms = Vec::new();
    for (bucket, cost, count) in runs {
        let ask = |cost: i64| async move {
            let args = [capacity, cost, rate, ttl, now].map(Arg::Int);
            backend.run(script("redis-ratelimit/check"), &[&keys[*bucket]], &args).await
        };
        rooms.push(match ask(0).await {
            Ok(room) => room,
            Err(error) if error.kind() == ErrorKind::Corrupt => Reply::Bytes("CORRUPT".into()),
            Err(error) if error.kind() == ErrorKind::WrongType => Reply::Bytes("WRONGTYPE".into()),
            Err(error) => panic!("{error}"),
        });
        for _ in 0..*count {
            drop(ask(*cost).await);
        }
    }
    rooms
}

#[test]
fn many_checks_are_as_many_single_ones_on_a_server_and_on_the_twin() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let redis = runtime.block_on(Backend::redis(""));
    let memory = Backend::memory();
    let case = AtomicU64::new(0);
    let quotas = prop::sample::select(vec![
        (10, 7, 3),
        (1_000_000, 100_000, 1),
        ((1 << 52) - 1, 999_983, 7),
        (6_999_881, 999_983, 1_000_003),
        (1 << 52, 1 << 50, 1),
    ]);
    let content =
        prop::sample::select(vec!["garbage", "", "12:", ":3", "1700000000500000:3", "99999999999999999999999"]);
    let run = (0usize..3, 0i64..4, 1i64..7);
    let step = prop_oneof![
        12 => (0i64..400_000_000, prop::collection::vec(run, 1..9)).prop_map(|(time, runs)| (time, runs, None)),
        1 => (0usize..3, content).prop_map(|(bucket, content)| (0, vec![(bucket, 1, 1)], Some(content))),
    ];
    proptest!(ProptestConfig { source_file: Some(file!()), ..cases(40) }, |(
        (capacity, per_unit, rate) in quotas,
        steps in prop::collection::vec(step, 1..20),
    )| {
        let case = case.fetch_add(1, Ordering::Relaxed);
        let keys = ["a", "b", "c"].map(|bucket| format!("{{{case}}}{bucket}"));
        let alone = ["a", "b", "c"].map(|bucket| format!("{{{case}}}alone:{bucket}"));
        runtime.block_on(async {
            for (time, runs, content) in steps {
                for backend in [&redis, &memory] {
                    if let Some(content) = content {
                        for keys in [&keys, &alone] {
                            let key = &*keys[runs[0].0];
                            if content == "garbage" {
                                backend.store.delete(&[key]).await.unwrap();
                                backend.put_other_type(key).await;
                            } else {
                                backend.store.set(key, content.as_bytes(), Default::default()).await.unwrap();
                            }
                        }
                    }
                    // The clock runs, and jumps back and forth.
                    let fixed = [capacity, rate, 3_600_000, 1_700_000_000_000_000 + time];
                    let runs: Vec<Run> = runs.iter().map(|&(key, n, count)| (key, n * per_unit, count)).collect();
                    let together = many(backend, &keys, fixed, &runs).await;
                    prop_assert_eq!(together, Ok(Reply::Array(singles(backend, &alone, fixed, &runs).await)));
                    for (key, alone) in keys.iter().zip(&alone) {
                        let of = |key| async move { backend.store.get(key).await.map_err(|error| error.kind()) };
                        prop_assert_eq!(of(key).await, of(alone).await);
                    }
                }
                for key in &keys {
                    let of = |backend: &Backend| {
                        let store = backend.store.clone();
                        async move { store.get(key).await.map_err(|error| error.kind()) }
                    };
                    prop_assert_eq!(of(&redis).await, of(&memory).await, "the server and the twin");
                }
            }
            Ok(())
        })?;
    });
}

#[tokio::test]
async fn what_is_given_back_is_there_again_and_never_more_than_full() {
    for backend in [Backend::redis("").await, Backend::memory()] {
        let limiter = over(&backend, Quota::per_day(100));
        limiter.refund("ada", 5).await.unwrap();
        assert!(!backend.store.exists("ratelimit:{ada}").await.unwrap());
        limiter.check_n("ada", 60).await.unwrap();
        limiter.refund("ada", 20).await.unwrap();
        assert_eq!(limiter.limiter().peek("ada").await.unwrap().remaining(), 60);
        limiter.refund("ada", u64::MAX).await.unwrap();
        assert!(!backend.store.exists("ratelimit:{ada}").await.unwrap(), "an empty bucket is none");
        backend.store.set("ratelimit:{ada}", b"garbage", Default::default()).await.unwrap();
        assert_eq!(limiter.refund("ada", 1).await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn giving_back_is_the_same_on_a_server_and_on_the_twin() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (redis, memory) = (runtime.block_on(Backend::redis("")), Backend::memory());
    let case = AtomicU64::new(0);
    let step = (any::<bool>(), 0i64..4, 0i64..400_000);
    proptest!(ProptestConfig { source_file: Some(file!()), ..cases(60) }, |(
        (capacity, per_unit, rate) in prop::sample::select(vec![(21, 7, 3), (1_000_000, 100_000, 1), (1 << 52, 1 << 50, 1)]),
        steps in prop::collection::vec(step, 1..30),
    )| {
        let key = format!("bucket:{}", case.fetch_add(1, Ordering::Relaxed));
        runtime.block_on(async {
            for (gives, units, time) in steps {
                let name = if gives { "redis-ratelimit/refund" } else { "redis-ratelimit/check" };
                let args = [capacity, units * per_unit, rate, 3_600_000, 1_700_000_000_000_000 + time].map(Arg::Int);
                let mut seen = Vec::new();
                for backend in [&redis, &memory] {
                    let reply = backend.run(script(name), &[&key], &args).await.unwrap();
                    seen.push((reply, backend.store.get(&key).await.unwrap()));
                }
                prop_assert_eq!(&seen[0], &seen[1]);
            }
            Ok(())
        })?;
    });
}

#[tokio::test]
async fn a_lone_caller_pays_for_no_batch() {
    let (way, memory) = (Way::default(), MemoryStore::new());
    let limiter = limiter(&way.to(&memory), Quota::per_day(10));
    let front = FrontLimiter::new(limiter, FrontOptions::default()).unwrap();
    for count in 1..10 {
        front.check("ada").await.unwrap();
        assert_eq!(way.calls(), count);
    }
}
