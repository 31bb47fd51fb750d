use kv_core::{Error, ErrorKind, Result, TwinContext};

/// What is known of an id's bans.
#[derive(Clone, Copy, Default)]
pub(super) struct Record {
    /// In a row.
    pub(super) denials: i64,
    /// How long the last ban was, microseconds; 0 if there was none, or it is forgotten.
    pub(super) last: i64,
    /// When it ended or will end, microseconds.
    pub(super) ends: i64,
}

impl Record {
    pub(super) fn parse(held: Option<&[u8]>) -> Result<Self> {
        let Some(held) = held else { return Ok(Self::default()) };
        let corrupt = || Error::new(ErrorKind::Corrupt, "ban").with_detail("key holds no ban");
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse().unwrap_or(i64::MAX)).ok_or_else(corrupt)
        };
        let mut parts = std::str::from_utf8(held).map_err(|_| corrupt())?.split(':');
        let mut next = || number(parts.next().unwrap_or_default());
        let record = Self { denials: next()?, last: next()?, ends: next()? };
        if parts.next().is_some() { Err(corrupt()) } else { Ok(record) }
    }

    pub(super) fn store(&self, store: &mut TwinContext<'_>, key: &str, forget_after: i64, now: i64) {
        let Self { denials, last, ends } = self;
        let ttl = ((ends - now).max(0) + forget_after) / 1000 + 1;
        store.set(key, format!("{denials}:{last}:{ends}"), Some(ttl));
    }
}
