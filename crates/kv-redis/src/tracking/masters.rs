use super::Changes;
use crate::{
    cluster::Cluster,
    endpoint::Address,
    error::{classify, timed_out},
    site::Site,
    source::not_connected,
    subscriber::{Line, Subscriber},
};
use futures_util::future::try_join_all;
use kv_core::{Feed, KeyChanges, Result};
use std::{collections::HashMap, sync::Arc};
use tokio::{sync::watch, task::AbortHandle, time::timeout};

/// One link to each master of a cluster, whoever they are.
struct Masters {
    cluster: Arc<Cluster>,
    wish: Arc<Changes>,
    feed: Feed<Arc<str>>,
    links: HashMap<Address, Link>,
}

/// A task that ends with this.
struct Link(AbortHandle);

impl Drop for Link {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tracks at all masters by the newest map.
pub(super) async fn track(cluster: Arc<Cluster>, wish: Arc<Changes>) -> Result<KeyChanges> {
    let (feed, changes) = KeyChanges::new(());
    // From before the map is read, so that none is missed.
    let news = cluster.news();
    let reading = timeout(cluster.dialer.options.connect_timeout, cluster.refresh()).await;
    reading.map_err(|_| timed_out("track"))?.map_err(|error| classify("track", &error))?;
    let mut masters = Masters { cluster, wish, feed, links: HashMap::new() };
    masters.open().await?;
    tokio::spawn(async move {
        let feed = masters.feed.clone();
        tokio::select! {
            () = feed.closed() => {}
            () = masters.follow(news) => {}
        }
    });
    Ok(changes)
}

impl Masters {
    fn subscriber(&self, address: &Address) -> Subscriber<Changes> {
        let site = Site::Node(self.cluster.clone(), address.clone());
        Subscriber { dialer: self.cluster.dialer.clone(), site, wish: self.wish.clone() }
    }

    async fn open(&mut self) -> Result<()> {
        let masters = self.cluster.masters();
        if masters.is_empty() {
            return Err(classify("track", &not_connected("nobody serves a hash slot")));
        }
        let opening = masters.into_iter().map(async |address| {
            let subscriber = self.subscriber(&address);
            let line = subscriber.open("track", &self.feed).await?;
            Ok((address, subscriber, line))
        });
        for (address, subscriber, line) in try_join_all(opening).await? {
            self.links.insert(address, link(subscriber, self.feed.clone(), Some(line)));
        }
        Ok(())
    }

    /// Links and unlinks as masters come and go; the map is read every heartbeat, as nobody else may look at it.
    async fn follow(&mut self, mut news: watch::Receiver<()>) {
        loop {
            if timeout(self.cluster.dialer.options.heartbeat, news.changed()).await.is_err() {
                self.cluster.refresh_soon();
                continue;
            }
            let masters = self.cluster.masters();
            // A cluster without masters has none yet: the links there are may still be good.
            if masters.is_empty() {
                continue;
            }
            let before = self.links.len();
            self.links.retain(|address, _| masters.contains(address));
            if self.links.len() < before {
                // What the last push said may be lost.
                self.feed.gap();
            }
            for address in masters {
                if !self.links.contains_key(&address) {
                    let link = link(self.subscriber(&address), self.feed.clone(), None);
                    self.links.insert(address, link);
                }
            }
        }
    }
}

/// Keeps a link; without a line it is down at first.
fn link(subscriber: Subscriber<Changes>, feed: Feed<Arc<str>>, line: Option<Line>) -> Link {
    let outage = line.is_none().then(|| feed.outage());
    let task = tokio::spawn(async move {
        let line = match line {
            Some(line) => line,
            None => subscriber.reopen(&feed).await,
        };
        drop(outage);
        subscriber.pump(line, &feed).await;
    });
    Link(task.abort_handle())
}
