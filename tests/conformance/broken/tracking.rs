use super::{Broken, Defect::*};
use async_trait::async_trait;
use kv_core::{Error, ErrorKind, Event, KeyChanges, KvStore, KvStoreExt, Result, Tracking};
use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

#[async_trait]
impl Tracking for Broken {
    async fn track(&self, prefixes: &[&str]) -> Result<KeyChanges> {
        let tracking = self.inner.require_tracking("track")?;
        let overlap = |(at, long): (usize, &&str)| {
            prefixes.iter().enumerate().any(|(other, short)| other != at && long.starts_with(short))
        };
        match self.defect {
            TracksNothing if prefixes.is_empty() => Ok(KeyChanges::new(()).1),
            EmptyPrefixTracksNothing if prefixes == [""] => tracking.track(&["elsewhere"]).await,
            TracksEverything => tracking.track(&[""]).await,
            LastPrefixOnly => tracking.track(&prefixes[prefixes.len() - 1..]).await,
            RefusesOverlaps if prefixes.iter().enumerate().any(overlap) => {
                Err(Error::new(ErrorKind::Rejected, "track"))
            }
            FirstTrackerOnly if self.flag.swap(true, SeqCst) => tracking.track(&["elsewhere"]).await,
            TracksLate => Ok(pumped(self.inner.clone(), prefixes, Duration::from_millis(20), |_, _| true)),
            MissesDeletions => {
                let store = self.inner.clone();
                let changes = pumped(store, prefixes, Duration::ZERO, |present, _| present);
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(changes)
            }
            MissesScripts if prefixes.iter().any(|prefix| prefix.ends_with("script")) => {
                tracking.track(&["elsewhere"]).await
            }
            MissesExpiries | LosesChangesInSilence => {
                let most = if self.has(MissesExpiries) { 1 } else { 500 };
                let changes = pumped(self.inner.clone(), prefixes, Duration::ZERO, move |_, at| at < most);
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(changes)
            }
            _ => tracking.track(prefixes).await,
        }
    }
}

/// Changes from a while on, of those that pass: by whether the key is there, and how many there were before.
fn pumped(
    store: Arc<dyn KvStore>,
    prefixes: &[&str],
    after: Duration,
    passes: impl Fn(bool, usize) -> bool + Send + Sync + 'static,
) -> KeyChanges {
    let (feed, changes) = KeyChanges::new(());
    let prefixes: Vec<String> = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        let mut inner = store.require_tracking("test").unwrap().track(&prefixes).await.unwrap();
        let mut seen = 0;
        while let Some(Event::Message(key)) = inner.next_event().await {
            if passes(store.exists(&key).await.unwrap(), seen) {
                feed.deliver(key);
            }
            seen += 1;
        }
    });
    changes
}
