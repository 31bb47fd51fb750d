use super::script::{CANCEL, RESERVE};
use crate::{bucket, gcra::Gcra};
use kv_core::{Arg, Error, ErrorKind, KvStore, KvStoreExt, Reply, Result, ScriptCall};
use std::{sync::Arc, time::Duration};

/// What a reservation holds of a bucket.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) key: String,
    cost: i64,
    /// When the bucket will be empty after it, and the ticks beyond that: what is behind it in line is later.
    end: (i64, i64),
}

/// What asking for a place comes to.
pub(super) enum Found {
    /// It is due after so long.
    Place(Place, Duration),
    /// It would be due too late; after so long it would not.
    Full(Duration),
}

/// The buckets that places are held in.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) store: Arc<dyn KvStore>,
    pub(super) gcra: Gcra,
}

impl Line {
    /// Asks for so many units that are due within so long. One round trip.
    pub(super) async fn enter(&self, key: String, units: u64, patience: Duration) -> Result<Found> {
        let Gcra { capacity, per_micro, most, .. } = self.gcra;
        let cost = self.gcra.cost(units);
        let patience = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX).saturating_mul(per_micro);
        let [capacity_arg, cost_arg, rate, ttl] = [capacity, cost, per_micro, self.gcra.ttl_millis()].map(Arg::Int);
        let args = [capacity_arg, cost_arg, rate, ttl, Arg::Bytes(b""), Arg::Int(most), Arg::Int(patience)];
        let scripts = self.store.require_scripts(RESERVE.name())?;
        let reply = scripts.run(&RESERVE, &[&key], &args).await?.into_array(RESERVE.name())?;
        let [Reply::Int(room), Reply::Int(at)] = reply[..] else {
            return Err(Error::new(ErrorKind::UnexpectedReply, RESERVE.name()));
        };
        let room = self.gcra.room(room + cost) - cost;
        if at == 0 {
            return Ok(Found::Full(self.gcra.drain((-room - patience).max(0))));
        }
        let place = Place { key, cost, end: (at, (capacity - room) % per_micro) };
        Ok(Found::Place(place, self.gcra.drain((-room).max(0))))
    }

    /// Gives places back, the last in line first, and says of each whether it could. One round trip.
    ///
    /// The places are left in the order of the answers.
    pub(super) async fn leave(&self, places: &mut [Place]) -> Result<Vec<Result<bool>>> {
        places.sort_by_key(|place| std::cmp::Reverse(place.end));
        let held: Vec<String> = places.iter().map(|place| bucket::text(place.end.0, place.end.1)).collect();
        let [rate, ttl] = [self.gcra.per_micro, self.gcra.ttl_millis()].map(Arg::Int);
        let of = |(place, held)| {
            let (place, held): (&Place, &String) = (place, held);
            [Arg::Bytes(held.as_bytes()), Arg::Int(place.cost), rate, ttl, Arg::Bytes(b"")]
        };
        let args: Vec<[Arg<'_>; 5]> = places.iter().zip(&held).map(of).collect();
        let keys: Vec<[&str; 1]> = places.iter().map(|place| [place.key.as_str()]).collect();
        let calls: Vec<ScriptCall<'_>> = keys.iter().zip(&args).map(|(keys, args)| ScriptCall { keys, args }).collect();
        let replies = self.store.require_scripts(CANCEL.name())?.run_many(&CANCEL, &calls).await?;
        Ok(replies.into_iter().map(|reply| Ok(reply?.into_int(CANCEL.name())? == 1)).collect())
    }
}
