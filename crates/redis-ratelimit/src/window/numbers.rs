use kv_core::{Error, ErrorKind, Result, TwinContext};

/// As large as a number under a key counts.
pub(super) const MOST: i64 = 1 << 53;

/// The numbers under a key with a colon between them; [`ErrorKind::Corrupt`] for something else.
pub(super) fn load<const N: usize>(store: &mut TwinContext<'_>, key: &str) -> Result<Option<[i64; N]>> {
    let Some(stored) = store.get(key)? else { return Ok(None) };
    parse(&stored).map(Some).ok_or_else(corrupt)
}

pub(super) fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt, "window").with_detail("key holds no window")
}

fn parse<const N: usize>(stored: &[u8]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    let mut parts = stored.split(|byte| *byte == b':');
    for number in &mut numbers {
        let digits = parts.next().filter(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))?;
        // Too many digits are as large as can be.
        *number = std::str::from_utf8(digits).ok()?.parse().unwrap_or(MOST).min(MOST);
    }
    parts.next().is_none().then_some(numbers)
}
