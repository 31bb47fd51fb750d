//! `cargo xtask example`: the examples, each on a server of its own.

use std::ffi::OsString;
use std::fs;

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};
use xtask::{binary, fixture::Server, workspace};

use crate::keeper;

/// Runs one example with these arguments.
pub(crate) fn run(sh: &Shell, name: &str, args: &[OsString]) -> Result<()> {
    let names = names()?;
    ensure!(names.iter().any(|known| known == name), "no example {name}: there are {}", names.join(", "));
    binary::find_or_install()?;
    let server = Server::start()?;
    eprintln!("$ export REDIS_URL={}", server.url());
    let mut cargo = cmd!(sh, "cargo run --release --package examples --example {name}").env("REDIS_URL", server.url());
    if !args.is_empty() {
        cargo = cargo.arg("--").args(args);
    }
    keeper::run(cargo)
}

/// Runs every example once.
pub(crate) fn all(sh: &Shell) -> Result<()> {
    for name in names()? {
        // It would go on for as long as a demo should.
        let args: &[&str] = if name == "storefront" { &["--requests", "20000", "--clients", "8"] } else { &[] };
        run(sh, &name, &args.iter().map(Into::into).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Prints the names.
pub(crate) fn list() -> Result<()> {
    for name in names()? {
        println!("{name}");
    }
    Ok(())
}

/// The files and the folders with a `main.rs` in `examples`.
fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(workspace::root().join("examples"))? {
        let path = entry?.path();
        if path.join("main.rs").is_file() || path.extension().is_some_and(|extension| extension == "rs") {
            names.push(workspace::name(&path.with_extension("")));
        }
    }
    names.sort();
    Ok(names)
}
