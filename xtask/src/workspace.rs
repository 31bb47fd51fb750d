//! Where things are in this repository.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folder of the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    // Asked when it runs: checkouts that share a target directory share the compiled-in path of one of them.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let compiled = Path::new(env!("CARGO_MANIFEST_DIR"));
    let start = [package, std::env::current_dir().ok()];
    let mut above = start.iter().flatten().flat_map(|folder| folder.ancestors());
    let root = above.find(|folder| folder.join("xtask/Cargo.toml").is_file());
    root.or_else(|| compiled.parent()).unwrap_or(compiled).to_path_buf()
}

/// The folder cargo builds into: `CARGO_TARGET_DIR`, or `target` in the root.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        // A relative one is meant from the current folder, as cargo reads it.
        Some(dir) if !dir.is_empty() => std::path::absolute(&dir).unwrap_or_else(|_| dir.into()),
        _ => root().join("target"),
    }
}

/// What the tasks keep between runs: the prepared server, the state of `redis up`.
pub fn state() -> PathBuf {
    target().join("xtask")
}

/// The folders under `crates`, by name.
pub fn crates() -> Result<Vec<PathBuf>> {
    let folder = root().join("crates");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut crates = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() {
            crates.push(path);
        }
    }
    crates.sort();
    Ok(crates)
}

/// The last part of a path, for messages.
pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
