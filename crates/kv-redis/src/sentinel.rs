use crate::{
    dial::{Dialer, Purpose, Wire},
    endpoint::Address,
    source::not_connected,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use rand::seq::{IndexedRandom, SliceRandom};
use redis::{ErrorKind, RedisError, RedisResult, cmd};
use std::{collections::HashMap, sync::Arc};
use tokio::{sync::watch, time::timeout};

/// The sentinels that watch over one master (<https://redis.io/docs/latest/develop/reference/sentinel-clients/>).
pub(crate) struct Sentinels {
    /// Opens connections to sentinels, which have a login of their own.
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) name: String,
    /// Told when there may be another master.
    pub(crate) switched: watch::Sender<()>,
}

/// One server as a sentinel describes it.
type Description = HashMap<String, String>;

impl Sentinels {
    /// The address of the master, by the newest configuration that a majority knows of, or all who answer in time.
    ///
    /// A sentinel that was cut off tells of a master long replaced: the first answer is not good enough.
    pub(crate) async fn master(&self) -> RedisResult<Address> {
        let majority = self.addresses.len() / 2 + 1;
        let mut asked: FuturesUnordered<_> = self.addresses.iter().map(|sentinel| self.ask_master(sentinel)).collect();
        let (mut answers, mut newest, mut failure) = (0, None, None);
        while answers < majority
            && let Some(answer) = asked.next().await
        {
            match answer {
                Ok((epoch, address)) => {
                    answers += 1;
                    if newest.as_ref().is_none_or(|(known, _)| *known < epoch) {
                        newest = Some((epoch, address));
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        let failed = || failure.unwrap_or_else(|| not_connected("no sentinel answers"));
        newest.map(|(_, address)| address).ok_or_else(failed)
    }

    async fn ask_master(&self, sentinel: &Address) -> RedisResult<(u64, Address)> {
        let master: Description = self.ask(sentinel, "MASTER").await?;
        let epoch = master.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
        Ok((epoch, address_of(&master).ok_or_else(unreadable)?))
    }

    /// The replicas that are up and follow their master, from the first sentinel that answers.
    async fn replicas(&self) -> RedisResult<Vec<Address>> {
        let mut asked: FuturesUnordered<_> =
            self.addresses.iter().map(|sentinel| self.ask::<Vec<Description>>(sentinel, "REPLICAS")).collect();
        let mut failure = not_connected("no sentinel answers");
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(replicas) => {
                    return Ok(replicas.iter().filter(|one| is_healthy(one)).filter_map(address_of).collect());
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn ask<T: redis::FromRedisValue>(&self, sentinel: &Address, question: &str) -> RedisResult<T> {
        let asking = async {
            let mut wire = self.dialer.dial(sentinel, Purpose::Commands).await?;
            cmd("SENTINEL").arg(question).arg(&self.name).query_async(&mut wire.connection).await
        };
        // Half, so that time is left for the master.
        let patience = self.dialer.options.connect_timeout / 2;
        match timeout(patience, asking).await {
            Ok(Err(error)) if error.detail().is_some_and(|said| said.starts_with("No such master")) => {
                Err((ErrorKind::InvalidClientConfig, "the sentinels know no master of this name").into())
            }
            Ok(answer) => answer,
            Err(_) => Err(not_connected("a sentinel does not answer")),
        }
    }

    /// Connects to the master, and makes sure that it is one.
    pub(crate) async fn dial_master(&self, dialer: &Dialer) -> RedisResult<Wire> {
        let address = self.master().await?;
        let wire = dialer.dial(&address, Purpose::Commands).await?;
        self.check_role(wire, "master").await
    }

    /// Connects to a replica, or to the master where there is none.
    pub(crate) async fn dial_replica(&self, dialer: &Dialer) -> RedisResult<Wire> {
        let mut replicas = self.replicas().await?;
        replicas.shuffle(&mut rand::rng());
        for address in replicas {
            if let Ok(wire) = dialer.dial(&address, Purpose::Commands).await
                && let Ok(wire) = self.check_role(wire, "slave").await
            {
                return Ok(wire);
            }
        }
        self.dial_master(dialer).await
    }

    pub(crate) async fn check_role(&self, mut wire: Wire, role: &str) -> RedisResult<Wire> {
        let is: Vec<redis::Value> = cmd("ROLE").query_async(&mut wire.connection).await?;
        let is: String = is.into_iter().next().map(redis::from_redis_value).transpose()?.unwrap_or_default();
        if is == role { Ok(wire) } else { Err(not_connected("the server has another role than the sentinels say")) }
    }

    pub(crate) fn any(&self) -> RedisResult<Address> {
        self.addresses.choose(&mut rand::rng()).cloned().ok_or_else(|| not_connected("there are no sentinels"))
    }
}

fn address_of(server: &Description) -> Option<Address> {
    Some(Address::tcp(server.get("ip")?, server.get("port")?.parse().ok()?))
}

fn is_healthy(replica: &Description) -> bool {
    let flags = replica.get("flags").map_or("", String::as_str);
    let up = !["s_down", "o_down", "disconnected"].iter().any(|flag| flags.split(',').any(|has| has == *flag));
    up && replica.get("master-link-status").is_some_and(|status| status == "ok")
}

fn unreadable() -> RedisError {
    (ErrorKind::Parse, "a sentinel's answer cannot be read").into()
}
