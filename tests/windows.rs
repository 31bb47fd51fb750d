//! Every algorithm that counts by windows, and GCRA beside them.

mod agree;
mod model;
mod timed;

use redis_ratelimit::Algorithm;

const ALL: [Algorithm; 6] = [
    Algorithm::Gcra,
    Algorithm::FixedWindow,
    Algorithm::AlignedWindow,
    Algorithm::SlidingWindow,
    Algorithm::SlidingLog,
    Algorithm::IntervalRefill,
];
