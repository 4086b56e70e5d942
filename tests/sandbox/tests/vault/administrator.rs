//! The administrator's hand in vaults, in the process and over HTTP.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use keywright_sandbox::Azure;
use keywright_sandbox::azure::{Actor, SecretEdit};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::places::{VAULT, at_once, refusal, refused};

async fn ask(azure: &Azure, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let authority = azure.endpoints().admin.strip_prefix("http://").unwrap().to_owned();
    let (mut sender, connection) =
        handshake(TokioIo::new(TcpStream::connect(&authority).await.unwrap())).await.unwrap();
    tokio::spawn(connection);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder().method(method).uri(path).header("host", authority);
    let response = sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_foreign_secret_is_put_disabled_deleted_and_purged_by_hand() {
    let place = at_once().await;
    let azure = &place.azure;
    let version = azure.put_secret(VAULT, "foreign", "by hand", SecretEdit::default()).unwrap();
    assert_eq!(place.get(&format!("/secrets/foreign/{version}")).await.json()["value"], "by hand");
    let disable = SecretEdit { enabled: Some(false), ..SecretEdit::default() };
    azure.edit_secret(VAULT, "foreign", None, disable).unwrap();
    assert_eq!(refused(&place.get("/secrets/foreign").await), refusal(403, "Forbidden", "SecretDisabled"));
    azure.delete_secret(VAULT, "foreign").unwrap();
    azure.recover_secret(VAULT, "foreign").unwrap();
    azure.delete_secret(VAULT, "foreign").unwrap();
    azure.purge_secret(VAULT, "foreign").unwrap();
    assert_eq!(place.get("/deletedsecrets/foreign").await.status, 404);
    let changes = azure.secret_changes(place.tenant);
    assert!(changes.len() == 6 && changes.iter().all(|change| change.by == Actor::Administrator), "{changes:?}");
    for (name, told) in
        [("foreign", "could not delete secret foreign of vault kv-payments"), ("a_b", "no secret can be")]
    {
        let error = azure.delete_secret(VAULT, name).unwrap_err().to_string();
        assert!(error.starts_with(told), "{error}");
    }
    assert!(azure.seed_vault(place.tenant, "KV-Payments").is_err(), "names of vaults have no case");
    assert!(azure.seed_vault(place.tenant, "kv").is_err());
}

#[tokio::test]
async fn everything_can_be_done_from_outside() {
    let place = at_once().await;
    let azure = &place.azure;
    let principal = place.operator.application.principal;
    for (method, path, body) in [
        (Method::POST, "/vaults", json!({"tenant": place.tenant, "name": "kv-outside"})),
        (Method::PATCH, "/vaults/kv-outside", json!({"network": "firewall", "deletionLag": [0, 0], "mostCreates": 7})),
        (Method::PATCH, "/vaults/kv-outside", json!({"network": "open"})),
        (Method::POST, "/vaults/kv-outside/grants", json!({"principal": principal, "role": "SecretsOfficer"})),
        (Method::PUT, "/vaults/kv-outside/secrets/a", json!({"value": "abc8Q~hidden", "tags": {"by": "hand"}})),
    ] {
        let (status, answer) = ask(azure, method, path, &body).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
    let read = |path: &str| format!("https://kv-outside.vault.azure.net{path}?api-version=7.6");
    assert_eq!(place.get(&read("/secrets/a")).await.json()["tags"]["by"], "hand");
    let (_, told) = ask(azure, Method::GET, "/vaults", &Value::Null).await;
    assert!(told.to_string().contains("kv-outside") && !told.to_string().contains("hidden"), "{told}");
    ask(azure, Method::PATCH, "/vaults/kv-outside/secrets/a", &json!({"enabled": false})).await;
    assert_eq!(place.get(&read("/secrets/a")).await.status, 403);
    ask(azure, Method::DELETE, "/vaults/kv-outside/secrets/a", &Value::Null).await;
    ask(azure, Method::POST, "/vaults/kv-outside/secrets/a/purge", &Value::Null).await;
    assert_eq!(place.get(&read("/deletedsecrets/a")).await.status, 404);
    ask(azure, Method::DELETE, &format!("/vaults/kv-outside/grants/{principal}"), &Value::Null).await;
    assert_eq!(place.get(&read("/secrets/a")).await.status, 403);
    for (method, path, status) in [(Method::POST, "/vaults/kv-outside/frob", 404), (Method::PATCH, "/vaults/none", 400)]
    {
        assert_eq!(ask(azure, method, path, &Value::Null).await.0, status, "{path}");
    }
}
