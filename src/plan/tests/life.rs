//! The second half of a rotation, each rule as a sentence: what is due, who is restarted, and what must be so before an
//! old credential goes.

mod adopt;
mod blast;
mod due;
mod gate;
mod records;
mod rollout;
mod standing;
mod usage;

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::plan::{
    Moment, Next, Outcome, Step, Timing, Wait,
    fixtures::{CLIENT, OTHER, World, world},
    fold::fold,
    plan,
    removable::Removable,
};
use crate::{
    api::{ClientId, KeyId, Reason, TenantId, consumers::WorkloadKind, grant::CredentialKind},
    facts::{
        Adopted, Application, Attempt, Braked, Carried, Cause, Consumers, CopyId, CopySeen, Credential, Effect, Entry,
        Failing, Hindrance, Holder, Identity, Kept, Looked, Maker, Mark, Means, Missing, Nonce, ObjectId, Observation,
        PodSeen, Progress, Proof, Reading, Record, Records, Rolled, SeenBy, Sequence, Service, Stage, TargetId,
        TargetState, Tried, Trouble, Usage, Verdict, WorkloadId, WorkloadSeen,
    },
};

pub(super) const NOW: Timestamp = Timestamp::constant(1_795_248_000, 0);

pub(super) fn ago(text: &str) -> Timestamp {
    NOW - text.parse::<SignedDuration>().unwrap()
}

fn ahead(text: &str) -> Timestamp {
    NOW + text.parse::<SignedDuration>().unwrap()
}

pub(super) fn key(number: u32) -> KeyId {
    KeyId(Uuid::from_u128(number.into()))
}

pub(super) fn nonce(number: u32) -> Nonce {
    Nonce::of([u8::try_from(number).unwrap(); 10])
}

pub(super) fn secret() -> TargetId {
    TargetId::Secret("payments-api".into())
}

/// The second credential was published two days ago and proven to be with everybody an hour later; the first is still there.
fn proven(patch: &Value) -> Observation {
    let grant = json!({"allow": ["RetireForeign", "RevokeCompromised"]});
    life(&world().grant(&grant).asking(patch))
}

fn life(world: &World) -> Observation {
    let mut seen = world.seen();
    seen.records = Records {
        list: vec![record(&seen, 1, ago("1440h")), record(&seen, 2, ago("48h"))],
        forged: vec![],
        listed_at: Some(NOW),
    };
    let found = Application {
        object_id: ObjectId(Uuid::nil()),
        most_secrets: None,
        credentials: vec![credential(&seen, 1), credential(&seen, 2)],
    };
    seen.application = Some(Looked { at: NOW, found });
    let carried = carried(&seen);
    seen.targets.insert(secret(), Looked { at: NOW, found: TargetState::Present(carried) });
    seen.consumers = Some(Consumers {
        seen: SeenBy::List(NOW),
        workloads: vec![workload("web", Some(2))],
        pods: vec![pod("web-1", Some("web"), ago("46h"))],
        schedules: vec![],
    });
    seen.mine.tried.insert(secret(), Tried { key_id: key(2), at: NOW, verdict: Verdict::Accepted });
    seen.mine.slot = Some(true);
    seen
}

/// What the Secret carries: the second one.
pub(super) fn carried(seen: &Observation) -> Carried {
    Carried {
        holder: Holder::Owned(seen.owner.clone()),
        key_id: Some(key(2)),
        sequence: Some(Sequence(2)),
        nonce: Some(nonce(2)),
        agrees: true,
        obstacle: None,
        version: "7".into(),
        uid: Some("u".into()),
    }
}

/// The same just after it was published: nobody is proven to have it.
fn published(patch: &Value) -> Observation {
    let mut seen = proven(patch);
    seen.records.list[1].entry.proven_at = None;
    consumers(&mut seen).seen = SeenBy::Watch;
    consumers(&mut seen).workloads = vec![workload("api", None), workload("job", None), workload("web", None)];
    consumers(&mut seen).pods =
        ["api", "job", "web"].map(|name| pod(&format!("{name}-1"), Some(name), ago("480h"))).into();
    seen
}

pub(super) fn record(seen: &Observation, number: u32, published_at: Timestamp) -> Record {
    let kept = Kept {
        key_id: key(number),
        issued_at: published_at,
        expires_at: Some(published_at + SignedDuration::from_hours(2160)),
        thumbprint: None,
    };
    let about = (TenantId(OTHER.parse().unwrap()), ClientId(CLIENT.parse().unwrap()), CredentialKind::ClientSecret);
    let first = Attempt { nonce: nonce(number), holder: "this".into(), at: published_at };
    let entry = Entry {
        cause: Some(Cause::Renewal),
        replaces: (number > 1).then(|| key(number - 1)),
        kept: Some(kept),
        stage: Stage::Publishing,
        published_to: vec![secret()],
        verified_at: Some(published_at),
        published_at: Some(published_at),
        proven_at: Some(published_at + SignedDuration::from_hours(1)),
        ..Entry::opened(seen.owner.clone(), "payments-api", about, Sequence(number), first)
    };
    let (uid, version) = (number.to_string(), number.to_string());
    Record { uid, version, created_at: published_at, finalized: false, deleting: false, entry }
}

pub(super) fn credential(seen: &Observation, number: u32) -> Credential {
    let mark = Mark { owner: seen.owner.clone(), sequence: Sequence(number), nonce: nonce(number) };
    Credential {
        key_id: key(number),
        kind: CredentialKind::ClientSecret,
        display_name: Some(mark.display_name("payments", "payments-api")),
        hint: None,
        start: None,
        end: None,
    }
}

fn foreign(number: u32, name: &str) -> Credential {
    Credential { key_id: key(number), display_name: Some(name.into()), ..credential(&world().seen(), 1) }
}

fn web(name: &str) -> WorkloadId {
    WorkloadId { kind: WorkloadKind::Deployment, name: name.into() }
}

fn workload(name: &str, with: Option<u32>) -> WorkloadSeen {
    let annotation = with.map(|number| ("keywright.dev/payments-api".to_owned(), key(number).to_string()));
    WorkloadSeen {
        id: web(name),
        uid: name.into(),
        reads: vec![reading()],
        identity: Identity::default(),
        annotations: annotation.into_iter().collect(),
        progress: Progress { observed: true, desired: 1, total: 1, updated: 1, available: 1, ..Progress::default() },
        hindrance: None,
    }
}

pub(super) fn reading() -> Reading {
    Reading { secret: "payments-api".into(), key: None, by: Means::Start, needs_it: false }
}

fn pod(name: &str, of: Option<&str>, started_at: Timestamp) -> PodSeen {
    PodSeen {
        name: name.into(),
        maker: of.map(|name| Maker::Workload(web(name))),
        reads: vec![reading()],
        identity: Identity::default(),
        created_at: started_at,
        started_at: Some(started_at),
        terminating_since: None,
        lost: false,
        annotations: BTreeMap::new(),
    }
}

fn consumers(seen: &mut Observation) -> &mut Consumers {
    seen.consumers.as_mut().unwrap()
}

fn entry(seen: &mut Observation, number: u32) -> &mut Entry {
    &mut seen.records.list[usize::try_from(number).unwrap() - 1].entry
}

fn shown(seen: &mut Observation) -> &mut Vec<Credential> {
    &mut seen.application.as_mut().unwrap().found.credentials
}

fn next(seen: &Observation) -> Next {
    plan(seen, &Timing::REAL, &Moment { now: NOW, chance: nonce(9) }).next
}

fn waits(seen: &Observation) -> Vec<Wait> {
    match next(seen) {
        Next::Wait(waits) => waits,
        Next::Do(step) => panic!("something is done: {step}"),
    }
}

#[track_caller]
fn waits_for(seen: &Observation, reason: Reason, words: &str) {
    let waits = waits(seen);
    let told = waits.iter().any(|wait| wait.reason == reason && wait.waiting_for.contains(words));
    assert!(told, "no {reason} with {words:?}: {waits:?}");
}

fn removes(seen: &Observation) -> Option<(KeyId, Removable)> {
    match next(seen) {
        Next::Do(Step::Remove { key_id, because }) => Some((key_id, because)),
        _ => None,
    }
}

fn cause(seen: &Observation) -> Option<Cause> {
    match next(seen) {
        Next::Do(Step::Open { entry }) => entry.cause,
        _ => None,
    }
}

/// Without the old one, so that nothing but what is due decides.
fn alone(patch: &Value) -> Observation {
    let mut seen = proven(patch);
    seen.records.list.remove(0);
    shown(&mut seen).remove(0);
    seen
}

fn expires(seen: &mut Observation, at: Timestamp) {
    seen.records.list.last_mut().unwrap().entry.kept.as_mut().unwrap().expires_at = Some(at);
}
