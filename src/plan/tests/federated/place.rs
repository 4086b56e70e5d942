//! A small cluster and a small Entra, which do what they are told at once.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::super::*;
use crate::{
    api::consumers::WorkloadKind,
    facts::{
        AccountSeen, Application, Carried, Claims, Consumers, Effect, Exchange, Federated, Holder, Identity, Maker,
        PodSeen, Progress, ScheduleSeen, SeenBy, WorkloadId, WorkloadSeen,
    },
    plan::{Outcome, fold::fold},
};

pub const ISSUER: &str = "https://oidc.example/a/";

/// A cluster and an Entra.
pub struct Place {
    pub seen: Observation,
    pub now: Timestamp,
    pub issuer: &'static str,
    pub accepts: Vec<Federated>,
    /// What is published.
    pub published: BTreeMap<TargetId, There>,
    /// The keys that pods have, by their names.
    pub holding: BTreeMap<String, KeyId>,
    /// Its secrets, if it ever had any.
    pub application: Option<Application>,
    pub accounts: BTreeMap<String, AccountSeen>,
    pub workloads: Vec<WorkloadSeen>,
    pub pods: Vec<PodSeen>,
    pub schedules: Vec<ScheduleSeen>,
    /// Whether a webhook gives tokens to pods that ask for one.
    pub gives_tokens: bool,
    /// What an exchange brings.
    pub exchange: fn(&Self, &Claims) -> Exchange,
    pub done: Vec<String>,
}

/// What a Secret has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct There {
    /// The key in it; none if it says only where to sign in.
    pub key: Option<KeyId>,
    /// The key that was there before.
    pub before: Option<KeyId>,
    /// Since when it is so.
    pub since: Timestamp,
    /// Whether it bears our label.
    pub ours: bool,
    /// Whether somebody has changed a value.
    pub edited: bool,
}

pub fn api() -> Value {
    json!({"name": "api", "serviceAccount": {"name": "api"}})
}

pub fn github() -> Value {
    let subject = "repo:contoso/pay:environment:prod";
    json!({"name": "github", "external": {"issuer": "https://token.actions.githubusercontent.com", "subject": subject}})
}

pub fn claims(issuer: &str, account: &str) -> Claims {
    Claims::of_account(issuer, "payments", account, "api://AzureADTokenExchange")
}

pub fn honest(place: &Place, claims: &Claims) -> Exchange {
    let accepted = place.accepts.iter().any(|one| one.claims.as_ref() == Some(claims));
    Exchange::Judged(if accepted { Verdict::Accepted } else { Verdict::Refused(trouble(Reason::CredentialUnknown)) })
}

pub fn trouble(reason: Reason) -> Trouble {
    Trouble {
        effect: Effect::Refused,
        ..Trouble::unsent(Service::Kubernetes, reason, "could not".into(), "Do something.")
    }
}

/// A pod of the account, which signs in as this application.
pub fn pod(name: &str, account: &str, signs_in_as: Option<&str>) -> PodSeen {
    PodSeen {
        name: name.into(),
        maker: Some(Maker::Other("job/batch".into())),
        reads: vec![],
        identity: Identity { account: account.into(), asks: true, signs_in_as: signs_in_as.map(str::to_owned) },
        created_at: MORNING,
        started_at: Some(MORNING),
        terminating_since: None,
        lost: false,
        annotations: BTreeMap::new(),
    }
}

impl Place {
    pub fn of(identities: &[Value]) -> Self {
        let mut place = Self {
            seen: world().seen(),
            now: MORNING,
            issuer: ISSUER,
            accepts: vec![],
            published: BTreeMap::new(),
            holding: BTreeMap::new(),
            application: None,
            accounts: BTreeMap::new(),
            workloads: vec![],
            pods: vec![],
            schedules: vec![],
            gives_tokens: true,
            exchange: honest,
            done: vec![],
        };
        for account in ["api", "batch"] {
            let seen = AccountSeen { uid: account.into(), client_id: None, tenant_id: None, managed_by_us: false };
            place.accounts.insert(account.into(), seen);
        }
        place.declare(identities, &json!({}));
        place
    }

    pub fn declare(&mut self, identities: &[Value], patch: &Value) {
        let federation = json!({
            "externalIssuers": ["https://token.actions.githubusercontent.com", "https://oidc.example/elsewhere/"],
            "externalSubjects": ["repo:contoso/*", "system:serviceaccount:payments:*"],
        });
        let asked = json!({"clientSecret": null, "federated": {"identities": identities}});
        self.seen.resource =
            world().grant(&json!({"federation": federation})).asking(&asked).asking(patch).seen().resource;
        self.seen.tenant = world().grant(&json!({"federation": federation})).seen().tenant;
    }

    /// Somebody writes an annotation on the resource.
    pub fn annotate(&mut self, key: &str, value: &str) {
        let metadata = &mut Arc::make_mut(&mut self.seen.resource).metadata;
        metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
    }

    pub fn is_detained(&self) -> bool {
        self.seen.resource.metadata.finalizers.iter().flatten().next().is_some()
    }

    pub fn decision(&self) -> Decision {
        plan(&self.seen, &Timing::REAL, &moment(self.now))
    }

    /// What there is done until nothing is to be done for so long.
    #[track_caller]
    pub fn live(&mut self, span: &str) -> &mut Self {
        let end = self.now + span.parse::<SignedDuration>().unwrap();
        for _ in 0..20_000 {
            let decision = self.decision();
            assert_eq!(decision.refusal, None);
            match decision.next {
                Next::Do(step) => self.act(&step),
                Next::Wait(waits) => {
                    let until = waits.iter().filter_map(|wait| wait.until).min().unwrap_or(end);
                    assert!(until > self.now, "{waits:?}");
                    self.now = until.min(end);
                    if self.now == end {
                        return self;
                    }
                }
            }
        }
        panic!("it does not come to rest: {:?}", self.done);
    }

    pub fn act(&mut self, step: &Step) {
        let begun_at = self.now;
        self.now += SignedDuration::from_millis(10);
        if step.has_effect() {
            self.done.push(step.as_str().to_owned());
        }
        let outcome = self.outcome(step);
        fold(&mut self.seen, step, outcome, begun_at, self.now);
    }

    pub fn outcome(&mut self, step: &Step) -> Outcome {
        let at = self.now;
        match step {
            Step::ReadRecords => Outcome::Records(Records { listed_at: Some(at), ..self.seen.records.clone() }),
            Step::ReadIssuer => Outcome::Issuer(Looked { at, found: self.issuer.to_owned() }),
            Step::ReadFederation => Outcome::Federation(Looked { at, found: self.accepts.clone() }),
            Step::ReadConsumers | Step::WatchConsumers { .. } => Outcome::Consumers(Consumers {
                seen: SeenBy::List(at),
                workloads: self.workloads.clone(),
                pods: self.pods.clone(),
                schedules: self.schedules.clone(),
            }),
            Step::ReadAccount { account } => {
                Outcome::Account(Looked { at, found: self.accounts.get(account).cloned() })
            }
            Step::Annotate { account, told, .. } => {
                let seen = self.accounts.get_mut(account).expect("the account");
                let says = |id: &str| told.then(|| id.to_owned());
                (seen.client_id, seen.tenant_id, seen.managed_by_us) = (says(CLIENT), says(OTHER), *told);
                Outcome::Account(Looked { at, found: Some(seen.clone()) })
            }
            Step::Open { entry } => self.written((**entry).clone(), true),
            Step::Note { entry, finalized, .. } => self.written((**entry).clone(), *finalized),
            Step::Establish { record } => {
                let last = record.entry.last_attempt().unwrap();
                let (owner, sequence) = (record.entry.owner.clone(), record.entry.sequence);
                let mark = Mark { owner, sequence, nonce: last.nonce.clone() };
                let added = self.add(record.entry.claims.clone().unwrap(), Some(&mark));
                Outcome::Established(added)
            }
            Step::Exchange { claims, .. } => Outcome::Exchanged((self.exchange)(self, claims)),
            Step::ReadTarget { target, wanted } => {
                let wanted =
                    wanted.and_then(|number| self.seen.records.list.iter().find(|one| one.entry.sequence == number));
                Outcome::Target(Looked { at, found: self.target(target, wanted.map(|record| &record.entry)) })
            }
            Step::Unpublish { target, .. } => {
                self.published.remove(target);
                Outcome::Target(Looked { at, found: TargetState::Absent })
            }
            Step::Publish { record, target, .. } => self.publish(target, &record.entry),
            Step::ReadApplication => {
                Outcome::Application(Looked { at, found: self.application.clone().expect("an application") })
            }
            Step::Remove { key_id, .. } => {
                self.holding.retain(|name, _| self.pods.iter().any(|pod| pod.name == *name));
                assert!(self.holding.values().all(|held| held != key_id), "{:?} have {key_id}", self.holding);
                let application = self.application.as_mut().expect("an application");
                application.credentials.retain(|one| one.key_id != *key_id);
                Outcome::Removed
            }
            Step::Withdraw { key_id, .. } => {
                self.accepts.retain(|one| one.id != *key_id);
                Outcome::Removed
            }
            Step::Forget { .. } => Outcome::Forgotten,
            Step::Detain { detained } => Outcome::Detained {
                detained: *detained,
                deleted_at: self.seen.resource.metadata.deletion_timestamp.as_ref().map(|at| at.0),
            },
            Step::Roll { workload, mark } => self.rolled(workload, mark),
            step => panic!("nobody has a reason to {step}"),
        }
    }

    /// Its one pod is another from now on, to which the webhook gives what its account says.
    fn rolled(&mut self, id: &WorkloadId, mark: &str) -> Outcome {
        let workload = self.workloads.iter_mut().find(|one| one.id == *id).expect("the workload");
        workload.annotations.insert("keywright.dev/payments-api".into(), mark.to_owned());
        let account = workload.identity.account.clone();
        let told = self.accounts[&account].client_id.clone().filter(|_| self.gives_tokens);
        let name = format!("new-{}", self.done.len());
        let made = PodSeen {
            maker: Some(Maker::Workload(id.clone())),
            reads: workload.reads.clone(),
            created_at: self.now,
            started_at: Some(self.now),
            annotations: workload.annotations.clone(),
            ..pod(&name, &account, told.as_deref())
        };
        self.pods.retain(|one| one.maker != made.maker);
        let workload = workload.clone();
        self.starts(&made);
        self.pods.push(made);
        Outcome::Rolled(Some(Box::new(workload)))
    }

    /// A pod reads what its node has, which may be what was there before.
    pub fn starts(&mut self, pod: &PodSeen) {
        let read = pod.reads.iter().find_map(|one| self.published.get(&TargetId::Secret(one.secret.as_str().into())));
        let Some(there) = read else { return };
        let settled = self.now > there.since + SignedDuration::try_from(Timing::REAL.settle).unwrap();
        let held = if settled { there.key } else { there.key.or(there.before) };
        if let Some(key) = held {
            self.holding.insert(pod.name.clone(), key);
        }
    }

    fn target(&self, id: &TargetId, wanted: Option<&Entry>) -> TargetState {
        let Some(there) = self.published.get(id) else { return TargetState::Absent };
        let of = self.seen.records.list.iter().map(|one| &one.entry);
        let mut of = of.filter(|one| there.key.is_some() && one.kept.as_ref().map(|kept| kept.key_id) == there.key);
        let of = of.next();
        let key = |entry: &Entry| entry.kept.as_ref().map(|kept| kept.key_id).filter(|_| entry.claims.is_none());
        TargetState::Present(Carried {
            holder: if there.ours { Holder::Owned(self.seen.owner.clone()) } else { Holder::Unowned },
            key_id: there.key,
            sequence: of.map(|entry| entry.sequence),
            nonce: of.map(|entry| entry.attempts[0].nonce.clone()),
            agrees: there.ours && !there.edited && wanted.is_some_and(|entry| key(entry) == there.key),
            obstacle: None,
            version: "7".into(),
            uid: Some("u".into()),
        })
    }

    fn publish(&mut self, id: &TargetId, entry: &Entry) -> Outcome {
        let key = entry.kept.as_ref().map(|kept| kept.key_id).filter(|_| entry.claims.is_none());
        let before = self.published.get(id).and_then(|there| there.key);
        self.published.insert(id.clone(), There { key, before, since: self.now, ours: true, edited: false });
        Outcome::Target(Looked { at: self.now, found: self.target(id, Some(entry)) })
    }

    /// A watch shows that somebody has written a Secret.
    pub fn edit(&mut self, id: &TargetId, change: impl FnOnce(&mut There)) {
        self.seen.targets.remove(id);
        change(self.published.get_mut(id).expect("a Secret"));
    }

    fn written(&self, entry: Entry, finalized: bool) -> Outcome {
        let created_at = self.now;
        let version = format!("{}", self.now.as_nanosecond());
        Outcome::Written(Box::new(Record { uid: entry.name(), version, created_at, finalized, deleting: false, entry }))
    }

    pub fn add(&mut self, claims: Claims, mark: Option<&Mark>) -> Federated {
        let id = KeyId(uuid::Uuid::from_u128(self.accepts.len() as u128 + 100 * u128::from(mark.is_none()) + 1));
        let name = mark.map_or_else(|| format!("by-hand-{id}"), Mark::federated_name);
        let description = mark.map(|mark| mark.display_name("payments", "payments-api"));
        let added = Federated { id, name, claims: Some(claims), description };
        self.accepts.push(added.clone());
        added
    }

    pub fn count(&self, step: &str) -> usize {
        self.done.iter().filter(|one| *one == step).count()
    }

    pub fn told(&self) -> EntraAppCredentialStatus {
        report::report(&self.seen, &self.decision(), &Timing::REAL, &moment(self.now)).status
    }

    pub fn ready(&self) -> (String, String, String) {
        let said = self.told().conditions.into_iter().find(|one| one.type_ == READY).unwrap();
        (said.status, said.reason, said.message)
    }

    pub fn waits(&mut self, reason: Reason) -> String {
        let waits = loop {
            match self.decision().next {
                Next::Wait(waits) => break waits,
                Next::Do(step) => self.act(&step),
            }
        };
        let wait = waits.iter().find(|wait| wait.reason == reason);
        wait.unwrap_or_else(|| panic!("{reason} is not among {waits:?}")).waiting_for.clone()
    }
}

/// A Deployment with one pod of the account, made before anybody was told anything.
pub fn deploy(place: &mut Place, name: &str, asks: bool) {
    let id = WorkloadId { kind: WorkloadKind::Deployment, name: name.into() };
    let identity = Identity { account: "api".into(), asks, signs_in_as: None };
    let token = asks.then(String::new);
    let made = PodSeen { maker: Some(Maker::Workload(id.clone())), ..pod(&format!("{name}-1"), "api", None) };
    place.pods.push(PodSeen { identity: Identity { signs_in_as: token, ..identity.clone() }, ..made });
    let progress = Progress { observed: true, desired: 1, total: 1, updated: 1, available: 1, ..Progress::default() };
    let annotations = BTreeMap::new();
    let (uid, reads) = (name.to_owned(), vec![]);
    place.workloads.push(WorkloadSeen { id, uid, reads, identity, annotations, progress, hindrance: None });
}
