//! Waits for elements, begun one after the other in memory and on a server: the same calls bring the same elements to the same waits.

use crate::backend::{cases, eventually, patient, soon};
use kv_core::{
    End::{self, Back, Front},
    ErrorKind, KvStore, MemoryStore, SetOptions,
};
use kv_redis::{RedisStore, redis::cmd};
use proptest::{prelude::*, test_runner::TestRunner};
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Runtime,
    task::{JoinHandle, yield_now},
};
use xtask::fixture::Server;

const HOUR: Duration = Duration::from_secs(3600);

/// How many keys there are; the last is a string in the beginning.
const KEYS: usize = 4;

/// A wait; keys are numbers.
#[derive(Clone, Debug)]
enum Wait {
    Pop(Vec<usize>, End),
    Move((usize, End), (usize, End)),
}

/// What happens while they wait.
#[derive(Clone, Debug)]
enum Step {
    Push(usize, End, u8),
    Move((usize, End), (usize, End)),
    Set(usize),
    Delete(usize),
}

type Answer = Result<String, ErrorKind>;

/// One of the two sides.
struct Side {
    store: Arc<dyn KvStore>,
    keys: Vec<String>,
    waits: Vec<JoinHandle<Answer>>,
}

impl Side {
    async fn new(store: Arc<dyn KvStore>, case: u64) -> Self {
        let keys: Vec<String> = (0..KEYS).map(|key| format!("{{{case:x}}}:{key}")).collect();
        store.set(&keys[KEYS - 1], b"text", SetOptions::default()).await.unwrap();
        Self { store, keys, waits: Vec::new() }
    }

    fn begin(&mut self, wait: Wait) {
        let (store, keys) = (self.store.clone(), self.keys.clone());
        self.waits.push(tokio::spawn(async move {
            let (lists, name) = (store.blocking().unwrap(), |key: usize| keys[key].as_str());
            let answer = match wait {
                Wait::Pop(from, end) => {
                    let from: Vec<&str> = from.iter().map(|key| name(*key)).collect();
                    lists.pop(&from, end, HOUR).await.map(|taken| format!("{taken:?}"))
                }
                Wait::Move(from, to) => {
                    let moved = lists.move_to((name(from.0), from.1), (name(to.0), to.1), HOUR).await;
                    moved.map(|moved| format!("{moved:?}"))
                }
            };
            answer.map_err(|error| error.kind())
        }));
    }

    async fn take(&self, at: usize, step: &Step) -> Answer {
        let (lists, name) = (self.store.blocking().unwrap(), |key: usize| self.keys[key].as_str());
        let answer = match step {
            Step::Push(key, end, count) => {
                let elements: Vec<String> = (0..*count).map(|nth| format!("{at}.{nth}")).collect();
                let elements: Vec<&[u8]> = elements.iter().map(String::as_bytes).collect();
                lists.push(name(*key), *end, &elements).await.map(|length| format!("{length}"))
            }
            Step::Move(from, to) => {
                let moved = lists.move_to((name(from.0), from.1), (name(to.0), to.1), Duration::ZERO).await;
                moved.map(|moved| format!("{moved:?}"))
            }
            Step::Set(key) => self.store.set(name(*key), b"", SetOptions::default()).await.map(|set| format!("{set}")),
            Step::Delete(key) => self.store.delete(&[name(*key)]).await.map(|count| format!("{count}")),
        };
        answer.map_err(|error| error.kind())
    }

    /// What is left in the lists, which then is not.
    async fn left(&self) -> Vec<Answer> {
        let mut left = Vec::new();
        for key in &self.keys {
            // A server takes long to see that there is nothing to pop.
            while self.store.exists(key).await.unwrap() {
                let taken = self.store.blocking().unwrap().pop(&[key], Front, Duration::ZERO).await;
                left.push(taken.map(|taken| format!("{taken:?}")).map_err(|error| error.kind()));
                if left.last().is_some_and(Result::is_err) {
                    break;
                }
            }
        }
        left
    }
}

/// A case that fails leaves nobody waiting for the next.
impl Drop for Side {
    fn drop(&mut self) {
        self.waits.iter().for_each(JoinHandle::abort);
    }
}

struct Pair {
    runtime: Runtime,
    redis: RedisStore,
    _server: Server,
}

impl Pair {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server = Server::start().unwrap();
        let redis = runtime.block_on(RedisStore::connect_with(&server.url(), patient())).unwrap();
        Self { runtime, redis, _server: server }
    }

    fn compare(&self, waits: &[Wait], steps: &[Step]) -> Result<(), TestCaseError> {
        self.runtime.block_on(self.run(waits, steps))
    }

    /// How many calls wait on the server.
    async fn blocked(&self) -> usize {
        let info: String = cmd("INFO").arg("clients").query_async(&mut self.redis.connection()).await.unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("blocked_clients:")).unwrap();
        line.trim().parse().unwrap()
    }

    async fn run(&self, waits: &[Wait], steps: &[Step]) -> Result<(), TestCaseError> {
        eventually("nobody waits yet", || async { self.blocked().await == 0 }).await;
        let case = rand::random();
        let mut here = Side::new(Arc::new(MemoryStore::new()), case).await;
        let mut there = Side::new(Arc::new(self.redis.clone()), case).await;
        for (at, wait) in waits.iter().enumerate() {
            here.begin(wait.clone());
            there.begin(wait.clone());
            eventually("a wait begins", || async { self.blocked().await == at + 1 }).await;
        }
        for (at, step) in steps.iter().enumerate() {
            prop_assert_eq!(here.take(at, step).await, there.take(at, step).await, "{:?}", step);
            // Whoever was served comes for it.
            yield_now().await;
        }
        let waiting = here.waits.iter().filter(|wait| !wait.is_finished()).count();
        let (mut ended, mut blocked) = (Vec::new(), 0);
        eventually("the server has served", || async { self.blocked().await <= waiting }).await;
        for ((wait, here), there) in waits.iter().zip(&mut here.waits).zip(&mut there.waits) {
            if here.is_finished() {
                let there = soon("the same wait on the server", there).await.unwrap();
                ended.push((wait, here.await.unwrap(), there));
            } else {
                blocked += usize::from(!there.is_finished());
            }
        }
        for (wait, here, there) in ended {
            prop_assert_eq!(here, there, "{:?}", wait);
        }
        prop_assert_eq!(blocked, waiting, "as many still wait");
        prop_assert_eq!(here.left().await, there.left().await, "what is left");
        Ok(())
    }
}

#[test]
fn waits_are_served_as_on_a_server() {
    let pair = Pair::new();
    let (key, end) = (|| 0..KEYS - 1, || prop::sample::select(&[Front, Back][..]));
    let wait = prop_oneof![
        4 => (prop::collection::vec(key(), 1..4), end()).prop_map(|(keys, end)| Wait::Pop(keys, end)),
        4 => ((key(), end()), (0..KEYS, end())).prop_map(|(from, to)| Wait::Move(from, to)),
    ];
    let step = prop_oneof![
        5 => (key(), end(), 1u8..4).prop_map(|(key, end, count)| Step::Push(key, end, count)),
        2 => ((key(), end()), (0..KEYS, end())).prop_map(|(from, to)| Step::Move(from, to)),
        3 => (0..KEYS).prop_map(Step::Set),
        1 => (0..KEYS).prop_map(Step::Delete),
    ];
    let inputs = (prop::collection::vec(wait, 1..7), prop::collection::vec(step, 1..12));
    let config = ProptestConfig { source_file: Some(file!()), ..cases(60) };
    let outcome = TestRunner::new(config).run(&inputs, |(waits, steps)| pair.compare(&waits, &steps));
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// A string where one of its lists was is no reason to refuse it the element of another.
#[test]
fn a_wait_is_served_by_the_list_that_has_an_element() {
    let waits = [Wait::Pop(vec![0, 1], Front), Wait::Pop(vec![2, 1], Back)];
    Pair::new().compare(&waits, &[Step::Set(0), Step::Set(2), Step::Push(1, Back, 3)]).unwrap();
}
