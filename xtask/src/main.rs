//! Everything one can ask of this repository: `cargo xtask <task>`.
//!
//! Each task prints the plain commands it runs, so nothing here is magic.

mod bench;
mod chaos;
mod ci;
mod demo;
mod example;
mod flags;
mod graph;
mod keeper;
mod lint;
mod lua;
mod redis;
mod test;
mod torture;

use std::process::ExitCode;

use anyhow::Result;
use xshell::Shell;
use xtask::workspace;

use crate::flags::{RedisCmd, Xtask, XtaskCmd};
use crate::redis::Topology;

fn main() -> ExitCode {
    let flags = Xtask::from_vec(flags::pass_through(std::env::args_os().skip(1).collect()));
    match run(flags.unwrap_or_else(|error| error.exit())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: Xtask) -> Result<()> {
    let sh = Shell::new()?;
    sh.change_dir(workspace::root());
    match flags.subcommand {
        XtaskCmd::Test(test) => test::run(&sh, test.filter.as_deref()),
        XtaskCmd::Example(example) if example.all => example::all(&sh),
        XtaskCmd::Example(example) => match example.name {
            Some(name) => example::run(&sh, &name, &example.args),
            None => example::list(),
        },
        XtaskCmd::Demo(demo) => demo::run(&sh, &demo.args),
        XtaskCmd::Redis(redis) => match redis.subcommand {
            RedisCmd::Up(up) if up.foreground => redis::hold(up.topology.unwrap_or(Topology::Standalone)),
            RedisCmd::Up(up) => redis::up(up.topology.unwrap_or(Topology::Standalone)),
            RedisCmd::Down(down) => redis::down(down.topology),
        },
        XtaskCmd::Lint(_) => lint::run(&sh),
        XtaskCmd::Lua(_) => lua::run(),
        XtaskCmd::Graph(_) => graph::run(&sh),
        XtaskCmd::Bench(bench) => bench::run(&sh, &bench.args),
        XtaskCmd::Chaos(chaos) => chaos::run(&sh, chaos.topology.as_deref(), chaos.seconds, chaos.seed),
        XtaskCmd::Torture(torture) => torture::run(&sh, torture.subject.as_deref(), torture.seconds, torture.seed),
        XtaskCmd::Ci(_) => ci::run(&sh),
    }
}
