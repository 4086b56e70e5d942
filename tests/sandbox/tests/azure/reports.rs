//! The report of when credentials were last used, AZURE 1.7.

use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use keywright_sandbox::azure::Options;
use serde_json::{Value, json};

use crate::client::Reply;
use crate::places::{LOGIN, Place, form, place};

const REPORT: &str = "https://graph.microsoft.com/beta/reports/appCredentialSignInActivities";

/// Where the operator may read it, and everything is known at once.
async fn place_with_report() -> Place {
    place(Options { scale: 0.0, ..Options::default() }, "AuditLog.Read.All").await
}

async fn about(place: &Place, filter: &str) -> Reply {
    place.get(&format!("{REPORT}?$filter={}", filter.replace(' ', "%20"))).await
}

async fn lines(place: &Place, filter: &str) -> Vec<Value> {
    about(place, filter).await.json()["value"].as_array().unwrap().clone()
}

#[tokio::test]
async fn it_has_the_real_sign_ins_by_credential_and_by_application() {
    let place = place_with_report().await;
    let (of_it, secret) = (format!("appId eq '{}'", place.payments.client_id), &place.payments_secret);
    assert_eq!(lines(&place, &of_it).await, Vec::<Value>::new(), "who never signs in has no line");
    let before = Timestamp::now();
    assert_eq!(place.sign_in(&secret.value).await.status, 200);
    assert_eq!(place.sign_in("wrong").await.status, 401);
    let [line] = &lines(&place, &of_it).await[..] else { panic!("one line") };
    let at: Timestamp = line["signInActivity"]["lastSignInDateTime"].as_str().unwrap().parse().unwrap();
    assert!(at >= before - SignedDuration::from_millis(1) && at <= Timestamp::now(), "{line}");
    let known = [&line["keyId"], &line["appId"], &line["appObjectId"], &line["servicePrincipalObjectId"]];
    let payments = place.payments;
    let expected = [secret.key_id, payments.client_id, payments.object_id, payments.principal];
    assert_eq!(known, expected.map(|id| Value::from(id.to_string())).each_ref());
    assert_eq!((&line["keyType"], &line["credentialOrigin"]), (&json!("clientSecret"), &json!("application")));
    let by_key = lines(&place, &format!("keyId eq '{}'", secret.key_id)).await;
    assert_eq!(by_key, std::slice::from_ref(line));
    let own = lines(&place, &format!("keyId eq '{}'", place.operators_secret.key_id)).await;
    assert_eq!(own.len(), 1, "who reads it has signed in, too");
}

#[tokio::test]
async fn it_is_late_and_keeps_what_is_gone() {
    let place = place_with_report().await;
    let of_it = format!("appId eq '{}'", place.payments.client_id);
    let late = |lag| place.azure.set_weather(place.tenant, |weather| weather.report = lag).unwrap();
    late(SignedDuration::from_hours(1));
    place.sign_in(&place.payments_secret.value).await;
    assert_eq!(lines(&place, &of_it).await.len(), 0);
    late(SignedDuration::ZERO);
    place.azure.remove_password(&place.payments, place.payments_secret.key_id).unwrap();
    assert_eq!(lines(&place, &of_it).await.len(), 1);
}

#[tokio::test]
async fn it_takes_a_right_of_its_own_and_the_public_cloud() {
    let place = place_with_report().await;
    place.azure.set_principal(&place.operator, |one| one.roles = vec!["Application.ReadWrite.All".into()]).unwrap();
    let denied = place.get(REPORT).await;
    assert_eq!((denied.status, denied.code().as_str()), (403, "Authorization_RequestDenied"));
    place.azure.set_principal(&place.operator, |one| one.roles = vec!["Directory.Read.All".into()]).unwrap();
    assert_eq!(place.get(REPORT).await.status, 200);
    assert_eq!(place.get("/reports/appCredentialSignInActivities").await.status, 400, "in the beta only");
    for graph in ["graph.microsoft.us", "microsoftgraph.chinacloudapi.cn"] {
        let url = format!("{LOGIN}/{}/oauth2/v2.0/token", place.tenant);
        let form = form(place.operator.client_id, &place.operators_secret.value, &format!("https://{graph}/.default"));
        let token = place.post_form(&url, &form).await.json()["access_token"].as_str().unwrap().to_owned();
        let headers = [("authorization", &*format!("Bearer {token}"))];
        let there = REPORT.replace("graph.microsoft.com", graph);
        assert_eq!(place.client.send(Method::GET, &there, &headers, "").await.status, 400, "{graph}");
    }
}

#[tokio::test]
async fn it_is_answered_five_times_in_ten_seconds_and_no_more_is_said() {
    let place = place_with_report().await;
    let mut answers = vec![];
    for _ in 0..6 {
        answers.push(place.get(REPORT).await);
    }
    assert!(answers[..5].iter().all(|answer| answer.status == 200));
    assert_eq!((answers[5].status, answers[5].headers.get("retry-after")), (429, None));
    assert_ne!(place.get("/applications").await.status, 429, "the limit is that of reports");
}

#[tokio::test]
async fn what_it_cannot_be_asked_is_refused() {
    let place = place_with_report().await;
    for filter in ["keyType eq 'certificate'", "startswith(keyId,'a')"] {
        assert_eq!(about(&place, filter).await.status, 400, "{filter}");
    }
}
