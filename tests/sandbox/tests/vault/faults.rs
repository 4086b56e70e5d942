//! Weather on purpose at vaults: their names are in the paths of rules.

use hyper::Method;
use keywright_sandbox::Rule;
use keywright_sandbox::azure::VAULT;
use serde_json::json;

use crate::places::{AUDIENCE, URL, at_once};

/// AZURE 6: a PUT always makes a new version, so a lost answer leaves one that nobody asked for twice.
#[tokio::test]
async fn a_lost_answer_leaves_a_version() {
    let place = at_once().await;
    let rule = Rule::at(VAULT, "setSecret", "/kv-payments/secrets/a").nth(1).cut_after();
    let cut = place.azure.faults().add(rule);
    let bearer = place.bearer(&place.operator, AUDIENCE).await;
    let (url, body) = (format!("{URL}/secrets/a?api-version=7.6"), json!({"value": "v"}).to_string());
    let headers = [("authorization", bearer.as_str())];
    place.client.try_send(Method::PUT, &url, &headers, &body).await.err().expect("cut after the effect");
    assert_eq!(cut.applied(), 1);
    assert_eq!(place.client.send(Method::PUT, &url, &headers, &body).await.status, 200);
    assert_eq!(place.get("/secrets/a/versions").await.json()["value"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_answer_is_made_up_in_the_vaults_own_form() {
    let place = at_once().await;
    place.azure.faults().add(Rule::at(VAULT, "getSecret", "/kv-payments/**").nth(1).answer(503));
    let down = place.get("/secrets/a").await;
    assert_eq!((down.status, down.code().as_str()), (503, "InternalServerError"));
}
