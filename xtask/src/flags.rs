//! What the command line may say.

use std::ffi::OsString;

use crate::redis::Topology;

xflags::xflags! {
    /// Project tasks. Those that need a Redis start one of their own, and install the server if they must.
    cmd xtask {
        /// Every test and doc test of the workspace.
        cmd test {
            /// Only tests whose name contains this.
            optional filter: String
        }
        /// Runs an example on a Redis of its own; without a name, lists them.
        cmd example {
            /// The example.
            optional name: String
            /// What the example itself gets.
            repeated args: OsString
            /// Every example, once.
            optional --all
        }
        /// Runs the storefront on a Redis of its own; it gets all arguments: --processes N, --trace FILE, ...
        cmd demo {
            /// What the storefront itself gets.
            repeated args: OsString
        }
        /// A Redis for the shell: `export REDIS_URL=$(cargo xtask redis up)`.
        cmd redis {
            /// Starts servers that stay until `redis down`, and prints their URL. Each topology may be up once.
            cmd up {
                /// standalone, the default; tls; cluster (3 masters, 3 replicas); sentinel (3 for 3 servers).
                optional topology: Topology
                /// Stays here; Ctrl-C ends it.
                optional --foreground
            }
            /// Ends the servers of `redis up`.
            cmd down {
                /// Only these; all of them without.
                optional topology: Topology
            }
        }
        /// Format, clippy with every feature alone, documentation.
        cmd lint {}
        /// Checks every script: header against body, then on a real server.
        cmd lua {}
        /// Checks who depends on whom.
        cmd graph {}
        /// Benchmarks on a server of their own.
        cmd bench {
            /// What the benchmark itself gets.
            repeated args: OsString
        }
        /// Load and faults on every topology, with a check of everything that must not happen meanwhile.
        cmd chaos {
            /// standalone, tls, pool, cluster or sentinel; all of them by default.
            optional topology: String
            /// For how long each: 5 by default.
            optional --seconds seconds: u64
            /// What a run was drawn from, to repeat it.
            optional --seed seed: u64
        }
        /// Locks and caches in processes that are killed, stopped and cut off, with a check of everything that was told.
        cmd torture {
            /// lock, cache or cache-failover; all of them by default.
            optional subject: String
            /// For how long each: 5 by default.
            optional --seconds seconds: u64
            /// What a run was drawn from, to repeat it.
            optional --seed seed: u64
        }
        /// Everything: lint, lua, graph, test, examples, chaos, torture.
        cmd ci {}
    }
}

/// Marks where the arguments for somebody else begin, so that nobody has to type `--`; nothing at all asks for help.
pub(crate) fn pass_through(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.is_empty() {
        return vec!["--help".into()];
    }
    let ours = match args.first().and_then(|task| task.to_str()) {
        Some("demo" | "bench") => 1,
        Some("example") if args.get(1).is_some_and(|name| !name.to_string_lossy().starts_with('-')) => 2,
        _ => return args,
    };
    let next = args.get(ours).and_then(|arg| arg.to_str());
    if !matches!(next, None | Some("--" | "-h" | "--help")) {
        args.insert(ours, "--".into());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::{Xtask, XtaskCmd, pass_through};

    fn parse(line: &str) -> XtaskCmd {
        let args = line.split(' ').map(Into::into).collect();
        Xtask::from_vec(pass_through(args)).expect(line).subcommand
    }

    #[test]
    fn what_belongs_to_the_example_reaches_it() {
        for line in ["example storefront --all --requests 5", "example storefront -- --all --requests 5"] {
            let XtaskCmd::Example(example) = parse(line) else { panic!("{line}") };
            assert_eq!((example.name.as_deref(), example.all), (Some("storefront"), false));
            assert_eq!(example.args, ["--all", "--requests", "5"]);
        }
        let XtaskCmd::Example(example) = parse("example --all") else { panic!("--all") };
        assert!(example.all);
        let XtaskCmd::Demo(demo) = parse("demo --processes 2") else { panic!("demo") };
        assert_eq!(demo.args, ["--processes", "2"]);
    }
}
