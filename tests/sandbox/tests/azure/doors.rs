//! Which way one gets in: real host names through the CONNECT proxy, free endpoints, and nowhere else.

use hyper::Method;

use crate::places::{at_once, form};

/// AZURE 6: the hosts of all clouds are behind the proxy.
#[tokio::test]
async fn every_cloud_has_its_names() {
    let place = at_once().await;
    let secret = &place.payments_secret.value;
    for (authority, graph) in [
        ("login.microsoftonline.com", "graph.microsoft.com"),
        ("login.microsoftonline.us", "graph.microsoft.us"),
        ("login.microsoftonline.us", "dod-graph.microsoft.us"),
        ("login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn"),
        ("login.chinacloudapi.cn", "microsoftgraph.chinacloudapi.cn"),
    ] {
        let url = format!("https://{authority}/{}/oauth2/v2.0/token", place.tenant);
        let form = form(place.payments.client_id, secret, &format!("https://{graph}/.default"));
        let token = place.post_form(&url, &form).await.json()["access_token"].as_str().unwrap().to_owned();
        let authorization = format!("Bearer {token}");
        let own = format!("https://{graph}/v1.0/applications(appId='{}')", place.payments.client_id);
        let read = place.client.send(Method::GET, &own, &[("authorization", &authorization)], "").await;
        assert_eq!(read.status, 200, "{}", read.text);
        assert!(read.json()["@odata.context"].as_str().unwrap().starts_with(&format!("https://{graph}/v1.0/")));
    }
}

#[tokio::test]
async fn a_custom_cloud_has_endpoints_of_its_own() {
    let place = at_once().await;
    let endpoints = place.azure.endpoints().clone();
    let url = format!("{}/{}/oauth2/v2.0/token", endpoints.authority, place.tenant);
    let form = form(place.operator.client_id, &place.operators_secret.value, &format!("{}/.default", endpoints.graph));
    let token = place.post_form(&url, &form).await;
    let authorization = format!("Bearer {}", token.json()["access_token"].as_str().unwrap());
    let list = format!("{}/v1.0/applications?$top=1", endpoints.graph);
    let page = place.client.send(Method::GET, &list, &[("authorization", &authorization)], "").await.json();
    let next = page["@odata.nextLink"].as_str().unwrap();
    assert!(next.starts_with(&endpoints.graph), "links stay where they are: {next}");
    let discovery = format!("{}/{}/v2.0/.well-known/openid-configuration", endpoints.authority, place.tenant);
    let discovery = place.client.send(Method::GET, &discovery, &[], "").await.json();
    assert_eq!(discovery["token_endpoint"], url);
}

#[tokio::test]
async fn nobody_gets_anywhere_else() {
    let place = at_once().await;
    let refused = place.client.try_send(Method::GET, "https://example.com/", &[], "").await;
    assert!(refused.err().unwrap().to_string().starts_with("HTTP/1.1 502"));
    let journal = place.azure.journal().entries();
    let told: Vec<_> = journal.iter().map(|entry| (&*entry.service, &*entry.path, entry.status)).collect();
    assert_eq!(told, [("connect", "example.com:443", Some(502))]);
}

#[tokio::test]
async fn the_journal_has_services_verbs_and_real_paths() {
    let place = at_once().await;
    place.add("new").await;
    let entries = place.azure.journal().entries();
    let told: Vec<_> = entries.iter().map(|entry| (&*entry.service, &*entry.verb, entry.status.unwrap())).collect();
    assert_eq!(told, [("token", "signIn", 200), ("graph", "addPassword", 200)]);
    assert_eq!(entries[0].path, format!("/{}/oauth2/v2.0/token", place.tenant));
    assert_eq!(entries[1].path, format!("/v1.0/applications/{}/addPassword", place.payments.object_id));
    assert!(entries.iter().all(|entry| entry.body.is_none()));
    place.azure.journal().keep_bodies(true);
    place.sign_in("hush").await;
    assert!(place.azure.journal().entries()[2].body.as_ref().unwrap().contains("hush"));
}
