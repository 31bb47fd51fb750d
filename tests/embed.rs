//! A project of its own that takes one crate by path, as a user would.

use anyhow::{Context, Result, ensure};
use std::{fs, path::Path, process::Command};
use xtask::{fixture::Server, workspace};

/// The lock and nothing else of ours: enough for a unit test.
const ALONE: &str = r#"
use redis_lock::{LockManager, LockOptions, TryAcquire, kv_core::MemoryStore};
use std::{sync::Arc, time::Duration};

#[tokio::test]
async fn the_job_runs_once() -> Result<(), redis_lock::LockError> {
    let locks = LockManager::new(Arc::new(MemoryStore::new()), LockOptions::default())?;
    let guard = locks.acquire("job", Duration::from_secs(1)).await?;
    assert!(guard.fencing_token() > 0);
    assert!(matches!(locks.try_acquire("job").await?, TryAcquire::Held { .. }));
    Ok(())
}
"#;

/// The lock on the service's Redis.
const SERVICE: &str = r#"
use kv_redis::RedisStore;
use redis_lock::{LockManager, LockOptions};
use std::{sync::Arc, time::Duration};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("no url")?;
    let store = RedisStore::connect(&url).await?;
    let locks = LockManager::new(Arc::new(store), LockOptions::default())?;
    let guard = locks.acquire("job", Duration::from_secs(1)).await?;
    println!("holds {} and {:?}", guard.fencing_token(), guard.release().await?);
    Ok(())
}
"#;

#[test]
fn one_crate_is_enough_for_another_project() -> Result<()> {
    let server = Server::start()?;
    // The server's folder goes with it, and this with the folder.
    let project = server.dir().join("project");
    package(&project, "alone", &["redis-lock"], "lib.rs", ALONE)?;
    package(&project, "service", &["redis-lock", "kv-redis"], "main.rs", SERVICE)?;
    fs::write(project.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"alone\", \"service\"]\n")?;
    fs::copy(workspace::root().join("Cargo.lock"), project.join("Cargo.lock"))?;

    let tested = cargo(&project, &["test", "--package", "alone", "--lib"])?;
    ensure!(tested.contains("1 passed"), "{tested}");
    let ran = cargo(&project, &["run", "--package", "service", "--", &server.url()])?;
    ensure!(ran.starts_with("holds ") && ran.contains(" and Released"), "{ran}");
    let tree = cargo(&project, &["tree", "--package", "alone", "--edges", "normal", "--prefix", "none"])?;
    for line in tree.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        ensure!(!["redis", "kv-redis", "redis-cache", "redis-ratelimit", "redis-compress"].contains(&name), "{tree}");
    }
    Ok(())
}

fn package(project: &Path, name: &str, crates: &[&str], file: &str, code: &str) -> Result<()> {
    let ours: String = crates
        .iter()
        .map(|name| format!("{name} = {{ path = {:?} }}\n", workspace::root().join("crates").join(name)))
        .collect();
    let tokio = "tokio = { version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }\n";
    let source = project.join(name).join("src");
    fs::create_dir_all(&source)?;
    fs::write(source.join(file), code)?;
    let manifest = format!("[package]\nname = {name:?}\nedition = \"2024\"\n\n[dependencies]\n{ours}{tokio}");
    Ok(fs::write(project.join(name).join("Cargo.toml"), manifest)?)
}

fn cargo(project: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new("cargo")
        .args(args)
        .current_dir(project)
        .env("CARGO_TARGET_DIR", workspace::target().join("embed"))
        .env("CARGO_NET_OFFLINE", "true")
        .output()
        .context("cargo does not start")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "cargo {args:?}: {}", text(&output.stderr));
    Ok(text(&output.stdout))
}
