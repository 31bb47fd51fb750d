use crate::{
    BlockingStore, Capabilities, ChunkOptions, Codec, Condition, Error, ErrorKind, PubSub, Replication, Result,
    ScanStore, ScriptStore, SetOptions, Tracking, chunked,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{fmt, pin::Pin, sync::Arc, time::Duration};

/// How long a key has to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// There is no such key.
    Missing,
    /// The key has no TTL.
    Unlimited,
    /// The key goes after this time.
    Remaining(Duration),
}

/// The store: strings of bytes under string keys, each with a TTL if wanted.
///
/// Every method is one round trip on a server and safe to drop at any await: a dropped call may or may not have
/// happened. Keys must not be empty, TTLs not zero: both are [`ErrorKind::InvalidInput`], before anything is sent.
/// What a store can do beyond strings it hands out through accessors, so that one `Arc<dyn KvStore>` is enough for
/// every pattern. A layer forwards every method and every accessor, or changes them on purpose.
#[async_trait]
pub trait KvStore: fmt::Debug + Send + Sync {
    /// Reads a value; `None` when the key is absent.
    async fn get(&self, key: &str) -> Result<Option<Bytes>>;

    /// Reads a part of a value: so many bytes from this one on, fewer where the value ends, none when the key is absent.
    ///
    /// What a layer made of the value, by compressing it, is read as it is stored. No bytes is no round trip. The default reads
    /// the whole value.
    #[doc(alias = "getrange")]
    #[doc(alias = "substr")]
    async fn get_range(&self, key: &str, offset: usize, len: usize) -> Result<Bytes> {
        let whole = self.get(key).await.map_err(|error| error.with_operation("get_range"))?;
        let value = whole.unwrap_or_default();
        let from = offset.min(value.len());
        Ok(value.slice(from..from.saturating_add(len).min(value.len())))
    }

    /// Writes a value; `false` when the [condition](SetOptions::condition) does not hold and nothing is written.
    async fn set(&self, key: &str, value: &[u8], options: SetOptions) -> Result<bool>;

    /// Deletes keys of any type, and says how many there were. No keys is no round trip.
    async fn delete(&self, keys: &[&str]) -> Result<u64>;

    /// Whether the key is present.
    async fn exists(&self, key: &str) -> Result<bool>;

    /// How long the key has to live.
    async fn ttl(&self, key: &str) -> Result<Ttl>;

    /// Sets the TTL of a key that exists; `false` when it is absent.
    async fn expire(&self, key: &str, ttl: Duration) -> Result<bool>;

    /// Adds to a decimal integer and returns the sum; an absent key counts as 0, its TTL stays as it is.
    ///
    /// A value that is no integer is [`ErrorKind::WrongType`], a sum beyond 64 bits [`ErrorKind::InvalidInput`]; both
    /// leave the value alone. Not idempotent.
    async fn incr_by(&self, key: &str, delta: i64) -> Result<i64>;

    /// Reads many values, in the order of the keys; a key of another type reads as `None`. No keys is no round trip.
    async fn mget(&self, keys: &[&str]) -> Result<Vec<Option<Bytes>>>;

    /// Writes many values at once, each with the TTL: all or none as far as
    /// [`Capabilities::atomic_batch`] says. No entries is no round trip.
    async fn mset(&self, entries: &[(&str, &[u8])], ttl: Option<Duration>) -> Result<()>;

    /// What the store accepts and promises beyond its methods.
    fn capabilities(&self) -> Capabilities;

    /// Atomic scripts, where the store has them.
    fn scripts(&self) -> Option<&dyn ScriptStore>;

    /// Publish and subscribe, where the store has it.
    fn pubsub(&self) -> Option<&dyn PubSub>;

    /// A walk over the keys, where the store has it.
    fn scan(&self) -> Option<&dyn ScanStore>;

    /// Lists that can be waited on, where the store has them.
    fn blocking(&self) -> Option<&dyn BlockingStore>;

    /// Waiting for replicas, where the store has any.
    fn replication(&self) -> Option<&dyn Replication>;

    /// Word of the keys that change, where the store has it.
    fn tracking(&self) -> Option<&dyn Tracking>;
}

/// Comfortable forms of [`KvStore`], for every store.
#[async_trait]
pub trait KvStoreExt: KvStore {
    /// Writes a value only if the key is absent: Redis' `SET NX PX`. Says whether it did.
    async fn set_nx_px(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool> {
        self.set(key, value, SetOptions::default().ttl(ttl).condition(Condition::IfAbsent)).await
    }

    /// Writes a value with a TTL.
    #[doc(alias = "setex")]
    async fn set_px(&self, key: &str, value: &[u8], ttl: Duration) -> Result<()> {
        self.set(key, value, SetOptions::default().ttl(ttl)).await.map(drop)
    }

    /// Reads a typed value through a codec.
    async fn get_as<T: Send>(&self, key: &str, codec: &dyn Codec<T>) -> Result<Option<T>> {
        self.get(key).await?.map(|bytes| codec.decode(bytes)).transpose()
    }

    /// Writes a typed value through a codec.
    async fn set_as<T: Sync>(&self, key: &str, value: &T, codec: &dyn Codec<T>, options: SetOptions) -> Result<bool> {
        self.set(key, &codec.encode(value)?, options).await
    }

    /// Writes a value of any size up to [`max_bytes`](ChunkOptions::max_bytes): whole where it fits in a part, else as a manifest
    /// under the key and parts under `key:part:…`.
    ///
    /// Readers see the value before or all of this one, never a mixture; [`get_chunked`](Self::get_chunked) reads it. A
    /// larger value is [`ErrorKind::InvalidInput`] before anything is sent. An error that says it was not executed left the value before;
    /// one that says maybe is the manifest's lost reply, and no layer repeats it. A write that is dropped or fails half way is not seen,
    /// and its parts go by their TTL, [`ttl`](ChunkOptions::ttl) and [`grace`](ChunkOptions::grace), if not at once; so do those of
    /// one of two writes that cross. Plain `set` and `delete` leave parts behind for as long, and an `expire` that
    /// outlasts the parts loses the value: write it again.
    ///
    /// Two round trips for a value stored whole; else those, one for each [`parts_per_trip`](ChunkOptions::parts_per_trip), and one to
    /// delete the parts of what it replaces.
    ///
    /// ```
    /// # use kv_core::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// let store = MemoryStore::new();
    /// let options = ChunkOptions::default().part_bytes(1000);
    /// store.set_chunked("report", &[7; 2500], &options).await?;
    /// assert_eq!(store.get_chunked("report", &options).await?.unwrap(), [7; 2500][..]);
    /// assert_eq!(store.len(), 4, "a manifest and three parts");
    /// assert!(store.delete_chunked("report").await? && store.is_empty());
    /// # Ok(()) }
    /// ```
    async fn set_chunked(&self, key: &str, value: &[u8], options: &ChunkOptions) -> Result<()> {
        chunked::set(self, key, value, options).await
    }

    /// Reads what [`set_chunked`](Self::set_chunked) wrote, or a value stored by anybody as it is; `None` when the key is absent.
    ///
    /// A value overwritten meanwhile is read anew; one that changes under many such tries is [`ErrorKind::Unavailable`]. One that
    /// has lost a part, by eviction or a failover, or that claims more than [`max_bytes`](ChunkOptions::max_bytes), is
    /// [`ErrorKind::Corrupt`]: never less than was written, and never a wait for what cannot come.
    ///
    /// One round trip, and for a value in parts one more for each [`parts_per_trip`](ChunkOptions::parts_per_trip).
    async fn get_chunked(&self, key: &str, options: &ChunkOptions) -> Result<Option<Bytes>> {
        chunked::get(self, key, options).await
    }

    /// Deletes what [`set_chunked`](Self::set_chunked) wrote, and says whether it was there. Two round trips, and one for each
    /// 1024 parts.
    async fn delete_chunked(&self, key: &str) -> Result<bool> {
        chunked::delete(self, key).await
    }

    /// The store's scripts, or [`ErrorKind::Unsupported`].
    fn require_scripts(&self, operation: &'static str) -> Result<&dyn ScriptStore> {
        self.scripts()
            .ok_or_else(|| Error::new(ErrorKind::Unsupported, operation).with_detail("the store runs no scripts"))
    }

    /// The store's publish and subscribe, or [`ErrorKind::Unsupported`].
    fn require_pubsub(&self, operation: &'static str) -> Result<&dyn PubSub> {
        self.pubsub()
            .ok_or_else(|| Error::new(ErrorKind::Unsupported, operation).with_detail("the store has no pub/sub"))
    }

    /// The store's walk over the keys, or [`ErrorKind::Unsupported`].
    fn require_scan(&self, operation: &'static str) -> Result<&dyn ScanStore> {
        self.scan()
            .ok_or_else(|| Error::new(ErrorKind::Unsupported, operation).with_detail("the store cannot list its keys"))
    }

    /// The store's lists, or [`ErrorKind::Unsupported`].
    fn require_blocking(&self, operation: &'static str) -> Result<&dyn BlockingStore> {
        self.blocking().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, operation).with_detail("the store has no lists to wait on")
        })
    }

    /// The store's way to wait for replicas, or [`ErrorKind::Unsupported`].
    fn require_replication(&self, operation: &'static str) -> Result<&dyn Replication> {
        self.replication().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, operation).with_detail("the store cannot wait for replicas")
        })
    }

    /// The store's word of the keys that change, or [`ErrorKind::Unsupported`].
    fn require_tracking(&self, operation: &'static str) -> Result<&dyn Tracking> {
        self.tracking().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, operation).with_detail("the store does not tell which keys change")
        })
    }
}

impl<S: KvStore + ?Sized> KvStoreExt for S {}

/// Hands on the boxed future as it is: what `async fn` would write here boxes it a second time.
macro_rules! forward {
    ($(fn $name:ident<$($life:lifetime),*>(&self $(, $argument:ident: $kind:ty)*) -> $answer:ty;)*) => {$(
        fn $name<'life0, $($life,)* 'async_trait>(
            &'life0 self $(, $argument: $kind)*
        ) -> Pin<Box<dyn Future<Output = Result<$answer>> + Send + 'async_trait>>
        where
            Self: 'async_trait,
            'life0: 'async_trait,
            $($life: 'async_trait,)*
        {
            (**self).$name($($argument),*)
        }
    )*};
}

impl<S: KvStore + ?Sized> KvStore for Arc<S> {
    forward! {
        fn get<'life1>(&self, key: &'life1 str) -> Option<Bytes>;
        fn get_range<'life1>(&self, key: &'life1 str, offset: usize, len: usize) -> Bytes;
        fn set<'life1, 'life2>(&self, key: &'life1 str, value: &'life2 [u8], options: SetOptions) -> bool;
        fn delete<'life1, 'life2>(&self, keys: &'life1 [&'life2 str]) -> u64;
        fn exists<'life1>(&self, key: &'life1 str) -> bool;
        fn ttl<'life1>(&self, key: &'life1 str) -> Ttl;
        fn expire<'life1>(&self, key: &'life1 str, ttl: Duration) -> bool;
        fn incr_by<'life1>(&self, key: &'life1 str, delta: i64) -> i64;
        fn mget<'life1, 'life2>(&self, keys: &'life1 [&'life2 str]) -> Vec<Option<Bytes>>;
        fn mset<'life1, 'life2, 'life3>(
            &self, entries: &'life1 [(&'life2 str, &'life3 [u8])], ttl: Option<Duration>
        ) -> ();
    }
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }
    fn scripts(&self) -> Option<&dyn ScriptStore> {
        (**self).scripts()
    }
    fn pubsub(&self) -> Option<&dyn PubSub> {
        (**self).pubsub()
    }
    fn scan(&self) -> Option<&dyn ScanStore> {
        (**self).scan()
    }
    fn blocking(&self) -> Option<&dyn BlockingStore> {
        (**self).blocking()
    }
    fn replication(&self) -> Option<&dyn Replication> {
        (**self).replication()
    }
    fn tracking(&self) -> Option<&dyn Tracking> {
        (**self).tracking()
    }
}
