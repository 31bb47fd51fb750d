//! What a layer tells of a call, and what it keeps to itself.

use super::{FailingOnce, SECOND, Slow, drive, forwarding::Recorder, quick};
use kv_core::{ErrorKind, Executed, KvStore, Layered, Layers};
use metrics::{Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock, Mutex},
};
use tracing::{
    Dispatch, Event, Level, Subscriber,
    field::{Field, Visit},
    span,
};

/// What was counted and how often something was measured, by name and labels; and every field of every span.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    metrics: Arc<Mutex<BTreeMap<String, u64>>>,
    pub(crate) fields: Arc<Mutex<Vec<String>>>,
}

struct Metric(Seen, String);

impl Metric {
    fn add(&self, by: u64) {
        *self.0.metrics.lock().unwrap().entry(self.1.clone()).or_default() += by;
    }
}

impl CounterFn for Metric {
    fn increment(&self, by: u64) {
        self.add(by);
    }
    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Metric {
    fn record(&self, _: f64) {
        self.add(1);
    }
}

impl Seen {
    fn metric(&self, key: &Key) -> Arc<Metric> {
        let labels: Vec<_> = key.labels().map(|label| label.value().to_owned()).collect();
        Arc::new(Metric(self.clone(), format!("{} {}", key.name(), labels.join(" "))))
    }

    pub(crate) fn count(&self, metric: &str) -> u64 {
        self.metrics.lock().unwrap().get(metric).copied().unwrap_or(0)
    }
}

impl metrics::Recorder for Seen {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.metric(key))
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.metric(key))
    }
}

impl Visit for &Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.lock().unwrap().push(format!("{field}={value:?}"));
    }
}

impl Subscriber for Seen {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }
    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        span.record(&mut &*self);
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut &*self);
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// While `tracing` knows of one subscriber only, whoever comes first to a span without one, on any thread, turns it off for all.
static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Seen::default()));

/// Runs a case on one thread, with all it tells collected.
pub(crate) fn watch(case: impl Future<Output = ()>) -> Seen {
    LazyLock::force(&ANOTHER);
    let seen = Seen::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tracing::subscriber::with_default(seen.clone(), || {
        metrics::with_local_recorder(&seen, || runtime.block_on(case));
    });
    seen
}

#[test]
fn each_call_is_told_of_once_whatever_its_tries() {
    let seen = watch(async {
        let failing = FailingOnce::new(ErrorKind::Unavailable, Executed::No);
        let store = Layered::new(Recorder::new(true), failing);
        drive(&*Layers::new().retry(quick()).observe().over(store).unwrap()).await;
    });
    for name in super::IDEMPOTENT.iter().chain(&super::NOT) {
        assert_eq!(seen.count(&format!("kv_operations_total {name} ok")), 1, "{name}");
        assert_eq!(seen.count(&format!("kv_operation_seconds {name}")), 1, "{name}");
        assert_eq!(seen.count(&format!("kv_retries_total {name}")), 1, "{name}");
    }
}

#[test]
fn an_outcome_is_an_errors_kind_or_that_the_call_was_dropped() {
    let seen = watch(async {
        let failing = FailingOnce::new(ErrorKind::WrongType, Executed::No);
        let store = Layers::new().observe().over(Layered::new(Recorder::new(true), failing)).unwrap();
        store.get("key").await.unwrap_err();
        let store = Layers::new().observe().over(Layered::new(Recorder::new(true), Slow::Never)).unwrap();
        assert!(tokio::time::timeout(SECOND, store.get("key")).await.is_err());
    });
    assert_eq!(seen.count("kv_operations_total get wrong_type"), 1);
    assert_eq!(seen.count("kv_operations_total get dropped"), 1);
    let fields = seen.fields.lock().unwrap();
    assert_eq!(*fields, ["operation=\"get\"", "outcome=\"wrong_type\"", "operation=\"get\"", "outcome=\"dropped\""]);
}

#[test]
fn no_key_and_no_value_is_told() {
    let seen = watch(async {
        drive(&*Layers::new().observe().namespace("app").over(Recorder::new(true)).unwrap()).await;
    });
    let told = format!("{seen:?}");
    for secret in ["key-", "value", "channel-", "payload", "return 1", "app"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}
