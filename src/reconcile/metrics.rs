//! What is counted about looking at objects, and about the life of credentials.

use std::{hash::Hash, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::waiting::{Queues, Waiting};
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

/// Those who use the credential of a resource: who has what is published, and who does not yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Consumers {
    namespace: String,
    name: String,
    state: &'static str,
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
    under_way: Family<Kind, Gauge>,
    queues: Queues,
    waits: Family<Kind, Histogram>,
    steps: Family<Stepped, Counter>,
    proofs: Family<Proved, Counter>,
    stages: Family<Stage, Histogram>,
    ready: Family<Named, Gauge>,
    expiry: Family<Named, Gauge>,
    next_rotation: Family<Named, Gauge>,
    consumers: Family<Consumers, Gauge>,
    retiring: Family<Named, Gauge>,
}

impl Metrics {
    /// Counters that a registry shows.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            looks: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new([0.001, 0.01, 0.1, 1.0, 10.0])),
            under_way: Family::default(),
            queues: Queues::default(),
            waits: Family::new_with_constructor(|| Histogram::new([0.01, 0.1, 1.0, 10.0, 60.0, 300.0])),
            steps: Family::default(),
            proofs: Family::default(),
            stages: Family::new_with_constructor(|| {
                Histogram::new([1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0])
            }),
            ready: Family::default(),
            expiry: Family::default(),
            next_rotation: Family::default(),
            consumers: Family::default(),
            retiring: Family::default(),
        };
        metrics.register_all(registry);
        metrics
    }

    fn register_all(&self, registry: &mut Registry) {
        registry.register("reconciles", "Looks at an object, by how they ended", self.looks.clone());
        let help = "Seconds that a look at an object took";
        registry.register("reconcile_duration_seconds", help, self.durations.clone());
        let help = "Looks at an object that go on at this moment";
        registry.register("reconciles_under_way", help, self.under_way.clone());
        registry.register_collector(Box::new(self.queues.clone()));
        let help = "Seconds from when a look at an object was due until it began";
        registry.register("queue_wait_seconds", help, self.waits.clone());
        registry.register("steps", "Steps of a credential's life, by how they ended", self.steps.clone());
        let help = "Sign-ins with new credentials, by what they have shown";
        registry.register("proofs", help, self.proofs.clone());
        registry.register("stage_duration_seconds", "Seconds that a credential spent in a stage", self.stages.clone());
        let help = "Whether a proven, unexpired credential is published";
        registry.register("credential_ready", help, self.ready.clone());
        let help = "When the published credential expires, in seconds since 1970";
        registry.register("credential_expiry_timestamp_seconds", help, self.expiry.clone());
        let help = "When the next rotation begins, in seconds since 1970";
        registry.register("next_rotation_timestamp_seconds", help, self.next_rotation.clone());
        let help = "Those who are known to use the credential, by whether they have the one that is published";
        registry.register("consumers", help, self.consumers.clone());
        let help = "Credentials that were replaced and have not been removed yet";
        registry.register("credentials_retiring", help, self.retiring.clone());
    }

    pub(super) fn stepped(&self, step: &Step, outcome: &Outcome) {
        self.steps.get_or_create(&Stepped { step: step.as_str(), result: outcome.as_str() }).inc();
    }

    pub(super) fn proof(&self, verdict: &Verdict) {
        self.proofs.get_or_create(&Proved { result: verdict.as_str() }).inc();
    }

    /// One more queue of objects of a kind that are to be looked at.
    pub(super) fn queue(&self, kind: &str) -> Waiting {
        self.queues.add(kind)
    }

    pub(super) fn waited(&self, kind: &str, time: Duration) {
        self.waits.get_or_create(&Kind { kind: kind.to_owned() }).observe(time.as_secs_f64());
    }

    pub(super) fn looks(&self, kind: &str) {
        self.under_way.get_or_create(&Kind { kind: kind.to_owned() }).inc();
    }

    pub(super) fn looked(&self, kind: &str, result: &'static str, took: Duration) {
        self.looks.get_or_create(&Look { kind: kind.to_owned(), result }).inc();
        self.under_way.get_or_create(&Kind { kind: kind.to_owned() }).dec();
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
        let expires_at = status.current.as_ref().and_then(|current| current.expires_at.as_ref());
        set(&self.expiry, &named, expires_at.map(|end| end.0.as_second()));
        set(&self.next_rotation, &named, status.next_rotation_at.as_ref().map(|at| at.0.as_second()));
        set(&self.retiring, &named, i64::try_from(status.retiring.len()).ok().filter(|retiring| *retiring > 0));
        let [updated, pending] = consumers(namespace, name);
        let seen = status.consumers.as_ref();
        set(&self.consumers, &updated, seen.map(|seen| seen.updated.into()));
        set(&self.consumers, &pending, seen.map(|seen| (seen.total - seen.updated).into()));
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
        for family in [&self.ready, &self.expiry, &self.next_rotation, &self.retiring] {
            family.remove(&named);
        }
        for one in consumers(namespace, name) {
            self.consumers.remove(&one);
        }
    }
}

fn consumers(namespace: &str, name: &str) -> [Consumers; 2] {
    ["updated", "pending"].map(|state| Consumers { namespace: namespace.to_owned(), name: name.to_owned(), state })
}

/// What is not known is not shown.
fn set<L: Clone + Hash + Eq>(family: &Family<L, Gauge>, labels: &L, value: Option<i64>) {
    match value {
        Some(value) => drop(family.get_or_create(labels).set(value)),
        None => drop(family.remove(labels)),
    }
}
