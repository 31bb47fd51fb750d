use std::fmt;

/// So many of the breaches are told.
const SHOWN: usize = 20;

/// What must not happen and did, or that nothing did.
pub(crate) fn tell(breaches: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if breaches.is_empty() {
        return write!(f, "  ok");
    }
    for breach in breaches.iter().take(SHOWN) {
        writeln!(f, "  breach: {breach}")?;
    }
    write!(f, "  {} breaches", breaches.len())
}
