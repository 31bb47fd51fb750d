//! `cargo xtask demo`: the storefront, the example that composes everything, on a server of its own.

use std::ffi::OsString;

use anyhow::Result;
use xshell::{Shell, cmd};
use xtask::{binary, fixture::Server, workspace};

use crate::keeper;

/// Builds the storefront and runs it with these arguments.
pub(crate) fn run(sh: &Shell, args: &[OsString]) -> Result<()> {
    cmd!(sh, "cargo build --release --package examples --example storefront").run()?;
    binary::find_or_install()?;
    let server = Server::start()?;
    let url = server.url();
    let storefront = workspace::target().join("release/examples/storefront");
    // A file the user names is meant from where they are.
    let _there = sh.push_dir(std::env::current_dir()?);
    keeper::run(cmd!(sh, "{storefront} --redis {url} {args...}"))
}
