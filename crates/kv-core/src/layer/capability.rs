//! The capabilities of a layered store: those of the store beneath, with the layer around each call.

use super::{Around, Call, Layered};
use crate::{
    Arg, BlockingStore, Cursor, End, KeyChanges, KvStore, KvStoreExt, Page, PubSub, Repeat, Replication, Reply, Result,
    ScanStore, Script, ScriptCall, ScriptStore, Subscription, Tracking,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{borrow::Cow, time::Duration};

#[async_trait]
impl<S: KvStore, A: Around> ScriptStore for Layered<S, A> {
    async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        let scripts = self.store.require_scripts(script.name())?;
        let mut run = || scripts.run(script, keys, args);
        self.layer.around(Call::new(script.name(), Repeat::IfNotExecuted, &mut run)).await
    }

    async fn run_many(&self, script: &Script, calls: &[ScriptCall<'_>]) -> Result<Vec<Result<Reply>>> {
        let scripts = self.store.require_scripts(script.name())?;
        let mut run = || scripts.run_many(script, calls);
        self.layer.around(Call::new(script.name(), Repeat::IfNotExecuted, &mut run)).await
    }

    async fn eval(&self, lua: &str, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        let scripts = self.store.require_scripts("eval")?;
        self.layer.around(Call::new("eval", Repeat::IfNotExecuted, &mut || scripts.eval(lua, keys, args))).await
    }
}

#[async_trait]
impl<S: KvStore, A: Around> PubSub for Layered<S, A> {
    async fn publish(&self, channel: &str, payload: &[u8]) -> Result<u64> {
        let pubsub = self.store.require_pubsub("publish")?;
        self.layer.around(Call::new("publish", Repeat::IfNotExecuted, &mut || pubsub.publish(channel, payload))).await
    }

    async fn subscribe(&self, channels: &[&str]) -> Result<Subscription> {
        let pubsub = self.store.require_pubsub("subscribe")?;
        self.layer.around(Call::new("subscribe", Repeat::Idempotent, &mut || pubsub.subscribe(channels))).await
    }

    async fn psubscribe(&self, patterns: &[&str]) -> Result<Subscription> {
        let pubsub = self.store.require_pubsub("psubscribe")?;
        self.layer.around(Call::new("psubscribe", Repeat::Idempotent, &mut || pubsub.psubscribe(patterns))).await
    }

    fn channel_name<'a>(&self, channel: &'a str) -> Cow<'a, str> {
        self.store.pubsub().map_or(Cow::Borrowed(channel), |pubsub| pubsub.channel_name(channel))
    }
}

#[async_trait]
impl<S: KvStore, A: Around> ScanStore for Layered<S, A> {
    async fn scan_page(&self, prefix: &str, cursor: &Cursor, count: u32) -> Result<Page> {
        let scan = self.store.require_scan("scan_page")?;
        let mut run = || scan.scan_page(prefix, cursor, count);
        self.layer.around(Call::new("scan_page", Repeat::Idempotent, &mut run)).await
    }
}

#[async_trait]
impl<S: KvStore, A: Around> BlockingStore for Layered<S, A> {
    async fn push(&self, key: &str, end: End, elements: &[&[u8]]) -> Result<u64> {
        let lists = self.store.require_blocking("push")?;
        self.layer.around(Call::new("push", Repeat::IfNotExecuted, &mut || lists.push(key, end, elements))).await
    }

    async fn pop(&self, keys: &[&str], end: End, wait: Duration) -> Result<Option<(String, Bytes)>> {
        let lists = self.store.require_blocking("pop")?;
        let mut run = || lists.pop(keys, end, wait);
        self.layer.around(Call::new("pop", Repeat::IfNotExecuted, &mut run).with_wait(wait)).await
    }

    async fn move_to(&self, from: (&str, End), to: (&str, End), wait: Duration) -> Result<Option<Bytes>> {
        let lists = self.store.require_blocking("move_to")?;
        let mut run = || lists.move_to(from, to, wait);
        self.layer.around(Call::new("move_to", Repeat::IfNotExecuted, &mut run).with_wait(wait)).await
    }
}

#[async_trait]
impl<S: KvStore, A: Around> Replication for Layered<S, A> {
    async fn run_and_wait(
        &self,
        script: &Script,
        keys: &[&str],
        args: &[Arg<'_>],
        replicas: u32,
        wait: Duration,
    ) -> Result<(Reply, u32)> {
        let replication = self.store.require_replication(script.name())?;
        let mut run = || replication.run_and_wait(script, keys, args, replicas, wait);
        self.layer.around(Call::new(script.name(), Repeat::IfNotExecuted, &mut run).with_wait(wait)).await
    }
}

#[async_trait]
impl<S: KvStore, A: Around> Tracking for Layered<S, A> {
    async fn track(&self, prefixes: &[&str]) -> Result<KeyChanges> {
        let tracking = self.store.require_tracking("track")?;
        self.layer.around(Call::new("track", Repeat::Idempotent, &mut || tracking.track(prefixes))).await
    }
}
