use kv_core::TwinContext;

/// Tokens are below this.
const LIMIT: i64 = 1 << 52;
/// What the counter is less if somebody may wait.
const WAITING: i64 = 1 << 53;

/// Reserves so many fencing tokens. The last of them and whether somebody may wait; nothing when the counter is damaged.
pub(super) fn reserve(store: &mut TwinContext<'_>, fence: &str, count: i64) -> Option<(i64, bool)> {
    decode(store.incr_by(fence, count).ok()?)
}

/// The last token reserved, or nothing when the counter is damaged.
pub(super) fn last(store: &mut TwinContext<'_>, fence: &str) -> Option<i64> {
    decode(store.integer(fence).ok().flatten()?).map(|(last, _)| last)
}

pub(super) fn set(store: &mut TwinContext<'_>, fence: &str, last: i64, waiting: bool) {
    let value = if waiting { last - WAITING } else { last };
    store.set(fence, value.to_string(), None);
}

/// Notes that somebody waits.
pub(super) fn mark(store: &mut TwinContext<'_>, fence: &str) {
    if let Ok(value) = store.integer(fence)
        && (0..LIMIT).contains(&value.unwrap_or_default())
    {
        let _ = store.incr_by(fence, -WAITING);
    }
}

/// Notes that nobody waits.
pub(super) fn clear(store: &mut TwinContext<'_>, fence: &str) {
    if matches!(store.integer(fence), Ok(Some(value)) if value < -LIMIT) {
        let _ = store.incr_by(fence, WAITING);
    }
}

fn decode(value: i64) -> Option<(i64, bool)> {
    let waiting = value < 1;
    let last = if waiting { value.checked_add(WAITING)? } else { value };
    (1..LIMIT).contains(&last).then_some((last, waiting))
}
