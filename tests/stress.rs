//! Four processes that ask for far more than their quotas, while scripts are flushed and connections cut: never a grant too many.

use crate::backend::{patient, soon};
use kv_core::{Executed, KvStore, Result};
use kv_redis::RedisStore;
use redis_ratelimit::{FrontLimiter, FrontOptions, Quota, RateLimitOptions, RateLimiter, RateLimits};
use std::{
    env,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{task::JoinSet, time::sleep};
use xtask::{
    fixture::{Cluster, Server},
    resp::Reply,
};

const PROCESSES: usize = 4;
/// Of a process, for each kind of limiter.
const TASKS: usize = 4;
const BURST: u64 = 50;
const PER_SECOND: u64 = 200;
const KINDS: [&str; 3] = ["single", "front", "several"];
/// Where a process that is to work finds its server.
const URL: &str = "STRESS_URL";

/// What became of the requests of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    granted: u64,
    /// Those whose answer is lost: they may have been granted.
    perhaps: u64,
    denied: u64,
}

#[derive(Default)]
struct Counters([AtomicU64; 3]);

impl Counters {
    fn add(&self, asked: Result<bool>) {
        let which = match asked {
            Ok(true) => 0,
            Ok(false) => 2,
            Err(error) if error.executed() == Executed::Maybe => 1,
            Err(_) => return,
        };
        self.0[which].fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Debug)]
enum Limiter {
    Single(RateLimiter),
    Front(FrontLimiter),
    Several(RateLimits),
}

impl Limiter {
    fn new(kind: &str, store: &Arc<dyn KvStore>) -> Self {
        let (quota, options) = (Quota::per_second(PER_SECOND).burst(BURST), RateLimitOptions::default().prefix(kind));
        let single = |options| RateLimiter::new(store.clone(), quota, options).unwrap();
        match kind {
            "single" => Self::Single(single(options)),
            "front" => Self::Front(FrontLimiter::new(single(options), FrontOptions::default()).unwrap()),
            _ => {
                let more = Quota::per_hour(1 << 30);
                Self::Several(RateLimits::new(store.clone(), [("this", quota), ("more", more)], options).unwrap())
            }
        }
    }

    async fn ask(&self) -> Result<bool> {
        match self {
            Self::Single(limiter) => Ok(limiter.check("ada").await?.is_allowed()),
            Self::Front(limiter) => Ok(limiter.check("ada").await?.is_allowed()),
            Self::Several(limits) => Ok(limits.check("ada").await?.is_allowed()),
        }
    }
}

/// Works as one of the processes, if this is one: until its input ends.
#[test]
fn process() {
    let Ok(url) = env::var(URL) else { return };
    let stopped = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store: Arc<dyn KvStore> = Arc::new(RedisStore::connect_with(&url, patient()).await.unwrap());
        let mut tasks = JoinSet::new();
        let mut counters = Vec::new();
        for kind in KINDS {
            let (limiter, counter) = (Limiter::new(kind, &store), Arc::new(Counters::default()));
            counters.push(counter.clone());
            for _ in 0..TASKS {
                let (limiter, counter, stopped) = (limiter.clone(), counter.clone(), stopped.clone());
                tasks.spawn(async move {
                    while !stopped.load(Ordering::Relaxed) {
                        counter.add(limiter.ask().await);
                        tokio::task::yield_now().await;
                    }
                });
            }
        }
        eprintln!("ready");
        thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            stopped.store(true, Ordering::Relaxed);
        });
        soon("all tasks end", tasks.join_all()).await;
        for (kind, counter) in KINDS.iter().zip(counters) {
            let [granted, perhaps, denied] = counter.0.each_ref().map(|count| count.load(Ordering::Relaxed));
            eprintln!("{kind} {granted} {perhaps} {denied}");
        }
    });
}

struct Process {
    child: Child,
    lines: BufReader<ChildStderr>,
}

impl Process {
    fn start(url: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "stress::process", "--nocapture"])
            .env(URL, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this program starts once more");
        let lines = BufReader::new(child.stderr.take().expect("a pipe"));
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it tells");
        line.trim().to_owned()
    }

    /// Ends it, and says what it counted.
    fn end(mut self) -> [Count; 3] {
        drop(self.child.stdin.take());
        let counts = KINDS.map(|kind| {
            let line = self.line();
            let mut words = line.split(' ');
            assert_eq!(words.next(), Some(kind), "{line}");
            let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
            Count { granted: number(), perhaps: number(), denied: number() }
        });
        assert!(self.child.wait().expect("it ends").success());
        counts
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Microseconds by the server's clock.
fn time(server: &Server) -> u64 {
    let Reply::Array(parts) = server.call(&["TIME"]).unwrap() else { panic!("no time") };
    let number = |part: &Reply| {
        let Reply::Bulk(Some(digits)) = part else { panic!("no number") };
        std::str::from_utf8(digits).unwrap().parse::<u64>().unwrap()
    };
    number(&parts[0]) * 1_000_000 + number(&parts[1])
}

async fn never_a_grant_too_many(url: &str, servers: &[Server]) {
    let before = time(&servers[0]);
    let mut processes: Vec<Process> = (0..PROCESSES).map(|_| Process::start(url)).collect();
    for process in &mut processes {
        assert_eq!(process.line(), "ready");
    }
    let all_ready = time(&servers[0]);
    for round in 0..30 {
        sleep(Duration::from_millis(50)).await;
        for server in servers {
            server.call(&["SCRIPT", "FLUSH"]).unwrap();
            if round % 4 == 0 {
                server.call(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
            }
        }
    }
    let stopped = time(&servers[0]);
    let counts: Vec<[Count; 3]> = processes.into_iter().map(Process::end).collect();
    let after = time(&servers[0]);
    for (at, kind) in KINDS.iter().enumerate() {
        let sum = |of: fn(&Count) -> u64| counts.iter().map(|counts| of(&counts[at])).sum::<u64>();
        let (granted, perhaps) = (sum(|count| count.granted), sum(|count| count.perhaps));
        let told = format!("{kind}: {granted} granted, {perhaps} perhaps, {} denied", sum(|count| count.denied));
        println!("{told} in {} ms", (after - before) / 1000);
        assert!(granted <= BURST + PER_SECOND * (after - before) / 1_000_000, "too many: {told}");
        let least = BURST + PER_SECOND * (stopped - all_ready) / 1_000_000;
        assert!(granted + perhaps >= least / 2, "too few of {least}: {told}");
        assert!(sum(|count| count.denied) > 0, "more was asked for than there is: {told}");
    }
}

#[tokio::test]
async fn four_processes_keep_their_quotas_on_one_server() {
    let server = Server::start().unwrap();
    never_a_grant_too_many(&server.url(), std::slice::from_ref(&server)).await;
}

#[tokio::test]
async fn four_processes_keep_their_quotas_in_a_cluster() {
    let cluster = Cluster::start().unwrap();
    never_a_grant_too_many(&cluster.url(), cluster.nodes()).await;
}
