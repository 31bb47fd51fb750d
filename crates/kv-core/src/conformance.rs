//! What every store does, as functions to run against a store of one's own.
//!
//! [`run`] puts a store through all [`BEHAVIOURS`] that its capabilities call for: each is one promise of the traits, and
//! what a store does not have it has to refuse. The keys are fresh and go in the end, so a server that others use will do.
//! A run takes a second or two, needs a tokio runtime with time, and a store whose time passes by itself.
//!
//! Each behaviour is a function of a [`Room`], too, which [`Behaviour::check`] opens and clears.
//!
//! ```
//! # use kv_core::{MemoryStore, conformance}; use std::sync::Arc;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), conformance::Failure> {
//! let report = conformance::run(Arc::new(MemoryStore::new())).await;
//! println!("{report}");
//! report.into_result()?;
//! # Ok(()) }
//! ```

mod absent;
mod batches;
mod behaviour;
mod blocking;
mod check;
mod concurrency;
mod errors;
mod expiry;
mod failure;
mod pubsub;
mod refusals;
mod report;
mod room;
mod scan;
mod scripts;
mod strings;
mod tracking;
mod types;

pub use {
    behaviour::{Behaviour, Need},
    failure::Failure,
    report::{Outcome, Report},
    room::Room,
};

use crate::KvStore;
use std::sync::Arc;
use tokio::{sync::Semaphore, task::JoinSet};

/// Publishes the functions of each file, and lists them with what they need.
macro_rules! behaviours {
    ($($file:ident: $need:ident { $($name:ident),* $(,)? })*) => {
        $(pub use $file::{$($name),*};)*

        /// All behaviours, in the order in which they are reported.
        pub static BEHAVIOURS: &[Behaviour] = &[$($(Behaviour {
            name: stringify!($name),
            need: Need::$need,
            body: |room| Box::pin($file::$name(room)),
        }),*),*];
    };
}

behaviours! {
    strings: Nothing {
        values_come_back_byte_for_byte,
        absent_keys_have_nothing,
        keys_may_hold_any_text,
        a_part_of_a_value_is_where_it_says,
        set_if_absent_writes_once,
        set_if_present_only_replaces,
        exists_tells_presence,
        delete_counts_what_was_there,
        incr_by_adds,
        incr_by_keeps_the_ttl,
        incr_by_refuses_overflow,
        incr_by_refuses_what_is_no_integer,
    }
    expiry: Nothing {
        ttl_tells_missing_unlimited_and_remaining,
        a_set_replaces_the_ttl,
        a_plain_set_removes_the_ttl,
        a_set_that_writes_nothing_leaves_the_ttl,
        expire_needs_a_key,
        keys_expire_in_time,
        ttls_are_rounded_up,
    }
    batches: Nothing {
        mget_keeps_order_and_duplicates,
        mset_writes_all,
        mset_takes_the_last_of_duplicates,
        mset_sets_and_removes_the_ttl,
        mset_of_one_slot_is_atomic,
        empty_batches_do_nothing,
    }
    types: OtherTypes {
        another_type_is_wrong_for_strings,
        another_type_is_absent_in_mget,
        another_type_is_deleted_and_replaced,
    }
    refusals: Nothing {
        empty_keys_are_refused,
        zero_ttls_are_refused,
        endless_ttls_are_refused,
        a_refused_batch_does_nothing,
    }
    refusals: ValueLimit { oversized_values_are_refused }
    refusals: KeyLimit { oversized_keys_are_refused }
    errors: Nothing {
        errors_name_their_operation,
        errors_show_neither_key_nor_value,
    }
    concurrency: Nothing {
        concurrent_increments_add_up,
        one_of_many_set_if_absent_wins,
        dropped_calls_leave_the_store_usable,
    }
    scripts: Scripts {
        scripts_take_binary_arguments,
        scripts_reply_in_every_shape,
        scripts_read_and_write_what_the_store_does,
        scripts_are_atomic,
        a_failed_script_may_have_run,
        scripts_refuse_empty_keys,
    }
    scripts: ScriptsAndPubSub { scripts_publish }
    scripts: Lua { eval_runs_lua }
    scripts: NoLua { eval_without_lua_is_unsupported }
    pubsub: PubSub {
        messages_arrive_in_order,
        nothing_is_lost_once_subscribed,
        every_subscriber_hears_every_message,
        one_subscription_hears_many_channels,
        patterns_match_or_are_unsupported,
        a_loss_shows_as_a_gap,
        channels_without_a_name_are_refused,
    }
    pubsub: Counts {
        publish_counts_the_subscribers,
        a_dropped_subscription_ends,
    }
    scan: Scan {
        a_scan_sees_every_key_and_ends,
        a_scan_sees_what_stays_while_others_come_and_go,
        a_prefix_is_literal,
        an_empty_prefix_is_every_key,
    }
    blocking: Blocking {
        push_returns_the_length,
        pop_takes_from_its_end,
        pop_takes_from_the_first_list_that_has_one,
        a_wait_is_woken_by_a_push,
        a_wait_ends_in_time,
        every_element_goes_to_one,
        move_to_keeps_the_element,
        a_dropped_wait_loses_nothing,
        lists_refuse_other_types,
        lists_refuse_what_can_never_work,
    }
    tracking: Tracking {
        every_kind_of_change_is_reported,
        nothing_is_missed_once_tracked,
        reading_is_no_change,
        only_keys_with_the_prefix_are_reported,
        prefixes_may_overlap,
        an_empty_prefix_tracks_every_key,
        every_tracker_hears_of_every_change,
        a_slow_tracker_is_told_of_its_loss,
        an_expiry_is_reported_once_it_is_found,
        tracking_nothing_is_refused,
    }
    absent: NoScripts { absent_scripts_are_refused }
    absent: NoPubSub { absent_pubsub_is_refused }
    absent: NoScan { absent_scan_is_refused }
    absent: NoBlocking { absent_lists_are_refused }
    absent: NoTracking { absent_tracking_is_refused }
}

/// How many behaviours are on their way at once: a pool of a few connections has to bear them.
const AT_ONCE: usize = 12;

/// Puts the store through all behaviours that its capabilities call for.
pub async fn run(store: Arc<dyn KvStore>) -> Report {
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (at, behaviour) in BEHAVIOURS.iter().enumerate() {
        let (store, gate) = (store.clone(), gate.clone());
        running.spawn(async move {
            let _place = gate.acquire().await;
            (at, behaviour.check(store).await)
        });
    }
    let mut outcomes = vec![None; BEHAVIOURS.len()];
    while let Some(done) = running.join_next().await {
        if let Ok((at, outcome)) = done
            && let Some(place) = outcomes.get_mut(at)
        {
            *place = Some(outcome);
        }
    }
    let lost = || Outcome::Failed(Failure::new("the runtime ended it"));
    Report::new(BEHAVIOURS.iter().zip(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(lost))).collect())
}
