//! Who is let in (AZURE 6): the challenge, tokens, firewalls, versions of the interface, and both ways to a vault.

use hyper::Method;
use keywright_sandbox::azure::Network;
use serde_json::Value;

use crate::places::{AUDIENCE, Caller, Place, URL, VAULT, at_once, refusal, refused};

const PATH: &str = "/secrets/a?api-version=7.6";

async fn bearing(place: &Place, bearer: &str) -> crate::client::Reply {
    place.client.send(Method::GET, &format!("{URL}{PATH}"), &[("authorization", bearer)], "").await
}

/// AZURE 6: the first request is without a token, with or without a body, and is told where to get one.
#[tokio::test]
async fn without_a_token_there_is_a_challenge() {
    let place = at_once().await;
    let expected =
        format!(r#"Bearer authorization="https://login.microsoftonline.com/{}", resource="{AUDIENCE}""#, place.tenant);
    for body in ["", r#"{"value":"v"}"#] {
        let reply = place.client.send(Method::PUT, &format!("{URL}{PATH}"), &[], body).await;
        assert_eq!(refused(&reply), refusal(401, "Unauthorized", ""));
        assert_eq!(reply.header("www-authenticate"), expected);
        assert!(reply.text.contains("AKV10000"), "{}", reply.text);
    }
    assert!(place.azure.secret_changes(place.tenant).is_empty());
}

/// AZURE 6: AKV10022 for another audience, AKV10032 for another tenant, and what is no token at all.
#[tokio::test]
async fn tokens_for_others_and_of_others_are_refused() {
    let place = at_once().await;
    let graph = place.bearer(&place.operator, "https://graph.microsoft.com").await;
    let reply = bearing(&place, &graph).await;
    let told = "AKV10022: Invalid audience. Expected https://vault.azure.net, found: https://graph.microsoft.com.";
    assert_eq!((reply.status, reply.json()["error"]["message"].as_str()), (401, Some(told)));

    // A scope with two slashes brings an audience with one, which a vault does not take for its own.
    let reply = bearing(&place, &place.bearer(&place.operator, "https://vault.azure.net/").await).await;
    let told = "AKV10022: Invalid audience. Expected https://vault.azure.net, found: https://vault.azure.net/.";
    assert_eq!((reply.status, reply.json()["error"]["message"].as_str()), (401, Some(told)));

    let elsewhere = place.azure.seed_tenant();
    let stranger = Caller::new(&place.azure, elsewhere, "stranger");
    let reply = bearing(&place, &place.bearer(&stranger, AUDIENCE).await).await;
    let told = format!(
        "AKV10032: Invalid issuer. Expected one of https://sts.windows.net/{}/, found \
         https://sts.windows.net/{elsewhere}/.",
        place.tenant
    );
    assert_eq!((reply.status, reply.json()["error"]["message"].as_str()), (401, Some(told.as_str())));
    assert!(reply.header("www-authenticate").contains(&place.tenant.to_string()));
    assert_eq!(bearing(&place, "Bearer gibberish").await.status, 401);
}

/// AZURE 6: `ForbiddenByFirewall` and `ForbiddenByConnection`, before anything else is looked at.
#[tokio::test]
async fn a_vault_can_be_closed_to_our_network() {
    let place = at_once().await;
    for (network, inner, words) in [
        (Network::Firewall, "ForbiddenByFirewall", "Client address is not authorized and caller is not a trusted"),
        (Network::Private, "ForbiddenByConnection", "Connection is not an approved private link and caller was"),
    ] {
        place.azure.edit_vault(VAULT, |settings| settings.network = network).unwrap();
        let reply = place.get("/secrets/a").await;
        assert_eq!(refused(&reply), refusal(403, "Forbidden", inner));
        assert!(reply.json()["error"]["message"].as_str().unwrap().starts_with(words), "{}", reply.text);
    }
    place.azure.edit_vault(VAULT, |settings| settings.network = Network::Open).unwrap();
    assert_eq!(refused(&place.get("/secrets/a").await), refusal(404, "SecretNotFound", ""));
}

/// AZURE 6: the query parameter `api-version` is required.
#[tokio::test]
async fn the_version_of_the_interface_is_required() {
    let place = at_once().await;
    place.put("a", "value").await;
    for (query, status) in [
        ("", 400),
        ("?api-version=", 400),
        ("?api-version=2015-01-01", 400),
        ("?api-version=7.5", 200),
        ("?api-version=2026-04-01", 200),
        ("?api-version=2026-03-01-preview", 200),
    ] {
        let reply = place.get(&format!("{URL}/secrets/a{query}")).await;
        assert_eq!(reply.status, status, "{query}: {}", reply.text);
    }
    let unknown = place.ask(Method::POST, "/secrets/a/frobnicate", &Value::Null).await;
    assert_eq!(refused(&unknown), refusal(400, "BadParameter", ""));
}

/// AZURE 6, national clouds, and 9: the same vault at a custom cloud's address, whose tokens are for that address.
#[tokio::test]
async fn a_vault_is_at_the_free_endpoint_as_well() {
    let place = at_once().await;
    place.put("a", "value").await;
    let endpoints = place.azure.endpoints().clone();
    let url = format!("{}/{VAULT}/secrets/a?api-version=7.6", endpoints.vault);
    let challenge = place.client.send(Method::GET, &url, &[], "").await;
    let expected =
        format!(r#"Bearer authorization="{}/{}", resource="{}""#, endpoints.authority, place.tenant, endpoints.vault);
    assert_eq!((challenge.status, challenge.header("www-authenticate")), (401, expected.as_str()));
    let bearer = place.bearer(&place.operator, &endpoints.vault).await;
    let read = place.client.send(Method::GET, &url, &[("authorization", &bearer)], "").await.json();
    let id = format!("{}/{VAULT}/secrets/a/", endpoints.vault);
    assert!(read["id"].as_str().unwrap().starts_with(&id) && read["value"] == "value", "{read}");
    let public = place.bearer(&place.operator, AUDIENCE).await;
    assert_eq!(place.client.send(Method::GET, &url, &[("authorization", &public)], "").await.status, 401);
    let china = "https://kv-payments.vault.azure.cn/secrets/a?api-version=7.6";
    let challenge = place.client.send(Method::GET, china, &[], "").await;
    let expected = format!(
        r#"Bearer authorization="https://login.partner.microsoftonline.cn/{}", resource="https://vault.azure.cn""#,
        place.tenant
    );
    assert_eq!(challenge.header("www-authenticate"), expected);
}

/// AZURE 6, national clouds, and 9: clients read a vault's name from the host, and compare the rest with the challenge.
#[tokio::test]
async fn a_vault_at_the_free_endpoint_can_be_a_host() {
    let place = at_once().await;
    let (vault, endpoints) = (place.azure.endpoints().vault.clone(), place.azure.endpoints().clone());
    let suffix = &endpoints.vault_suffix;
    assert_eq!(suffix.rsplit(':').next(), vault.rsplit(':').next());
    let url = format!("https://{VAULT}.{suffix}/secrets/a?api-version=7.6");
    let challenge = place.client.send(Method::GET, &url, &[], "").await;
    let expected =
        format!(r#"Bearer authorization="{}/{}", resource="https://{suffix}""#, endpoints.authority, place.tenant);
    assert_eq!((challenge.status, challenge.header("www-authenticate")), (401, expected.as_str()));
    let bearer = place.bearer(&place.operator, &format!("https://{suffix}")).await;
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let put = place.client.send(Method::PUT, &url, &headers, r#"{"value":"v"}"#).await;
    let id = put.json()["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with(&format!("https://{VAULT}.{suffix}/secrets/a/")), "{id}");
    let stored = place.azure.journal().entries().pop().unwrap();
    assert_eq!((stored.verb.as_str(), stored.path.as_str()), ("setSecret", "/kv-payments/secrets/a"));
}

/// AZURE 6: a vault's name is a host's; what no name server knows is not even connected to.
#[tokio::test]
async fn a_vault_that_nobody_created_is_nowhere() {
    let place = at_once().await;
    let suffix = place.azure.endpoints().vault_suffix.clone();
    for host in ["kv-other.vault.azure.net".to_owned(), format!("kv-other.{suffix}")] {
        let url = format!("https://{host}/secrets/a?api-version=7.6");
        let refused = place.client.try_send(Method::GET, &url, &[], "").await.err().unwrap();
        assert!(refused.to_string().starts_with("HTTP/1.1 502"), "{refused:#}");
    }
    place.azure.seed_vault(place.tenant, "kv-other").unwrap();
    let url = "https://kv-other.vault.azure.net/secrets/a?api-version=7.6";
    assert_eq!(place.client.send(Method::GET, url, &[], "").await.status, 401);
}
