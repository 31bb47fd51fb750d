//! The server out of a Docker image: only the file, no container runs.

use anyhow::{Context, Result, ensure};

use super::Binary;
use super::package::{accept, on_path, run};

const IMAGE: &str = "redis:8";

/// Copies `redis-server` out of the image; it has to run on this system, outside its container.
pub(super) fn copy() -> Result<Binary> {
    ensure!(on_path("docker"), "not here");
    run(&["docker", "info"])?;
    // `create` prints the pulling on stderr, the id on stdout.
    let id = run(&["docker", "create", IMAGE])?;
    let id = id.trim();
    let from = format!("{id}:/usr/local/bin/redis-server");
    let binary = accept(
        |new| {
            let to = new.to_str().context("the target folder's name is not UTF-8")?;
            run(&["docker", "cp", &from, to])?;
            Ok(())
        },
        "copied out of a Docker image",
    );
    run(&["docker", "rm", id])?;
    binary
}
