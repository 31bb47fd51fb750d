//! Lists: what they answer at once, on each backend, and random sequences on two of them side by side.

use crate::backend::{Backend, cases, on_every_backend};
use kv_core::{End, ErrorKind, KvStore, KvStoreExt, SetOptions, Ttl};
use proptest::{prelude::*, test_runner::TestRunner};
use std::time::Duration;

const NOW: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3600);

on_every_backend!(
    @one_server
    lists_and_strings_refuse_each_other,
    a_push_keeps_the_ttl_and_an_emptied_list_is_gone,
    a_move_within_a_list_keeps_it,
    input_that_can_never_work_is_refused,
);

async fn lists_and_strings_refuse_each_other(backend: &Backend) {
    let (store, lists) = (&backend.store, backend.store.require_blocking("test").unwrap());
    store.set("text", b"1", SetOptions::default()).await.unwrap();
    lists.push("list", End::Back, &[b"1"]).await.unwrap();
    let wrong = [
        store.get("list").await.unwrap_err(),
        store.incr_by("list", 1).await.unwrap_err(),
        lists.push("text", End::Back, &[b"1"]).await.unwrap_err(),
        lists.pop(&["absent", "text", "list"], End::Back, NOW).await.unwrap_err(),
        lists.move_to(("text", End::Front), ("list", End::Back), NOW).await.unwrap_err(),
        lists.move_to(("list", End::Front), ("text", End::Back), NOW).await.unwrap_err(),
    ];
    for (error, operation) in wrong.iter().zip(["get", "incr_by", "push", "pop", "move_to", "move_to"]) {
        assert_eq!((error.kind(), error.operation()), (ErrorKind::WrongType, operation), "{error}");
    }
    // Nothing to move: nobody looks at where it would go.
    assert_eq!(lists.move_to(("absent", End::Front), ("text", End::Back), NOW).await.unwrap(), None);
    assert_eq!(store.mget(&["list", "text"]).await.unwrap(), [None, Some("1".into())]);
    assert_eq!(lists.pop(&["list", "text"], End::Back, NOW).await.unwrap().unwrap().1, "1", "the first that has one");
    lists.push("list", End::Back, &[b"1"]).await.unwrap();
    store.set("list", b"text", SetOptions::default()).await.unwrap();
    assert_eq!(store.get("list").await.unwrap().unwrap(), "text");
}

async fn a_push_keeps_the_ttl_and_an_emptied_list_is_gone(backend: &Backend) {
    let (store, lists) = (&backend.store, backend.store.require_blocking("test").unwrap());
    assert_eq!(lists.push("list", End::Front, &[b"1", b"2", b"3"]).await.unwrap(), 3);
    assert_eq!(store.ttl("list").await.unwrap(), Ttl::Unlimited);
    assert!(store.expire("list", HOUR).await.unwrap());
    assert_eq!(lists.push("list", End::Back, &[b"4"]).await.unwrap(), 4);
    assert!(matches!(store.ttl("list").await.unwrap(), Ttl::Remaining(_)));
    for (end, expected) in [(End::Front, "3"), (End::Back, "4"), (End::Back, "1"), (End::Front, "2")] {
        assert!(store.exists("list").await.unwrap());
        assert_eq!(lists.pop(&["absent", "list"], end, NOW).await.unwrap(), Some(("list".into(), expected.into())));
    }
    assert_eq!(store.ttl("list").await.unwrap(), Ttl::Missing);
    lists.push("list", End::Back, &[b""]).await.unwrap();
    assert_eq!(store.ttl("list").await.unwrap(), Ttl::Unlimited, "a new list");
    assert!(store.expire("list", Duration::from_millis(30)).await.unwrap());
    backend.pass(Duration::from_millis(60)).await;
    assert_eq!(lists.pop(&["list"], End::Back, NOW).await.unwrap(), None);
}

async fn a_move_within_a_list_keeps_it(backend: &Backend) {
    let (store, lists) = (&backend.store, backend.store.require_blocking("test").unwrap());
    lists.push("list", End::Back, &[b"1"]).await.unwrap();
    assert!(store.expire("list", HOUR).await.unwrap());
    let turn = || lists.move_to(("list", End::Front), ("list", End::Back), NOW);
    assert_eq!(turn().await.unwrap().unwrap(), "1");
    assert!(matches!(store.ttl("list").await.unwrap(), Ttl::Remaining(_)));
    lists.push("list", End::Back, &[b"2"]).await.unwrap();
    assert_eq!(turn().await.unwrap().unwrap(), "1");
    assert_eq!(lists.pop(&["list"], End::Front, NOW).await.unwrap().unwrap().1, "2");
}

async fn input_that_can_never_work_is_refused(backend: &Backend) {
    let lists = backend.store.require_blocking("test").unwrap();
    let ages = Duration::from_secs(u64::MAX);
    for (error, expected) in [
        (lists.push("", End::Back, &[b"1"]).await.err(), "push: invalid input: key must not be empty"),
        (lists.push("list", End::Back, &[]).await.err(), "push: invalid input: no element given"),
        (lists.pop(&[], End::Back, NOW).await.err(), "pop: invalid input: no key given"),
        (lists.pop(&["list", ""], End::Back, NOW).await.err(), "pop: invalid input: key must not be empty"),
        (
            lists.move_to(("list", End::Back), ("", End::Back), NOW).await.err(),
            "move_to: invalid input: key must not be empty",
        ),
        (lists.pop(&["list"], End::Back, ages).await.err(), "pop: invalid input: ttl is longer than 2^50 milliseconds"),
    ] {
        assert_eq!(error.unwrap().to_string(), expected);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(u8, End, u8),
    Pop(u8, u8, End),
    Move(u8, End, u8, End),
    Set(u8, &'static str),
    Add(u8),
    Expire(u8),
    Delete(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (key, end) = (|| 0..3u8, || prop::sample::select(&[End::Front, End::Back][..]));
    let step = prop_oneof![
        4 => (key(), end(), 1..4u8).prop_map(|(key, end, count)| Step::Push(key, end, count)),
        3 => (key(), key(), end()).prop_map(|(first, second, end)| Step::Pop(first, second, end)),
        3 => (key(), end(), key(), end()).prop_map(|(from, start, to, end)| Step::Move(from, start, to, end)),
        1 => (key(), prop::sample::select(&["7", "text"][..])).prop_map(|(key, value)| Step::Set(key, value)),
        1 => key().prop_map(Step::Add),
        1 => key().prop_map(Step::Expire),
        2 => key().prop_map(Step::Delete),
    ];
    prop::collection::vec(step, 1..40)
}

/// Takes a step, and tells everything that can be seen of it.
async fn take(store: &dyn KvStore, at: usize, step: &Step) -> String {
    const KEYS: [&str; 3] = ["a", "b", "c"];
    let key = |which: u8| KEYS[usize::from(which)];
    let lists = store.blocking().unwrap();
    let reply = match *step {
        Step::Push(to, end, count) => {
            let elements: Vec<String> = (0..count).map(|nth| format!("{at}.{nth}")).collect();
            let elements: Vec<&[u8]> = elements.iter().map(String::as_bytes).collect();
            lists.push(key(to), end, &elements).await.map(|len| format!("{len}"))
        }
        Step::Pop(first, second, end) => {
            lists.pop(&[key(first), key(second)], end, NOW).await.map(|taken| format!("{taken:?}"))
        }
        Step::Move(from, start, to, end) => {
            lists.move_to((key(from), start), (key(to), end), NOW).await.map(|moved| format!("{moved:?}"))
        }
        Step::Set(to, value) => {
            store.set(key(to), value.as_bytes(), SetOptions::default()).await.map(|set| format!("{set}"))
        }
        Step::Add(to) => store.incr_by(key(to), 1).await.map(|sum| format!("{sum}")),
        Step::Expire(of) => store.expire(key(of), HOUR).await.map(|found| format!("{found}")),
        Step::Delete(of) => store.delete(&[key(of)]).await.map(|count| format!("{count}")),
    };
    let mut seen = format!("{:?}", reply.map_err(|error| (error.kind(), error.operation().to_owned())));
    for key in KEYS {
        let value = store.get(key).await.map_err(|error| error.kind());
        let ttl = matches!(store.ttl(key).await.unwrap(), Ttl::Remaining(_));
        seen += &format!(" {key}: {value:?} {ttl}");
    }
    seen
}

#[test]
fn random_sequences_have_the_same_answers_in_memory() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let redis = runtime.block_on(Backend::redis(""));
    let config = ProptestConfig { source_file: Some(file!()), ..cases(60) };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        runtime.block_on(async {
            let memory = Backend::memory();
            redis.store.delete(&["a", "b", "c"]).await.unwrap();
            for (at, step) in steps.iter().enumerate() {
                let (real, twin) = (take(&*redis.store, at, step).await, take(&*memory.store, at, step).await);
                prop_assert_eq!(real, twin, "{:?}", step);
            }
            Ok(())
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
