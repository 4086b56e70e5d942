//! Federated identities: from what is declared to a federated credential that is in use, and from what is declared no more to
//! none. Each test is a life in a small place.

use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::{
    facts::{AccountSeen, Effect, Exchange},
    plan::{Outcome, fold::fold},
};

mod coordinates;
mod former_key;
mod leaving;
mod migration;
mod place;
mod sharing;

use place::*;

#[test]
fn an_account_is_accepted_proven_and_told_as_whom_it_signs_in_and_then_nothing_is_done_any_more() {
    let mut place = Place::of(&[api()]);
    place.live("5m");
    assert_eq!(place.accepts.len(), 1);
    assert_eq!(place.accepts[0].claims, Some(claims(ISSUER, "api")));
    assert_eq!(place.accounts["api"].client_id.as_deref(), Some(CLIENT));
    assert_eq!(place.ready().0, "True", "{:?}", place.ready());
    assert_eq!(place.told().identities[0].proof, "Proven");
    place.done.clear();
    place.live("24h");
    assert_eq!(place.done, [""; 0], "nothing is written at rest");
}

#[test]
fn nothing_is_asked_of_entra_before_it_has_heard_and_nobody_is_told_to_sign_in_before_it_accepts() {
    let mut place = Place::of(&[api()]);
    place.exchange = |place, claims| {
        assert!(place.now >= MORNING + SignedDuration::from_secs(60), "a server that is asked early remembers it");
        assert_eq!(place.accounts["api"].client_id, None);
        honest(place, claims)
    };
    place.live("5m");
    assert_eq!(place.count("annotate"), 1);
}

#[test]
fn pods_that_were_made_before_are_replaced_once_and_whoever_asks_for_no_token_is_left_alone() {
    let mut place = Place::of(&[api()]);
    deploy(&mut place, "web", true);
    deploy(&mut place, "other", false);
    place.live("1h");
    assert_eq!(place.count("roll"), 1);
    assert_eq!(place.told().consumers.map(|told| (told.total, told.updated)), Some((1, 1)));
    let rolled_out = place.told().conditions.into_iter().find(|one| one.type_ == "RolledOut").unwrap();
    assert_eq!((rolled_out.status.as_str(), place.ready().0.as_str()), ("True", "True"));
}

#[test]
fn where_no_webhook_gives_pods_a_token_that_is_told_and_nothing_is_restarted_again() {
    let mut place = Place::of(&[api()]);
    deploy(&mut place, "web", true);
    place.pods[0].identity.signs_in_as = None;
    place.accounts.remove("api");
    place.live("10m");
    assert_eq!(place.count("roll"), 0, "nobody was told anything yet");
    let seen = AccountSeen { uid: "u".into(), client_id: None, tenant_id: None, managed_by_us: false };
    place.accounts.insert("api".into(), seen);
    place.gives_tokens = false;
    place.live("1h");
    assert_eq!(place.count("roll"), 1);
    assert!(place.waits(Reason::StragglersRemain).contains("is the workload identity webhook installed"));
    assert_eq!(place.ready().0, "True", "what is set up is set up");
}

#[test]
fn one_that_is_refused_is_kept_and_asked_for_until_it_is_accepted() {
    let mut place = Place::of(&[api()]);
    place.exchange = |_, _| Exchange::Judged(Verdict::Refused(trouble(Reason::CredentialUnknown)));
    place.live("2h");
    assert_eq!((place.count("establish"), place.count("withdraw"), place.count("annotate")), (1, 0, 0));
    let (status, _, message) = place.ready();
    assert_eq!(status, "False");
    assert!(message.contains("Entra refuses them"), "{message}");
    place.live("1h");
    assert_eq!(place.ready().2, message, "each refusal has IDs of its own, and is no news");
    place.exchange = honest;
    place.live("10m");
    assert_eq!(place.ready().0, "True");
}

#[test]
fn what_somebody_else_has_set_up_will_do_and_is_never_touched() {
    let mut place = Place::of(&[api()]);
    let theirs = place.add(claims(ISSUER, "api"), None);
    place.live("5m");
    assert_eq!((place.accepts.clone(), place.ready().0.as_str()), (vec![theirs.clone()], "True"));
    assert!(place.seen.records.list[0].entry.adopted.is_some(), "the record says that it is not ours");
    place.declare(&[github()], &json!({}));
    place.live("48h");
    assert!(place.accepts.contains(&theirs));
    assert_eq!(place.count("withdraw"), 0);
}

#[test]
fn one_that_differs_in_upper_and_lower_case_does_not_do_and_is_named() {
    let mut place = Place::of(&[api()]);
    place.add(claims(&ISSUER.to_uppercase().replace("HTTPS", "https"), "api"), None);
    place.exchange = |_, _| Exchange::Judged(Verdict::Refused(trouble(Reason::CredentialUnknown)));
    place.live("3m");
    assert_eq!(place.accepts.len(), 2);
    assert!(place.waits(Reason::Proving).contains("upper and lower case"), "{}", place.waits(Reason::Proving));
}

#[test]
fn a_lost_answer_leaves_nothing_behind_since_the_name_tells() {
    let mut place = Place::of(&[api()]);
    loop {
        match place.decision().next {
            Next::Do(step @ Step::Establish { .. }) => {
                drop(place.outcome(&step));
                let lost = Trouble { effect: Effect::Unknown, ..trouble(Reason::Unreachable) };
                fold(&mut place.seen, &step, Outcome::Failed(lost), place.now, place.now);
                break;
            }
            Next::Do(step) => place.act(&step),
            Next::Wait(waits) => panic!("{waits:?}"),
        }
    }
    place.live("10m");
    assert_eq!((place.accepts.len(), place.count("establish")), (1, 0));
    assert_eq!(place.ready().0, "True");
}

#[test]
fn twenty_are_the_most_and_no_room_is_made() {
    let mut place = Place::of(&[api()]);
    for number in 0..20 {
        place.add(claims(ISSUER, &format!("other-{number}")), None);
    }
    place.live("1h");
    assert_eq!((place.accepts.len(), place.done.clone()), (20, vec![]));
    assert!(place.waits(Reason::TooManyCredentials).contains("20 already"));
}

#[test]
fn an_identity_outside_is_used_unproven_and_says_so() {
    let mut place = Place::of(&[github()]);
    place.live("5m");
    let status = place.told();
    assert!(status.identities[0].proof.starts_with("IssuerOnly"), "{:?}", status.identities);
    assert!(place.ready().2.contains("not proven"), "{:?}", place.ready());
    assert_eq!(place.accepts[0].claims.as_ref().unwrap().audience, "api://AzureADTokenExchange");
}

#[test]
fn without_leave_to_ask_for_tokens_it_is_used_unproven_and_says_what_allows_it() {
    let mut place = Place::of(&[api()]);
    place.exchange = |_, _| Exchange::NotAllowed(trouble(Reason::TokenNotAllowed));
    place.live("5m");
    assert_eq!(place.ready().0, "True", "{:?}", place.ready());
    assert_eq!(place.told().identities[0].proof, "IssuerOnly: could not. Do something.");
}

#[test]
fn an_account_that_is_not_there_is_named_and_never_created() {
    let mut place = Place::of(&[json!({"name": "late", "serviceAccount": {"name": "late"}}), github()]);
    place.exchange = |place, claims| {
        let there = place.accounts.contains_key("late");
        if there { honest(place, claims) } else { Exchange::NoAccount(trouble(Reason::AccountMissing)) }
    };
    place.live("5m");
    assert!(place.waits(Reason::AccountMissing).contains("serviceaccount/late"));
    assert_eq!(
        place.told().identities[1].proof,
        "IssuerOnly: its tokens are issued outside",
        "it holds back nobody else"
    );
    let seen = AccountSeen { uid: "u".into(), client_id: None, tenant_id: None, managed_by_us: false };
    place.accounts.insert("late".into(), seen);
    place.live("10m");
    assert_eq!(place.ready().0, "True", "{:?}", place.ready());
}

#[test]
fn annotations_that_git_keeps_are_checked_and_the_command_is_told() {
    let mut place = Place::of(&[json!({"name": "api", "serviceAccount": {"name": "api", "annotations": "Ignore"}})]);
    place.live("5m");
    let told = place.waits(Reason::AccountNotAnnotated);
    assert!(told.contains(&format!("azure.workload.identity/client-id={CLIENT}")), "{told}");
    assert_eq!((place.count("annotate"), place.ready().0.as_str()), (0, "False"));
    let account = place.accounts.get_mut("api").unwrap();
    (account.client_id, account.tenant_id) = (Some(CLIENT.into()), Some(OTHER.into()));
    place.live("10m");
    assert_eq!(place.ready().0, "True");
}

#[test]
fn with_another_issuer_another_one_comes_beside_the_old_which_goes_after_the_overlap() {
    let mut place = Place::of(&[api()]);
    place.live("5m");
    place.issuer = "https://oidc.example/b/";
    place.live("10m");
    assert!(place.waits(Reason::Maturing).contains("to be 15m old"), "{}", place.waits(Reason::Maturing));
    place.live("20m");
    let both: Vec<_> = place.accepts.iter().map(|one| one.claims.as_ref().unwrap().issuer.as_str()).collect();
    assert_eq!(both, [ISSUER, "https://oidc.example/b/"], "tokens of the old issuer are about for a while");
    place.live("25h");
    assert_eq!(place.accepts.len(), 1);
    assert_eq!(place.accepts[0].claims, Some(claims("https://oidc.example/b/", "api")));
    assert_eq!((place.count("withdraw"), place.seen.records.list.len()), (1, 1), "{:?}", place.seen.records);
}

#[test]
fn what_is_declared_no_more_goes_when_no_pod_signs_in_by_it() {
    let mut place = Place::of(&[api(), json!({"name": "batch", "serviceAccount": {"name": "batch"}})]);
    place.pods = vec![pod("batch-1", "batch", Some(CLIENT)), pod("other", "batch", Some(OTHER))];
    place.live("10m");
    place.declare(&[api()], &json!({}));
    place.live("2h");
    assert_eq!(place.accepts.len(), 2);
    assert!(place.waits(Reason::StragglersRemain).contains("pod/batch-1"));
    assert_eq!(place.accounts["batch"].client_id, None, "no more pods are told to sign in by it");
    place.pods.remove(0);
    place.live("1h");
    assert_eq!((place.accepts.len(), place.seen.records.list.len()), (1, 1));
}

#[test]
fn one_that_an_administrator_deletes_is_set_up_again_and_one_that_they_rewrite_is_left_to_them() {
    let mut place = Place::of(&[api()]);
    place.live("5m");
    let first = place.accepts.remove(0);
    place.live("30m");
    assert_eq!((place.accepts.len(), place.ready().0.as_str()), (1, "True"));
    assert_ne!(place.accepts[0].name, first.name);
    place.accepts[0].claims = Some(claims(ISSUER, "somebody-else"));
    place.live("48h");
    assert_eq!((place.accepts.len(), place.ready().0.as_str()), (2, "True"));
    assert!(place.told().retiring[0].waiting_for[0].0.contains("Remove it in Entra"), "{:?}", place.told().retiring);
    assert_eq!(place.count("withdraw"), 0);
}

#[test]
fn one_read_that_does_not_show_it_proves_nothing() {
    let mut place = Place::of(&[api()]);
    place.live("5m");
    let there = std::mem::take(&mut place.accepts);
    place.act(&Step::ReadFederation);
    place.waits(Reason::CredentialUnknown);
    place.accepts = there;
    place.live("1h");
    assert_eq!((place.accepts.len(), place.count("establish")), (1, 1));
}

#[test]
fn a_process_that_remembers_nothing_goes_on_where_the_records_are() {
    let mut place = Place::of(&[api(), github()]);
    place.live("5m");
    let records = std::mem::take(&mut place.seen.records);
    let resource = Arc::clone(&place.seen.resource);
    place.seen = Observation { records, resource, tenant: place.seen.tenant.clone(), ..world().seen() };
    place.done.clear();
    place.live("1h");
    assert_eq!(place.done, [""; 0]);
    assert_eq!(place.ready().0, "True");
}

#[test]
fn with_its_records_gone_what_there_is_is_known_by_its_mark() {
    let mut place = Place::of(&[api()]);
    place.live("5m");
    place.seen.records.list.clear();
    place.live("1h");
    assert_eq!((place.accepts.len(), place.count("establish")), (1, 1));
    assert_eq!(place.seen.records.list[0].entry.adopted, None, "it is ours");
}

#[test]
fn with_its_resource_gone_what_was_never_used_goes_and_the_rest_stays() {
    let mut place = Place::of(&[api(), github()]);
    place.exchange = |_, _| Exchange::Judged(Verdict::Refused(trouble(Reason::CredentialUnknown)));
    place.live("5m");
    assert_eq!(place.accepts.len(), 2);
    place.declare(&[], &json!({}));
    place.seen.gone = true;
    place.live("1h");
    let left: Vec<_> = place.accepts.iter().map(|one| one.claims.as_ref().unwrap().subject.as_str()).collect();
    assert_eq!(left, ["repo:contoso/pay:environment:prod"]);
}

#[test]
fn nothing_is_withdrawn_while_there_is_a_mark_that_no_record_knows() {
    let mut place = Place::of(&[api(), github()]);
    place.live("5m");
    let mark = Mark { owner: place.seen.owner.clone(), sequence: Sequence(9), nonce: Nonce::of([9; 10]) };
    place.add(claims(ISSUER, "elsewhere"), Some(&mark));
    place.declare(&[api()], &json!({}));
    place.live("48h");
    assert_eq!((place.accepts.len(), place.count("withdraw")), (3, 0));
}
