//! The capabilities of a namespace: those of the store beneath, with the prefix on every name.

use super::{Namespaced, borrow};
use crate::{
    Arg, BlockingStore, Cursor, End, Error, KeyChanges, KvStore, KvStoreExt, Message, Page, PubSub, Replication, Reply,
    Result, ScanStore, Script, ScriptCall, ScriptStore, Subscription, Tracking,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{borrow::Cow, sync::Arc, time::Duration};

#[async_trait]
impl<S: KvStore> ScriptStore for Namespaced<S> {
    async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        let scripts = self.store.require_scripts(script.name())?;
        scripts.run(script, &borrow(&self.add_all(script.name(), keys)?), args).await
    }

    async fn run_many(&self, script: &Script, calls: &[ScriptCall<'_>]) -> Result<Vec<Result<Reply>>> {
        let scripts = self.store.require_scripts(script.name())?;
        let keys: Vec<Vec<String>> =
            calls.iter().map(|call| self.add_all(script.name(), call.keys)).collect::<Result<_>>()?;
        let keys: Vec<Vec<&str>> = keys.iter().map(|keys| borrow(keys)).collect();
        let calls: Vec<ScriptCall<'_>> =
            keys.iter().zip(calls).map(|(keys, call)| ScriptCall { keys, args: call.args }).collect();
        scripts.run_many(script, &calls).await
    }

    async fn eval(&self, lua: &str, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        let scripts = self.store.require_scripts("eval")?;
        scripts.eval(lua, &borrow(&self.add_all("eval", keys)?), args).await
    }
}

#[async_trait]
impl<S: KvStore> PubSub for Namespaced<S> {
    async fn publish(&self, channel: &str, payload: &[u8]) -> Result<u64> {
        let pubsub = self.store.require_pubsub("publish")?;
        pubsub.publish(&self.add("publish", channel)?, payload).await
    }

    async fn subscribe(&self, channels: &[&str]) -> Result<Subscription> {
        let pubsub = self.store.require_pubsub("subscribe")?;
        let subscription = pubsub.subscribe(&borrow(&self.add_all("subscribe", channels)?)).await?;
        Ok(subscription.rename(stripping(self.prefix.clone(), String::new())))
    }

    async fn psubscribe(&self, patterns: &[&str]) -> Result<Subscription> {
        let pubsub = self.store.require_pubsub("psubscribe")?;
        if patterns.contains(&"") {
            return Err(Error::invalid_input("psubscribe", "pattern must not be empty"));
        }
        let literal = escape(&self.prefix);
        let patterns: Vec<String> = patterns.iter().map(|pattern| [&literal, *pattern].concat()).collect();
        let subscription = pubsub.psubscribe(&borrow(&patterns)).await?;
        Ok(subscription.rename(stripping(self.prefix.clone(), literal)))
    }

    fn channel_name<'a>(&self, channel: &'a str) -> Cow<'a, str> {
        let name = [&self.prefix, channel].concat();
        match self.store.pubsub() {
            Some(pubsub) => pubsub.channel_name(&name).into_owned().into(),
            None => name.into(),
        }
    }
}

#[async_trait]
impl<S: KvStore> ScanStore for Namespaced<S> {
    async fn scan_page(&self, prefix: &str, cursor: &Cursor, count: u32) -> Result<Page> {
        let scan = self.store.require_scan("scan_page")?;
        let mut page = scan.scan_page(&[&self.prefix, prefix].concat(), cursor, count).await?;
        for key in &mut page.keys {
            strip(key, &self.prefix);
        }
        Ok(page)
    }
}

#[async_trait]
impl<S: KvStore> BlockingStore for Namespaced<S> {
    async fn push(&self, key: &str, end: End, elements: &[&[u8]]) -> Result<u64> {
        let lists = self.store.require_blocking("push")?;
        lists.push(&self.add("push", key)?, end, elements).await
    }

    async fn pop(&self, keys: &[&str], end: End, wait: Duration) -> Result<Option<(String, Bytes)>> {
        let lists = self.store.require_blocking("pop")?;
        let popped = lists.pop(&borrow(&self.add_all("pop", keys)?), end, wait).await?;
        Ok(popped.map(|(mut key, element)| {
            strip(&mut key, &self.prefix);
            (key, element)
        }))
    }

    async fn move_to(&self, from: (&str, End), to: (&str, End), wait: Duration) -> Result<Option<Bytes>> {
        let lists = self.store.require_blocking("move_to")?;
        let (source, target) = (self.add("move_to", from.0)?, self.add("move_to", to.0)?);
        lists.move_to((&source, from.1), (&target, to.1), wait).await
    }
}

fn strip(name: &mut String, prefix: &str) {
    if name.starts_with(prefix) {
        name.drain(..prefix.len());
    }
}

/// Takes the prefix off a message's channel, and the escaped one off its pattern.
fn stripping(prefix: String, literal: String) -> impl Fn(&mut Message) + Send + Sync {
    move |message| {
        strip_shared(&mut message.channel, &prefix);
        if let Some(pattern) = &mut message.pattern {
            strip_shared(pattern, &literal);
        }
    }
}

fn strip_shared(name: &mut Arc<str>, prefix: &str) {
    if let Some(bare) = name.strip_prefix(prefix) {
        *name = bare.into();
    }
}

/// The text as a pattern that matches it and nothing else.
fn escape(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

#[async_trait]
impl<S: KvStore> Replication for Namespaced<S> {
    async fn run_and_wait(
        &self,
        script: &Script,
        keys: &[&str],
        args: &[Arg<'_>],
        replicas: u32,
        wait: Duration,
    ) -> Result<(Reply, u32)> {
        let replication = self.store.require_replication(script.name())?;
        replication.run_and_wait(script, &borrow(&self.add_all(script.name(), keys)?), args, replicas, wait).await
    }
}

#[async_trait]
impl<S: KvStore> Tracking for Namespaced<S> {
    async fn track(&self, prefixes: &[&str]) -> Result<KeyChanges> {
        let tracking = self.store.require_tracking("track")?;
        let prefixes: Vec<String> = prefixes.iter().map(|prefix| [&self.prefix, *prefix].concat()).collect();
        let changes = tracking.track(&borrow(&prefixes)).await?;
        let prefix = self.prefix.clone();
        Ok(changes.rename(move |key| strip_shared(key, &prefix)))
    }
}
