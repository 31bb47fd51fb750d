//! What the command line may say.

use std::path::PathBuf;

use crate::pin::Placement;

xflags::xflags! {
    /// Measures contenders side by side, on a Redis of its own.
    cmd bench {
        /// The scenarios to run; all if none is named.
        repeated scenarios: String
        /// How many rounds every contender gets. Default: 9.
        optional --rounds rounds: usize
        /// A first look in three minutes: 2 rounds, turns an eighth as long, and nothing that servers have to die for.
        optional --quick
        /// How long a contender's turn in a round lasts, instead of what each scenario asks for.
        optional --seconds seconds: f64
        /// The one contender to run: for a profiler.
        optional --only contender: String
        /// same, split or none, instead of what each scenario asks for.
        optional --pin placement: Placement
        /// The trace that cache-replay reads: lines `start count ignore sequence`, plain or gzip. Default: pages drawn at random.
        optional --trace file: PathBuf
        /// Names the scenarios and ends.
        optional --list
        /// One line of JSON per row, after one for the machine.
        optional --json
        /// Where a run of everything, or this one, leaves report.html, report.md and rows.jsonl. Default: target/bench.
        optional --report folder: PathBuf
        /// Makes report.html and report.md anew from the rows.jsonl of a folder, and ends.
        optional --again folder: PathBuf
        /// Whether the run in this folder and that of --report agree on who is faster.
        optional --compare folder: PathBuf
    }
}
