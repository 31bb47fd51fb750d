//! `cargo xtask ci`: everything that has to pass before a change is taken.

use std::time::Instant;

use anyhow::{Context, Result};
use xshell::Shell;

use crate::{chaos, example, graph, lint, lua, test, torture};

type Step = (&'static str, fn(&Shell) -> Result<()>);

const STEPS: [Step; 7] = [
    ("lint", lint::run),
    ("lua", |_| lua::run()),
    ("graph", graph::run),
    ("test", |sh| test::run(sh, None)),
    ("examples", example::all),
    ("chaos", |sh| chaos::run(sh, None, None, None)),
    ("torture", |sh| torture::run(sh, None, None, None)),
];

/// Runs every step, stops at the first that fails, and says what took how long.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    sh.set_var("CI", "true");
    let begin = Instant::now();
    let mut summary = String::new();
    for (name, step) in STEPS {
        eprintln!("\nci: {name}");
        let before = Instant::now();
        let outcome = step(sh);
        let word = if outcome.is_ok() { "ok" } else { "failed" };
        let line = format!("{name:<10}{word:<8}{:>7.1} s", before.elapsed().as_secs_f64());
        eprintln!("ci: {line}");
        summary.push_str(&format!("  {line}\n"));
        if outcome.is_err() {
            eprint!("\n{summary}");
            return outcome.with_context(|| format!("ci stops at {name}"));
        }
    }
    eprintln!("\n{summary}ci passes in {:.1} s", begin.elapsed().as_secs_f64());
    Ok(())
}
