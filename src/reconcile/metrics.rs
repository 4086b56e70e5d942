//! What is counted about looking at objects. Labels never carry names of objects: their number has no bound.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

/// A kind of object and how a look at it ended: `ok`, or the name of an error.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Look {
    kind: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: String,
}

/// The counters, shared by all who count.
#[derive(Debug, Clone)]
pub struct Metrics {
    looks: Family<Look, Counter>,
    durations: Family<Kind, Histogram>,
}

impl Metrics {
    /// Counters that a registry shows.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            looks: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new([0.001, 0.01, 0.1, 1.0, 10.0])),
        };
        registry.register("reconciles", "Looks at an object, by how they ended", metrics.looks.clone());
        let help = "Seconds that a look at an object took";
        registry.register("reconcile_duration_seconds", help, metrics.durations.clone());
        metrics
    }

    pub(super) fn looked(&self, kind: &str, result: &'static str, took: Duration) {
        self.looks.get_or_create(&Look { kind: kind.to_owned(), result }).inc();
        self.durations.get_or_create(&Kind { kind: kind.to_owned() }).observe(took.as_secs_f64());
    }
}
