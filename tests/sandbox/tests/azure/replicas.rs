//! What replicas do to a credential (AZURE 3).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keywright_sandbox::azure::{Cause, Lag, Options};
use serde_json::json;

use crate::places::{Place, place};

/// Replicas learn between one and two seconds after a change.
async fn lagging() -> Place {
    let place = place(Options { scale: 0.0, ..Options::default() }, "Application.ReadWrite.OwnedBy").await;
    let lag = Lag { least: SignedDuration::from_secs(1), most: SignedDuration::from_secs(2) };
    place.azure.set_weather(place.tenant, |weather| (weather.reads, weather.sign_ins) = (lag, lag)).unwrap();
    place
}

/// AZURE 3: a new secret is refused, then flaps, then is accepted for good; the log knows why.
#[tokio::test]
async fn a_new_secret_is_refused_until_every_replica_knows_it() {
    let place = lagging().await;
    let secret = place.add("new").await["secretText"].as_str().unwrap().to_owned();
    let begun = Timestamp::now();
    assert_eq!(place.sign_in(&secret).await.code(), "7000215", "nobody knows it before the first second");
    let mut accepted_in_a_row = 0;
    while accepted_in_a_row < 20 {
        let accepted = place.sign_in(&secret).await.status == 200;
        accepted_in_a_row = if accepted { accepted_in_a_row + 1 } else { 0 };
        assert!(begun.duration_until(Timestamp::now()) < SignedDuration::from_secs(20));
    }
    let refused = place.azure.refused_sign_ins();
    assert!(refused.iter().all(|refused| refused.cause == Cause::NotYetKnown), "{refused:?}");
    assert!(refused.iter().all(|refused| refused.time < begun + SignedDuration::from_secs(2)));
}

/// AZURE 3: reads lag, and removals as well; what a replica has not heard of cannot be removed there.
#[tokio::test]
async fn reads_and_removals_lag() {
    let place = lagging().await;
    let added = place.add("new").await;
    let body = json!({"keyId": added["keyId"]});
    let refused = place.act("removePassword", &body).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "Request_BadRequest"), "{}", refused.text);
    tokio::time::sleep(Duration::from_millis(2_100)).await; // the lag itself: nobody tells when replicas have learned
    assert_eq!(place.act("removePassword", &body).await.status, 204);
    let secret = added["secretText"].as_str().unwrap();
    assert_eq!(place.sign_in(secret).await.status, 200, "a removed secret is accepted for a while");
    let read = place.get(&format!("/applications/{}", place.payments.object_id)).await;
    assert!(read.text.contains(added["keyId"].as_str().unwrap()), "and still read");
}

/// AZURE 3: 2.2 % of good sign-ins of a stable credential were refused.
#[tokio::test]
async fn noise_refuses_what_is_good() {
    let place = lagging().await;
    place.azure.set_weather(place.tenant, |weather| weather.noise = 0.5).unwrap();
    let mut accepted = 0;
    for _ in 0..40 {
        accepted += usize::from(place.sign_in(&place.payments_secret.value).await.status == 200);
    }
    assert!((5..35).contains(&accepted), "{accepted}");
    assert!(place.azure.refused_sign_ins().iter().all(|refused| refused.cause == Cause::Noise));
}

/// AZURE 3: a permission that was granted is in no token for a while, and a new application has no service principal.
#[tokio::test]
async fn service_principals_lag() {
    let place = lagging().await;
    let lag = Lag { least: SignedDuration::from_secs(1), most: SignedDuration::from_secs(2) };
    place.azure.set_weather(place.tenant, |weather| weather.principals = lag).unwrap();
    let all = vec!["Directory.Read.All".to_owned()];
    place.azure.edit_principal(&place.operator, |principal| principal.roles.clear()).unwrap();
    assert_eq!(place.get("/applications").await.status, 200, "nobody knows of it before the first second");
    place.azure.set_principal(&place.operator, |principal| principal.roles = all).unwrap();
    assert_eq!(place.act("addPassword", &json!({})).await.status, 403, "what is of old is known at once");

    place.azure.set_weather(place.tenant, |weather| weather.sign_ins = Lag::NONE).unwrap();
    let new = keywright_sandbox::azure::NewApplication { fresh: true, ..Default::default() };
    let fresh = place.azure.seed_application(place.tenant, new).unwrap();
    let secret = place.azure.seed_password(&fresh, keywright_sandbox::azure::NewPassword::default()).unwrap().value;
    let form = crate::places::form(fresh.client_id, &secret, crate::places::GRAPH_SCOPE);
    assert_eq!(place.post_form(&place.token_url(), &form).await.code(), "7000229");
    let missing = place.get(&format!("/servicePrincipals(appId='{}')", fresh.client_id)).await;
    assert_eq!((missing.status, missing.code().as_str()), (404, "Request_ResourceNotFound"));
    tokio::time::sleep(Duration::from_millis(2_100)).await; // the lag itself: nobody tells when replicas have learned
    assert_eq!(place.post_form(&place.token_url(), &form).await.status, 200);
}

/// AZURE 3: a fresh application is not found for a while.
#[tokio::test]
async fn a_fresh_application_is_not_found_yet() {
    let place = lagging().await;
    let new = keywright_sandbox::azure::NewApplication {
        display_name: "fresh".into(),
        owners: vec![place.operator.principal],
        fresh: true,
        ..Default::default()
    };
    let fresh = place.azure.seed_application(place.tenant, new).unwrap();
    assert_eq!(place.get(&format!("/applications/{}", fresh.object_id)).await.code(), "Request_ResourceNotFound");
    let form = crate::places::form(fresh.client_id, "any", crate::places::GRAPH_SCOPE);
    assert_eq!(place.post_form(&place.token_url(), &form).await.code(), "700016");
    let refused = place.azure.refused_sign_ins();
    assert_eq!(refused.last().unwrap().cause, Cause::NotYetKnown);
}
