//! As much of a metrics recorder as a chapter needs.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit};

type Series = Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>;

/// Counts in memory, and writes the text that Prometheus reads. A histogram is no more than the number of its values
/// here.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Series);

impl Recorder {
    /// Makes it the recorder of this process, unless there is one.
    pub fn install() -> Self {
        let recorder = Self::default();
        let _ = metrics::set_global_recorder(recorder.clone());
        recorder
    }

    /// A line for each series: `name{label="value"} 3`.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (series, count) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = writeln!(text, "{series} {}", count.load(Ordering::Relaxed));
        }
        text
    }

    fn series(&self, suffix: &str, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}=\"{}\"", label.key(), label.value())).collect();
        let name = format!("{}{suffix}{{{}}}", key.name(), labels.join(","));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().clone()
    }
}

struct Count(Arc<AtomicU64>);

impl HistogramFn for Count {
    fn record(&self, _value: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, _name: KeyName, _unit: Option<Unit>, _text: SharedString) {}
    fn describe_gauge(&self, _name: KeyName, _unit: Option<Unit>, _text: SharedString) {}
    fn describe_histogram(&self, _name: KeyName, _unit: Option<Unit>, _text: SharedString) {}

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series("", key))
    }

    fn register_gauge(&self, _key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Count(self.series("_count", key))))
    }
}
