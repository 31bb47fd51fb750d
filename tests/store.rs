use crate::backend::{Backend, on_every_backend};
use kv_core::{Condition, ErrorKind, Executed, KvStore, KvStoreExt, Limits, MemoryStore, Raw, SetOptions, Ttl};
use kv_redis::{RedisOptions, RedisStore};
use std::{sync::Arc, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);

macro_rules! behaviours {
    ($($name:ident),* $(,)?) => {
        on_every_backend!($($name),*);
        on_every_backend!(@layers $($name),*);
    };
}

behaviours!(
    values_come_back_byte_for_byte,
    conditions_decide_whether_a_set_writes,
    a_set_replaces_the_ttl,
    ttl_tells_missing_unlimited_and_remaining,
    keys_expire,
    counters_add_and_keep_their_ttl,
    a_counter_refuses_what_is_no_integer,
    mget_keeps_the_order_of_the_keys,
    mset_writes_all_with_their_ttl,
    delete_counts_what_was_there,
    another_type_of_value_is_an_error,
    input_that_can_never_work_is_refused,
    typed_values_go_through_a_codec,
);

async fn values_come_back_byte_for_byte(backend: &Backend) {
    let store = &backend.store;
    let repetitive = b"0123456789".repeat(5000);
    for value in [&b""[..], b"plain", b"\x00\xff\r\n$5", b"\xf8KZ", b"\xf8KZ\x00x", b"\xf8KZ\x01x", &repetitive] {
        assert!(store.set("key", value, SetOptions::default()).await.unwrap());
        assert_eq!(store.get("key").await.unwrap().unwrap(), value);
    }
    assert_eq!(store.get("absent").await.unwrap(), None);
    assert!(store.exists("key").await.unwrap());
    assert!(!store.exists("absent").await.unwrap());
    let odd = "spaces, {braces}, ümlaut\n";
    store.set(odd, b"x", SetOptions::default()).await.unwrap();
    assert_eq!(store.get(odd).await.unwrap().unwrap(), "x");
}

async fn conditions_decide_whether_a_set_writes(backend: &Backend) {
    let store = &backend.store;
    let if_present = SetOptions::default().condition(Condition::IfPresent);
    let if_absent = SetOptions::default().condition(Condition::IfAbsent);
    assert!(!store.set("key", b"1", if_present).await.unwrap());
    assert_eq!(store.get("key").await.unwrap(), None);
    assert!(store.set("key", b"2", if_absent).await.unwrap());
    assert!(!store.set("key", b"3", if_absent).await.unwrap());
    assert!(store.set("key", b"4", if_present).await.unwrap());
    assert_eq!(store.get("key").await.unwrap().unwrap(), "4");
    assert!(!store.set_nx_px("key", b"5", MINUTE).await.unwrap());
    assert_eq!(store.ttl("key").await.unwrap(), Ttl::Unlimited);
}

async fn a_set_replaces_the_ttl(backend: &Backend) {
    let store = &backend.store;
    store.set_px("key", b"1", MINUTE).await.unwrap();
    assert!(matches!(store.ttl("key").await.unwrap(), Ttl::Remaining(left) if left <= MINUTE));
    store.set("key", b"2", SetOptions::default()).await.unwrap();
    assert_eq!(store.ttl("key").await.unwrap(), Ttl::Unlimited);
}

async fn ttl_tells_missing_unlimited_and_remaining(backend: &Backend) {
    let store = &backend.store;
    assert_eq!(store.ttl("key").await.unwrap(), Ttl::Missing);
    assert!(!store.expire("key", MINUTE).await.unwrap());
    store.set("key", b"1", SetOptions::default()).await.unwrap();
    assert_eq!(store.ttl("key").await.unwrap(), Ttl::Unlimited);
    assert!(store.expire("key", MINUTE).await.unwrap());
    let Ttl::Remaining(left) = store.ttl("key").await.unwrap() else { panic!("has a ttl") };
    assert!(left <= MINUTE && left > MINUTE / 2);
}

async fn keys_expire(backend: &Backend) {
    let store = &backend.store;
    store.set_px("key", b"1", Duration::from_millis(20)).await.unwrap();
    store.mset(&[("many", b"1")], Some(Duration::from_micros(1))).await.unwrap();
    backend.pass(Duration::from_millis(25)).await;
    assert_eq!(store.get("key").await.unwrap(), None);
    assert_eq!(store.get("many").await.unwrap(), None);
    assert_eq!(store.delete(&["key", "many"]).await.unwrap(), 0);
    assert!(store.set_nx_px("key", b"2", MINUTE).await.unwrap());
}

async fn counters_add_and_keep_their_ttl(backend: &Backend) {
    let store = &backend.store;
    assert_eq!(store.incr_by("counter", 5).await.unwrap(), 5);
    assert_eq!(store.incr_by("counter", -7).await.unwrap(), -2);
    assert_eq!(store.get("counter").await.unwrap().unwrap(), "-2");
    assert_eq!(store.ttl("counter").await.unwrap(), Ttl::Unlimited);
    store.expire("counter", MINUTE).await.unwrap();
    assert_eq!(store.incr_by("counter", 0).await.unwrap(), -2);
    assert!(matches!(store.ttl("counter").await.unwrap(), Ttl::Remaining(_)));
}

async fn a_counter_refuses_what_is_no_integer(backend: &Backend) {
    let store = &backend.store;
    for value in ["ten", "", "1.5", " 1", "01", "+1", "9223372036854775808"] {
        store.set("key", value.as_bytes(), SetOptions::default()).await.unwrap();
        let error = store.incr_by("key", 1).await.unwrap_err();
        assert_eq!((error.kind(), error.executed()), (ErrorKind::WrongType, Executed::No), "{value:?}: {error}");
        assert_eq!(store.get("key").await.unwrap().unwrap(), value);
    }
    store.set("key", i64::MAX.to_string().as_bytes(), SetOptions::default()).await.unwrap();
    assert_eq!(store.incr_by("key", 1).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(store.incr_by("key", -1).await.unwrap(), i64::MAX - 1);
}

async fn mget_keeps_the_order_of_the_keys(backend: &Backend) {
    let store = &backend.store;
    store.set("a", b"1", SetOptions::default()).await.unwrap();
    store.set("b", b"", SetOptions::default()).await.unwrap();
    backend.put_other_type("hash").await;
    let values = store.mget(&["b", "absent", "a", "b", "hash"]).await.unwrap();
    assert_eq!(values, [Some("".into()), None, Some("1".into()), Some("".into()), None]);
    assert!(store.mget(&[]).await.unwrap().is_empty());
}

async fn mset_writes_all_with_their_ttl(backend: &Backend) {
    let store = &backend.store;
    let long = b"long ".repeat(1000);
    store.mset(&[("a", b"1"), ("b", &long), ("a", b"2")], Some(MINUTE)).await.unwrap();
    assert_eq!(store.mget(&["a", "b"]).await.unwrap(), [Some("2".into()), Some(long.into())]);
    assert!(matches!(store.ttl("b").await.unwrap(), Ttl::Remaining(left) if left <= MINUTE));
    store.mset(&[("a", b"3")], None).await.unwrap();
    assert_eq!(store.ttl("a").await.unwrap(), Ttl::Unlimited);
    store.mset(&[], Some(MINUTE)).await.unwrap();
}

async fn delete_counts_what_was_there(backend: &Backend) {
    let store = &backend.store;
    store.mset(&[("a", b"1"), ("b", b"2")], None).await.unwrap();
    backend.put_other_type("hash").await;
    assert_eq!(store.delete(&["a", "absent", "a", "hash"]).await.unwrap(), 2);
    assert_eq!(store.delete(&[]).await.unwrap(), 0);
    assert_eq!(store.mget(&["a", "b"]).await.unwrap(), [None, Some("2".into())]);
}

async fn another_type_of_value_is_an_error(backend: &Backend) {
    let store = &backend.store;
    backend.put_other_type("hash").await;
    for error in [store.get("hash").await.unwrap_err(), store.incr_by("hash", 1).await.unwrap_err()] {
        assert_eq!((error.kind(), error.executed()), (ErrorKind::WrongType, Executed::No), "{error}");
        assert!(!error.is_retryable());
    }
    assert!(store.exists("hash").await.unwrap());
    assert!(store.set("hash", b"string", SetOptions::default()).await.unwrap(), "a set replaces any type");
}

async fn input_that_can_never_work_is_refused(backend: &Backend) {
    let store = &backend.store;
    let none = SetOptions::default();
    let zero = none.ttl(Duration::ZERO);
    let errors = [
        ("get", store.get("").await.unwrap_err()),
        ("set", store.set("", b"", none).await.unwrap_err()),
        ("set", store.set("key", b"", zero).await.unwrap_err()),
        ("set", store.set("key", b"", none.ttl(Duration::MAX)).await.unwrap_err()),
        ("delete", store.delete(&["key", ""]).await.unwrap_err()),
        ("exists", store.exists("").await.unwrap_err()),
        ("ttl", store.ttl("").await.unwrap_err()),
        ("expire", store.expire("", MINUTE).await.unwrap_err()),
        ("expire", store.expire("key", Duration::ZERO).await.unwrap_err()),
        ("incr_by", store.incr_by("", 1).await.unwrap_err()),
        ("mget", store.mget(&["", "key"]).await.unwrap_err()),
        ("mset", store.mset(&[("key", b""), ("", b"")], None).await.unwrap_err()),
        ("mset", store.mset(&[("key", b"")], Some(Duration::ZERO)).await.unwrap_err()),
        ("publish", store.pubsub().unwrap().publish("", b"").await.unwrap_err()),
        ("subscribe", store.pubsub().unwrap().subscribe(&[]).await.unwrap_err()),
        ("subscribe", store.pubsub().unwrap().subscribe(&[""]).await.unwrap_err()),
    ];
    for (operation, error) in errors {
        assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidInput, operation), "{error}");
        assert_eq!(error.executed(), Executed::No);
    }
    assert!(!store.exists("key").await.unwrap());
}

async fn typed_values_go_through_a_codec(backend: &Backend) {
    let store = &backend.store;
    let value = ("kettle".to_owned(), 42_u32);
    store.set_as("key", &value, &kv_core::Json, SetOptions::default()).await.unwrap();
    assert_eq!(store.get_as("key", &kv_core::Json).await.unwrap(), Some(value));
    assert_eq!(store.get_as("key", &Raw).await.unwrap().unwrap(), "[\"kettle\",42]");
    let error = store.get_as::<u32>("key", &kv_core::Json).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(!format!("{error:?}").contains("kettle"), "an error shows no value");
}

#[tokio::test]
async fn an_oversized_value_is_refused_before_it_is_sent() {
    let limits = Limits::default().max_value_bytes(10);
    let redis = Backend::redis("").await;
    let url = redis.server.as_ref().unwrap().url();
    let small = RedisStore::connect_with(&url, RedisOptions::default().limits(limits)).await.unwrap();
    let stores: [Arc<dyn KvStore>; 2] = [Arc::new(MemoryStore::new().with_limits(limits)), Arc::new(small)];
    for store in stores {
        assert!(store.set("key", b"0123456789", SetOptions::default()).await.unwrap());
        let large = b"0123456789a";
        let errors = [
            store.set("key", large, SetOptions::default()).await.unwrap_err(),
            store.mset(&[("key", large)], None).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().ends_with("value of 11 bytes, limit 10"), "{error}");
        }
        assert_eq!(store.get("key").await.unwrap().unwrap(), "0123456789");
    }
}

#[tokio::test]
async fn memory_counts_live_keys_only() {
    let store = MemoryStore::new();
    for i in 0..10_000 {
        store.set_px(&format!("old:{i}"), b"x", Duration::from_millis(1)).await.unwrap();
    }
    store.clock().advance(Duration::from_secs(1));
    assert_eq!(store.len(), 0);
}
