use super::{Broken, Defect::*};
use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{BlockingStore, End, KvStoreExt, Result};
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

impl Broken {
    fn wait_of(&self, wait: Duration) -> Duration {
        match self.defect {
            NeverWaits => Duration::ZERO,
            ZeroWaitsLong if wait.is_zero() => Duration::from_secs(60),
            _ => wait,
        }
    }
}

#[async_trait]
impl BlockingStore for Broken {
    async fn push(&self, key: &str, end: End, elements: &[&[u8]]) -> Result<u64> {
        if self.has(PushesNothing) && elements.is_empty() {
            return Ok(0);
        }
        match (self.inner.require_blocking("push")?.push(key, end, elements).await, self.defect) {
            (Ok(_), PushCountsElements) => Ok(elements.len() as u64),
            (Err(_), ListsOfAnything) => Ok(1),
            (answer, _) => answer,
        }
    }

    async fn pop(&self, keys: &[&str], end: End, wait: Duration) -> Result<Option<(String, Bytes)>> {
        let (lists, wait) = (self.inner.require_blocking("pop")?, self.wait_of(wait));
        match self.defect {
            PopsFrontOnly => lists.pop(keys, End::Front, wait).await,
            PopsLastList => lists.pop(&keys.iter().rev().copied().collect::<Vec<_>>(), end, wait).await,
            PopsTwice => {
                let taken = lists.pop(keys, end, wait).await?;
                if let Some((list, element)) = &taken
                    && !self.flag.swap(true, SeqCst)
                {
                    lists.push(list, end, &[element]).await?;
                }
                Ok(taken)
            }
            DroppedWaitsGoOn => {
                let (store, keys) = (self.inner.clone(), keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
                let popping = tokio::spawn(async move {
                    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                    store.require_blocking("pop")?.pop(&keys, end, wait).await
                });
                popping.await.unwrap()
            }
            _ => lists.pop(keys, end, wait).await,
        }
    }

    async fn move_to(&self, from: (&str, End), to: (&str, End), wait: Duration) -> Result<Option<Bytes>> {
        let (lists, wait) = (self.inner.require_blocking("move_to")?, self.wait_of(wait));
        if self.has(MoveTakesAway) {
            return Ok(lists.pop(&[from.0], from.1, wait).await?.map(|(_, element)| element));
        }
        lists.move_to(from, to, wait).await
    }
}
