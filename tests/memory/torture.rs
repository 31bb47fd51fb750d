//! Waits are dropped at every poll while elements come: each element is taken once, or still there.

use kv_core::{BlockingStore, End, KvStore, MemoryStore};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

const WAIT: Duration = Duration::from_secs(3600);
const LISTS: [&str; 3] = ["a", "b", "c"];

/// A wait of either kind; what it takes off the lists, if it does.
type Wait<'a> = Pin<Box<dyn Future<Output = Option<String>> + 'a>>;

fn poll(wait: &mut Wait<'_>) -> Poll<Option<String>> {
    wait.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn text(element: &[u8]) -> String {
    String::from_utf8(element.to_vec()).unwrap()
}

async fn pop(store: &MemoryStore, keys: &[&str], end: End) -> Option<String> {
    store.pop(keys, end, WAIT).await.unwrap().map(|(_, element)| text(&element))
}

async fn drain(store: &MemoryStore) -> Vec<String> {
    let mut left = Vec::new();
    while let Some((_, element)) = store.pop(&LISTS, End::Front, Duration::ZERO).await.unwrap() {
        left.push(text(&element));
    }
    left
}

#[tokio::test]
async fn a_wait_dropped_after_any_poll_leaves_the_element_to_the_next_or_in_place() {
    for polls in 0..4 {
        for granted_after in 0..=polls {
            for next_waits in [false, true] {
                let store = MemoryStore::new();
                let mut first: Wait<'_> = Box::pin(pop(&store, &["a"], End::Back));
                let mut taken = None;
                for at in 0..polls {
                    if at == granted_after {
                        store.push("a", End::Back, &[b"1"]).await.unwrap();
                    }
                    if let Poll::Ready(element) = poll(&mut first) {
                        taken = element;
                        break;
                    }
                }
                let mut next: Wait<'_> = Box::pin(pop(&store, &["b", "a"], End::Back));
                if granted_after == polls {
                    if next_waits {
                        assert!(poll(&mut next).is_pending());
                    }
                    // Granted, where it waits, and not polled again.
                    store.push("a", End::Back, &[b"1"]).await.unwrap();
                }
                drop(first);
                // Whoever is next has it at once; or it was taken, and only once.
                let next = poll(&mut next);
                assert_eq!(next.is_ready(), taken.is_none(), "{polls} {granted_after}");
                assert_eq!(drain(&store).await, [""; 0]);
            }
        }
    }
}

#[tokio::test]
async fn random_polls_pushes_and_drops_lose_and_double_nothing() {
    for seed in 0..200 {
        let (store, mut random) = (MemoryStore::new(), StdRng::seed_from_u64(seed));
        let (mut waits, mut taken, mut pushed) = (Vec::<Wait<'_>>::new(), Vec::new(), 0);
        for _ in 0..300 {
            let list = LISTS[random.random_range(0..3)];
            let (start, end) = if random.random() { (End::Front, End::Back) } else { (End::Back, End::Front) };
            let at = random.random_range(0..waits.len().max(1));
            match random.random_range(0..8) {
                0 | 1 => {
                    let elements: Vec<String> =
                        (0..random.random_range(1..3)).map(|nth| (pushed + nth).to_string()).collect();
                    pushed += elements.len();
                    let elements: Vec<&[u8]> = elements.iter().map(String::as_bytes).collect();
                    store.push(list, end, &elements).await.unwrap();
                }
                2 => {
                    let store = &store;
                    waits.push(Box::pin(async move { pop(store, &[list, "b"], start).await }));
                }
                3 => {
                    let to = LISTS[random.random_range(0..3)];
                    let store = &store;
                    waits.push(Box::pin(async move {
                        // What is moved stays on the lists.
                        store.move_to((list, start), (to, end), WAIT).await.unwrap();
                        None
                    }));
                }
                4 => drop((at < waits.len()).then(|| waits.swap_remove(at))),
                _ => {
                    if let Some(Poll::Ready(element)) = waits.get_mut(at).map(poll) {
                        taken.extend(element);
                        drop(waits.swap_remove(at));
                    }
                }
            }
        }
        drop(waits);
        taken.extend(drain(&store).await);
        let all: BTreeSet<&String> = taken.iter().collect();
        assert_eq!((all.len(), taken.len()), (pushed, pushed), "seed {seed}");
        // Nobody is left who would take this.
        store.push("a", End::Back, &[b"last"]).await.unwrap();
        assert_eq!(drain(&store).await, ["last"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_dropped_on_another_thread_lose_nothing() {
    const ELEMENTS: usize = 4_000;
    let (store, dropped) = (MemoryStore::new(), std::sync::Arc::new(AtomicU32::new(0)));
    let takers: Vec<_> = (0..4)
        .map(|_| {
            let (store, dropped) = (store.clone(), dropped.clone());
            tokio::spawn(async move {
                let mut taken = Vec::new();
                while !store.exists("done").await.unwrap() {
                    let yields = rand::random_range(0..4);
                    tokio::select! {
                        biased;
                        () = async { for _ in 0..yields { tokio::task::yield_now().await } } => {
                            dropped.fetch_add(1, Ordering::Relaxed);
                        }
                        element = pop(&store, &["a"], End::Front) => taken.extend(element),
                    }
                }
                taken
            })
        })
        .collect();
    for at in 0..ELEMENTS {
        store.push("a", End::Back, &[at.to_string().as_bytes()]).await.unwrap();
        tokio::task::yield_now().await;
    }
    store.push("done", End::Back, &[b""]).await.unwrap();
    let mut all = Vec::new();
    for taker in takers {
        all.extend(taker.await.unwrap());
    }
    assert!(!all.is_empty() && dropped.load(Ordering::Relaxed) > 0);
    all.extend(drain(&store).await);
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (ELEMENTS, ELEMENTS));
}
