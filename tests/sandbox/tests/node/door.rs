//! What arrives at the token endpoint, and what is testified of its answers.

use k8s_openapi::api::core::v1::Pod;
use keywright_sandbox::Nodes;
use keywright_sandbox::node::{Options, SignIn};
use keywright_sandbox::witness::{Cause, Fingerprint};
use serde_json::json;

use crate::town::{SOON, Town, holds, pod};

/// AZURE 4.2 and 4.3: the code, the trace ID, and nothing of the secret.
pub async fn a_refusal_is_recorded_with_its_code(town: &Town) {
    let (nodes, here) = (town.node("refused").await, "refused");
    town.endpoint.knows("revoked too early");
    town.secret(here, "revoked too early").await;
    town.create::<Pod>(here, pod(here, "web", &json!({}), &json!({}))).await;
    town.create::<Pod>(
        here,
        pod(here, "idle", &json!({}), &json!({"containers": [{"name": "app", "image": "example.org/app"}]})),
    )
    .await;
    holds(&nodes, "web", "revoked too early").await;
    assert_eq!(nodes.witnesses().refusals().len(), 0);

    town.endpoint.forgets("revoked too early");
    nodes.witnesses().wait_for(|seen| seen.refusals.len() >= 2, SOON).await.unwrap();
    let refusal = nodes.witnesses().refusals().remove(0);
    assert_eq!((refusal.cause, refusal.status), (Cause::Aadsts(7_000_215), Some(401)));
    assert_eq!(refusal.trace_id.as_deref(), Some("t-1"));
    assert_eq!(refusal.what.fingerprint, Fingerprint::of("revoked too early"));
    assert_eq!((refusal.what.tenant.as_str(), refusal.what.client.as_str()), ("contoso", here));
    assert_eq!((refusal.who.namespace.as_str(), refusal.who.pod.as_str()), (here, "web"));
    assert_eq!((refusal.who.node.as_str(), refusal.who.container.as_str()), (here, "app"));
    let told = nodes.witnesses().read(|seen| format!("{seen:?}"));
    assert!(!told.contains("revoked too early") && !told.contains("idle"), "{told}");
}

pub async fn real_host_names_are_reached_through_a_proxy(town: &Town) {
    let here = "tunnelled";
    town.inhabit(here).await;
    let (proxy, asked) = town.endpoint.proxy().await;
    let options = town.options(&[here]);
    let sign_in = SignIn { proxy: Some(proxy), fresh_connections: true, ..options.sign_in.clone() };
    let nodes = Nodes::start(&town.plane, Options { sign_in, ..options }).await.unwrap();
    town.endpoint.knows("s7");
    let variable = |name: &str, value: &str| json!({"name": name, "value": value});
    let env = json!([
        variable("AZURE_TENANT_ID", "t"),
        variable("AZURE_CLIENT_ID", "c"),
        variable("AZURE_CLIENT_SECRET", "s7")
    ]);
    let before = town.endpoint.connections();
    town.create::<Pod>(
        here,
        pod(here, "web", &json!({}), &json!({"containers": [{"name": "app", "image": "example.org/app", "env": env}]})),
    )
    .await;
    nodes.witnesses().wait_for(|seen| seen.accepted(here, "web") >= 3, SOON).await.unwrap();
    assert!(town.endpoint.connections() >= before + 3, "each on a connection of its own");
    let asked: Vec<String> = asked.lock().unwrap().iter().cloned().collect();
    assert_eq!(asked, ["CONNECT login.microsoftonline.com:443 HTTP/1.1"]);
}
