use super::*;
use std::time::Duration;
use tokio::time::{advance, pause};

const HOUR: Duration = Duration::from_secs(3600);

fn near(options: NearOptions) -> Near<String, u8> {
    options.check().expect("valid options");
    Near::new(options)
}

fn plain() -> Near<String, u8> {
    near(NearOptions::default())
}

fn put(near: &Near<String, u8>, key: &str, value: &str, ttl: Duration) -> bool {
    let epoch = near.epoch(key);
    near.insert(key, epoch, Some(Arc::new(value.into())), value.len(), Instant::now() + ttl, 7)
}

fn read(near: &Near<String, u8>, key: &str) -> Option<String> {
    near.get(key).map(|hit| hit.value.map_or("absent".into(), |value| (*value).clone()))
}

#[tokio::test(start_paused = true)]
async fn what_is_put_in_comes_back_as_it_is() {
    let near = plain();
    assert_eq!(read(&near, "key"), None);
    let value = Arc::new("value".to_owned());
    let (epoch, deadline) = (near.epoch("key"), Instant::now() + HOUR);
    assert!(near.insert("key", epoch, Some(value.clone()), 5, deadline, 3));
    let hit = near.get("key").expect("a hit");
    assert!(Arc::ptr_eq(&hit.value.expect("a value"), &value), "neither decoded nor copied");
    assert_eq!((hit.meta, hit.now), (3, Instant::now()));
    assert!(near.insert("null", near.epoch("null"), None, 0, deadline, 3));
    assert_eq!(read(&near, "null").as_deref(), Some("absent"));
    assert_eq!(read(&near, "other"), None);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_served_from_its_deadline_on() {
    let near = plain();
    assert!(put(&near, "key", "value", Duration::from_secs(10)));
    advance(Duration::from_millis(9_999)).await;
    assert!(read(&near, "key").is_some());
    advance(Duration::from_millis(1)).await;
    assert_eq!(near.len(), 1);
    assert_eq!(read(&near, "key"), None);
    assert_eq!((near.len(), near.bytes()), (0, 0), "and it is gone");
    assert!(put(&near, "key", "value", HOUR));
    assert!(!put(&near, "key", "younger", Duration::ZERO), "too late already");
    assert_eq!(read(&near, "key"), None, "and no older one in its place");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_older_than_the_maximum_age() {
    let near = near(NearOptions::default().max_age(Duration::from_secs(2)));
    assert!(put(&near, "key", "value", HOUR));
    advance(Duration::from_millis(1_999)).await;
    assert!(read(&near, "key").is_some());
    advance(Duration::from_millis(1)).await;
    assert_eq!(read(&near, "key"), None);
}

#[tokio::test(start_paused = true)]
async fn the_longest_ages_overflow_nothing() {
    let near = near(NearOptions::default().max_age(Duration::MAX).while_link_down(WhileLinkDown::Cap(Duration::MAX)));
    assert!(put(&near, "key", "value", HOUR));
    near.link_down(Teller::Caches);
    assert!(put(&near, "other", "value", HOUR));
    assert!(read(&near, "key").is_some() && read(&near, "other").is_some());
}

#[test]
fn what_was_asked_before_an_invalidation_is_not_put_in() {
    let near = plain();
    let (epoch, deadline) = (near.epoch("key"), Instant::now() + HOUR);
    near.forget("key");
    assert!(!near.insert("key", epoch, None, 0, deadline, 0));
    assert!(near.get("key").is_none());
    let epoch = near.epoch("key");
    near.clear();
    assert!(!near.insert("key", epoch, None, 0, deadline, 0), "forgetting all is forgetting each");
    assert!(near.insert("key", near.epoch("key"), None, 0, deadline, 0), "the next one is");
}

#[test]
fn forgetting_a_key_leaves_others() {
    let near = plain();
    for key in 0..1000 {
        assert!(put(&near, &key.to_string(), "value", HOUR));
    }
    near.forget("500");
    let left = (0..1000).filter(|key| near.get(&key.to_string()).is_some()).count();
    assert_eq!((left, near.len()), (999, 999));
    near.clear();
    assert_eq!((near.len(), near.bytes()), (0, 0));
}

#[test]
fn memory_is_bounded_and_what_is_used_stays() {
    for max_bytes in [50_000, 3_000_000] {
        let near = near(NearOptions::default().max_bytes(max_bytes));
        let value = "x".repeat(200);
        for key in 0..50_000 {
            put(&near, &key.to_string(), &value, HOUR);
            put(&near, "hot", &value, HOUR);
            assert!(near.get("hot").is_some());
            assert!(near.bytes() <= max_bytes as u64, "{} bytes of {max_bytes}", near.bytes());
        }
        assert!(near.bytes() > max_bytes as u64 / 2, "{} bytes of {max_bytes}", near.bytes());
        let kept = near.len() as u64;
        assert_eq!(near.evictions(), 50_001 - kept, "{} evicted, {kept} kept", near.evictions());
    }
}

#[test]
fn a_value_too_heavy_is_not_kept_and_its_predecessor_neither() {
    let near = near(NearOptions::default().max_bytes(10_000));
    assert!(put(&near, "key", "light", HOUR));
    let (epoch, deadline) = (near.epoch("key"), Instant::now() + HOUR);
    for bytes in [20_000, usize::MAX] {
        assert!(!near.insert("key", epoch, Some(Arc::new("heavy".into())), bytes, deadline, 0));
        assert_eq!(read(&near, "key"), None);
    }
    assert_eq!(near.bytes(), 0);
    let heavy = "x".repeat(9_000);
    assert!(put(&near, "key", &heavy, HOUR));
    assert!(read(&near, "key").is_some());
}

#[tokio::test(start_paused = true)]
async fn without_a_link_nothing_is_served() {
    let near = plain();
    assert!(put(&near, "key", "value", HOUR));
    let asked = near.epoch("key");
    near.link_down(Teller::Caches);
    assert_eq!(read(&near, "key"), None);
    assert!(!put(&near, "key", "value", HOUR));
    near.link_up(Teller::Caches);
    assert_eq!(read(&near, "key"), None, "an invalidation may have been missed");
    assert!(!near.insert("key", asked, None, 0, Instant::now() + HOUR, 0), "the same for what was asked before");
    assert!(put(&near, "key", "value", HOUR));
    assert!(read(&near, "key").is_some());
}

#[tokio::test(start_paused = true)]
async fn without_a_link_what_is_served_is_of_a_capped_age() {
    let near = near(NearOptions::default().while_link_down(WhileLinkDown::Cap(Duration::from_secs(5))));
    assert!(put(&near, "before", "value", HOUR));
    advance(Duration::from_secs(20)).await;
    near.link_down(Teller::Caches);
    advance(Duration::from_secs(4)).await;
    near.link_down(Teller::Caches);
    assert!(put(&near, "during", "value", HOUR));
    assert!(read(&near, "before").is_some());
    advance(Duration::from_secs(1)).await;
    assert_eq!(read(&near, "before"), None, "5 s after the link went down, whoever said so again");
    advance(Duration::from_millis(3_999)).await;
    assert!(read(&near, "during").is_some());
    advance(Duration::from_millis(1)).await;
    assert_eq!(read(&near, "during"), None, "5 s after it came");
    near.link_up(Teller::Caches);
    assert!(put(&near, "after", "value", HOUR));
    advance(Duration::from_secs(30)).await;
    assert!(read(&near, "after").is_some());
}

#[tokio::test]
async fn time_may_stop_at_any_moment() {
    pause();
    let near = plain();
    assert!(put(&near, "key", "value", Duration::from_secs(30)));
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(read(&near, "key"), None);
}

#[test]
fn a_value_whose_drop_panics_breaks_nothing() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("dropped");
            }
        }
    }
    let near: Near<Bomb, ()> = Near::new(NearOptions::default().max_bytes(1_000));
    let put = |key: &str, bytes: usize| {
        let deadline = Instant::now() + HOUR;
        near.insert(key, near.epoch(key), Some(Arc::new(Bomb)), bytes, deadline, ())
    };
    let caught = |run: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err();
    for key in 0..100 {
        caught(&|| assert!(put(&key.to_string(), if key % 10 == 0 { 700 } else { 10 })));
        caught(&|| assert!(put("again", 10)));
    }
    caught(&|| near.forget("again"));
    let tries = (0..1000).take_while(|_| caught(&|| near.clear())).count();
    assert!(tries < 1000 && near.get("again").is_none() && near.len() == 0);
}

#[test]
fn options_that_can_never_work_are_refused_by_name() {
    let refused = |options: NearOptions, field: &str| {
        let error = options.check().expect_err(field);
        assert!(error.to_string().contains(field), "{error}");
    };
    assert!(NearOptions::default().check().is_ok());
    refused(NearOptions::default().max_bytes(0), "max_bytes");
    refused(NearOptions::default().max_age(Duration::ZERO), "max_age");
    refused(NearOptions::default().while_link_down(WhileLinkDown::Cap(Duration::ZERO)), "while_link_down");
}

/// What an entry takes by itself is no guess.
#[test]
fn an_entry_weighs_what_it_takes() {
    let near = plain();
    for key in 0..20_000 {
        put(&near, &format!("{key:010}"), "", HOUR);
    }
    let used = near.map.memory_used().total() + 20_000 * (10 + 16 + size_of::<String>() + 2 * ALLOCATION);
    let weighed = near.bytes() as usize;
    assert!(weighed.abs_diff(used) < used / 3, "weighed {weighed}, used {used}");
}

/// What an allocator adds to an allocation.
const ALLOCATION: usize = 8;

#[tokio::test(start_paused = true)]
async fn the_link_is_up_once_everybody_is_heard() {
    let near = plain();
    near.link_down(Teller::Caches);
    near.link_down(Teller::Store);
    for (first, second) in [(Teller::Caches, Teller::Store), (Teller::Store, Teller::Caches)] {
        near.link_up(first);
        assert!(!put(&near, "key", "value", HOUR), "{second:?} is not heard");
        near.link_up(second);
        assert!(put(&near, "key", "value", HOUR) && read(&near, "key").is_some());
        near.link_down(second);
        near.link_down(first);
        assert_eq!(read(&near, "key"), None);
    }
}
