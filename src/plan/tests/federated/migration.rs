//! From a secret to what is federated: the secret stays until everybody has what takes its place, and nobody reads it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::{
    facts::{Application, Identity, ObjectId, PodSeen, Progress, Reading, ScheduleSeen, WorkloadId, WorkloadSeen},
    plan::tests::life::{credential, key, reading, record},
};

/// A place where a secret was published long ago, which expires after some weeks, and where something federated is declared.
fn with_a_secret(patch: &Value) -> Place {
    let mut place = Place::of(&[api()]);
    place.declare(&[api()], patch);
    let published_at = MORNING - SignedDuration::from_hours(48);
    let secret = record(&place.seen, 1, published_at);
    place.seen.records.list.push(secret);
    let credentials = vec![credential(&place.seen, 1)];
    let found = Application { object_id: ObjectId(uuid::Uuid::nil()), most_secrets: None, credentials };
    place.seen.application = Some(Looked { at: MORNING, found: found.clone() });
    place.application = Some(found);
    place
}

/// The same with a workload that reads the secret, and asks for a token.
fn with_a_reader(patch: &Value) -> Place {
    let mut place = with_a_secret(patch);
    deploy(&mut place, "web", true);
    read(&mut place, &[reading()]);
    place
}

/// Somebody writes into its template that it reads these: its pod is made anew.
fn read(place: &mut Place, reads: &[Reading]) {
    place.pods[0].identity.signs_in_as = place.accounts["api"].client_id.clone().or(Some(String::new()));
    place.workloads[0].reads = reads.to_vec();
    place.pods[0].reads = reads.to_vec();
}

fn secrets(place: &Place) -> usize {
    place.application.as_ref().unwrap().credentials.len()
}

#[test]
fn it_goes_when_everybody_signs_in_by_tokens_and_nobody_reads_it() {
    let mut place = with_a_reader(&json!({}));
    place.live("48h");
    assert_eq!((place.ready().0.as_str(), place.count("roll"), secrets(&place)), ("True", 0, 1));
    let told = place.waits(Reason::StillInUse);
    assert!(told.contains("deployment/web to be deleted or rid of secret/payments-api"), "{told}");
    let told = place.told();
    assert_eq!((told.retiring.len(), told.retiring[0].key_id), (1, Some(key(1))));
    assert!(told.retiring[0].waiting_for[0].0.contains("deployment/web"), "{:?}", told.retiring);
    read(&mut place, &[]);
    place.live("2h");
    assert_eq!((secrets(&place), place.count("roll")), (1, 0), "somebody may undo a rollout");
    assert!(place.waits(Reason::Overlapping).contains("the former secret"));
    read(&mut place, &[reading()]);
    place.live("24h");
    read(&mut place, &[]);
    place.live("2h");
    assert_eq!(secrets(&place), 1, "the overlap has begun anew");
    place.live("48h");
    assert_eq!((secrets(&place), place.count("remove")), (0, 1));
    assert!(place.seen.records.list.iter().all(|record| record.entry.claims.is_some()), "its record is forgotten");
    place.done.clear();
    place.live("48h");
    assert_eq!(place.done, [""; 0]);
    assert_eq!(place.ready().0, "True");
}

#[test]
fn it_stays_while_entra_takes_no_tokens() {
    let mut place = with_a_reader(&json!({}));
    place.exchange = |_, _| Exchange::Judged(Verdict::Refused(trouble(Reason::CredentialUnknown)));
    place.live("48h");
    read(&mut place, &[]);
    place.live("48h");
    assert_eq!(secrets(&place), 1);
}

#[test]
fn it_stays_while_a_pod_that_nothing_restarts_reads_it() {
    let mut place = with_a_reader(&json!({}));
    let bare = PodSeen { reads: vec![reading()], ..pod("batch-x7", "default", None) };
    place.pods.push(PodSeen { identity: Identity::default(), maker: None, ..bare });
    place.live("48h");
    place.workloads[0].reads.clear();
    place.pods.iter_mut().filter(|one| one.name != "batch-x7").for_each(|one| one.reads.clear());
    place.live("48h");
    assert_eq!(secrets(&place), 1);
    assert!(place.waits(Reason::StillInUse).contains("pod/batch-x7"));
    place.pods.retain(|one| one.name != "batch-x7");
    place.live("48h");
    assert_eq!(secrets(&place), 0);
}

#[test]
fn it_stays_while_something_will_make_a_pod_some_day_that_reads_it() {
    for asleep in [true, false] {
        let mut place = with_a_reader(&json!({}));
        read(&mut place, &[]);
        if asleep {
            let workload = WorkloadSeen { reads: vec![reading()], ..place.workloads[0].clone() };
            let id = WorkloadId { name: "asleep".into(), ..workload.id.clone() };
            let progress = Progress { desired: 0, total: 0, updated: 0, available: 0, ..workload.progress };
            place.workloads.push(WorkloadSeen { id, progress, ..workload });
        } else {
            let identity = Identity::default();
            place.schedules.push(ScheduleSeen { name: "cronjob/night".into(), reads: vec![reading()], identity });
        }
        place.live("96h");
        assert_eq!(secrets(&place), 1);
        let told = place.waits(Reason::StillInUse);
        assert!(told.contains("deployment/asleep") || told.contains("cronjob/night"), "{told}");
        place.schedules.clear();
        place.workloads.truncate(1);
        place.live("48h");
        assert_eq!(secrets(&place), 0);
    }
}

#[test]
fn it_stays_where_nobody_is_seen_unless_somebody_says_that_there_is_nobody() {
    for (patch, left) in [(json!({}), 1), (json!({"consumers": {"discovery": "None"}}), 0)] {
        let mut place = with_a_secret(&patch);
        place.live("48h");
        assert_eq!(secrets(&place), left, "{patch}");
        if left == 1 {
            assert!(place.waits(Reason::ConsumersUnknown).contains("discovery: None"));
        }
    }
}

#[test]
fn it_stays_until_a_holder_outside_confirms_what_takes_its_place() {
    let outside = json!([{"name": "sso", "confirm": "Manual"}]);
    let mut place = with_a_reader(&json!({"consumers": {"external": outside}}));
    read(&mut place, &[]);
    place.live("48h");
    assert_eq!(secrets(&place), 1);
    let told = place.waits(Reason::NotConfirmed);
    let confirmed = format!("keywright.dev/confirmed.sso={}", place.accepts[0].id);
    assert!(told.contains(&confirmed), "{told}");
    place.annotate("keywright.dev/confirmed.sso", &place.accepts[0].id.to_string());
    place.live("48h");
    assert_eq!(secrets(&place), 0);
}

#[test]
fn the_sign_in_report_is_not_asked_for_what_is_federated_and_somebody_says_it() {
    let outside = json!([{"name": "sso", "confirm": "SignInReport"}]);
    let mut place = with_a_reader(&json!({"consumers": {"external": outside}}));
    read(&mut place, &[]);
    place.live("48h");
    assert_eq!((secrets(&place), place.count("read_usage")), (1, 0));
    let told = place.waits(Reason::NotConfirmed);
    assert!(told.contains("does not tell of federated credentials"), "{told}");
    place.annotate("keywright.dev/confirmed.sso", &place.accepts[0].id.to_string());
    place.live("48h");
    assert_eq!(secrets(&place), 0);
}

#[test]
fn one_that_is_still_read_and_about_to_end_is_told_ahead_of_it() {
    let mut place = with_a_reader(&json!({}));
    place.live("48h");
    assert_eq!(place.ready().0, "True");
    place.seen.records.list[0].entry.kept.as_mut().unwrap().expires_at =
        Some(place.now + SignedDuration::from_mins(30));
    place.waits(Reason::StillInUse);
    let (status, reason, message) = place.ready();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "StillInUse"));
    assert!(message.contains("deployment/web") && message.contains("nothing takes its place"), "{message}");
}

#[test]
fn what_was_about_to_be_minted_is_given_up_and_taken_back() {
    let mut place = with_a_secret(&json!({}));
    let entry = &mut place.seen.records.list[0].entry;
    (entry.stage, entry.published_at, entry.proven_at) = (Stage::Unpublished, None, None);
    place.live("2h");
    assert_eq!((secrets(&place), place.ready().0.as_str()), (0, "True"));
    assert!(place.seen.records.list.iter().all(|record| record.entry.claims.is_some()));
}

#[test]
fn what_an_attempt_that_was_overtaken_has_minted_is_taken_back_although_nothing_was_ever_published() {
    let mut place = with_a_secret(&json!({}));
    let fenced = credential(&place.seen, 1);
    let entry = &mut place.seen.records.list[0].entry;
    let later = Attempt { nonce: Nonce::of([8; 10]), ..entry.attempts[0].clone() };
    entry.attempts.push(later);
    (entry.stage, entry.kept, entry.published_at, entry.proven_at) = (Stage::Unpublished, None, None, None);
    assert_eq!(fenced.key_id, key(1));
    place.live("2h");
    assert_eq!((secrets(&place), place.ready().0.as_str()), (0, "True"));
}

#[test]
fn one_that_is_compromised_goes_when_the_time_for_its_successor_is_up_whoever_still_reads_it() {
    let mut place = with_a_reader(&json!({}));
    place.declare(&[api()], &json!({"retirement": {"compromisedKeyIds": [key(1)]}}));
    let TenantSeen::Present(tenant) = &mut place.seen.tenant else { panic!("there is a tenant") };
    Arc::make_mut(tenant).grants[0].allow = serde_json::from_value(json!(["RevokeCompromised"])).unwrap();
    place.exchange = |_, _| Exchange::Judged(Verdict::Refused(trouble(Reason::CredentialUnknown)));
    place.live("24h");
    assert_eq!(secrets(&place), 1, "nothing takes its place yet");
    place.exchange = honest;
    place.live("2h");
    assert_eq!(secrets(&place), 0);
}

#[test]
fn one_that_is_compromised_stays_while_what_takes_its_place_is_not_known_to_work() {
    let mut place = with_a_reader(&json!({}));
    place.declare(&[api()], &json!({"retirement": {"compromisedKeyIds": [key(1)]}}));
    let TenantSeen::Present(tenant) = &mut place.seen.tenant else { panic!("there is a tenant") };
    Arc::make_mut(tenant).grants[0].allow = serde_json::from_value(json!(["RevokeCompromised"])).unwrap();
    place.exchange = |_, _| Exchange::NotAllowed(trouble(Reason::TokenNotAllowed));
    place.live("24h");
    assert_eq!((secrets(&place), place.ready().0.as_str()), (1, "True"));
    place.annotate("keywright.dev/confirmed.api", &place.accepts[0].id.to_string());
    place.live("2h");
    assert_eq!(secrets(&place), 0);
}

#[test]
fn with_the_resource_both_kinds_go_if_it_revokes_and_neither_if_not() {
    for (policy, left) in [("Revoke", 0), ("Retain", 1)] {
        let mut place = with_a_reader(&json!({"deletionPolicy": policy}));
        place.live("48h");
        Arc::make_mut(&mut place.seen.resource).metadata.deletion_timestamp = Some(Time(place.now));
        place.seen.gone = policy == "Retain";
        // As in any deletion, what is scaled to zero is in nobody's way.
        place.workloads[0].progress =
            Progress { desired: 0, total: 0, updated: 0, available: 0, ..place.workloads[0].progress };
        place.workloads[0].identity.asks = false;
        place.pods = vec![];
        place.live("2h");
        assert_eq!((secrets(&place), place.accepts.len()), (left, left), "{policy}");
        assert!(!place.is_detained(), "{policy}");
    }
}

#[test]
fn one_that_is_declared_again_before_it_went_is_what_it_was() {
    let mut place = with_a_reader(&json!({}));
    place.live("48h");
    place.seen.resource = world().seen().resource;
    place.seen.application = Some(Looked { at: place.now, found: place.application.clone().unwrap() });
    let scene = plan(&place.seen, &Timing::REAL, &moment(place.now));
    assert_eq!(scene.refusal, None);
    assert_eq!(place.told().current.and_then(|current| current.key_id), Some(key(1)));
    let told = place.told().retiring;
    assert_eq!(told.len(), 1, "what is federated is on its way out: {told:?}");
}

#[test]
fn one_whose_removal_has_begun_is_not_published_again() {
    let mut place = with_a_reader(&json!({}));
    place.live("48h");
    read(&mut place, &[]);
    while place.count("remove") == 0 {
        match place.decision().next {
            Next::Do(step) => place.act(&step),
            Next::Wait(waits) => place.now = waits.iter().filter_map(|wait| wait.until).min().unwrap(),
        }
    }
    // Reads lag: they still show it.
    assert_eq!(place.seen.application.as_ref().unwrap().found.credentials.len(), 1);
    place.seen.resource = world().seen().resource;
    assert_eq!(place.told().current, None);
}

#[test]
fn one_made_by_hand_goes_if_the_spec_names_it_and_the_tenant_allows_it() {
    for (allow, left) in [(json!(["RetireForeign"]), 0), (json!([]), 1)] {
        let mut place = with_a_reader(&json!({}));
        place.seen.records.list.clear();
        let by_hand = Credential { display_name: Some("by hand".into()), ..credential(&place.seen, 1) };
        for application in [place.application.as_mut().unwrap(), &mut place.seen.application.as_mut().unwrap().found] {
            application.credentials = vec![by_hand.clone()];
        }
        let legacy = json!([{"name": "legacy", "key": "client-secret"}]);
        let named = json!({"retirement": {"foreignKeyIds": [key(1)]}, "consumers": {"syncedSecrets": legacy}});
        place.declare(&[api()], &named);
        let TenantSeen::Present(tenant) = &mut place.seen.tenant else { panic!("there is a tenant") };
        Arc::make_mut(tenant).grants[0].allow = serde_json::from_value(allow.clone()).unwrap();
        read(&mut place, &[]);
        if left == 1 {
            assert!(place.decision().refusal.is_some(), "it is not allowed");
            continue;
        }
        place.live("1h");
        assert_eq!(secrets(&place), 1, "it is too early");
        place.live("48h");
        assert_eq!(secrets(&place), left);
    }
}

#[test]
fn one_made_by_hand_stays_while_nobody_says_where_it_is() {
    let mut place = with_a_reader(&json!({}));
    place.seen.records.list.clear();
    let by_hand = Credential { display_name: Some("by hand".into()), ..credential(&place.seen, 1) };
    place.application.as_mut().unwrap().credentials = vec![by_hand];
    place.seen.application = Some(Looked { at: place.now, found: place.application.clone().unwrap() });
    place.declare(&[api()], &json!({"retirement": {"foreignKeyIds": [key(1)]}}));
    let TenantSeen::Present(tenant) = &mut place.seen.tenant else { panic!("there is a tenant") };
    Arc::make_mut(tenant).grants[0].allow = serde_json::from_value(json!(["RetireForeign"])).unwrap();
    place.live("96h");
    assert_eq!(secrets(&place), 1);
    assert!(place.waits(Reason::ConsumersUnknown).contains("syncedSecrets"));
}
