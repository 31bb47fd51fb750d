//! redis-rs and a script, and no more than it takes.

use std::marker::PhantomData;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, cmd};
use tokio::time::timeout;

use super::{Ids, RATE};
use crate::load::{ClosedLoop, Operation};
use crate::scenario::Contender;

/// What `redis_rate` does, in its order and its types: `TIME`, `GET`, floating seconds, `SET`, and four values, two of them text.
const REDIS_RATE: &str = r#"
local burst, rate, period, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local step = period / rate
local time = redis.call("TIME")
local now = (time[1] - 1483228800) + time[2] / 1000000
local arrival = redis.call("GET", KEYS[1])
arrival = math.max(arrival and tonumber(arrival) or now, now)
local later = arrival + step * cost
local left = (now - (later - step * burst)) / step
if left < 0 then
  return {0, 0, tostring(-left * step), tostring(arrival - now)}
end
local reset = later - now
if reset > 0 then
  redis.call("SET", KEYS[1], string.format("%.17g", later), "EX", math.ceil(reset))
end
return {cost, left, tostring(-1), tostring(reset)}
"#;

/// In microseconds, which are ticks here.
const HOUR: u64 = 3_600_000_000;

/// Both scripts, known to the server.
pub(super) struct Scripts {
    connection: MultiplexedConnection,
    deadline: Duration,
    check: String,
    redis_rate: String,
}

impl Scripts {
    pub(super) async fn load(connection: MultiplexedConnection, deadline: Duration) -> Result<Self> {
        let check = redis_ratelimit::SCRIPTS.iter().find(|script| script.name() == "redis-ratelimit/check");
        let check = load(&connection, check.context("a script that checks")?.lua()).await?;
        let redis_rate = load(&connection, REDIS_RATE).await?;
        Ok(Self { connection, deadline, check, redis_rate })
    }

    /// The script of our crate, with the arguments it gets.
    pub(super) fn same(&self, tasks: usize, keys: usize) -> Box<dyn Contender> {
        // The capacity in ticks, the cost, ticks per microsecond, the lifetime; the server's clock.
        let args = [RATE.to_string(), "1".into(), "1".into(), "2001".into(), String::new()];
        let ids = Ids::of_tasks(tasks, keys, |key| format!("floor:{{{key}}}"));
        ClosedLoop::boxed("redis-rs, same script", &[("evalsha", 1)], self.all::<i64>(&self.check, &args, ids))
    }

    pub(super) fn redis_rate(&self, tasks: usize, keys: usize) -> Box<dyn Contender> {
        let args = [RATE, RATE, 1, 1].map(|number| number.to_string());
        let ids = Ids::of_tasks(tasks, keys, |key| format!("rate:{key}"));
        let tasks = self.all::<(i64, i64, String, String)>(&self.redis_rate, &args, ids);
        ClosedLoop::boxed("redis_rate's commands", &[("evalsha", 1)], tasks)
    }

    /// What asks for a key whose only unit of the hour is taken.
    pub(super) async fn denied(&self) -> Result<Denied> {
        let same = [HOUR, HOUR, 1, HOUR / 1000].map(|number| number.to_string());
        let same = same.into_iter().chain([String::new()]).collect::<Vec<_>>();
        let redis_rate = [1, 1, HOUR / 1_000_000, 1].map(|number| number.to_string());
        let id = |name: &'static str| Ids::of_tasks(1, 1, move |_| name.to_owned());
        let mut denied = Denied {
            same: self.all(&self.check, &same, id("floor:{denied}")),
            redis_rate: self.all(&self.redis_rate, &redis_rate, id("rate:denied")),
        };
        for bare in &mut denied.same {
            bare.takes_all().await?;
        }
        for bare in &mut denied.redis_rate {
            bare.takes_all().await?;
        }
        Ok(denied)
    }

    fn all<R>(&self, sha1: &str, args: &[String], ids: impl Iterator<Item = Ids>) -> Vec<Bare<R>> {
        let of = |ids| Bare {
            connection: self.connection.clone(),
            deadline: self.deadline,
            sha1: sha1.to_owned(),
            args: args.to_vec(),
            ids,
            admits: true,
            reply: PhantomData,
        };
        ids.map(of).collect()
    }
}

/// Both scripts, which say no.
pub(super) struct Denied {
    same: Vec<Bare<i64>>,
    redis_rate: Vec<Bare<(i64, i64, String, String)>>,
}

impl Denied {
    pub(super) fn boxed(self) -> [Box<dyn Contender>; 2] {
        let one = &[("evalsha", 1)];
        [
            ClosedLoop::boxed("redis-rs, same script", one, self.same),
            ClosedLoop::boxed("redis_rate's commands", one, self.redis_rate),
        ]
    }
}

async fn load(connection: &MultiplexedConnection, lua: &str) -> Result<String> {
    Ok(cmd("SCRIPT").arg("LOAD").arg(lua).query_async(&mut connection.clone()).await?)
}

/// A reply that says whether the check was admitted.
trait Verdict {
    fn is_allowed(&self) -> bool;
}

impl Verdict for i64 {
    fn is_allowed(&self) -> bool {
        *self >= 0
    }
}

impl Verdict for (i64, i64, String, String) {
    fn is_allowed(&self) -> bool {
        self.0 > 0
    }
}

struct Bare<R> {
    connection: MultiplexedConnection,
    deadline: Duration,
    sha1: String,
    args: Vec<String>,
    ids: Ids,
    /// What is expected.
    admits: bool,
    reply: PhantomData<fn() -> R>,
}

impl<R: FromRedisValue + Verdict + Send + 'static> Bare<R> {
    /// Nothing is admitted from then on.
    async fn takes_all(&mut self) -> Result<()> {
        self.run().await?;
        self.admits = false;
        Ok(())
    }
}

impl<R: FromRedisValue + Verdict + Send + 'static> Operation for Bare<R> {
    async fn run(&mut self) -> Result<()> {
        let mut command = cmd("EVALSHA");
        command.arg(&self.sha1).arg(1).arg(self.ids.next()).arg(&self.args);
        let reply: R = timeout(self.deadline, command.query_async(&mut self.connection)).await??;
        ensure!(reply.is_allowed() == self.admits, "denied, or not");
        Ok(())
    }
}
