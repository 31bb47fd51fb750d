use crate::{
    CacheError,
    batch::Berth,
    cache::Inner,
    entry::{Entry, Side, Times},
    found::{Found, Stamp},
    message::Kind,
    news::News,
    remote::{Looked, Remote},
    script::{ABANDON, BEGIN, COMMIT, KEEP},
    tags::Tags,
};
use bytes::Bytes;
use kv_core::{Arg, Error, ErrorKind, Limits, Reply, Result};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::SemaphorePermit,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout_at},
};

/// The keys of a load.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// As the caller names it.
    pub(crate) id: String,
    pub(crate) entry: String,
    pub(crate) lease: String,
}

/// The right to store what a load brings, until the key is invalidated or the lease runs out.
#[derive(Debug)]
pub(crate) struct Lease {
    token: String,
    /// When the load began, by the server's clock and by ours.
    began: (u64, Instant),
    /// What the entry is tagged with.
    tags: Tags,
    /// Where its parts are written, if it is too big for one key.
    side: Side,
}

impl Lease {
    /// To replace the entry with this mark.
    pub(crate) fn begun(token: String, now: u64, mark: &[u8]) -> Self {
        Self { token, began: (now, Instant::now()), tags: Tags::default(), side: Entry::other_side(mark) }
    }
}

/// What asking for the lease brings.
pub(crate) enum Leave<V> {
    Ours(Lease),
    /// Somebody has loaded it meanwhile.
    Found(Found<V>),
    /// Somebody else loads it.
    Taken,
    /// A load has just failed, and was not to be repeated at once.
    Paused,
    /// The store is away.
    Away,
}

/// The same, before it is waited for.
enum Begun<V> {
    At(Leave<V>),
    /// Somebody stored what does not decode here: its mark.
    Unreadable(Bytes),
    /// Somebody else loads it: for how long at least, and the token that tells what he stores from what others stored before.
    Behind {
        rest: Duration,
        holder: Bytes,
    },
}

/// Entries up to here travel with the message that they are there.
const RIDES: i64 = 8 << 10;
/// How soon to look again where there is no news.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

impl<V> Remote<V> {
    /// Asks for the lease once.
    async fn begin(&self, keys: &Keys, mark: &Bytes, waits: bool) -> Result<Begun<V>> {
        let token = format!("{:032x}", rand::random::<u128>());
        let args = [
            token.as_str().into(),
            Arg::Int(Limits::ttl_millis("cache", self.options.lease)?),
            Arg::Bytes(mark),
            Arg::Int(i64::from(waits)),
        ];
        let begun = match self.patience.ask(self.run(&BEGIN, &[&keys.entry, &keys.lease], &args)).await {
            Ok(Reply::Bytes(entry)) => match self.open(&keys.entry, entry).await? {
                Looked::Found(found) => Begun::At(Leave::Found(found)),
                Looked::Miss(mark) => Begun::Unreadable(mark),
            },
            Ok(Reply::Array(held)) => match <[Reply; 2]>::try_from(held) {
                Ok([Reply::Int(rest), Reply::Bytes(holder)]) => {
                    Begun::Behind { rest: Duration::from_millis(u64::try_from(rest).unwrap_or_default()), holder }
                }
                _ => return Err(Error::new(ErrorKind::UnexpectedReply, BEGIN.name()).with_detail("expected a lease")),
            },
            Ok(reply) => match reply.into_int(BEGIN.name())? {
                0 => Begun::At(Leave::Paused),
                now => {
                    let now = now.unsigned_abs();
                    self.clock.set(now);
                    Begun::At(Leave::Ours(Lease::begun(token, now, mark)))
                }
            },
            Err(error) if self.goes_on(&error) => Begun::At(Leave::Away),
            Err(error) => return Err(error),
        };
        Ok(begun)
    }

    /// Asks for the lease, and leaves it at that if another has it. One round trip.
    pub(crate) async fn try_lease(&self, keys: &Keys, mark: &Bytes) -> Result<Leave<V>> {
        Ok(match self.begin(keys, mark, false).await? {
            Begun::At(leave) => leave,
            Begun::Unreadable(_) | Begun::Behind { .. } => Leave::Taken,
        })
    }

    /// The lease with the tags of a load that begins now; none if they are not to be had. One round trip, none without tags.
    pub(crate) async fn tag(&self, keys: &Keys, mut lease: Lease, tags: &[String]) -> Option<Lease> {
        match self.capture(tags).await {
            Ok(tags) => {
                lease.tags = tags;
                Some(lease)
            }
            Err(error) => {
                tracing::warn!(%error, "a load is not stored for want of its tags");
                let _ = self.abandon(keys, &lease, Duration::ZERO).await;
                None
            }
        }
    }

    /// Stores what the load brought, unless the key was invalidated since it began. One round trip.
    pub(crate) async fn commit(&self, keys: &Keys, lease: &Lease, value: Option<&V>) -> Result<Option<Stamp>> {
        let (times, ttl) = self.times(value);
        let (loaded_at, began) = lease.began;
        let took = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
        let times = Times { cost: took, loaded_at, ..times };
        let ttl = (ttl - i64::from(took)).max(1);
        let (entry, size) = self.encode(keys, value, (times, ttl), &lease.tags, (lease.side, Some(lease))).await?;
        let message = Kind::Stored.of(&keys.entry, lease.token.as_bytes());
        let args = [
            lease.token.as_str().into(),
            Arg::Bytes(&entry),
            Arg::Int(ttl),
            self.channel(),
            Arg::Bytes(&message),
            Arg::Int(RIDES),
        ];
        let stored = self.run(&COMMIT, &[&keys.entry, &keys.lease], &args).await? == Reply::Int(1);
        let mark = entry.first_chunk().copied();
        Ok(mark.filter(|_| stored).map(|mark| Stamp { times, mark, size }))
    }

    /// Prolongs a lease; one that is over stays so. One round trip.
    pub(crate) async fn keep_lease(&self, keys: &Keys, lease: &Lease) -> Result<bool> {
        let ttl = Arg::Int(Limits::ttl_millis("cache", self.options.lease)?);
        Ok(self.run(&KEEP, &[&keys.lease], &[lease.token.as_str().into(), ttl]).await? == Reply::Int(1))
    }

    /// Gives the lease up, and says whether it was still held; nothing that is loaded is stored for `pause` then.
    pub(crate) async fn abandon(&self, keys: &Keys, lease: &Lease, pause: Duration) -> Result<bool> {
        let message = Kind::Abandoned.of(&keys.entry, b"");
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        let args = [lease.token.as_str().into(), Arg::Int(pause), self.channel(), Arg::Bytes(&message)];
        Ok(self.run(&ABANDON, &[&keys.lease], &args).await? == Reply::Int(1))
    }
}

impl<V: Send + Sync + 'static> Inner<V> {
    /// Waits until the lease is ours and the loader may run, or another's load is stored; [`Leave::Taken`] when others take it too long.
    ///
    /// Where there is no news, and where a message is lost, the lease's own time ends the wait.
    pub(crate) async fn lease(
        self: &Arc<Self>,
        keys: &Keys,
        mark: &Bytes,
        mut berth: Option<&Berth<V>>,
    ) -> Result<(Leave<V>, Option<SemaphorePermit<'_>>), CacheError> {
        let remote = &self.remote;
        let by = Instant::now() + remote.options.load_timeout;
        let mut mark = mark.clone();
        loop {
            // A batch has one permit for all of its keys.
            let permit = match berth {
                Some(_) => None,
                None => Some(self.permits.acquire(&remote.options).await?),
            };
            let heard = remote.news.is_open();
            let mut wait = remote.news.wait(&keys.entry);
            let (rest, holder) = match remote.begin(keys, &mark, true).await? {
                Begun::At(leave) => return Ok((leave, permit)),
                _ if Instant::now() >= by => return Ok((Leave::Taken, permit)),
                Begun::Unreadable(newer) => {
                    // It is replaced.
                    mark = newer;
                    continue;
                }
                Begun::Behind { rest, holder } => (rest, holder),
            };
            drop(permit);
            if let Some(berth) = berth.take() {
                berth.leave();
            }
            let hears = heard || matches!(timeout_at(by, self.listen()).await, Ok(Ok(true)));
            if hears && !heard {
                continue;
            }
            let rest = rest + Duration::from_millis(1);
            let look = by.min(Instant::now() + if hears { rest } else { rest.min(LOOK) });
            // What others stored before comes late at times, and may be invalidated.
            if let Ok(News::Stored { token, entry }) = timeout_at(look, wait.news()).await
                && token == holder
                && let Looked::Found(found) = remote.open(&keys.entry, entry).await?
            {
                return Ok((Leave::Found(found), None));
            }
        }
    }
}

/// Prolongs a lease until it is dropped.
pub(crate) struct Heartbeat(JoinHandle<()>);

impl Heartbeat {
    pub(crate) fn of<V: Send + Sync + 'static>(remote: Arc<Remote<V>>, keys: &Keys, lease: &Lease) -> Self {
        let (key, token) = (keys.lease.clone(), lease.token.clone());
        let began = lease.began.1;
        Self(tokio::spawn(async move {
            let ttl = remote.options.lease;
            let mut beat = began + ttl / 3;
            loop {
                sleep_until(beat).await;
                let Ok(millis) = Limits::ttl_millis("cache", ttl) else { return };
                match remote.run(&KEEP, &[&key], &[token.as_str().into(), Arg::Int(millis)]).await {
                    // Invalidated: there is nothing to keep.
                    Ok(Reply::Int(0)) => return,
                    Ok(_) => beat = Instant::now() + ttl / 3,
                    Err(_) => sleep(ttl / 10).await,
                }
            }
        }))
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}
