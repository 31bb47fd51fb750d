//! Observability: spans, metrics, the slow log, and what to do about an error by its kind.
//!
//! Needs: a server.
//!
//! The layer `observe` (feature `obs`) tells `tracing` of each call and `metrics` of its outcome and duration. Neither
//! ever has a key or a value: keys are often personal, and a metric with a label for each key has as many series as
//! there are keys.

use anyhow::Result;
use examples::Recorder;
use kv_core::{Error, ErrorKind, Executed, Layers, SetOptions};
use kv_redis::{RedisOptions, RedisStore};
use redis::{AsyncTypedCommands, Client, Value, cmd};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing_subscriber::fmt::format::FmtSpan;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // A service installs both once, at its start: a subscriber that writes to stderr, and
    // `metrics-exporter-prometheus`. Ours keep what they are told in memory, to be looked at.
    let log = Log::default();
    let writer = log.clone();
    let format = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG);
    format.with_ansi(false).with_span_events(FmtSpan::CLOSE).with_writer(move || writer.clone()).init();
    let metrics = Recorder::install();

    let url = examples::redis_url()?;
    let redis = RedisStore::connect_with(&url, RedisOptions::default().deadline(Duration::from_millis(300))).await?;
    let store = Layers::new().observe().over(redis.clone())?;

    // Calls that go well, and one that does not.
    for _ in 0..3 {
        store.set("guide:word", b"kettle", SetOptions::default()).await?;
    }
    assert!(store.get("guide:word").await?.is_some());
    let error = store.incr_by("guide:word", 1).await.expect_err("a word cannot be counted");
    assert_eq!(advice(&error), Advice::Fix);

    // A span for each call, closed with its duration; a span of the service around it becomes its parent.
    let log = log.text();
    let span = log.lines().find(|line| line.contains("wrong_type")).expect("the call that fails is told of");
    println!("{span}");
    assert!(span.contains("operation=\"incr_by\"") && !log.contains("guide:word") && !log.contains("kettle"));

    // What a scraper reads: how many, how they ended, how long they took.
    let page = metrics.render();
    for line in page.lines().filter(|line| line.starts_with("kv_operations_total")) {
        println!("{line}");
    }
    assert!(page.contains("kv_operations_total{operation=\"set\",outcome=\"ok\"} 3"));
    assert!(page.contains("outcome=\"wrong_type\"} 1") && page.contains("kv_operation_seconds"));
    assert!(!page.contains("guide:word"));

    // The server's own view: the slow log has the commands whose execution took longer than so many microseconds, the
    // wait for their turn not included. It does have keys and values.
    let mut admin = Client::open(&*url)?.get_multiplexed_async_connection().await?;
    cmd("CONFIG").arg("SET").arg("slowlog-log-slower-than").arg(1_000).exec_async(&mut admin).await?;
    cmd("SLOWLOG").arg("RESET").exec_async(&mut admin).await?;
    admin.ping().await?;
    cmd("EVAL").arg("for i = 1, 3000000 do end").arg(0).exec_async(&mut admin).await?;
    let slow: Vec<(i64, i64, i64, Vec<String>, Value, Value)> =
        cmd("SLOWLOG").arg("GET").arg(10).query_async(&mut admin).await?;
    println!("slow: {} took {} µs", slow[0].3[0], slow[0].2);
    assert_eq!(slow[0].3[0], "EVAL");
    assert!(slow.iter().all(|(_, _, micros, _, _, _)| *micros >= 1_000));

    // An error by its kind. What a service does depends on two questions: will it pass, and may it have been done?
    cmd("CLIENT").arg("PAUSE").arg(800).exec_async(&mut admin).await?;
    let error = store.get("guide:word").await.expect_err("the server stalls");
    println!("{error}: {:?}", advice(&error));
    assert_eq!(advice(&error), Advice::AskWhatHappened);
    let error = RedisStore::connect("redis://127.0.0.1:1").await.expect_err("nobody is there");
    println!("{error}: {:?}", advice(&error));
    assert_eq!(advice(&error), Advice::RetryLater);
    let error = RedisStore::connect("http://127.0.0.1").await.expect_err("not a Redis");
    println!("{error}: {:?}", advice(&error));
    assert_eq!(advice(&error), Advice::Fix);
    Ok(())
}

#[derive(Debug, PartialEq)]
enum Advice {
    /// It will pass, and nothing was done: once more, after a pause.
    RetryLater,
    /// It will pass, and it may have been done: once more only if that does no harm.
    AskWhatHappened,
    /// It will not pass: somebody has to change the code, the configuration or the server.
    Fix,
}

fn advice(error: &Error) -> Advice {
    match (error.kind(), error.executed()) {
        (ErrorKind::Unavailable | ErrorKind::Timeout, Executed::No) => Advice::RetryLater,
        (ErrorKind::Unavailable | ErrorKind::Timeout, Executed::Maybe) => Advice::AskWhatHappened,
        _ => Advice::Fix,
    }
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
