//! For each behaviour a way to break it.

macro_rules! defects {
    ($($(#[$doc:meta])* $defect:ident: $($behaviour:ident),+;)*) => {
        /// What is wrong with a [`Broken`](super::broken::Broken) store.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Defect {
            /// No defect.
            Nothing,
            $($(#[$doc])* $defect,)*
        }

        /// Each defect, and a behaviour that shows it.
        pub(super) const DEFECTS: &[(Defect, &str)] = &[$($((Defect::$defect, stringify!($behaviour)),)+)*];
    };
}

defects! {
    LossyValues: values_come_back_byte_for_byte;
    AbsentReadsEmpty: absent_keys_have_nothing;
    FoldsCase: keys_may_hold_any_text;
    RangesIncludeTheirEnd: a_part_of_a_value_is_where_it_says;
    IgnoresIfAbsent: set_if_absent_writes_once;
    IgnoresIfPresent: set_if_present_only_replaces;
    EmptyIsAbsent: exists_tells_presence;
    CountsNamesOfDelete: delete_counts_what_was_there;
    CountsUpOnly: incr_by_adds;
    CountingRemovesTtl: incr_by_keeps_the_ttl;
    SumsWrap: incr_by_refuses_overflow;
    ParsesLeniently: incr_by_refuses_what_is_no_integer;

    UnlimitedIsMissing: ttl_tells_missing_unlimited_and_remaining;
    SetKeepsTtl: a_set_replaces_the_ttl, a_plain_set_removes_the_ttl;
    RefusedSetTouchesTtl: a_set_that_writes_nothing_leaves_the_ttl;
    ExpireAlwaysDid: expire_needs_a_key;
    ExpiresEarly: keys_expire_in_time;
    ExpiresNever: keys_expire_in_time;
    RoundsTtlDown: ttls_are_rounded_up;

    SortsMget: mget_keeps_order_and_duplicates;
    MsetForgetsEmptyValues: mset_writes_all;
    MsetKeepsTheFirst: mset_takes_the_last_of_duplicates;
    MsetForgetsTtl: mset_sets_and_removes_the_ttl;
    MsetInSteps: mset_of_one_slot_is_atomic, a_refused_batch_does_nothing;
    RefusesEmptyBatches: empty_batches_do_nothing;

    OtherTypesReadAbsent: another_type_is_wrong_for_strings;
    MgetFailsOnOtherTypes: another_type_is_absent_in_mget;
    DeletesStringsOnly: another_type_is_deleted_and_replaced;

    TakesEmptyKeys: empty_keys_are_refused;
    ZeroTtlIsForEver: zero_ttls_are_refused;
    CutsTtls: endless_ttls_are_refused;
    /// Says that there are limits, and does not check them.
    ForgetsLimits: oversized_values_are_refused, oversized_keys_are_refused;
    ErrorsOfAnotherName: errors_name_their_operation;
    ErrorsShowKeys: errors_show_neither_key_nor_value;

    CountsInSteps: concurrent_increments_add_up;
    LooksThenSets: one_of_many_set_if_absent_wins;
    StaysBusyWhenDropped: dropped_calls_leave_the_store_usable;

    TextArguments: scripts_take_binary_arguments;
    NilIsEmpty: scripts_reply_in_every_shape;
    ScriptsElsewhere: scripts_read_and_write_what_the_store_does;
    ScriptsInSteps: scripts_are_atomic;
    DeniesExecution: a_failed_script_may_have_run;
    ScriptsTakeEmptyKeys: scripts_refuse_empty_keys;
    MisnamesChannels: scripts_publish;
    EvalForgetsArguments: eval_runs_lua;
    EvalSaysNothing: eval_without_lua_is_unsupported;

    SwapsMessages: messages_arrive_in_order;
    SubscribesLate: nothing_is_lost_once_subscribed;
    FirstSubscriberOnly: every_subscriber_hears_every_message;
    FirstChannelOnly: one_subscription_hears_many_channels;
    PatternsArePlain: patterns_match_or_are_unsupported;
    PatternsFail: patterns_match_or_are_unsupported;
    LosesInSilence: a_loss_shows_as_a_gap;
    TakesEmptyChannels: channels_without_a_name_are_refused;
    CountsNobody: publish_counts_the_subscribers;
    KeepsSubscriptions: a_dropped_subscription_ends;

    ScansOnePage: a_scan_sees_every_key_and_ends;
    ScansInCircles: a_scan_sees_every_key_and_ends;
    ScansByOffset: a_scan_sees_what_stays_while_others_come_and_go;
    PrefixIsAPattern: a_prefix_is_literal;
    EmptyPrefixIsNothing: an_empty_prefix_is_every_key;

    PushCountsElements: push_returns_the_length;
    PopsFrontOnly: pop_takes_from_its_end;
    PopsLastList: pop_takes_from_the_first_list_that_has_one;
    NeverWaits: a_wait_is_woken_by_a_push;
    ZeroWaitsLong: a_wait_ends_in_time;
    PopsTwice: every_element_goes_to_one;
    MoveTakesAway: move_to_keeps_the_element;
    DroppedWaitsGoOn: a_dropped_wait_loses_nothing;
    ListsOfAnything: lists_refuse_other_types;
    PushesNothing: lists_refuse_what_can_never_work;

    MissesDeletions: every_kind_of_change_is_reported;
    MissesScripts: every_kind_of_change_is_reported;
    TracksLate: nothing_is_missed_once_tracked;
    ReadsAreChanges: reading_is_no_change;
    TracksEverything: only_keys_with_the_prefix_are_reported;
    RefusesOverlaps: prefixes_may_overlap;
    LastPrefixOnly: prefixes_may_overlap;
    EmptyPrefixTracksNothing: an_empty_prefix_tracks_every_key;
    FirstTrackerOnly: every_tracker_hears_of_every_change;
    LosesChangesInSilence: a_slow_tracker_is_told_of_its_loss;
    MissesExpiries: an_expiry_is_reported_once_it_is_found;
    TracksNothing: tracking_nothing_is_refused;

    LuaWithoutScripts: absent_scripts_are_refused;
    PubSubComesLate: absent_pubsub_is_refused;
    ScanComesLate: absent_scan_is_refused;
    ListsComeLate: absent_lists_are_refused;
    TrackingComesLate: absent_tracking_is_refused;
}
