use crate::{
    RedisOptions,
    dial::{Dialer, Wire},
    error::{classify, timed_out},
    node::Node,
    pubsub::Channels,
    sentinel::Sentinels,
    site::{Found, Site},
};
use futures_util::future::try_join_all;
use kv_core::{Event, Feed, Result, RetryPolicy, Subscription};
use redis::{Cmd, PushInfo, RedisResult, cmd};
use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

/// What a server is asked to push.
pub(crate) trait Wish: Send + Sync + 'static {
    type Item: Send + 'static;

    /// The commands that ask for it.
    fn commands(&self) -> Vec<Cmd>;

    /// Feeds what a push brings; `false` when the server ends it by itself.
    fn receive(&self, push: PushInfo, feed: &Feed<Self::Item>) -> bool;
}

/// Keeps a connection on which a server pushes.
pub(crate) struct Subscriber<W> {
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) site: Site,
    pub(crate) wish: Arc<W>,
}

/// A connection on which the server pushes.
pub(crate) struct Line {
    wire: Wire,
    found: Found,
    received: Arc<AtomicU64>,
    /// Told when the server ends it by itself: the slot went elsewhere.
    ended: Arc<Notify>,
}

impl<W: Wish> Subscriber<W> {
    pub(crate) async fn start(self, operation: &'static str) -> Result<Subscription<W::Item>> {
        let (feed, subscription) = Subscription::new(());
        let line = self.open(operation, &feed).await?;
        tokio::spawn(async move {
            tokio::select! {
                () = feed.closed() => {}
                () = self.pump(line, &feed) => {}
            }
        });
        Ok(subscription)
    }

    fn options(&self) -> &RedisOptions {
        &self.dialer.options
    }

    /// Connects and asks; everything that happens after this is fed.
    pub(crate) async fn open(&self, operation: &'static str, feed: &Feed<W::Item>) -> Result<Line> {
        let (received, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
        let opening = async {
            let found = self.site.find().await?;
            let receive = {
                let (wish, feed, received, ended) = (self.wish.clone(), feed.clone(), received.clone(), ended.clone());
                move |push: PushInfo| {
                    received.fetch_add(1, Ordering::Relaxed);
                    if !wish.receive(push, &feed) {
                        ended.notify_one();
                    }
                }
            };
            let wire = self.dialer.dial_for_messages(&found.address, receive).await?;
            let wire = self.site.check(wire).await?;
            // Each is answered; all are on their way at once.
            let asking = self.wish.commands().into_iter().map(|command| {
                let mut connection = wire.connection.clone();
                async move { command.exec_async(&mut connection).await }
            });
            try_join_all(asking).await?;
            RedisResult::Ok((wire, found))
        };
        let patience = self.options().connect_timeout.saturating_add(self.options().deadline);
        let opened = match timeout(patience, opening).await {
            Ok(opened) => opened.map_err(|error| classify(operation, &error)),
            Err(_) => Err(timed_out(operation)),
        };
        if opened.is_err() {
            self.site.doubt();
        }
        let (wire, found) = opened?;
        Ok(Line { wire, found, received, ended })
    }

    /// Hands over what comes for ever, across lost links, with a gap at the loss and another when it is mended.
    pub(crate) async fn pump(&self, mut line: Line, feed: &Feed<W::Item>) {
        loop {
            let probing = silence(self.options(), &line.received, line.wire.connection.clone());
            tokio::select! {
                () = line.wire.closed() => {}
                () = line.ended.notified() => {}
                () = probing => {}
                () = self.site.replaced(&mut line.found, self.options().heartbeat) => {}
            }
            drop(line);
            let _outage = feed.outage();
            self.site.doubt();
            line = self.reopen(feed).await;
        }
    }

    pub(crate) async fn reopen(&self, feed: &Feed<W::Item>) -> Line {
        let policy = RetryPolicy::default().base(Duration::from_millis(50));
        let mut attempt = 0;
        loop {
            sleep(policy.backoff(attempt)).await;
            match self.open("subscribe", feed).await {
                Ok(line) => return line,
                Err(error) => tracing::warn!(%error, "subscription is down"),
            }
            attempt = attempt.saturating_add(1);
        }
    }
}

/// Returns when a link has brought nothing for a heartbeat, and does not answer a probe.
async fn silence(options: &RedisOptions, received: &AtomicU64, mut connection: redis::aio::MultiplexedConnection) {
    let mut seen = received.load(Ordering::Relaxed);
    loop {
        sleep(options.heartbeat).await;
        let now = received.load(Ordering::Relaxed);
        if now == seen {
            let ping = cmd("PING");
            match timeout(options.deadline, connection.send_packed_command(&ping)).await {
                Ok(Ok(_)) => {}
                _ => return,
            }
        }
        seen = now;
    }
}

/// Has a store look for the new master as soon as a sentinel tells of one.
pub(crate) async fn follow_master(sentinels: Arc<Sentinels>, nodes: Vec<Weak<Node>>) {
    let policy = RetryPolicy::default().base(Duration::from_millis(50));
    let wish = Arc::new(Channels { command: "SUBSCRIBE", names: vec!["+switch-master".into()] });
    for attempt in 0.. {
        let site = Site::AnySentinel(sentinels.clone());
        let subscriber = Subscriber { dialer: sentinels.dialer.clone(), site, wish: wish.clone() };
        if let Ok(mut news) = subscriber.start("follow").await {
            // There may have been another one before this.
            sentinels.switched.send_replace(());
            while let Some(event) = news.next_event().await {
                if let Event::Message(message) = &event
                    && !message.payload.starts_with(format!("{} ", sentinels.name).as_bytes())
                {
                    continue;
                }
                nodes.iter().filter_map(Weak::upgrade).for_each(|node| node.reset());
                sentinels.switched.send_replace(());
            }
        }
        sleep(policy.backoff(attempt)).await;
    }
}
