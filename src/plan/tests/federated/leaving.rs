//! Federated credentials that are to go, where it is not plain who signs in by them.

use super::*;
use crate::facts::{Consumers, SeenBy};

const ELSEWHERE: &str = "https://oidc.example/elsewhere/";

/// An account of another cluster that has the namespace and the name of one of this cluster.
fn elsewhere() -> Value {
    let subject = "system:serviceaccount:payments:api";
    json!({"name": "elsewhere", "external": {"issuer": ELSEWHERE, "subject": subject}})
}

fn issuers(place: &Place) -> Vec<&str> {
    place.accepts.iter().map(|one| one.claims.as_ref().unwrap().issuer.as_str()).collect()
}

#[test]
fn an_older_one_stays_until_somebody_confirms_what_cannot_be_tried() {
    let mut place = Place::of(&[api()]);
    place.exchange = |_, _| Exchange::NotAllowed(trouble(Reason::TokenNotAllowed));
    place.live("5m");
    place.issuer = "https://oidc.example/b/";
    place.live("48h");
    assert_eq!((issuers(&place), place.ready().0.as_str()), (vec![ISSUER, "https://oidc.example/b/"], "True"));
    let told = place.waits(Reason::NotConfirmed);
    let annotation = format!("keywright.dev/confirmed.api={}", place.accepts[1].id);
    assert!(told.contains(&annotation), "{told}");
    place.annotate("keywright.dev/confirmed.api", &place.accepts[0].id.to_string());
    place.live("1h");
    assert_eq!(place.accepts.len(), 2, "that was said of another one");
    place.annotate("keywright.dev/confirmed.api", &place.accepts[1].id.to_string());
    place.live("1h");
    assert_eq!(issuers(&place), ["https://oidc.example/b/"]);
}

#[test]
fn what_was_there_before_it_takes_the_place_of_nothing_and_needs_no_word() {
    let mut place = Place::of(&[github(), api()]);
    place.live("1h");
    place.declare(&[github()], &json!({}));
    place.live("1h");
    assert_eq!(issuers(&place), ["https://token.actions.githubusercontent.com"]);
}

#[test]
fn what_came_into_use_without_leave_is_proven_when_there_is_leave() {
    let mut place = Place::of(&[api()]);
    place.exchange = |_, _| Exchange::NotAllowed(trouble(Reason::TokenNotAllowed));
    place.live("1h");
    assert!(place.told().identities[0].proof.starts_with("IssuerOnly"));
    place.exchange = honest;
    place.live("1h");
    assert_eq!(place.told().identities[0].proof, "Proven");
    place.done.clear();
    place.live("24h");
    assert_eq!(place.done, [""; 0]);
}

#[test]
fn an_account_of_another_cluster_has_no_pods_here() {
    let mut place = Place::of(&[elsewhere()]);
    deploy(&mut place, "web", true);
    place.live("1h");
    assert_eq!((place.ready().0.as_str(), place.count("roll"), place.count("annotate")), ("True", 0, 0));
    assert!(place.told().conditions.iter().any(|one| one.type_ == "RolledOut" && one.status == "True"));
}

#[test]
fn one_of_this_cluster_does_not_go_because_another_cluster_has_an_account_of_that_name() {
    let mut place = Place::of(&[api(), elsewhere()]);
    place.pods = vec![pod("api-1", "api", Some(CLIENT))];
    place.live("1h");
    let id = place.accepts.iter().find(|one| one.claims.as_ref().unwrap().issuer == ELSEWHERE).unwrap().id;
    place.annotate("keywright.dev/confirmed.elsewhere", &id.to_string());
    place.declare(&[elsewhere()], &json!({}));
    place.annotate("keywright.dev/confirmed.elsewhere", &id.to_string());
    place.live("48h");
    assert_eq!(place.accepts.len(), 2);
    assert!(place.waits(Reason::StragglersRemain).contains("pod/api-1"));
    place.pods.clear();
    place.live("1h");
    assert_eq!(issuers(&place), [ELSEWHERE]);
}

#[test]
fn one_of_another_cluster_goes_without_a_word_to_the_account_of_that_name_here() {
    let mut place = Place::of(&[api(), elsewhere()]);
    place.pods = vec![pod("api-1", "api", Some(CLIENT))];
    place.live("1h");
    place.declare(&[api()], &json!({}));
    place.live("48h");
    assert_eq!(issuers(&place), [ISSUER]);
    assert_eq!(place.accounts["api"].client_id.as_deref(), Some(CLIENT));
}

#[test]
fn with_its_resource_gone_nobody_can_tell_of_an_account_of_another_cluster_that_it_is_unused() {
    let mut place = Place::of(&[elsewhere()]);
    while place.seen.records.list.iter().all(|record| record.entry.stage != Stage::Publishing) {
        let Next::Do(step) = place.decision().next else {
            place.now += SignedDuration::from_secs(1);
            continue;
        };
        place.act(&step);
    }
    assert_eq!(place.seen.records.list[0].entry.published_at, None);
    place.seen.federation.issuer = None;
    place.declare(&[], &json!({}));
    place.seen.gone = true;
    place.live("1h");
    assert_eq!(issuers(&place), [ELSEWHERE]);
}

#[test]
fn one_stays_while_a_workload_will_sign_in_by_it_since_somebody_else_tells_its_account_to() {
    let mut place = Place::of(&[api(), github()]);
    deploy(&mut place, "web", true);
    place.live("1h");
    let github_id = place.accepts[1].id.to_string();
    place.accounts.get_mut("api").unwrap().managed_by_us = false;
    place.pods.clear(); // one that is being replaced, say
    place.declare(&[github()], &json!({}));
    place.annotate("keywright.dev/confirmed.github", &github_id);
    place.live("2h");
    assert_eq!(place.accepts.len(), 2);
    assert!(place.waits(Reason::StragglersRemain).contains("deployment/web to be deleted"));
    place.workloads.clear();
    place.live("1h");
    assert_eq!(place.accepts.len(), 1);
}

#[test]
fn that_everybody_signs_in_by_it_is_not_believed_of_a_watch_that_may_be_behind() {
    let mut place = Place::of(&[api()]);
    deploy(&mut place, "web", true);
    place.live("1h");
    place.seen.records.list[0].entry.proven_at = None;
    let (workloads, pods) = (place.workloads.clone(), place.pods.clone());
    place.seen.consumers = Some(Consumers { seen: SeenBy::Watch, workloads, pods, schedules: vec![] });
    place.seen.records.listed_at = Some(place.now);
    assert_eq!(place.decision().next, Next::Do(Step::ReadConsumers));
}

#[test]
fn pods_are_restarted_by_what_their_account_says_now_and_not_by_what_it_said_a_while_ago() {
    let mut place = Place::of(&[api()]);
    let is_used = |step: &Step| matches!(step, Step::Note { entry, .. } if entry.published_at.is_some());
    loop {
        match place.decision().next {
            Next::Do(step) if is_used(&step) => break,
            Next::Do(step) => place.act(&step),
            Next::Wait(waits) => place.now = waits.iter().filter_map(|wait| wait.until).min().unwrap(),
        }
    }
    place.now += SignedDuration::from_secs(60);
    place.seen.records.listed_at = Some(place.now);
    place.seen.federation.credentials.as_mut().unwrap().at = place.now;
    assert_eq!(place.decision().next, Next::Do(Step::ReadAccount { account: "api".into() }));
}
