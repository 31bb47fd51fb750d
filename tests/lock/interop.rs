//! Locks of redis-py under the same key: the library itself where Python is at hand, and in any case the commands it sends.

use crate::backend::{Backend, eventually, soon};
use kv_core::{Condition, KvStore, KvStoreExt, Reply, SetOptions};
use redis_lock::{KeyStyle, LockManager, LockOptions, Release, TryAcquire};
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};
use xtask::workspace;

const LONG: Duration = Duration::from_secs(8);

fn verbatim(backend: &Backend) -> LockManager {
    LockManager::new(backend.store.clone(), LockOptions::default().key_style(KeyStyle::Verbatim)).unwrap()
}

/// What redis-py evaluates to release: the key goes if it holds the token.
const RELEASE: &str = "local token = redis.call('get', KEYS[1])
if not token or token ~= ARGV[1] then return 0 end
redis.call('del', KEYS[1]) return 1";

#[tokio::test]
async fn the_commands_of_redis_py_exclude_ours_and_ours_theirs() {
    let backend = Backend::redis("").await;
    let (locks, waiting) = (verbatim(&backend), verbatim(&backend));
    let token = "0123456789abcdef0123456789abcdef";
    let theirs = SetOptions::default().condition(Condition::IfAbsent).ttl(Duration::from_secs(60));
    assert!(backend.store.set("job", token.as_bytes(), theirs).await.unwrap());
    assert!(matches!(locks.try_acquire("job").await.unwrap(), TryAcquire::Held { remaining: Some(_) }));
    let waiter = tokio::spawn(async move { waiting.acquire("job", LONG).await });
    eventually("waits", || async { locks.inspect("job").await.unwrap().waiting == 1 }).await;
    let release = backend.store.require_scripts("test").unwrap().eval(RELEASE, &["job"], &[token.into()]).await;
    assert_eq!(release.unwrap(), Reply::Int(1), "a waiter of ours leaves their token as it is");
    let guard = soon("the waiter", waiter).await.unwrap().unwrap();
    assert!(!backend.store.set("job", token.as_bytes(), theirs).await.unwrap());
    let release = backend.store.require_scripts("test").unwrap().eval(RELEASE, &["job"], &[token.into()]).await;
    assert_eq!(release.unwrap(), Reply::Int(0));
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    assert!(backend.store.set("job", token.as_bytes(), theirs).await.unwrap());
}

/// A process with one lock of redis-py, told what to do line by line.
struct Python {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

const PROGRAM: &str = r#"
import sys, redis
lock = redis.from_url(sys.argv[1]).lock("job", timeout=30)
for order in sys.stdin:
    if order.strip() == "acquire":
        print(lock.acquire(blocking=False), flush=True)
    else:
        lock.release()
        print("released", flush=True)
"#;

impl Python {
    fn start(python: &Path, url: &str) -> Self {
        let mut command = Command::new(python);
        command.args(["-c", PROGRAM, url]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let (orders, answers) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, orders, answers }
    }

    fn tell(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A Python with redis-py: the system's, or one in a folder of its own; nothing where there is none to be had.
fn python() -> Option<PathBuf> {
    let knows_redis = |python: &Path| succeeds(Command::new(python).args(["-c", "import redis"]));
    let system = PathBuf::from("python3");
    if knows_redis(&system) {
        return Some(system);
    }
    let folder = workspace::target().join("xtask").join("python");
    let own = folder.join("bin").join("python3");
    if !knows_redis(&own) {
        succeeds(Command::new(&system).args(["-m", "venv"]).arg(&folder)).then_some(())?;
        succeeds(Command::new(&own).args(["-m", "pip", "install", "--quiet", "--timeout", "10", "redis"]))
            .then_some(())?;
    }
    knows_redis(&own).then_some(own)
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_py_itself_takes_turns_with_ours() {
    let Some(python) = tokio::task::spawn_blocking(python).await.unwrap() else {
        eprintln!("no python with redis-py to be had: its commands are tested, the library is not");
        return;
    };
    let backend = Backend::redis("").await;
    let mut theirs = Python::start(&python, &backend.server.as_ref().unwrap().url());
    let (locks, waiting) = (verbatim(&backend), verbatim(&backend));
    assert_eq!(theirs.tell("acquire"), "True");
    assert!(matches!(locks.try_acquire("job").await.unwrap(), TryAcquire::Held { remaining: Some(_) }));
    let waiter = tokio::spawn(async move { waiting.acquire("job", LONG).await });
    eventually("waits", || async { locks.inspect("job").await.unwrap().waiting == 1 }).await;
    assert_eq!(theirs.tell("release"), "released");
    let guard = soon("our turn", waiter).await.unwrap().unwrap();
    assert_eq!(theirs.tell("acquire"), "False");
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    assert_eq!(theirs.tell("acquire"), "True");
    assert_eq!(theirs.tell("release"), "released");
}
