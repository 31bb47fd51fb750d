use super::{Broken, Defect::*};
use async_trait::async_trait;
use kv_core::{Error, ErrorKind, KvStore, KvStoreExt, PubSub, Result, Subscription};
use std::{
    borrow::Cow,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

#[async_trait]
impl PubSub for Broken {
    async fn publish(&self, channel: &str, payload: &[u8]) -> Result<u64> {
        let pubsub = self.inner.require_pubsub("publish")?;
        match self.defect {
            TakesEmptyChannels if channel.is_empty() => Ok(0),
            CountsNobody => pubsub.publish(channel, payload).await.map(|_| 0),
            SwapsMessages => {
                let held = self.held.lock().unwrap().replace(payload.to_vec());
                match held {
                    None => Ok(0),
                    Some(first) => {
                        self.held.lock().unwrap().take();
                        pubsub.publish(channel, payload).await?;
                        pubsub.publish(channel, &first).await
                    }
                }
            }
            _ => pubsub.publish(channel, payload).await,
        }
    }

    async fn subscribe(&self, channels: &[&str]) -> Result<Subscription> {
        let pubsub = self.inner.require_pubsub("subscribe")?;
        let names: Vec<String> = channels.iter().map(|name| (*name).to_owned()).collect();
        match self.defect {
            FirstChannelOnly => pubsub.subscribe(channels.get(..1).unwrap_or_default()).await,
            FirstSubscriberOnly if self.flag.swap(true, SeqCst) => {
                Ok(pumped(self.inner.clone(), vec!["elsewhere".into()], Duration::ZERO, usize::MAX))
            }
            SubscribesLate => Ok(pumped(self.inner.clone(), names, Duration::from_millis(20), usize::MAX)),
            LosesInSilence => {
                let subscription = pumped(self.inner.clone(), names, Duration::ZERO, 500);
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(subscription)
            }
            KeepsSubscriptions => {
                let forgotten = pubsub.subscribe(channels).await?;
                tokio::spawn(async move {
                    let _forgotten = forgotten;
                    std::future::pending::<()>().await;
                });
                pubsub.subscribe(channels).await
            }
            _ => pubsub.subscribe(channels).await,
        }
    }

    async fn psubscribe(&self, patterns: &[&str]) -> Result<Subscription> {
        let pubsub = self.inner.require_pubsub("psubscribe")?;
        match self.defect {
            PatternsArePlain => pubsub.subscribe(patterns).await,
            PatternsFail => Err(Error::new(ErrorKind::Rejected, "psubscribe")),
            _ => pubsub.psubscribe(patterns).await,
        }
    }

    fn channel_name<'a>(&self, channel: &'a str) -> Cow<'a, str> {
        if self.has(MisnamesChannels) { format!("elsewhere:{channel}").into() } else { channel.into() }
    }
}

/// A subscription that begins after a while, and hears so many messages.
fn pumped(store: Arc<dyn KvStore>, names: Vec<String>, after: Duration, messages: usize) -> Subscription {
    let (feed, subscription) = Subscription::new(());
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut inner = store.pubsub().unwrap().subscribe(&names).await.unwrap();
        for _ in 0..messages {
            let Some(message) = inner.next_message().await else { return };
            feed.deliver(message);
        }
        feed.closed().await;
    });
    subscription
}
