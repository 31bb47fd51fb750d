use crate::{
    Cache, CacheError,
    cache::Inner,
    entry::Side,
    message::Kind,
    script::{INSERT, INVALIDATE},
};
use kv_core::Arg;

impl<V> Cache<V> {
    /// Forgets a key: whoever asks after this gets what a loader brings that began after this was called.
    ///
    /// Call it after the database is changed. A load under way, in whichever process, goes on for those who waited for it before; what
    /// it brings is not stored. One round trip. If it fails or is dropped, the old value may stay: call it again.
    #[doc(alias = "remove")]
    #[doc(alias = "evict")]
    #[doc(alias = "expire")]
    pub async fn invalidate(&self, key: &str) -> Result<(), CacheError> {
        let (remote, keys) = (&self.inner.remote, self.inner.keys(key)?);
        let message = Kind::Invalidated.of(&keys.entry, b"");
        let args = [remote.channel(), Arg::Bytes(&message), Arg::Int(remote.options.lag_millis())];
        self.inner.forget(&keys.entry);
        remote.run(&INVALIDATE, &[&keys.entry, &keys.lease], &args).await?;
        // One that began meanwhile may have read what was there before.
        self.inner.forget(&keys.entry);
        Ok(())
    }

    /// Stores a value as of now, or that there is none, in place of whatever is there or being loaded; `false` if what is there is of a
    /// [later version](Self::versioned_by).
    ///
    /// For those who have just written it to the database, and know that nobody else has since, or have versions. One round trip. If it
    /// fails or is dropped, the old value may stay.
    #[doc(alias = "set")]
    #[doc(alias = "put")]
    pub async fn insert(&self, key: &str, value: Option<&V>) -> Result<bool, CacheError> {
        self.inner.insert(key, value, self.inner.all().as_slice()).await
    }
}

impl<V> Inner<V> {
    pub(crate) async fn insert(&self, key: &str, value: Option<&V>, tags: &[String]) -> Result<bool, CacheError> {
        let (remote, keys) = (&self.remote, self.keys(key)?);
        let tags = remote.capture(tags).await?;
        let (times, ttl) = remote.times(value);
        let side = if rand::random() { Side::Even } else { Side::Odd };
        let (entry, _) = remote.encode(&keys, value, (times, ttl), &tags, (side, None)).await?;
        let message = Kind::Invalidated.of(&keys.entry, b"");
        let args = [Arg::Bytes(&entry), Arg::Int(ttl), remote.channel(), Arg::Bytes(&message)];
        self.forget(&keys.entry);
        let now = remote.run(&INSERT, &[&keys.entry, &keys.lease], &args).await?.into_int(INSERT.name())?;
        if now == 0 {
            return Ok(false);
        }
        remote.clock.set(now.unsigned_abs());
        self.forget(&keys.entry);
        Ok(true)
    }
}
