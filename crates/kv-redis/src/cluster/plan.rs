use super::slot::slot;
use redis::{Arg, Cmd};

/// How a cluster carries out a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// One node does it all.
    One(Option<u16>),
    /// Every master does it for its own keys.
    Every(Fold),
    /// The keys are in several slots, and the command can be split; the first argument after the name is the first key.
    Split { step: usize, fold: Fold },
    /// It cannot be done right.
    Refused(&'static str),
}

/// How the parts of a reply become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    /// Numbers are added.
    Sum,
    /// All say the same.
    Same,
    /// Lists are strung together, split ones in the order of the keys.
    Join,
}

/// Where a command finds its keys: the position of the first, and of the number of keys where there is one.
///
/// Nearly every command of Redis has its first key right after its name; these are the others.
pub(crate) fn plan(command: &Cmd) -> Plan {
    let args: Vec<&[u8]> =
        command.args_iter().map(|arg| if let Arg::Simple(bytes) = arg { bytes } else { b"0" }).collect();
    let name = args.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
    let at = |position: usize| Plan::One(args.get(position).map(|key| slot(key)));
    let after_count = |position: usize| {
        let count = args.get(position).and_then(|count| std::str::from_utf8(count).ok()?.parse::<usize>().ok());
        let keys = args.get(position + 1..).unwrap_or_default();
        same_slot(keys.iter().take(count.unwrap_or(0)).copied())
    };
    match &*name {
        b"MGET" => split(&args, 1, Fold::Join),
        b"DEL" | b"UNLINK" | b"EXISTS" | b"TOUCH" => split(&args, 1, Fold::Sum),
        b"MSET" => split(&args, 2, Fold::Same),
        b"DBSIZE" => Plan::Every(Fold::Sum),
        b"KEYS" => Plan::Every(Fold::Join),
        b"FLUSHALL" | b"FLUSHDB" | b"SCRIPT" | b"FUNCTION" | b"CONFIG" => Plan::Every(Fold::Same),
        b"SCAN" => Plan::Refused("a cursor is good for one node only: the store's scan walks over all"),
        b"PING" | b"ECHO" | b"TIME" | b"INFO" | b"RANDOMKEY" | b"PUBLISH" | b"PUBSUB" | b"CLUSTER" | b"COMMAND"
        | b"LASTSAVE" | b"ROLE" | b"ACL" | b"LATENCY" | b"SLOWLOG" | b"LOLWUT" | b"CLIENT" | b"AUTH" | b"HELLO" => {
            Plan::One(None)
        }
        b"EVAL" | b"EVALSHA" | b"EVAL_RO" | b"EVALSHA_RO" | b"FCALL" | b"FCALL_RO" => after_count(2),
        b"ZUNION" | b"ZINTER" | b"ZDIFF" | b"ZINTERCARD" | b"SINTERCARD" | b"LMPOP" | b"ZMPOP" => after_count(1),
        b"OBJECT" | b"MEMORY" | b"XGROUP" | b"XINFO" | b"BITOP" | b"DEBUG" => at(2),
        b"MIGRATE" => at(3),
        b"XREAD" | b"XREADGROUP" => {
            let streams = args.iter().position(|arg| arg.eq_ignore_ascii_case(b"STREAMS"));
            let rest = streams.and_then(|at| args.get(at + 1..)).unwrap_or_default();
            same_slot(rest.iter().take(rest.len() / 2).copied())
        }
        _ => at(1),
    }
}

fn same_slot<'a>(mut keys: impl Iterator<Item = &'a [u8]>) -> Plan {
    let first = keys.next().map(slot);
    if keys.all(|key| Some(slot(key)) == first) {
        Plan::One(first)
    } else {
        Plan::Refused("keys of one operation must share a hash slot")
    }
}

fn split(args: &[&[u8]], step: usize, fold: Fold) -> Plan {
    let keys = args.iter().skip(1).step_by(step).copied();
    match same_slot(keys) {
        Plan::Refused(_) if (args.len() - 1).is_multiple_of(step) => Plan::Split { step, fold },
        Plan::Refused(why) => Plan::Refused(why),
        one => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::cmd;

    fn planned(words: &str) -> Plan {
        let mut words = words.split(' ');
        let mut command = cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        plan(&command)
    }

    #[test]
    fn the_slot_is_that_of_the_key_wherever_it_stands() {
        let at = |words: &str| assert_eq!(planned(words), Plan::One(Some(slot(b"{k}"))), "{words}");
        at("get {k}");
        at("HSET {k} f v");
        at("MGET {k} {k}1 2{k}");
        at("EVALSHA abc 2 {k} {k}2 other");
        at("ZUNION 2 {k} {k}2 WEIGHTS 1 2");
        at("OBJECT ENCODING {k}");
        at("XREAD COUNT 2 STREAMS {k} {k}2 0-0 0-0");
        at("BITOP AND {k} {k}2");
    }

    #[test]
    fn commands_without_keys_and_with_too_many() {
        assert_eq!(planned("PING"), Plan::One(None));
        assert_eq!(planned("EVAL script 0 arg"), Plan::One(None));
        assert_eq!(planned("DBSIZE"), Plan::Every(Fold::Sum));
        assert_eq!(planned("MGET a b"), Plan::Split { step: 1, fold: Fold::Join });
        assert_eq!(planned("MSET a 1 b 2"), Plan::Split { step: 2, fold: Fold::Same });
        assert!(matches!(planned("MSET a 1 b"), Plan::Refused(_)));
        assert!(matches!(planned("EVAL script 2 a b"), Plan::Refused(_)));
        assert!(matches!(planned("SCAN 0"), Plan::Refused(_)));
        assert_eq!(planned("GET"), Plan::One(None));
        assert_eq!(planned("EVAL"), Plan::One(None));
    }
}
