//! What is counted about looking at objects, and about the life of credentials.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{
    api::{
        EntraAppCredentialStatus,
        conditions::{self, READY},
    },
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

/// A stage of a credential on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: String,
}

/// A resource: the one label whose number has no bound but what people declare, since alerts need its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    namespace: String,
    name: String,
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
    stages: Family<Stage, Histogram>,
    ready: Family<Named, Gauge>,
    expiry: Family<Named, Gauge>,
}

impl Metrics {
    /// Counters that a registry shows.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            looks: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new([0.001, 0.01, 0.1, 1.0, 10.0])),
            steps: Family::default(),
            proofs: Family::default(),
            stages: Family::new_with_constructor(|| {
                Histogram::new([1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0])
            }),
            ready: Family::default(),
            expiry: Family::default(),
        };
        registry.register("reconciles", "Looks at an object, by how they ended", metrics.looks.clone());
        let help = "Seconds that a look at an object took";
        registry.register("reconcile_duration_seconds", help, metrics.durations.clone());
        registry.register("steps", "Steps of a credential's life, by how they ended", metrics.steps.clone());
        let help = "Sign-ins with new credentials, by what they have shown";
        registry.register("proofs", help, metrics.proofs.clone());
        registry.register(
            "stage_duration_seconds",
            "Seconds that a credential spent in a stage",
            metrics.stages.clone(),
        );
        let help = "Whether a proven, unexpired credential is published";
        registry.register("credential_ready", help, metrics.ready.clone());
        let help = "When the published credential expires, in seconds since 1970";
        registry.register("credential_expiry_timestamp_seconds", help, metrics.expiry.clone());
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

    /// A resource stands like this now, and stood like that before.
    pub(super) fn told(
        &self,
        namespace: &str,
        name: &str,
        before: Option<&EntraAppCredentialStatus>,
        status: &EntraAppCredentialStatus,
    ) {
        let named = Named { namespace: namespace.to_owned(), name: name.to_owned() };
        let ready = conditions::find(&status.conditions, READY).is_some_and(|ready| ready.status == "True");
        self.ready.get_or_create(&named).set(ready.into());
        match status.current.as_ref().and_then(|current| current.expires_at.as_ref()) {
            Some(Time(end)) => drop(self.expiry.get_or_create(&named).set(end.as_second())),
            None => drop(self.expiry.remove(&named)),
        }
        let last = before.and_then(|status| status.next.as_ref());
        if let Some(last) = last.filter(|last| status.next.as_ref().is_none_or(|next| next.stage != last.stage)) {
            let until = status.next.as_ref().map_or_else(jiff::Timestamp::now, |next| next.since.0);
            let took = until.duration_since(last.since.0).as_secs_f64();
            self.stages.get_or_create(&Stage { stage: last.stage.clone() }).observe(took);
        }
    }

    /// A resource is gone.
    pub(super) fn forget(&self, namespace: &str, name: &str) {
        let named = Named { namespace: namespace.to_owned(), name: name.to_owned() };
        self.ready.remove(&named);
        self.expiry.remove(&named);
    }
}
