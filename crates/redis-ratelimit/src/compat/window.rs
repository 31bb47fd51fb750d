use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};

pub(crate) static FLEXIBLE: Script =
    Script::new("redis-ratelimit/flexible", include_str!("../../lua/flexible.lua"), flexible);

fn flexible(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key], &[points, limit, window, block]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let (points, limit) = (points.to_int()?, limit.to_int()?);
    let millis = |seconds: Arg<'_>| Ok::<_, Error>(seconds.to_int()?.saturating_mul(1000));
    let (window, block) = (millis(window)?, millis(block)?);

    let answer = |consumed: i64, left: i64| Ok(Reply::Array(vec![Reply::Int(consumed), Reply::Int(left)]));
    if !store.exists(key) {
        if points == 0 {
            return answer(0, 0);
        }
        store.set(key, "0", Some(window));
    }
    let consumed = store.incr_by(key, points)?;
    let mut left = store.pttl(key);
    if left == -1 {
        store.pexpire(key, window);
        left = window;
    }
    if block > 0 && consumed > limit && consumed - points <= limit {
        store.pexpire(key, block);
        left = block;
    }
    answer(consumed.clamp(0, 1 << 53), left)
}
