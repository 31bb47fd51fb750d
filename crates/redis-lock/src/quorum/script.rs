use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};

pub(crate) static QUORUM_RELEASE: Script =
    Script::new("redis-lock/quorum_release", include_str!("../../lua/quorum_release.lua"), release);

fn release(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[lock], &[token]) = (keys, args) else { return Err(Error::wrong_arity()) };
    Ok(Reply::Int(match store.get(lock) {
        Ok(Some(owner)) if *owner == *token.to_bytes() => i64::from(store.delete(lock)),
        Ok(None) => 0,
        Ok(Some(_)) | Err(_) => -1,
    }))
}
