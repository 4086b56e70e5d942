//! What is counted about looking at objects. Labels never carry names of objects: their number has no bound.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::{
    facts::Verdict,
    plan::{Outcome, Step},
};

/// A kind of object and how a look at it ended: `ok`, or the name of an error.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Look {
    kind: String,
    result: &'static str,
}

/// A step and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stepped {
    step: &'static str,
    result: &'static str,
}

/// What a sign-in has shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Proved {
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
    steps: Family<Stepped, Counter>,
    proofs: Family<Proved, Counter>,
}

impl Metrics {
    /// Counters that a registry shows.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            looks: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new([0.001, 0.01, 0.1, 1.0, 10.0])),
            steps: Family::default(),
            proofs: Family::default(),
        };
        registry.register("reconciles", "Looks at an object, by how they ended", metrics.looks.clone());
        let help = "Seconds that a look at an object took";
        registry.register("reconcile_duration_seconds", help, metrics.durations.clone());
        registry.register("steps", "Steps of a credential's life, by how they ended", metrics.steps.clone());
        let help = "Sign-ins with new credentials, by what they have shown";
        registry.register("proofs", help, metrics.proofs.clone());
        metrics
    }

    pub(super) fn stepped(&self, step: &Step, outcome: &Outcome) {
        self.steps.get_or_create(&Stepped { step: step.as_str(), result: outcome.as_str() }).inc();
    }

    pub(super) fn proof(&self, verdict: &Verdict) {
        self.proofs.get_or_create(&Proved { result: verdict.as_str() }).inc();
    }

    pub(super) fn looked(&self, kind: &str, result: &'static str, took: Duration) {
        self.looks.get_or_create(&Look { kind: kind.to_owned(), result }).inc();
        self.durations.get_or_create(&Kind { kind: kind.to_owned() }).observe(took.as_secs_f64());
    }
}
