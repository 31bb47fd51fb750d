//! The floor of a lock that is handed over: a line on the server, and a mailbox to hear of one's turn.
//!
//! What makes it safe is left out: a waiter that died keeps the lock for the lease, a lost message for good.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use redis::aio::{ConnectionManager, ConnectionManagerConfig, SendError};
use redis::{IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind, Script, Value};
use tokio::sync::oneshot;

use super::way::{LEASE_MS, Way};

static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r#"if redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then return redis.call("INCR", KEYS[2]) end
redis.call("RPUSH", KEYS[3], ARGV[1] .. ARGV[3])
return 0"#,
    )
});

/// A token is 32 digits, the mailbox stands behind it.
static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r#"if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
local first = redis.call("LPOP", KEYS[3])
if not first then return redis.call("DEL", KEYS[1]) end
local token = first:sub(1, 32)
redis.call("SET", KEYS[1], token, "PX", ARGV[2])
redis.call("PUBLISH", first:sub(33), token .. redis.call("INCR", KEYS[2]))
return 1"#,
    )
});

const KEYS: [&str; 3] = ["queue:{wanted}", "queue:{wanted}:fence", "queue:{wanted}:line"];

type Waits = Arc<Mutex<HashMap<String, oneshot::Sender<u64>>>>;

/// One who waits in the line.
#[derive(Clone)]
pub(super) struct Queue {
    connection: ConnectionManager,
    mailbox: String,
    waits: Waits,
}

impl Queue {
    /// One connection and one mailbox for all.
    pub(super) async fn all(url: &str, count: usize) -> Result<Vec<Self>> {
        let info = super::client(url)?.get_connection_info().clone();
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = redis::Client::open(info.set_redis_settings(settings).into_connection_info()?)?;
        let waits = Waits::default();
        let told = waits.clone();
        let config = ConnectionManagerConfig::new().set_push_sender(move |push: PushInfo| {
            tell(&told, &push);
            Ok::<_, SendError>(())
        });
        let mut connection = ConnectionManager::new_with_config(client, config).await?;
        let mailbox = format!("mailbox:{:032x}", rand::random::<u128>());
        connection.subscribe(&mailbox).await?;
        Ok(vec![Self { connection, mailbox, waits }; count])
    }
}

/// Wakes whom the message is for.
fn tell(waits: &Waits, push: &PushInfo) {
    if push.kind == PushKind::Message
        && let Some(Value::BulkString(message)) = push.data.get(1)
        && let Ok(message) = str::from_utf8(message)
        && let Some((token, fence)) = message.split_at_checked(32)
        && let Ok(fence) = fence.parse()
        && let Some(waiter) = waits.lock().unwrap_or_else(PoisonError::into_inner).remove(token)
    {
        let _ = waiter.send(fence);
    }
}

impl Way for Queue {
    type Held = (String, u64);

    async fn acquire(&mut self) -> Result<(String, u64)> {
        let token = format!("{:032x}", rand::random::<u128>());
        let (waiter, granted) = oneshot::channel();
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), waiter);
        let mut acquire = ACQUIRE.prepare_invoke();
        acquire.key(&KEYS).arg(&token).arg(LEASE_MS).arg(&self.mailbox);
        let fence = match acquire.invoke_async(&mut self.connection).await? {
            0 => granted.await.context("nobody grants any more")?,
            fence => {
                self.waits.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
                fence
            }
        };
        Ok((token, fence))
    }

    fn fence(held: &(String, u64)) -> u64 {
        held.1
    }

    async fn release(&mut self, (token, _): (String, u64)) -> Result<()> {
        let mut release = RELEASE.prepare_invoke();
        let released: bool = release.key(&KEYS).arg(&token).arg(LEASE_MS).invoke_async(&mut self.connection).await?;
        ensure!(released, "the lock is lost");
        Ok(())
    }
}
