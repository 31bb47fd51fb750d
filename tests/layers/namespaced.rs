//! Under a namespace everything is as without one, and nothing is outside of it.

use crate::backend::{Backend, on_every_backend, soon};
use kv_core::{
    Arg, AtomicBatch, Cursor, End, ErrorKind, KvStore, KvStoreExt, Limits, MemoryStore, Message, Namespaced, Reply,
    Result, Script, SetOptions, TwinContext,
};
use redis_cache::{Cache, CacheOptions};
use redis_lock::{LockManager, LockOptions, Release};
use redis_ratelimit::{Quota, RateLimitOptions, RateLimiter};
use std::{convert::Infallible, sync::Arc, time::Duration};

/// Everything that means something in a pattern.
const ODD: &str = r"a*?[b]\^-c";

on_every_backend!(
    keys_are_prefixed_and_nobody_sees_it,
    scripts_get_their_keys_prefixed_and_their_arguments_as_they_are,
    messages_come_with_the_names_they_were_asked_for,
    patterns_work_as_without_a_namespace,
    a_scan_and_lists_stay_within,
);

fn within(store: &Arc<dyn KvStore>, namespace: &str) -> Arc<dyn KvStore> {
    Arc::new(Namespaced::new(store.clone(), namespace).unwrap())
}

async fn keys_are_prefixed_and_nobody_sees_it(backend: &Backend) {
    let (bare, app, odd) = (&backend.store, within(&backend.store, "app"), within(&backend.store, ODD));
    app.mset(&[("a", b"1"), ("b", b"2")], None).await.unwrap();
    odd.set("a", b"3", SetOptions::default()).await.unwrap();
    assert_eq!(app.mget(&["b", "a", "c"]).await.unwrap(), [Some("2".into()), Some("1".into()), None]);
    assert_eq!(bare.get("app:a").await.unwrap().unwrap(), "1");
    assert_eq!(bare.get("a").await.unwrap(), None);
    assert_eq!(bare.get(&format!("{ODD}:a")).await.unwrap().unwrap(), "3");
    assert_eq!(app.incr_by("a", 1).await.unwrap(), 2);
    assert_eq!(app.delete(&["a", "b"]).await.unwrap(), 2);
    assert!(!app.exists("a").await.unwrap() && odd.exists("a").await.unwrap());
}

static BOTH: Script = Script::new("test/both", "redis.call('SET', KEYS[1], ARGV[1]) return ARGV[1]", both);

fn both(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let value = bytes::Bytes::from(args[0].to_bytes().into_owned());
    store.set(keys[0], value.clone(), None);
    Ok(Reply::Bytes(value))
}

async fn scripts_get_their_keys_prefixed_and_their_arguments_as_they_are(backend: &Backend) {
    let app = within(&backend.store, "app");
    let scripts = app.require_scripts("test").unwrap();
    let reply = scripts.run(&BOTH, &["{k}"], &["v".into()]).await.unwrap();
    assert_eq!(reply, Reply::Bytes("v".into()));
    assert_eq!(backend.store.get("app:{k}").await.unwrap().unwrap(), "v");
    if app.capabilities().lua {
        let reply = scripts.eval("return {KEYS[1], ARGV[1]}", &["{k}"], &["v".into()]).await.unwrap();
        assert_eq!(reply, Reply::Array(vec![Reply::Bytes(backend.name("app:{k}").into()), Reply::Bytes("v".into())]));
    }
}

static PUBLISH: Script = Script::new("test/publish", "return redis.call('PUBLISH', ARGV[1], 'script')", publish);

fn publish(store: &mut TwinContext<'_>, _: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let channel = String::from_utf8_lossy(&args[0].to_bytes()).into_owned();
    Ok(Reply::Int(store.publish(&channel, "script") as i64))
}

async fn messages_come_with_the_names_they_were_asked_for(backend: &Backend) {
    let inner = within(&within(&backend.store, "outer"), "inner");
    let pubsub = inner.require_pubsub("test").unwrap();
    let mut subscription = pubsub.subscribe(&["news"]).await.unwrap();
    pubsub.publish("news", b"layer").await.unwrap();
    backend.store.require_pubsub("test").unwrap().publish("outer:inner:news", b"bare").await.unwrap();
    let channel = pubsub.channel_name("news");
    assert_eq!(channel, backend.name("outer:inner:news"));
    let heard = inner.require_scripts("test").unwrap().run(&PUBLISH, &["k"], &[(&*channel).into()]).await.unwrap();
    if backend.store.capabilities().atomic_batch == AtomicBatch::All {
        assert_eq!(heard, Reply::Int(1), "a node of a cluster counts its own");
    }
    for payload in ["layer", "bare", "script"] {
        let message = soon("a message", subscription.next_message()).await.unwrap();
        assert_eq!(message, Message { channel: "news".into(), pattern: None, payload: payload.into() });
    }
}

async fn patterns_work_as_without_a_namespace(backend: &Backend) {
    let odd = within(&backend.store, ODD);
    let pubsub = odd.require_pubsub("test").unwrap();
    let mut subscription = pubsub.psubscribe(&["news.*"]).await.unwrap();
    // What the namespace would match if it were a pattern.
    let outside = backend.store.require_pubsub("test").unwrap();
    for channel in [r"axxb\^-c:news.x", "abcb:news.x", "news.x"] {
        assert_eq!(outside.publish(channel, b"no").await.unwrap(), 0, "{channel}");
    }
    pubsub.publish("olds.x", b"no").await.unwrap();
    pubsub.publish("news.x", b"yes").await.unwrap();
    let message = soon("a message", subscription.next_message()).await.unwrap();
    let expected = Message { channel: "news.x".into(), pattern: Some("news.*".into()), payload: "yes".into() };
    assert_eq!(message, expected);
}

async fn a_scan_and_lists_stay_within(backend: &Backend) {
    for namespace in ["app", ODD] {
        let store = within(&backend.store, namespace);
        let (scan, lists) = (store.require_scan("test").unwrap(), store.require_blocking("test").unwrap());
        store.mset(&[("a:1", b""), ("a:2", b""), ("b:1", b"")], None).await.unwrap();
        backend.store.mset(&[("a:3", b""), ("app2:a:4", b"")], None).await.unwrap();
        for (prefix, expected) in [("a:", vec!["a:1", "a:2"]), ("", vec!["a:1", "a:2", "b:1"])] {
            let (mut cursor, mut keys) = (Some(Cursor::start()), Vec::new());
            while let Some(at) = cursor {
                let page = scan.scan_page(prefix, &at, 100).await.unwrap();
                keys.extend(page.keys);
                cursor = page.next;
            }
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys, expected, "{namespace}");
        }
        lists.push("{q}", End::Back, &[b"1", b"2"]).await.unwrap();
        let popped = lists.pop(&["{q}other", "{q}"], End::Front, Duration::ZERO).await.unwrap();
        assert_eq!(popped, Some(("{q}".to_owned(), "1".into())));
        let moved = lists.move_to(("{q}", End::Front), ("{q}done", End::Back), Duration::ZERO).await.unwrap();
        assert_eq!(moved.unwrap(), "2");
        assert!(backend.store.exists(&format!("{namespace}:{{q}}done")).await.unwrap());
    }
}

#[tokio::test]
async fn an_empty_name_is_refused_though_it_is_none_beneath() {
    let store = Namespaced::new(Backend::redis("").await.store.clone(), "app").unwrap();
    let (pubsub, lists) = (store.require_pubsub("test").unwrap(), store.require_blocking("test").unwrap());
    let (none, end) = (SetOptions::default(), End::Front);
    let errors = [
        store.get("").await.err(),
        store.set("", b"", none).await.err(),
        store.delete(&["a", ""]).await.err(),
        store.exists("").await.err(),
        store.ttl("").await.err(),
        store.expire("", Duration::from_secs(1)).await.err(),
        store.incr_by("", 1).await.err(),
        store.mget(&[""]).await.err(),
        store.mset(&[("", b"")], None).await.err(),
        store.require_scripts("test").unwrap().run(&BOTH, &[""], &["v".into()]).await.err(),
        store.require_scripts("test").unwrap().eval("return 1", &[""], &[]).await.err(),
        pubsub.publish("", b"").await.err(),
        pubsub.subscribe(&[""]).await.err(),
        pubsub.subscribe(&[]).await.err(),
        pubsub.psubscribe(&[""]).await.err(),
        pubsub.psubscribe(&[]).await.err(),
        lists.push("", end, &[b"1"]).await.err(),
        lists.pop(&[""], end, Duration::ZERO).await.err(),
        lists.move_to(("", end), ("b", end), Duration::ZERO).await.err(),
        lists.move_to(("a", end), ("", end), Duration::ZERO).await.err(),
    ];
    for (at, error) in errors.into_iter().enumerate() {
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::InvalidInput), "case {at}");
    }
}

#[tokio::test]
async fn the_longest_key_is_shorter_by_the_prefix() {
    let mut limits = Limits::default();
    limits.max_key_bytes = 10;
    let store = Namespaced::new(MemoryStore::new().with_limits(limits), "app").unwrap();
    assert_eq!(store.capabilities().limits.max_key_bytes, 6);
    store.set("123456", b"", SetOptions::default()).await.unwrap();
    assert_eq!(store.get("1234567").await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// The patterns' keys go through their scripts, hash tags and all.
#[tokio::test]
async fn patterns_live_in_a_namespace() {
    for backend in [Backend::memory(), Backend::redis("").await] {
        let (app, other) = (within(&backend.store, "app"), within(&backend.store, "other"));
        let cache = |store: &Arc<dyn KvStore>| Cache::<String>::new(store.clone(), CacheOptions::default()).unwrap();
        for (store, value) in [(&app, "ours"), (&other, "theirs")] {
            let load = || async move { Ok::<_, Infallible>(Some(value.to_owned())) };
            assert_eq!(*cache(store).get_or_load("k", load).await.unwrap().unwrap(), value);
        }
        assert!(backend.store.exists("app:cache:{k}").await.unwrap());
        cache(&app).invalidate("k").await.unwrap();
        assert!(!backend.store.exists("app:cache:{k}").await.unwrap());
        assert!(backend.store.exists("other:cache:{k}").await.unwrap());

        let locks = |store: &Arc<dyn KvStore>| LockManager::new(store.clone(), LockOptions::default()).unwrap();
        let (ours, theirs) = (locks(&app), locks(&other));
        let guards =
            [ours.acquire("job", Duration::ZERO).await.unwrap(), theirs.acquire("job", Duration::ZERO).await.unwrap()];
        for guard in guards {
            assert_eq!(guard.release().await.unwrap(), Release::Released);
        }

        let limiter = RateLimiter::new(app, Quota::per_day(5), RateLimitOptions::default()).unwrap();
        limiter.check("ada").await.unwrap();
        assert_eq!(limiter.peek("ada").await.unwrap().remaining(), 4);
    }
}
