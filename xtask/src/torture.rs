//! `cargo xtask torture`: locks and caches in processes of their own, and faults on all of them.

use anyhow::Result;
use xshell::{Shell, cmd};
use xtask::{binary, workspace};

use crate::keeper;

/// Builds the program and runs it with these arguments.
pub(crate) fn run(sh: &Shell, subject: Option<&str>, seconds: Option<u64>, seed: Option<u64>) -> Result<()> {
    // Built as for the tests, which compile nothing else.
    cmd!(sh, "cargo build --workspace --all-features --example torture").run()?;
    let server = binary::find_or_install()?;
    eprintln!("$ export {}={}", binary::VARIABLE, server.path.display());
    let torture = workspace::target().join("debug/examples/torture");
    let options = [("--seconds", seconds), ("--seed", seed)];
    let options = options.iter().filter_map(|(name, value)| Some([(*name).to_owned(), (*value)?.to_string()]));
    let args: Vec<String> = subject.map(str::to_owned).into_iter().chain(options.flatten()).collect();
    keeper::run(cmd!(sh, "{torture} {args...}").env(binary::VARIABLE, &server.path))
}
