use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds of the time of day: all processes run on one machine.
pub(crate) type Micros = i64;

pub(crate) fn now() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as Micros)
}
