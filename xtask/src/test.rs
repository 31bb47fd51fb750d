//! `cargo xtask test`: every test, on real servers.

use anyhow::Result;
use xshell::{Shell, cmd};
use xtask::binary;

use crate::keeper;

/// Runs the tests and doc tests whose name contains `filter`.
pub(crate) fn run(sh: &Shell, filter: Option<&str>) -> Result<()> {
    let server = binary::find_or_install()?;
    eprintln!("$ export {}={}", binary::VARIABLE, server.path.display());
    keeper::run(cmd!(sh, "cargo test --workspace --all-features {filter...}").env(binary::VARIABLE, &server.path))
}
