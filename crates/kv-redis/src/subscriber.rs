use crate::{
    RedisOptions,
    cluster::Cluster,
    dial::{Dialer, Wire},
    endpoint::Address,
    error::{classify, timed_out},
    node::Node,
    sentinel::Sentinels,
};
use bytes::Bytes;
use futures_util::future::try_join_all;
use kv_core::{Event, Feed, Message, Result, RetryPolicy, Subscription};
use redis::{PushInfo, PushKind, RedisResult, Value, cmd};
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

/// Whom to subscribe to.
pub(crate) enum Site {
    Server(Address),
    Master(Arc<Sentinels>),
    AnySentinel(Arc<Sentinels>),
    Cluster(Arc<Cluster>, Option<u16>),
}

impl Site {
    async fn address(&self) -> RedisResult<Address> {
        match self {
            Self::Server(address) => Ok(address.clone()),
            Self::Master(sentinels) => sentinels.master().await,
            Self::AnySentinel(sentinels) => sentinels.any(),
            Self::Cluster(cluster, slot) => cluster.address(*slot),
        }
    }
}

pub(crate) struct Subscriber {
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) site: Site,
    pub(crate) command: &'static str,
    pub(crate) names: Vec<Arc<str>>,
}

/// A connection that is subscribed.
struct Line {
    wire: Wire,
    received: Arc<AtomicU64>,
    /// Told when the server ends a subscription by itself: the slot went elsewhere.
    ended: Arc<Notify>,
}

impl Subscriber {
    pub(crate) async fn start(self, operation: &'static str) -> Result<Subscription> {
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

    /// Connects and subscribes; every message published after this is fed.
    async fn open(&self, operation: &'static str, feed: &Feed) -> Result<Line> {
        let (received, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
        let opening = async {
            let address = self.site.address().await?;
            let receive = {
                let (names, feed, received, ended) =
                    (self.names.clone(), feed.clone(), received.clone(), ended.clone());
                move |push: PushInfo| {
                    received.fetch_add(1, Ordering::Relaxed);
                    match &push.kind {
                        PushKind::SUnsubscribe => ended.notify_one(),
                        _ => drop(message(&names, push).map(|message| feed.deliver(message))),
                    }
                }
            };
            let wire = self.dialer.dial_for_messages(&address, receive).await?;
            // Each name is a command of its own, since each is answered; all are on their way at once.
            let subscribing = self.names.iter().map(|name| {
                let mut connection = wire.connection.clone();
                async move { cmd(self.command).arg(&**name).exec_async(&mut connection).await }
            });
            try_join_all(subscribing).await?;
            RedisResult::Ok(wire)
        };
        let patience = self.options().connect_timeout.saturating_add(self.options().deadline);
        let wire = match timeout(patience, opening).await {
            Ok(wire) => wire.map_err(|error| classify(operation, &error)),
            Err(_) => Err(timed_out(operation)),
        };
        if let (Err(_), Site::Cluster(cluster, _)) = (&wire, &self.site) {
            cluster.refresh_soon();
        }
        Ok(Line { wire: wire?, received, ended })
    }

    /// Hands over messages for ever, across lost links, with a gap at the loss and another when it is mended.
    async fn pump(&self, mut line: Line, feed: &Feed) {
        loop {
            let probing = silence(self.options(), &line.received, line.wire.connection.clone());
            tokio::select! {
                () = line.wire.closed() => {}
                () = line.ended.notified() => {}
                () = probing => {}
            }
            drop(line);
            feed.gap();
            if let Site::Cluster(cluster, _) = &self.site {
                cluster.refresh_soon();
            }
            line = self.reopen(feed).await;
            feed.gap();
        }
    }

    async fn reopen(&self, feed: &Feed) -> Line {
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

fn message(names: &[Arc<str>], push: PushInfo) -> Option<Message> {
    let known = |name: &[u8]| {
        let shared = names.iter().find(|known| known.as_bytes() == name).cloned();
        shared.unwrap_or_else(|| String::from_utf8_lossy(name).into())
    };
    let mut data =
        push.data.into_iter().map(|value| if let Value::BulkString(bytes) = value { bytes } else { Vec::new() });
    let mut next = || data.next();
    match push.kind {
        PushKind::Message | PushKind::SMessage => {
            Some(Message { channel: known(&next()?), pattern: None, payload: Bytes::from(next()?) })
        }
        PushKind::PMessage => {
            let pattern = Some(known(&next()?));
            Some(Message { pattern, channel: known(&next()?), payload: Bytes::from(next()?) })
        }
        _ => None,
    }
}

/// Has a store look for the new master as soon as a sentinel tells of one.
pub(crate) async fn follow_master(sentinels: Arc<Sentinels>, nodes: Vec<Weak<Node>>) {
    let policy = RetryPolicy::default().base(Duration::from_millis(50));
    for attempt in 0.. {
        let site = Site::AnySentinel(sentinels.clone());
        let subscriber = Subscriber {
            dialer: sentinels.dialer.clone(),
            site,
            command: "SUBSCRIBE",
            names: vec!["+switch-master".into()],
        };
        if let Ok(mut news) = subscriber.start("follow").await {
            while let Some(event) = news.next_event().await {
                if let Event::Message(message) = &event
                    && !message.payload.starts_with(format!("{} ", sentinels.name).as_bytes())
                {
                    continue;
                }
                nodes.iter().filter_map(Weak::upgrade).for_each(|node| node.reset());
            }
        }
        sleep(policy.backoff(attempt)).await;
    }
}
