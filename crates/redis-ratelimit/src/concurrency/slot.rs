use super::slots::Slots;
use kv_core::{Executed, Repeat, Result, RetryPolicy, retry_async};
use std::{fmt, future::pending, sync::Arc, time::Duration};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep_until},
};

/// Slots that are occupied until this is released or dropped.
///
/// Dropping it frees them in the background: soon, and by the lease at the latest; it never waits, and needs no runtime.
#[must_use = "dropping the slot frees it"]
pub struct Slot {
    orders: oneshot::Sender<oneshot::Sender<Result<SlotRelease>>>,
    standing: watch::Receiver<Standing>,
    free: u64,
}

/// What freeing a [`Slot`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotRelease {
    /// It was occupied until now.
    Released,
    /// Its lease was over, and others may have had the slot since.
    #[doc(alias = "LeaseLost")]
    LeaseOver,
}

/// Until when the lease surely runs, by the local clock; nothing once it is lost.
type Standing = Option<Instant>;

/// What asking for slots came to.
pub(super) enum Entry {
    Admitted(Slot),
    Full { free: u64, next_end: Duration },
}

impl Slot {
    /// How many slots were left free when this one was taken.
    pub fn free(&self) -> u64 {
        self.free
    }

    /// Ends when the lease is lost: a renewal found it over, or it could not be renewed in time. Cancel safe.
    ///
    /// No round trip of its own, and no end while this is held and renewed.
    pub async fn lost(&self) {
        let mut standing = self.standing.clone();
        if standing.wait_for(Option::is_none).await.is_err() {
            pending::<()>().await;
        }
    }

    /// Whether the lease surely runs, as far as this process knows. No round trip.
    pub fn is_valid(&self) -> bool {
        self.standing.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Frees the slots, and says whether the lease still ran. One round trip.
    ///
    /// On an error, or if the future is dropped, they are freed in the background, and by the lease at the latest.
    pub async fn release(self) -> Result<SlotRelease> {
        let (reply, released) = oneshot::channel();
        let _ = self.orders.send(reply);
        // With the task gone its runtime is gone, and the lease ends by itself.
        released.await.unwrap_or(Ok(SlotRelease::LeaseOver))
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("is_valid", &self.is_valid()).field("free", &self.free).finish_non_exhaustive()
    }
}

/// A lease asked for at `sent`, less 1 % and 2 ms for clocks that differ.
fn valid_until(sent: Instant, lease: Duration) -> Instant {
    sent + lease.saturating_sub(lease / 100 + Duration::from_millis(2))
}

/// Asks for slots, keeps them for as long as somebody wants them, and frees them whatever happens to whoever asked.
pub(super) async fn occupy(slots: Arc<Slots>, key: String, holder: String, answer: oneshot::Sender<Result<Entry>>) {
    let sent = Instant::now();
    let free = match slots.enter(&key, &holder).await {
        Ok(Ok(free)) => free,
        Ok(Err((free, next_end))) => return drop(answer.send(Ok(Entry::Full { free, next_end }))),
        Err(error) => {
            let executed = error.executed();
            let _ = answer.send(Err(error));
            if executed == Executed::Maybe {
                free_in_the_background(&slots, &key, &holder, sent).await;
            }
            return;
        }
    };
    let (orders, ordered) = oneshot::channel();
    let (told, standing) = watch::channel(Some(valid_until(sent, slots.options.lease)));
    let _ = answer.send(Ok(Entry::Admitted(Slot { orders, standing, free })));
    let (order, until) = keep(&slots, &key, &holder, sent, &told, ordered).await;
    if let Some(reply) = order {
        let released = slots.leave(&key, &holder).await;
        let failed = released.is_err();
        let _ = reply.send(released);
        if !failed {
            return;
        }
    }
    free_in_the_background(&slots, &key, &holder, until).await;
}

/// Renews the lease until it is no longer wanted; who is to be answered, and when the last lease was asked for.
async fn keep(
    slots: &Slots,
    key: &str,
    holder: &str,
    mut sent: Instant,
    told: &watch::Sender<Standing>,
    mut ordered: oneshot::Receiver<oneshot::Sender<Result<SlotRelease>>>,
) -> (Option<oneshot::Sender<Result<SlotRelease>>>, Instant) {
    let lease = slots.options.lease;
    let (mut until, mut renew_at) = (valid_until(sent, lease), sent + lease / 3);
    loop {
        let held = told.borrow().is_some();
        let renewal = async {
            sleep_until(renew_at).await;
            (Instant::now(), slots.stay(key, holder).await)
        };
        tokio::select! {
            biased;
            order = &mut ordered => return (order.ok(), sent),
            () = sleep_until(until), if held => drop(told.send_replace(None)),
            (asked, renewed) = renewal, if held && slots.options.renew => match renewed {
                Ok(true) => {
                    sent = asked;
                    until = valid_until(sent, lease);
                    // A third, give or take a tenth: leases of one moment do not stay together.
                    renew_at = sent + lease.div_f64(3.0).mul_f64(rand::random_range(0.9..1.1));
                    told.send_replace(Some(until));
                }
                Ok(false) => drop(told.send_replace(None)),
                Err(error) => {
                    tracing::warn!(%error, "cannot renew a slot");
                    // It may have been executed.
                    sent = asked;
                    renew_at = Instant::now() + lease / 12;
                }
            },
        }
    }
}

/// Freeing is idempotent, so it is tried for as long as the lease may run.
async fn free_in_the_background(slots: &Slots, key: &str, holder: &str, sent: Instant) {
    let left = (sent + slots.options.lease).saturating_duration_since(Instant::now());
    let policy = RetryPolicy::default().deadline(left.min(RetryPolicy::default().deadline));
    if left.is_zero() {
        return;
    }
    if let Err(error) = retry_async(&policy, Repeat::Idempotent, || slots.leave(key, holder)).await {
        tracing::warn!(%error, "a slot stays occupied until its lease ends");
    }
}
