//! The federated credentials of an application: seeing them, adding one, taking one away; and what is in the way of that.

use std::time::Duration;

use keywright::{
    api::{ClientId, KeyId, Reason},
    entra::{Directory, Removal},
    facts::{Claims, Effect, Federated, Mark, Nonce, Owner, Sequence, Trouble},
    wire::{InTime, Limits, Patience, Settings, quotas::Limit},
};
use keywright_sandbox::{
    Rule,
    azure::{Audience, GRAPH, NewFederated},
    faults::Action,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::place::{OWNED, Place, refused};

const ISSUER: &str = "https://oidc.example/A/";

fn claims(account: &str) -> Claims {
    Claims::of_account(ISSUER, "payments", account, "api://AzureADTokenExchange")
}

fn mark() -> Mark {
    Mark { owner: Owner::of("cluster", "payments", "api"), sequence: Sequence(1), nonce: Nonce::of([7; 10]) }
}

/// Lets an account of the cluster sign in as `payments`.
async fn establish(place: &Place, directory: &Directory, name: &str, account: &str) -> Result<Federated, Trouble> {
    let described = mark().display_name("payments", "api");
    directory.establish(place.client_id(), name, &claims(account), &described, InTime::always()).await
}

/// What somebody else has made.
fn somebody_s(name: &str, subject: Option<&str>) -> NewFederated {
    NewFederated {
        name: name.into(),
        issuer: ISSUER.into(),
        subject: subject.map(str::to_owned),
        audience: "api://AzureADTokenExchange".into(),
        description: None,
    }
}

/// The names that `payments` truly has.
fn names(place: &Place) -> Vec<String> {
    place.azure.federated(&place.payments).unwrap().into_iter().map(|one| one.name).collect()
}

fn gone(place: &Place, directory: &Directory, id: KeyId) -> impl Future<Output = Result<Removal, Trouble>> {
    let (directory, client_id) = (directory.clone(), place.client_id());
    async move { directory.withdraw(client_id, id, InTime::always()).await }
}

#[tokio::test]
async fn one_comes_and_goes() {
    let place = Place::new(OWNED).await;
    let (directory, name) = (place.directory(), mark().federated_name());
    assert_eq!(directory.federated(place.client_id()).await.unwrap(), []);
    let made = establish(&place, &directory, &name, "api").await.unwrap();
    let told = (made.name.as_str(), made.claims.as_ref(), made.mark());
    assert_eq!(told, (name.as_str(), Some(&claims("api")), Some(mark())));
    assert_eq!(directory.federated(place.client_id()).await.unwrap(), std::slice::from_ref(&made));
    assert_eq!(gone(&place, &directory, made.id).await.unwrap(), Removal::Removed);
    assert_eq!(names(&place), Vec::<String>::new());
    assert_eq!(gone(&place, &directory, made.id).await.unwrap(), Removal::WasNotThere);
    assert_eq!(place.calls("patchFederated"), 0, "never rewritten");
}

/// AZURE 1.5: others make some with an expression instead of a subject.
#[tokio::test]
async fn what_others_have_made_is_seen_on_every_page() {
    let place = Place::new(OWNED).await;
    let subjects = [Some("repo:contoso/pay:environment:prod"), None];
    let [plain, odd] = subjects.map(|subject| {
        let name = if subject.is_some() { "github" } else { "expression" };
        place.azure.seed_federated(&place.payments, somebody_s(name, subject)).unwrap()
    });
    let mut seen = place.directory().federated(place.client_id()).await.unwrap();
    seen.sort_by(|one, other| one.name.cmp(&other.name));
    let known: Vec<_> =
        seen.iter().map(|one| (one.id.0, one.name.as_str(), one.claims.is_some(), one.mark())).collect();
    assert_eq!(known, [(odd.id, "expression", false, None), (plain.id, "github", true, None)]);

    let entry = |number: u128| json!({"id": Uuid::from_u128(number), "name": number.to_string(), "audiences": []});
    let path = format!("/v1.0/applications(appId='{}')/federatedIdentityCredentials", place.client_id());
    let next = |host: &str| format!("{host}{path}?$skiptoken=x");
    let page = |k: usize, body: Value| {
        let action = Action::Answer { status: 200, retry_after: None, body: Some(body.to_string()) };
        place.fault(Rule::at(GRAPH, "listFederated", "**").nth(k).then(action));
    };
    page(1, json!({"value": [entry(1)], "@odata.nextLink": next(&place.azure.endpoints().graph)}));
    page(2, json!({"value": [entry(2)]}));
    page(3, json!({"value": [], "@odata.nextLink": next("https://graph.example")}));
    page(4, json!({"value": [entry(1), {"name": "without an ID"}]}));
    let directory = place.directory();
    let all = directory.federated(place.client_id()).await.unwrap();
    assert_eq!(all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    for words in ["another host", "has no ID"] {
        let trouble = refused(directory.federated(place.client_id()).await);
        assert_eq!(trouble.reason, Reason::Unintelligible);
        assert!(trouble.message.contains(words), "{}", trouble.message);
    }
}

/// AZURE 1.5: each name once, each issuer with a subject once, twenty in all.
#[tokio::test]
async fn what_is_in_the_way_of_one_is_told_apart() {
    let place = Place::new(OWNED).await;
    let directory = place.directory();
    establish(&place, &directory, "first", "api").await.unwrap();
    let why = async |name: &str, account: &str| {
        let trouble = refused(establish(&place, &directory, name, account).await);
        assert_eq!(trouble.effect, Effect::Refused);
        assert!(trouble.message.contains(&format!("system:serviceaccount:payments:{account}")), "{}", trouble.message);
        trouble.reason
    };
    assert_eq!(why("first", "other").await, Reason::FederatedNameTaken);
    assert_eq!(why("second", "api").await, Reason::FederatedSubjectTaken);
    for number in 1..20 {
        place
            .azure
            .seed_federated(&place.payments, somebody_s(&format!("more-{number}"), Some(&number.to_string())))
            .unwrap();
    }
    assert_eq!(why("second", "other").await, Reason::TooManyCredentials);
}

#[tokio::test]
async fn who_may_not_is_told_and_what_is_not_there_is_not_found() {
    let place = Place::new(OWNED).await;
    let directory = place.directory();
    let own = ClientId(place.operator.client_id);
    let trouble = refused(directory.establish(own, "web", &claims("api"), "", InTime::always()).await);
    assert_eq!((trouble.reason, trouble.effect), (Reason::NotOwner, Effect::Refused));
    assert!(
        trouble.message.contains(&format!("to application {own} in tenant {}", place.tenant)),
        "{}",
        trouble.message
    );
    let nobody = ClientId(Uuid::nil());
    assert_eq!(refused(directory.federated(nobody).await).reason, Reason::ApplicationNotFound);
    let trouble = refused(directory.establish(nobody, "web", &claims("api"), "", InTime::always()).await);
    assert_eq!((trouble.reason, trouble.effect), (Reason::ApplicationNotFound, Effect::Refused));
}

/// AZURE 2: sixty writes a minute to applications for personal accounts, of whatever kind.
#[tokio::test]
async fn writes_count_as_other_writes_do_and_only_in_time() {
    let place = Place::new(OWNED).await;
    place.azure.edit_application(&place.payments, |one| one.audience = Audience::OrgsAndPersonal).unwrap();
    let most = Limit { most: 1, per: Duration::from_mins(1) };
    let limits = Limits { personal_writes: most, ..Limits::default() };
    let directory = place.directory_with(Settings { limits, ..place.settings() });
    directory.application(place.client_id()).await.unwrap();
    let late = InTime::so_long_as(|| false);
    let id = KeyId(Uuid::nil());
    let too_late = refused(directory.withdraw(place.client_id(), id, late).await);
    assert_eq!((too_late.reason, too_late.effect), (Reason::Unreachable, Effect::NotSent));
    let beyond = refused(establish(&place, &directory, "web", "api").await);
    assert_eq!((beyond.reason, beyond.effect), (Reason::Throttled, Effect::NotSent));
    assert_eq!(place.calls("deleteFederated") + place.calls("createFederated"), 0);
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_the_name_tells() {
    for (weather, done) in [
        (Rule::at(GRAPH, "createFederated", "**").cut_before(), false),
        (Rule::at(GRAPH, "createFederated", "**").cut_after(), true),
        (Rule::at(GRAPH, "createFederated", "**").truncate(60), true),
        (Rule::at(GRAPH, "createFederated", "**").hang(), false),
    ] {
        let place = Place::new(OWNED).await;
        place.fault(weather);
        let impatient = Patience { effect: Duration::from_secs(2), ..Patience::default() };
        let directory = place.directory_with(Settings { patience: impatient, ..place.settings() });
        let trouble = refused(establish(&place, &directory, "web", "api").await);
        assert_eq!((trouble.effect, place.calls("createFederated")), (Effect::Unknown, 1), "{trouble:?}");
        let another = place.directory();
        let found = another.federated(place.client_id()).await.unwrap();
        assert_eq!((found.iter().any(|one| one.name == "web"), names(&place).len()), (done, usize::from(done)));
    }
}

#[tokio::test]
async fn a_removal_whose_answer_is_lost_can_be_asked_for_again() {
    let place = Place::new(OWNED).await;
    let directory = place.directory();
    let made = establish(&place, &directory, "web", "api").await.unwrap();
    place.fault(Rule::at(GRAPH, "deleteFederated", "**").nth(1).cut_after());
    assert_eq!(refused(gone(&place, &directory, made.id).await).effect, Effect::Unknown);
    assert_eq!(gone(&place, &directory, made.id).await.unwrap(), Removal::WasNotThere);
    let html = Action::Answer { status: 404, retry_after: None, body: Some("<html>".into()) };
    place.fault(Rule::at(GRAPH, "deleteFederated", "**").then(html));
    assert_eq!(refused(gone(&place, &directory, made.id).await).reason, Reason::Unintelligible, "a proxy's own 404");
}
