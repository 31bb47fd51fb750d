use redis::{Arg, Cmd};
use std::time::Duration;

/// Why a command does not belong on a connection that others share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// It may wait so long before it answers.
    For(Duration),
    /// It waits for ever.
    Forever,
    /// It changes what the connection is.
    State,
}

/// Whether a command waits, or changes the state of its connection.
pub(crate) fn waits(command: &Cmd) -> Option<Waits> {
    let mut args = command.args_iter().map(|arg| if let Arg::Simple(bytes) = arg { bytes } else { b"0" });
    let name = args.next()?;
    // The first letter rules out nearly everything that is sent.
    match name.first()?.to_ascii_uppercase() {
        b'B' | b'X' | b'W' | b'S' | b'P' | b'M' | b'E' | b'D' | b'U' | b'R' => {}
        _ => return None,
    }
    let is = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    if is(&["BLPOP", "BRPOP", "BRPOPLPUSH", "BLMOVE", "BZPOPMIN", "BZPOPMAX"]) {
        return Some(seconds(args.last()?));
    }
    if is(&["BLMPOP", "BZMPOP"]) {
        return Some(seconds(args.next()?));
    }
    if is(&["WAIT", "WAITAOF"]) {
        return Some(millis(args.last()?));
    }
    if is(&["XREAD", "XREADGROUP"]) {
        // A stream may be called `BLOCK`, but only after `STREAMS`.
        let mut options = args.take_while(|arg| !arg.eq_ignore_ascii_case(b"STREAMS"));
        options.find(|arg| arg.eq_ignore_ascii_case(b"BLOCK"))?;
        return Some(millis(options.next()?));
    }
    let state = [
        "SUBSCRIBE",
        "PSUBSCRIBE",
        "SSUBSCRIBE",
        "UNSUBSCRIBE",
        "PUNSUBSCRIBE",
        "SUNSUBSCRIBE",
        "MONITOR",
        "MULTI",
        "EXEC",
        "DISCARD",
        "WATCH",
        "UNWATCH",
        "SELECT",
        "RESET",
        "PSYNC",
        "SYNC",
        "READONLY",
        "READWRITE",
    ];
    is(&state).then_some(Waits::State)
}

fn seconds(arg: &[u8]) -> Waits {
    let seconds =
        std::str::from_utf8(arg).ok().and_then(|text| text.parse::<f64>().ok()).filter(|seconds| *seconds != 0.0);
    match seconds.map(Duration::try_from_secs_f64) {
        Some(Ok(wait)) => Waits::For(wait),
        // Redis refuses what is no number at once.
        Some(Err(_)) => Waits::For(Duration::ZERO),
        None => Waits::Forever,
    }
}

fn millis(arg: &[u8]) -> Waits {
    match std::str::from_utf8(arg).ok().and_then(|text| text.parse::<u64>().ok()) {
        Some(0) => Waits::Forever,
        Some(millis) => Waits::For(Duration::from_millis(millis)),
        None => Waits::For(Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::cmd;

    fn of(words: &str) -> Option<Waits> {
        let mut words = words.split(' ');
        let mut command = cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        waits(&command)
    }

    #[test]
    fn how_long_a_command_waits_is_read_from_it() {
        let half = Some(Waits::For(Duration::from_millis(500)));
        assert_eq!(of("BLPOP a b 0.5"), half);
        assert_eq!(of("bzmpop 0.5 1 a MIN"), half);
        assert_eq!(of("XREAD COUNT 1 BLOCK 500 STREAMS a 0"), half);
        assert_eq!(of("WAIT 1 500"), half);
        assert_eq!(of("BRPOP a 0"), Some(Waits::Forever));
        assert_eq!(of("WATCH a"), Some(Waits::State));
        for plain in ["GET a", "XREAD STREAMS BLOCK 0", "SET BLPOP 1", "PING", "XADD a * b c", "BITCOUNT a"] {
            assert_eq!(of(plain), None, "{plain}");
        }
    }
}
