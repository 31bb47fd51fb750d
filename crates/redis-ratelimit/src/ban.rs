mod options;
mod record;
mod script;

pub use options::BanOptions;
pub(crate) use script::{BAN, CHECK_BANNED};

use crate::{Decision, gcra::Gcra, window::Ask};
use kv_core::{Arg, Error, ErrorKind, KvStore, KvStoreExt, Reply, Result};
use options::micros;
use std::time::Duration;

/// A quota with bans for those who do not keep to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bans {
    pub(crate) gcra: Gcra,
    options: BanOptions,
}

impl Bans {
    pub(crate) fn new(gcra: Gcra, options: BanOptions) -> Result<Self> {
        options.check()?;
        Ok(Self { gcra, options })
    }

    /// How many units were taken, and what is said of that; no more than full is given back. One round trip.
    pub(crate) async fn ask(&self, store: &dyn KvStore, keys: [&str; 2], ask: Ask) -> Result<(u64, Decision)> {
        let (gcra, options) = (&self.gcra, &self.options);
        let (cost, least) = match ask {
            Ask::Take(n) => (gcra.cost(n), gcra.cost(n)),
            Ask::TakeAtMost(n) => (gcra.cost(n), gcra.cost(1)),
            Ask::Look(_) | Ask::GiveBack(_) => (0, 0),
        };
        let times = [options.base, options.longest, options.forget_after];
        let [base, longest, forget_after] = times.map(|time| micros(time).unwrap_or(1));
        let bucket = [gcra.capacity, cost, least, gcra.per_micro, gcra.ttl_millis()];
        let ban = [options.after.into(), base, options.factor.into(), longest, forget_after];
        let args: Vec<Arg<'_>> =
            bucket.map(Arg::Int).into_iter().chain([Arg::Bytes(b"")]).chain(ban.map(Arg::Int)).collect();
        let script = &CHECK_BANNED;
        let reply = store.require_scripts(script.name())?.run(script, &keys, &args).await?;
        let (room, banned) = match reply {
            Reply::Int(room) => (gcra.room(room), None),
            Reply::Array(parts) => match parts[..] {
                [Reply::Int(room), Reply::Int(micros)] => (gcra.room(room), Some(micros)),
                _ => return Err(Error::new(ErrorKind::UnexpectedReply, script.name())),
            },
            _ => return Err(Error::new(ErrorKind::UnexpectedReply, script.name())),
        };
        if let Some(micros) = banned {
            return Ok((0, self.banned(ask.units(), room, micros)));
        }
        Ok(match ask {
            Ask::Take(n) => (n, gcra.decide(n, room - cost)),
            Ask::TakeAtMost(n) => gcra.grant(n, room),
            Ask::Look(n) | Ask::GiveBack(n) => (0, gcra.preview(n, room)),
        })
    }

    /// Bans an id for so long from now. One round trip.
    pub(crate) async fn ban(&self, store: &dyn KvStore, key: &str, length: Duration) -> Result<()> {
        let too_long = || Error::invalid_input("ratelimit", "a ban must be 1 µs to 71 years");
        let length = micros(length).ok_or_else(too_long)?;
        let forget_after = micros(self.options.forget_after).unwrap_or(1);
        let args = [Arg::Int(length), Arg::Int(forget_after), Arg::Bytes(b"")];
        store.require_scripts(BAN.name())?.run(&BAN, &[key], &args).await.map(drop)
    }

    /// What an id that is banned for so long is told: both the ban and its bucket have to let it.
    fn banned(&self, units: u64, room: i64, micros: i64) -> Decision {
        let rest = Duration::from_micros(micros.unsigned_abs());
        let bucket = self.gcra.preview(units, room);
        Decision::Denied {
            remaining: 0,
            retry_after: bucket.retry_after().map(|wait| wait.max(rest)),
            reset_after: bucket.reset_after().max(rest),
            banned: true,
        }
    }
}

/// What a limiter says that bans nobody.
pub(crate) fn bans_nobody() -> Error {
    Error::new(ErrorKind::Unsupported, "ratelimit").with_detail("bans need the option ban")
}
