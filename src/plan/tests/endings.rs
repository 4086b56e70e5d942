//! What goes with a resource that is deleted, each rule as a sentence.

mod in_the_way;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use uuid::Uuid;

use super::life::{NOW, ago, carried, key, nonce, secret};
use crate::plan::{
    Decision, Moment, Next, Outcome, Step, Timing, Wait, blast,
    fixtures::{CLIENT, OTHER, world},
    fold::fold,
    plan,
    removable::Removable,
    report::report,
};
use crate::{
    api::{
        ClientId, FINALIZER, Reason, TenantId,
        conditions::{READY, find},
        consumers::WorkloadKind,
        grant::CredentialKind,
    },
    facts::{
        Application, Attempt, Carried, Consumers, Credential, Entry, Hindrance, Holder, Identity, Kept, Looked, Maker,
        Mark, Means, ObjectId, Observation, PodSeen, Progress, Reading, Record, Records, SeenBy, Sequence, Stage,
        TargetId, TargetState, TenantSeen, WorkloadId, WorkloadSeen,
    },
};

fn revoke() -> Value {
    json!({"deletionPolicy": "Revoke"})
}

fn delete(creation: &str) -> Value {
    json!({"publish": {"secret": {"deletionPolicy": "Delete", "creationPolicy": creation}}})
}

/// A resource with two credentials, the first of which was replaced an hour ago. Nobody uses them.
fn living(patch: &Value) -> Observation {
    let mut seen = world().asking(patch).seen();
    Arc::make_mut(&mut seen.resource).metadata.uid = Some("r".into());
    let list = vec![record(&seen, 1), record(&seen, 2)];
    seen.records = Records { list, forged: vec![], listed_at: Some(NOW) };
    let credentials = vec![credential(&seen, 1), credential(&seen, 2), by_hand()];
    let found = Application { object_id: ObjectId(Uuid::nil()), most_secrets: None, credentials };
    seen.application = Some(Looked { at: NOW, found });
    seen.targets.insert(secret(), Looked { at: NOW, found: TargetState::Present(carried(&seen)) });
    seen.consumers = Some(Consumers { seen: SeenBy::List(NOW), workloads: vec![], pods: vec![], schedules: vec![] });
    seen
}

/// The same, deleted, with our finalizer and those of its records.
fn ending(patch: &Value) -> Observation {
    let mut seen = living(patch);
    Arc::make_mut(&mut seen.resource).metadata.finalizers = Some(vec!["example.org/other".into(), FINALIZER.into()]);
    Arc::make_mut(&mut seen.resource).metadata.deletion_timestamp = Some(Time(ago("1m")));
    let revoked = patch["deletionPolicy"] == "Revoke";
    seen.records.list.iter_mut().for_each(|record| record.finalized = revoked);
    seen
}

fn record(seen: &Observation, number: u32) -> Record {
    let at = ago("1h");
    let about = (TenantId(OTHER.parse().unwrap()), ClientId(CLIENT.parse().unwrap()), CredentialKind::ClientSecret);
    let first = Attempt { nonce: nonce(number), holder: "this".into(), at };
    let entry = Entry {
        replaces: (number > 1).then(|| key(number - 1)),
        kept: Some(Kept {
            key_id: key(number),
            issued_at: at,
            expires_at: Some(NOW + SignedDuration::from_hours(2160)),
            thumbprint: None,
        }),
        stage: Stage::Publishing,
        published_to: vec![secret()],
        verified_at: Some(at),
        published_at: Some(at),
        proven_at: Some(at),
        ..Entry::opened(seen.owner.clone(), "payments-api", about, Sequence(number), first)
    };
    let (uid, version) = (number.to_string(), number.to_string());
    Record { uid, version, created_at: at, finalized: false, deleting: false, entry }
}

fn credential(seen: &Observation, number: u32) -> Credential {
    let mark = Mark { owner: seen.owner.clone(), sequence: Sequence(number), nonce: nonce(number) };
    let display_name = Some(mark.display_name("payments", "payments-api"));
    Credential { key_id: key(number), display_name, ..by_hand() }
}

fn by_hand() -> Credential {
    let display_name = Some("by hand".into());
    Credential { key_id: key(9), kind: CredentialKind::ClientSecret, display_name, hint: None, start: None, end: None }
}

fn reading(secret: &str) -> Vec<Reading> {
    vec![Reading { secret: secret.into(), key: None, by: Means::Start, needs_it: false }]
}

fn pod(name: &str, reads: Vec<Reading>) -> PodSeen {
    PodSeen {
        name: name.into(),
        maker: None,
        reads,
        identity: Identity::default(),
        created_at: ago("30m"),
        started_at: Some(ago("30m")),
        terminating_since: None,
        lost: false,
        annotations: [].into(),
    }
}

fn workload(desired: i64, hindrance: Option<Hindrance>) -> WorkloadSeen {
    WorkloadSeen {
        id: WorkloadId { kind: WorkloadKind::Deployment, name: "web".into() },
        uid: "w".into(),
        reads: reading("payments-api"),
        identity: Identity::default(),
        annotations: [].into(),
        progress: Progress { observed: true, desired, ..Progress::default() },
        hindrance,
    }
}

fn decided_at(seen: &Observation, now: Timestamp) -> Decision {
    plan(seen, &Timing::REAL, &Moment { now, chance: nonce(99) })
}

fn decided(seen: &Observation) -> Decision {
    decided_at(seen, NOW)
}

fn step(seen: &Observation) -> Step {
    match decided(seen).next {
        Next::Do(step) => step,
        Next::Wait(waits) => panic!("it waits: {waits:?}"),
    }
}

/// What is waited for first.
fn waits(seen: &Observation) -> Wait {
    match decided(seen).next {
        Next::Wait(mut waits) if !waits.is_empty() => waits.remove(0),
        next => panic!("it does not wait: {next:?}"),
    }
}

#[track_caller]
fn is_in_the_way(seen: &Observation, who: &str) {
    let wait = waits(seen);
    assert_eq!(wait.reason, Reason::StillInUse, "{}", wait.waiting_for);
    assert!(wait.waiting_for.starts_with(who), "{}", wait.waiting_for);
    assert!(
        wait.waiting_for.contains(r#"patch eac payments-api --type merge -p '{"spec":{"deletionPolicy":"Retain"}}'"#)
    );
}

fn removes(number: u32) -> Step {
    Step::Remove { key_id: key(number), because: Removable::Revoked }
}

/// After everything that a decision asks for, as long as it succeeds at once.
fn afterwards(mut seen: Observation, mut now: Timestamp) -> (Observation, Vec<Step>) {
    let mut done = vec![];
    for _ in 0..60 {
        let step = match decided_at(&seen, now).next {
            Next::Do(step) => step,
            Next::Wait(waits) => match waits.iter().filter_map(|wait| wait.until).min() {
                Some(until) => {
                    now = until;
                    continue;
                }
                None => break,
            },
        };
        let outcome = match &step {
            Step::ReadRecords => Outcome::Records(Records { listed_at: Some(now), ..seen.records.clone() }),
            Step::ReadApplication => Outcome::Application(Looked { at: now, ..seen.application.clone().unwrap() }),
            Step::ReadTarget { target, .. } => Outcome::Target(Looked { at: now, ..seen.targets[target].clone() }),
            Step::ReadConsumers | Step::WatchConsumers { .. } => Outcome::Consumers(Consumers {
                seen: SeenBy::List(now),
                workloads: vec![],
                pods: vec![],
                schedules: vec![],
            }),
            Step::Remove { key_id, .. } => {
                seen.application.as_mut().unwrap().found.credentials.retain(|one| one.key_id != *key_id);
                Outcome::Removed
            }
            Step::Note { record, entry, finalized } => {
                let entry = (**entry).clone();
                Outcome::Written(Box::new(Record { entry, finalized: *finalized, ..(**record).clone() }))
            }
            Step::Forget { .. } => Outcome::Forgotten,
            Step::Unpublish { .. } => Outcome::Target(Looked { at: now, found: TargetState::Absent }),
            Step::Detain { detained } => Outcome::Detained { detained: *detained, deleted_at: Some(ago("1m")) },
            step => panic!("{step:?}"),
        };
        if step.has_effect() {
            done.push(step.clone());
        }
        fold(&mut seen, &step, outcome, now, now);
    }
    (seen, done)
}

fn told(done: &[Step]) -> Vec<&'static str> {
    done.iter().map(Step::as_str).collect()
}

#[test]
fn a_finalizer_stands_before_anything_is_minted_if_something_is_to_go_with_the_resource() {
    for patch in [revoke(), delete("Owner")] {
        let mut seen = world().asking(&patch).seen();
        let first = step(&seen);
        assert_eq!(first, Step::Detain { detained: true });
        fold(&mut seen, &first, Outcome::Detained { detained: true, deleted_at: None }, NOW, NOW);
        assert_eq!(step(&seen), Step::ReadApplication);
    }
    for patch in [json!({}), json!({"deletionPolicy": "Retain"}), delete("Adopt"), delete("Merge")] {
        assert_eq!(step(&world().asking(&patch).seen()), Step::ReadApplication, "{patch}");
    }
}

#[test]
fn a_finalizer_goes_when_nothing_is_to_go_with_the_resource_any_more() {
    let mut seen = living(&json!({}));
    Arc::make_mut(&mut seen.resource).metadata.finalizers = Some(vec![FINALIZER.into()]);
    assert_eq!(step(&seen), Step::Detain { detained: false });
}

#[test]
fn the_records_of_what_is_to_be_revoked_keep_their_finalizer_however_old_they_are() {
    let mut seen = living(&revoke());
    Arc::make_mut(&mut seen.resource).metadata.finalizers = Some(vec![FINALIZER.into()]);
    let Step::Note { record, finalized: true, .. } = step(&seen) else { panic!("{:?}", step(&seen)) };
    assert_eq!(record.entry.sequence, Sequence(1));
    seen.records.list.iter_mut().for_each(|record| record.finalized = true);
    assert!(!matches!(decided(&seen).next, Next::Do(Step::Note { finalized: false, .. })), "{:?}", decided(&seen).next);
    let spec = Arc::make_mut(&mut seen.resource).spec.as_mut().unwrap();
    Arc::make_mut(spec).deletion_policy = None;
    Arc::make_mut(&mut seen.resource).metadata.finalizers = None;
    assert!(matches!(step(&seen), Step::Note { finalized: false, .. }));
}

#[test]
fn what_is_ours_goes_one_after_the_other_and_then_the_records_and_the_resource() {
    let (seen, done) = afterwards(ending(&revoke()), NOW);
    let steps = ["remove", "remove", "note", "forget", "note", "forget", "detain"];
    assert_eq!(told(&done), steps);
    assert_eq!(done[..2], [removes(1), removes(2)]);
    assert_eq!(seen.application.unwrap().found.credentials, [by_hand()], "what is not ours stays");
    assert_eq!(
        seen.resource.metadata.finalizers,
        Some(vec!["example.org/other".into()]),
        "and so does another's finalizer"
    );
    assert!(seen.targets.contains_key(&secret()), "the Secret stays");
}

#[test]
fn a_resource_that_another_finalizer_keeps_after_the_end_has_nothing_begun_for_it() {
    let mut seen = afterwards(ending(&revoke()), NOW).0;
    assert_eq!(decided(&seen).next, Next::Wait(vec![]));
    seen.records.list = vec![record(&seen, 1)];
    assert_eq!(decided(&seen).next, Next::Wait(vec![]));
}

#[test]
fn a_removal_is_done_when_reads_agree_and_nothing_can_come_late() {
    let mut seen = ending(&revoke());
    seen.application.as_mut().unwrap().found.credentials = vec![by_hand()];
    seen.mine.removed = [(key(1), ago("10s")), (key(2), ago("10s"))].into();
    let wait = waits(&seen);
    assert_eq!((wait.reason, wait.until), (Reason::Revoking, Some(ago("10s") + SignedDuration::from_secs(60))));
    seen.mine.removed.clear();
    seen.records.list[0].entry.attempts[0].at = ago("30s");
    let wait = waits(&seen);
    assert_eq!(wait.until, Some(ago("30s") + SignedDuration::from_secs(10 + 120 + 60)), "a mint may still show itself");
}

#[test]
fn what_is_shown_again_after_its_removal_is_removed_again() {
    let mut seen = ending(&revoke());
    seen.mine.removed = [(key(1), ago("10m")), (key(2), ago("10s"))].into();
    assert_eq!(step(&seen), removes(1));
}

#[test]
fn while_a_mark_is_unknown_nothing_is_removed_until_it_is_acknowledged() {
    let mut seen = ending(&revoke());
    let stranger = Credential { key_id: key(7), ..credential(&seen, 7) };
    seen.application.as_mut().unwrap().found.credentials.push(stranger);
    let wait = waits(&seen);
    assert_eq!(wait.reason, Reason::UnknownCredential);
    assert!(wait.waiting_for.contains("keywright.dev/forget="), "{}", wait.waiting_for);
    let said = [("keywright.dev/forget".to_owned(), key(7).to_string())];
    Arc::make_mut(&mut seen.resource).metadata.annotations = Some(said.into());
    let (seen, done) = afterwards(seen, NOW);
    assert_eq!(done[..2], [removes(1), removes(2)]);
    assert!(
        seen.application.unwrap().found.credentials.iter().any(|one| one.key_id == key(7)),
        "what is not known stays"
    );
}

#[test]
fn what_was_adopted_has_no_mark_and_stays_with_its_record() {
    let mut seen = ending(&revoke());
    seen.application.as_mut().unwrap().found.credentials = vec![Credential { key_id: key(2), ..by_hand() }];
    seen.records.list.remove(0);
    let (seen, done) = afterwards(seen, NOW);
    assert_eq!(told(&done), ["note", "detain"]);
    assert!(seen.records.list.iter().all(|record| !record.finalized), "it may go with the namespace");
}

#[test]
fn an_overtaken_attempt_of_what_was_published_goes_too() {
    let mut seen = ending(&revoke());
    let attempt = Attempt { nonce: nonce(5), holder: "other".into(), at: ago("61m") };
    seen.records.list[1].entry.attempts.insert(0, attempt);
    let mark = Mark { owner: seen.owner.clone(), sequence: Sequence(2), nonce: nonce(5) };
    let fenced =
        Credential { display_name: Some(mark.display_name("payments", "payments-api")), key_id: key(5), ..by_hand() };
    seen.application.as_mut().unwrap().found.credentials.push(fenced);
    let (_, done) = afterwards(seen, NOW);
    assert_eq!(done[..3], [removes(1), removes(2), removes(5)]);
}

#[test]
fn turned_to_retain_it_goes_at_once_and_takes_nothing_with_it() {
    assert_eq!(step(&ending(&json!({}))), Step::Detain { detained: false });
    let mut suspended = ending(&json!({"suspend": true}));
    assert_eq!(step(&suspended), Step::Detain { detained: false });
    suspended.tenant = TenantSeen::Missing;
    assert_eq!(step(&suspended), Step::Detain { detained: false });
}

#[test]
fn without_a_grant_a_tenant_or_leave_to_act_nothing_goes_and_the_resource_stays() {
    let no_grant = world().asking(&revoke()).tenant(&json!({"grants": null}));
    let mut seen = ending(&revoke());
    seen.tenant = no_grant.seen().tenant;
    assert_eq!(decided(&seen).refusal.unwrap().reason, Reason::NamespaceNotGranted);
    assert_eq!(decided(&seen).next, Next::Wait(vec![]));
    seen.tenant = TenantSeen::Missing;
    assert_eq!(decided(&seen).next, Next::Wait(vec![]));
    let wait = waits(&ending(&json!({"deletionPolicy": "Revoke", "suspend": true})));
    assert_eq!(wait.reason, Reason::Suspended);
    assert!(wait.waiting_for.contains("the next step would be to remove"), "{}", wait.waiting_for);
}

#[test]
fn a_resource_for_which_nothing_was_ever_begun_goes_although_it_is_refused() {
    let mut seen = ending(&revoke());
    seen.tenant = TenantSeen::Missing;
    seen.records = Records::default();
    assert_eq!(step(&seen), Step::ReadRecords);
    seen.records.listed_at = Some(NOW);
    assert_eq!(step(&seen), Step::Detain { detained: false });
}

#[test]
fn only_a_secret_that_is_ours_goes_and_only_as_it_was_seen() {
    let seen = ending(&delete("Owner"));
    let Step::Unpublish { target, over } = step(&seen) else { panic!("{:?}", step(&seen)) };
    assert_eq!((target, over.version.as_str(), over.uid.as_deref()), (secret(), "7", Some("u")));
    assert_eq!(told(&afterwards(seen, NOW).1), ["unpublish", "detain"], "and the credentials stay");

    for holder in [Holder::Unowned, Holder::Owned(crate::facts::Owner::of("another", "payments", "payments-api"))] {
        let mut seen = ending(&delete("Owner"));
        let found = TargetState::Present(Carried { holder, ..carried(&seen) });
        seen.targets.insert(secret(), Looked { at: NOW, found });
        assert_eq!(step(&seen), Step::Detain { detained: false });
    }
    for creation in ["Adopt", "Merge"] {
        assert_eq!(step(&ending(&delete(creation))), Step::Detain { detained: false }, "{creation}");
    }
}
