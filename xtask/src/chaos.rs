//! `cargo xtask chaos`: load and faults on servers of its own, and what must not happen meanwhile.

use anyhow::Result;
use xshell::{Shell, cmd};
use xtask::{binary, workspace};

use crate::keeper;

/// Builds the program and runs it with these arguments.
pub(crate) fn run(sh: &Shell, topology: Option<&str>, seconds: Option<u64>, seed: Option<u64>) -> Result<()> {
    // Built as for the tests, which compile nothing else.
    cmd!(sh, "cargo build --workspace --all-features --example chaos").run()?;
    let server = binary::find_or_install()?;
    eprintln!("$ export {}={}", binary::VARIABLE, server.path.display());
    let chaos = workspace::target().join("debug/examples/chaos");
    let options = [("--seconds", seconds), ("--seed", seed)];
    let options = options.iter().filter_map(|(name, value)| Some([(*name).to_owned(), (*value)?.to_string()]));
    let args: Vec<String> = topology.map(str::to_owned).into_iter().chain(options.flatten()).collect();
    keeper::run(cmd!(sh, "{chaos} {args...}").env(binary::VARIABLE, &server.path))
}
