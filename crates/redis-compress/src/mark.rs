use kv_core::{Error, ErrorKind, Result, Transform};
use std::borrow::Cow;

/// Three bytes that begin neither text, nor JSON or gzip; a fourth says what follows.
const MARK: [u8; 3] = [0xF8, 0x4B, 0x5A];
const PLAIN: u8 = 0;

/// The value as it is stored: bare where it stays as it is, so that other clients and counters read it;
/// marked where it is transformed, and where it would be mistaken for marked.
pub(crate) fn write<'a>(plain: &'a [u8], transform: &impl Transform) -> Result<Cow<'a, [u8]>> {
    let (id, body) = match transform.apply(plain)? {
        Some(body) => (transform.id(), Cow::Owned(body)),
        None if !plain.starts_with(&MARK) => return Ok(Cow::Borrowed(plain)),
        None => (PLAIN, Cow::Borrowed(plain)),
    };
    Ok(Cow::Owned([&MARK, &[id][..], &body].concat()))
}

/// What [`write`] wrote; `None` where the value is stored as it is.
pub(crate) fn read(stored: &[u8], transform: &impl Transform) -> Result<Option<Vec<u8>>> {
    let Some(marked) = stored.strip_prefix(&MARK) else { return Ok(None) };
    match marked.split_first() {
        Some((&PLAIN, body)) => Ok(Some(body.to_vec())),
        Some((&id, body)) if id == transform.id() => transform.revert(body).map(Some),
        _ => Err(Error::new(ErrorKind::Corrupt, "decompress").with_detail("unknown mark")),
    }
}
