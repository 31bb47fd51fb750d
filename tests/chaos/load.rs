use crate::{
    call::{Caller, Run, lock},
    channel::{Channel, NAME},
    counter::Counters,
    dice::Dice,
    echo::echo,
    queue::{Queues, UNDO, Verdict},
    register::Register,
    topology::Topology,
};
use anyhow::{Context, Result};
use bytes::Bytes;
use kv_core::{KvStore, PubSub};
use kv_redis::{RedisStore, redis::AsyncCommands};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

/// Everybody who makes calls.
#[derive(Debug)]
pub(crate) struct Load {
    store: RedisStore,
    run: Arc<Run>,
    counters: Arc<Counters>,
    queues: Arc<Queues>,
    others: JoinSet<()>,
    registers: JoinSet<Register>,
    channels: JoinSet<Channel>,
}

/// Workers of each kind.
const WORKERS: u64 = 10;
/// How long what was sent may still be executed after its caller is gone.
const LATE: Duration = Duration::from_secs(1);
/// How long the store may take to read what is there at the end.
const PATIENCE: Duration = Duration::from_secs(5);

impl Load {
    pub(crate) async fn start(store: &RedisStore, run: &Arc<Run>, topology: Topology, mut dice: Dice) -> Result<Self> {
        let (counters, queues) = (Arc::<Counters>::default(), Arc::<Queues>::default());
        let (mut others, mut registers, mut channels) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        let mut caller = || Caller { store: store.clone(), run: run.clone(), dice: dice.fork() };
        let mut pubsubs: Vec<Box<dyn PubSub>> = vec![Box::new(store.clone())];
        if topology == Topology::Cluster {
            pubsubs.push(Box::new(store.sharded_pubsub()));
        }
        for pubsub in pubsubs {
            let news = pubsub.subscribe(&[NAME]).await?;
            channels.spawn(Channel::talk(caller(), pubsub, news));
        }
        for own in 0..WORKERS {
            others.spawn(counters.clone().add(caller(), own));
            others.spawn(counters.clone().run(caller(), own));
            others.spawn(echo(caller(), own));
            others.spawn(queues.clone().push(caller(), own));
            others.spawn(queues.clone().pop(caller()));
            registers.spawn(Register::new(own).write(caller()));
        }
        Ok(Self { store: store.clone(), run: run.clone(), counters, queues, others, registers, channels })
    }

    /// Lets everybody finish, and checks what they have seen and what is there.
    pub(crate) async fn finish(mut self) -> Result<Books> {
        self.run.stop.store(true, Ordering::Relaxed);
        let channels = std::mem::take(&mut self.channels).join_all().await;
        let registers = std::mem::take(&mut self.registers).join_all().await;
        std::mem::take(&mut self.others).join_all().await;
        sleep(LATE).await;
        let (store, run) = (&self.store, &self.run);
        let keys = self.counters.keys();
        let mut breaches = Vec::new();
        for (key, value) in keys.iter().zip(read(store, &keys).await?) {
            let value = value.map_or(Some(0), |value| std::str::from_utf8(&value).ok()?.parse().ok());
            breaches.extend(self.counters.judge(key, value.context("a counter is no number")?, run));
        }
        let keys: Vec<String> = registers.iter().map(|register| register.key().to_owned()).collect();
        for (register, value) in registers.iter().zip(read(store, &keys).await?) {
            run.suspect(register.judge(value.as_deref()));
        }
        for channel in &channels {
            channel.judge().into_iter().for_each(|suspicion| run.suspect(Some(suspicion)));
        }
        let queues = self.count_elements().await?;
        breaches.extend(queues.breaches());
        breaches.extend(run.breaches());
        breaches.dedup();
        let checked = self.counters.checked(&run.losses);
        Ok(Books { breaches, queues, checked, gaps: channels.iter().map(Channel::gaps).sum() })
    }

    /// Waits until every element is back where it may be.
    async fn count_elements(&self) -> Result<Verdict> {
        let begun = Instant::now();
        loop {
            let mut rest = Vec::new();
            for key in Queues::keys() {
                rest.extend(self.store.connection().lrange::<_, Vec<String>>(&key, 0, -1).await?);
            }
            let verdict = self.queues.judge(&rest, &self.run.losses, &self.run.faults);
            if verdict.breaches().is_empty() || begun.elapsed() > UNDO {
                return Ok(verdict);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What the load has to say at the end.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) breaches: Vec<String>,
    pub(crate) queues: Verdict,
    pub(crate) gaps: usize,
    /// Increments that have to be there, and all that were acknowledged.
    pub(crate) checked: (u64, u64),
}

async fn read(store: &RedisStore, keys: &[String]) -> Result<Vec<Option<Bytes>>> {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let begun = Instant::now();
    loop {
        match store.mget(&keys).await {
            Err(error) if begun.elapsed() > PATIENCE => return Err(error).context("nothing can be read at the end"),
            Err(_) => sleep(Duration::from_millis(10)).await,
            Ok(values) => return Ok(values),
        }
    }
}

/// By how much the latest of all calls was late.
pub(crate) fn worst(run: &Run) -> Duration {
    lock(&run.late).iter().map(|late| late.over).max().unwrap_or_default()
}
