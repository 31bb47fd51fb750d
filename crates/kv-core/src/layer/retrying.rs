use super::{Around, Call};
use crate::{Error, Result, RetryPolicy, retry::retry_named};

/// A layer that repeats calls as a [`RetryPolicy`] says: what was not executed, and what is [idempotent](Call::repeat).
///
/// The policy's deadline spans all tries of a call and the waits between them, and grows by what the call
/// [may wait by itself](Call::wait). A call cut off by it is [`ErrorKind::Timeout`](crate::ErrorKind::Timeout), and may have
/// been executed. With `obs`, the counter `kv_retries_total{operation}` counts what is repeated. Dropping a call drops the try under way, and none follows.
#[derive(Clone, Copy, Debug)]
pub struct Retrying {
    policy: RetryPolicy,
}

impl Retrying {
    /// Retries by this policy; it must allow a try, and time for it.
    pub fn new(policy: RetryPolicy) -> Result<Self> {
        if policy.max_attempts == 0 {
            return Err(Error::invalid_config("layers", "retry.max_attempts must not be zero"));
        }
        if policy.deadline.is_zero() {
            return Err(Error::invalid_config("layers", "retry.deadline must not be zero"));
        }
        Ok(Self { policy })
    }
}

impl Around for Retrying {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        let (name, repeat) = (call.name(), call.repeat());
        let policy = self.policy.deadline(self.policy.deadline.saturating_add(call.wait()));
        #[cfg(feature = "obs")]
        let mut tries = 0;
        retry_named(name, &policy, repeat, || {
            #[cfg(feature = "obs")]
            {
                if tries > 0 {
                    metrics::counter!("kv_retries_total", "operation" => name).increment(1);
                }
                tries += 1;
            }
            call.run()
        })
        .await
    }
}
