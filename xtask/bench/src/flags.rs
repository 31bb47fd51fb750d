//! What the command line may say.

use crate::pin::Placement;

xflags::xflags! {
    /// Measures contenders side by side, on a Redis of its own.
    cmd bench {
        /// The scenarios to run; all if none is named.
        repeated scenarios: String
        /// How many rounds every contender gets. Default: 9.
        optional --rounds rounds: usize
        /// How long a contender's turn in a round lasts, instead of what each scenario asks for.
        optional --seconds seconds: f64
        /// The one contender to run: for a profiler.
        optional --only contender: String
        /// same, split or none, instead of what each scenario asks for.
        optional --pin placement: Placement
        /// Names the scenarios and ends.
        optional --list
        /// One line of JSON per row, after one for the machine.
        optional --json
    }
}
