//! The report of when the credentials of an application were last used, and every reason not to have it.

use std::time::Duration;

use jiff::SignedDuration;
use keywright::{
    api::{ClientId, KeyId, Reason},
    entra::{Directory, Identity},
    facts::{Effect, Trouble, Usage},
};
use keywright_sandbox::{
    Rule,
    azure::{GRAPH, NewPassword, Password},
    faults::{Action, Point},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::place::{ALL, Place, refused};

const REPORT: &str = "listCredentialSignIns";

/// Where the operator may read the report as well.
async fn place() -> Place {
    let place = Place::new(ALL).await;
    let may =
        |principal: &mut keywright_sandbox::azure::Principal| principal.roles.push("AuditLog.Read.All".to_owned());
    place.azure.set_principal(&place.operator, may).unwrap();
    place
}

/// Somebody signs in as `payments`.
async fn signs_in(place: &Place, secret: &Password) {
    let identity = Identity::ClientSecret { client_id: place.client_id(), secret: secret.value.as_str().into() };
    place.signing_in_by(identity).unwrap().application(place.client_id()).await.unwrap();
}

async fn usage(place: &Place, directory: &Directory) -> Result<Usage, Trouble> {
    directory.usage(place.client_id()).await
}

fn reports() -> Point {
    Rule::at(GRAPH, REPORT, "**")
}

fn answers(status: u16, body: &Value) -> Rule {
    reports().then(Action::Answer { status, retry_after: None, body: Some(body.to_string()) })
}

/// What is made of an answer with these lines.
async fn read(lines: &[Value]) -> Result<Usage, Trouble> {
    let place = place().await;
    place.fault(answers(200, &json!({"@odata.context": "…", "value": lines})));
    usage(&place, &place.directory()).await
}

#[tokio::test]
async fn it_has_the_last_sign_in_with_each_secret_of_the_application_and_of_no_other() {
    let place = place().await;
    let directory = place.directory();
    assert_eq!(usage(&place, &directory).await.unwrap(), Usage::default(), "nobody has signed in");
    let secrets: Vec<Password> =
        (0..2).map(|_| place.azure.seed_password(&place.payments, NewPassword::default()).unwrap()).collect();
    let [one, two] = [&secrets[0], &secrets[1]].map(|secret| KeyId(secret.key_id));
    signs_in(&place, &secrets[0]).await;
    let first = usage(&place, &directory).await.unwrap();
    assert_eq!(first.0.keys().collect::<Vec<_>>(), [&one]);
    signs_in(&place, &secrets[1]).await;
    signs_in(&place, &secrets[0]).await;
    let then = usage(&place, &directory).await.unwrap();
    assert!(then.last(one) > then.last(two) && then.last(two) > first.last(one), "{first:?} {then:?}");
    let own = directory.usage(ClientId(place.operator.client_id)).await.unwrap();
    assert_eq!(own.0.keys().collect::<Vec<_>>(), [&KeyId(place.secret.key_id)]);
}

#[tokio::test]
async fn it_is_late() {
    let place = place().await;
    place.azure.set_weather(place.tenant, |weather| weather.report = SignedDuration::from_hours(1)).unwrap();
    let secret = place.azure.seed_password(&place.payments, NewPassword::default()).unwrap();
    signs_in(&place, &secret).await;
    assert_eq!(usage(&place, &place.directory()).await.unwrap(), Usage::default());
}

#[tokio::test]
async fn without_the_right_it_is_told_which() {
    let place = Place::new(ALL).await;
    let trouble = refused(usage(&place, &place.directory()).await);
    assert_eq!((trouble.reason, trouble.effect), (Reason::Refused, Effect::Refused));
    assert!(trouble.message.contains("could not read the sign-in report of application"), "{}", trouble.message);
    assert!(trouble.message.contains("403 Authorization_RequestDenied"), "{}", trouble.message);
    assert!(trouble.remedy.contains("AuditLog.Read.All"), "{}", trouble.remedy);
}

#[tokio::test]
async fn a_tenant_or_a_cloud_without_it_is_no_application_that_is_missing() {
    for (status, code) in
        [(404, "ResourceNotFound"), (400, "BadRequest"), (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant")]
    {
        let place = place().await;
        place.fault(answers(status, &json!({"error": {"code": code, "message": "There is none."}})));
        let trouble = refused(usage(&place, &place.directory()).await);
        assert_eq!((trouble.reason, trouble.effect), (Reason::Refused, Effect::Refused), "{status}");
        assert!(trouble.remedy.contains("public one") && trouble.remedy.contains("licence"), "{}", trouble.remedy);
    }
}

#[tokio::test]
async fn no_more_is_asked_than_microsoft_answers() {
    let place = place().await;
    let directory = place.directory();
    for _ in 0..5 {
        usage(&place, &directory).await.unwrap();
    }
    let held_back = refused(usage(&place, &directory).await);
    assert_eq!((held_back.reason, held_back.effect), (Reason::Throttled, Effect::NotSent));
    assert!(held_back.retry_after.is_some_and(|wait| wait <= Duration::from_secs(10)), "{held_back:?}");
    assert!(held_back.message.contains("reads of reports in tenant"), "{}", held_back.message);
    assert_eq!(place.calls(REPORT), 5);
    directory.application(place.client_id()).await.unwrap();
    // Another process has counted nothing.
    let throttled = refused(usage(&place, &place.directory()).await);
    assert_eq!((throttled.reason, throttled.effect, throttled.retry_after), (Reason::Throttled, Effect::Refused, None));
}

#[tokio::test]
async fn it_is_read_in_every_spelling_that_the_documentation_has() {
    let (client_id, key_id) = (Uuid::nil(), Uuid::from_u128(7));
    assert_eq!(read(&[]).await.unwrap(), Usage::default());
    let place = place().await;
    let line = |at: &str| {
        json!({
            "id": "x", "appId": place.payments.client_id, "keyId": key_id, "keyType": "secret", "keyUsage": "sign",
            "expirationDate": "2027-11-21T08:00:00Z", "resourceId": client_id,
            "signInActivity": {"lastSignInDateTime": at, "lastSignInRequestId": client_id},
        })
    };
    let lines = [line("2026-11-20T08:00:00Z"), line("2026-11-21T08:00:00.1234567Z"), line("0001-01-01T00:00:00Z")];
    place.fault(answers(200, &json!({"value": lines})));
    let read = usage(&place, &place.directory()).await.unwrap();
    assert_eq!(read.last(KeyId(key_id)).map(|at| at.to_string()).as_deref(), Some("2026-11-21T08:00:00.1234567Z"));
}

#[tokio::test]
async fn half_a_report_is_none() {
    for odd in
        [json!({"keyId": Uuid::nil(), "signInActivity": {"lastSignInDateTime": "lately"}}), json!({"appId": "x"})]
    {
        let trouble = refused(read(std::slice::from_ref(&odd)).await);
        assert_eq!(trouble.reason, Reason::Unintelligible, "{odd}");
        assert!(!trouble.message.contains("may have happened"), "nothing is changed by a look: {}", trouble.message);
    }
    let place = place().await;
    place.fault(reports().truncate(40));
    assert_eq!(refused(usage(&place, &place.directory()).await).reason, Reason::Unreachable);
}

#[tokio::test]
async fn it_is_read_to_its_last_page_and_every_page_counts() {
    let place = place().await;
    let graph = place.azure.endpoints().graph.clone();
    for page in 1..=6_u128 {
        let line =
            json!({"keyId": Uuid::from_u128(page), "signInActivity": {"lastSignInDateTime": "2026-11-21T08:00:00Z"}});
        let next = format!("{graph}/beta/reports/appCredentialSignInActivities?$skiptoken={page}");
        let next = if page == 3 { Value::Null } else { next.into() };
        let body = json!({"value": [line], "@odata.nextLink": next}).to_string();
        let number = usize::try_from(page).unwrap();
        place.fault(reports().nth(number).then(Action::Answer { status: 200, retry_after: None, body: Some(body) }));
    }
    let directory = place.directory();
    let shown = usage(&place, &directory).await.unwrap();
    assert_eq!((shown.0.len(), place.calls(REPORT)), (3, 3));
    assert_eq!(refused(usage(&place, &directory).await).reason, Reason::Throttled, "half of it is none");
    assert_eq!(place.calls(REPORT), 5);
}
