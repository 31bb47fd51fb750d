//! `cargo xtask example`: the examples, each on servers of its own.

mod manifest;
mod needs;

use std::ffi::OsString;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};
use xtask::{binary, workspace};

use self::manifest::{Example, examples};
use crate::keeper;

/// Runs one example with these arguments.
pub(crate) fn run(sh: &Shell, name: &str, args: &[OsString]) -> Result<()> {
    let examples = examples()?;
    let names: Vec<_> = examples.iter().map(|example| example.name.as_str()).collect();
    let example = examples.iter().find(|example| example.name == name);
    let example = example.with_context(|| format!("no example {name}: there are {}", names.join(", ")))?;
    build(sh, std::slice::from_ref(example))?;
    start(sh, example, args)
}

/// Runs every example once, in reading order.
pub(crate) fn all(sh: &Shell) -> Result<()> {
    let examples = examples()?;
    let (chapters, programs): (Vec<_>, Vec<_>) = examples.into_iter().partition(Example::is_chapter);
    build(sh, &chapters)?;
    build(sh, &programs)?;
    for example in chapters.iter().chain(&programs) {
        let bounds: &[&str] = match example.name.as_str() {
            // It would go on for as long as a demo should.
            "storefront" => &["--requests", "20000", "--clients", "8"],
            // There is nothing in a new server to report on.
            "compress_report" => &["--demo"],
            "axum_service" => &["--check"],
            _ => &[],
        };
        let mut bounds: Vec<OsString> = bounds.iter().map(Into::into).collect();
        if example.name == "axum_service" && has_browser(sh) {
            bounds.extend(["--browser".into(), workspace::target().join("xtask/axum_service.png").into()]);
        }
        start(sh, example, &bounds).with_context(|| format!("example {}", example.name))?;
        if example.name == "storefront" {
            start(sh, example, &["--guards".into()]).context("the guards of the storefront")?;
        }
    }
    Ok(())
}

/// Whether a page can be looked at as people do. Nobody has to have a browser to work on this.
fn has_browser(sh: &Shell) -> bool {
    cmd!(sh, "chromedriver --version").quiet().ignore_stdout().ignore_stderr().run().is_ok()
}

/// Prints what there is, in reading order.
pub(crate) fn list() -> Result<()> {
    for example in examples()? {
        println!("{:<22}{}", example.name, example.summary);
    }
    Ok(())
}

/// Builds chapters, or programs. A chapter shows relations, and is not worth minutes of optimisation; and with the features of
/// `cargo test`, which builds examples too, there is nothing left to compile after it.
fn build(sh: &Shell, examples: &[Example]) -> Result<()> {
    let Some(first) = examples.first() else { return Ok(()) };
    let scope = if first.is_chapter() {
        ["--workspace", "--all-features"].as_slice()
    } else {
        &["--release", "--package", "examples"]
    };
    let selected = examples.iter().flat_map(|example| ["--example", &example.name]);
    keeper::run(cmd!(sh, "cargo build --quiet {scope...} {selected...}"))
}

/// Starts what the example needs, runs it, and ends what was started.
fn start(sh: &Shell, example: &Example, args: &[OsString]) -> Result<()> {
    let server = binary::find_or_install()?;
    let servers = example.needs.start()?;
    let profile = if example.is_chapter() { "debug" } else { "release" };
    let program = workspace::target().join(profile).join("examples").join(&example.name);
    let mut command = cmd!(sh, "{program} {args...}").env(binary::VARIABLE, &server.path);
    for (name, value) in servers.iter().flat_map(needs::Started::variables) {
        eprintln!("$ export {name}={value}");
        command = command.env(name, value);
    }
    keeper::run(command)
}
