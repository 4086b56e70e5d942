//! A whole tenant at once: by what has changed where that may be asked, else page by page.

use std::collections::BTreeSet;

use keywright::{
    api::{ClientId, Reason},
    entra::{Changes, Concern},
    facts::ObjectId,
};
use keywright_sandbox::{
    Rule,
    azure::{GRAPH, NewPassword, Seeded},
    faults::Action,
};
use serde_json::json;

use crate::place::{ALL, OWNED, Place, refused};

fn id(application: &Seeded) -> ClientId {
    ClientId(application.client_id)
}

fn secrets(changes: &Changes, application: &Seeded) -> usize {
    changes.seen[&id(application)].credentials.len()
}

/// The operator's application, the one of `payments`, and more.
fn all(place: &Place, more: &[Seeded]) -> Concern {
    let all = || [&place.operator, &place.payments].into_iter().chain(more);
    Concern { applications: all().map(id).collect(), known: all().map(|one| ObjectId(one.object_id)).collect() }
}

#[tokio::test]
async fn first_everything_then_what_has_changed_then_what_is_gone() {
    let place = Place::new(ALL).await;
    let more: Vec<Seeded> = (0..250).map(|number| place.application(&number.to_string())).collect();
    let (directory, ours) = (place.directory(), all(&place, &more));
    let all = directory.changes(None, &ours).await.unwrap();
    assert_eq!((all.seen.len(), all.is_full), (252, true));
    assert_eq!(secrets(&all, &place.payments), 1);
    let rounds = place.calls("delta");
    assert!(rounds > 1, "it takes more than a page");
    let none = directory.changes(Some(&all.since), &ours).await.unwrap();
    assert!(none.seen.is_empty() && !none.is_full, "{none:?}");

    place.azure.seed_password(&place.payments, NewPassword::default()).unwrap();
    let changed = directory.changes(Some(&none.since), &ours).await.unwrap();
    assert_eq!(changed.seen.keys().collect::<Vec<_>>(), [&id(&place.payments)]);
    assert_eq!(secrets(&changed, &place.payments), 2);

    place.azure.delete_application(&more[0]).unwrap();
    let gone = directory.changes(Some(&changed.since), &ours).await.unwrap();
    assert_eq!(gone.gone, BTreeSet::from([ObjectId(more[0].object_id)]));
    assert_eq!(place.calls("listApplications"), 0);
}

/// Whoever follows a link shows the operator's token there.
#[tokio::test]
async fn where_another_graph_is_asked_the_link_of_the_former_is_not_followed() {
    let (former, now) = (Place::new(ALL).await, Place::new(ALL).await);
    let told = former.directory().changes(None, &all(&former, &[])).await.unwrap();
    let before = former.azure.journal().len();
    let changes = now.directory().changes(Some(&told.since), &all(&now, &[])).await.unwrap();
    assert_eq!((changes.seen.len(), changes.is_full), (2, true));
    assert_eq!(former.azure.journal().len(), before);
}

#[tokio::test]
async fn after_too_long_a_pause_everything_is_told_again() {
    let place = Place::new(ALL).await;
    let (directory, ours) = (place.directory(), all(&place, &[]));
    let before = directory.changes(None, &ours).await.unwrap();
    place.azure.expire_delta_tokens(place.tenant).unwrap();
    let again = directory.changes(Some(&before.since), &ours).await.unwrap();
    assert_eq!((again.seen.len(), again.is_full), (2, true));
    let none = directory.changes(Some(&again.since), &ours).await.unwrap();
    assert!(!none.is_full);
}

#[tokio::test]
async fn whoever_may_not_ask_for_changes_reads_every_page() {
    let place = Place::new(OWNED).await;
    let more: Vec<Seeded> = (0..1_000).map(|number| place.application(&number.to_string())).collect();
    let (directory, ours) = (place.directory(), all(&place, &more));
    let first = directory.changes(None, &ours).await.unwrap();
    assert_eq!((first.seen.len(), first.is_full), (1_002, true));
    assert_eq!((place.calls("delta"), place.calls("listApplications")), (1, 2));
    place.azure.delete_application(&more[0]).unwrap();
    place.azure.seed_password(&place.payments, NewPassword::default()).unwrap();
    let second = directory.changes(Some(&first.since), &ours).await.unwrap();
    assert_eq!((second.seen.len(), second.is_full, secrets(&second, &place.payments)), (1_001, true, 2));
    assert_eq!(place.calls("delta"), 1, "it is not asked again what it has refused");
}

#[tokio::test]
async fn a_permission_that_was_taken_away_means_pages_from_now_on() {
    let place = Place::new(ALL).await;
    let (directory, ours) = (place.directory(), all(&place, &[]));
    let first = directory.changes(None, &ours).await.unwrap();
    place.fault(Rule::at(GRAPH, "delta", "**").answer(403));
    let second = directory.changes(Some(&first.since), &ours).await.unwrap();
    assert_eq!((second.seen.len(), second.is_full), (2, true));
    assert_eq!(place.calls("listApplications"), 1);
}

#[tokio::test]
async fn of_others_nothing_is_told() {
    for role in [ALL, OWNED] {
        let place = Place::new(role).await;
        let other = place.application("other");
        let directory = place.directory();
        let ours = Concern { applications: [id(&place.payments)].into(), known: [].into() };
        let first = directory.changes(None, &ours).await.unwrap();
        assert_eq!(first.seen.keys().collect::<Vec<_>>(), [&id(&place.payments)]);
        place.azure.seed_password(&other, NewPassword::default()).unwrap();
        place.azure.delete_application(&other).unwrap();
        let second = directory.changes(Some(&first.since), &ours).await.unwrap();
        assert!(second.gone.is_empty() && !second.seen.contains_key(&id(&other)), "{second:?}");
    }
}

#[tokio::test]
async fn without_any_permission_it_is_told_which() {
    let place = Place::new("Mail.Read").await;
    let trouble = refused(place.directory().changes(None, &Concern::default()).await);
    assert_eq!(trouble.reason, Reason::Refused);
    assert!(trouble.remedy.contains(OWNED), "{}", trouble.remedy);
}

#[tokio::test]
async fn a_link_to_another_host_is_not_followed() {
    let elsewhere = Place::new(ALL).await;
    let graph = &elsewhere.azure.endpoints().graph;
    for (verb, role) in [("delta", ALL), ("listApplications", OWNED)] {
        let place = Place::new(role).await;
        let body = json!({"value": [], "@odata.nextLink": format!("{graph}/v1.0/applications?$skiptoken=x")});
        let action = Action::Answer { status: 200, retry_after: None, body: Some(body.to_string()) };
        place.fault(Rule::at(GRAPH, verb, "**").then(action));
        let trouble = refused(place.directory().changes(None, &Concern::default()).await);
        assert_eq!(trouble.reason, Reason::Unintelligible);
        assert!(trouble.message.contains("another host"), "{}", trouble.message);
    }
    assert!(elsewhere.azure.journal().is_empty());
}

#[tokio::test]
async fn pages_that_do_not_end_are_not_read_for_ever() {
    let place = Place::new(ALL).await;
    let link = format!("{}/v1.0/applications/delta?$skiptoken=x", place.azure.endpoints().graph);
    let body = json!({"value": [], "@odata.nextLink": link}).to_string();
    place.fault(Rule::at(GRAPH, "delta", "**").then(Action::Answer {
        status: 200,
        retry_after: None,
        body: Some(body),
    }));
    let trouble = refused(place.directory().changes(None, &Concern::default()).await);
    assert_eq!((trouble.reason, place.calls("delta")), (Reason::Unintelligible, 2));
}

#[tokio::test]
async fn a_round_that_breaks_in_the_middle_tells_nothing() {
    let place = Place::new(ALL).await;
    let more: Vec<Seeded> = (0..250).map(|number| place.application(&number.to_string())).collect();
    place.fault(Rule::at(GRAPH, "delta", "**").nth(2).truncate(100));
    let (directory, ours) = (place.directory(), all(&place, &more));
    assert_eq!(refused(directory.changes(None, &ours).await).reason, Reason::Unreachable);
    assert_eq!(directory.changes(None, &ours).await.unwrap().seen.len(), 252);
}
