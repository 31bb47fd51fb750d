//! Where `redis-server` comes from.
//!
//! In order: `REDIS_SERVER_BIN`; `redis-server` or `valkey-server` on PATH, or what an earlier task prepared; apt-get or
//! brew when they ask no question; Docker.

mod docker;
mod package;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;

/// The variable that names the server to use.
pub const VARIABLE: &str = "REDIS_SERVER_BIN";

const OLDEST: (u32, u32) = (6, 2);

type Step = (&'static str, fn() -> Result<Binary>);

const STEPS: [Step; 3] = [("apt-get", package::apt), ("brew", package::brew), ("docker", docker::copy)];

/// A server that runs here and is not too old.
#[derive(Debug, Clone)]
pub struct Binary {
    /// The executable.
    pub path: PathBuf,
    /// `Redis 7.0.15`
    pub version: String,
    /// How it was found: `on PATH`.
    pub origin: &'static str,
    /// `(7, 0)`
    pub number: (u32, u32),
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.path.display(), self.version, self.origin)
    }
}

/// The server on this machine. Installs nothing; the first call prints its choice.
pub fn find() -> Result<Binary> {
    once(|| {
        let mut tried = Vec::new();
        match search(&mut tried)? {
            Some(binary) => Ok(binary),
            None => bail!("no redis-server ({}); `cargo xtask test` gets one", tried.join("; ")),
        }
    })
}

/// The server on this machine, or one it gets without a question. The first call prints its choice.
pub fn find_or_install() -> Result<Binary> {
    once(|| {
        let mut tried = Vec::new();
        if let Some(binary) = search(&mut tried)? {
            return Ok(binary);
        }
        for (name, step) in STEPS {
            match step() {
                Ok(binary) => return Ok(binary),
                Err(error) => {
                    let reason = format!("{name}: {error:#}");
                    eprintln!("server: {reason}");
                    tried.push(reason);
                }
            }
        }
        bail!("no redis-server, and no way to get one without a question:\n  {}", tried.join("\n  "))
    })
}

/// Where a prepared server lies: found by every later run.
fn prepared() -> PathBuf {
    workspace::state().join("redis-server")
}

fn once(choose: impl FnOnce() -> Result<Binary>) -> Result<Binary> {
    static CHOICE: Mutex<Option<Binary>> = Mutex::new(None);
    let mut choice = CHOICE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(binary) = &*choice {
        return Ok(binary.clone());
    }
    let binary = choose()?;
    eprintln!("server: {binary}");
    Ok(choice.insert(binary).clone())
}

fn search(tried: &mut Vec<String>) -> Result<Option<Binary>> {
    // Whoever names a server wants that one: testing another instead would be a wrong answer.
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        let mut path = PathBuf::from(path);
        // Tests run in the folders of their packages; a bare name is looked up on PATH.
        if path.components().count() > 1 {
            path = std::path::absolute(path)?;
        }
        return Binary::check(&path, VARIABLE).context(VARIABLE).map(Some);
    }
    tried.push(format!("{VARIABLE}: not set"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = ["redis-server", "valkey-server"]
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |dir| (dir.join(name), "on PATH")))
        .chain([(prepared(), "prepared earlier")]);
    let mut refused = Vec::new();
    for (candidate, origin) in candidates.filter(|(path, _)| path.is_file()) {
        match Binary::check(&candidate, origin) {
            Ok(binary) => return Ok(Some(binary)),
            Err(error) => refused.push(format!("{error:#}")),
        }
    }
    let missing = || vec!["no redis-server or valkey-server".to_owned()];
    tried.extend((if refused.is_empty() { missing() } else { refused }).into_iter().map(|why| format!("PATH: {why}")));
    Ok(None)
}

impl Binary {
    /// Runs `--version`: a server that does not run here, or is too old, is none.
    fn check(path: &Path, origin: &'static str) -> Result<Self> {
        let shown = path.display();
        let output = Command::new(path)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("{shown} does not run"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = version(&text).with_context(|| format!("{shown} is no server: {:?}", text.trim()))?;
        ensure!(version.1 >= OLDEST, "{shown} is {}: 6.2 is the oldest that works", version.0);
        Ok(Self { path: path.to_path_buf(), version: version.0, origin, number: version.1 })
    }
}

/// Reads `Redis server v=7.0.15 sha=…`.
fn version(text: &str) -> Option<(String, (u32, u32))> {
    let (name, rest) = text.trim().split_once(" server v=")?;
    let number = rest.split_whitespace().next()?;
    let mut parts = number.split('.').map_while(|part| part.parse().ok());
    Some((format!("{name} {number}"), (parts.next()?, parts.next()?)))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_of_both_families_are_read() {
        let redis = version("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1\n");
        assert_eq!(redis, Some(("Redis 7.0.15".to_owned(), (7, 0))));
        let valkey = version("Valkey server v=8.1.0 sha=00000000:0\n");
        assert_eq!(valkey, Some(("Valkey 8.1.0".to_owned(), (8, 1))));
        assert_eq!(version("redis-check-rdb 7.0.15"), None);
    }
}
