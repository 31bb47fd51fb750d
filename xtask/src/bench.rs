//! `cargo xtask bench`: the measurements, in a package of their own because of the peers they compile.

use std::ffi::OsString;

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};
use xtask::binary;

use crate::keeper;

/// Runs the benchmarks with these arguments.
pub(crate) fn run(sh: &Shell, args: &[OsString]) -> Result<()> {
    let manifest = "xtask/bench/Cargo.toml";
    ensure!(sh.path_exists(manifest), "no {manifest}: there are no benchmarks yet");
    let server = binary::find_or_install()?;
    eprintln!("$ export {}={}", binary::VARIABLE, server.path.display());
    let run = cmd!(sh, "cargo run --release --manifest-path {manifest} -- {args...}");
    keeper::run(run.env(binary::VARIABLE, &server.path))
}
