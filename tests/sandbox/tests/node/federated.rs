//! Pods that are given a token by the webhook, whom the API server really asks.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use keywright_sandbox::Nodes;
use keywright_sandbox::node::Options;
use keywright_sandbox::webhook::{CLIENT_ID, Defaults, USE, Webhook};
use keywright_sandbox::witness::{Cause, Fingerprint};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::town::{SOON, Town, holds, is_ready, pod};

/// A namespace that the webhook is asked about, with an account `web`.
async fn inhabit(town: &Town, name: &str, webhook: &Webhook) {
    town.inhabit(name).await;
    let defaults = Defaults { authority_host: town.endpoint.url(), ..Defaults::public("contoso") };
    webhook.serve(name, &defaults).await.unwrap();
    town.create::<ServiceAccount>(name, json!({"metadata": {"name": "web"}})).await;
}

async fn annotate_account(town: &Town, namespace: &str, name: &str, value: &str) {
    let accounts: Api<ServiceAccount> = Api::namespaced(town.client(), namespace);
    let patch = json!({"metadata": {"annotations": {name: value}}});
    accounts.patch("web", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// A pod of the account `web` with nothing but what the webhook may add.
fn bare(node: &str, name: &str, label: &str) -> Value {
    let spec = json!({"serviceAccountName": "web", "containers": [{"name": "app", "image": "example.org/app"}]});
    let mut pod = pod(node, name, &json!({}), &spec);
    pod["metadata"]["labels"] = json!({USE: label});
    pod
}

fn subject(namespace: &str) -> String {
    format!("system:serviceaccount:{namespace}:web")
}

/// What a federated credential for the account `web` of a namespace would be known by.
fn shown(town: &Town, namespace: &str) -> Fingerprint {
    Fingerprint::of_federated(namespace, &town.plane.url(), &subject(namespace), "api://AzureADTokenExchange")
}

fn variables(pod: &Pod) -> Vec<String> {
    let container = &pod.spec.as_ref().unwrap().containers[0];
    container.env.iter().flatten().map(|one| one.name.clone()).collect()
}

/// AZURE 7: the pod's label decides; and what comes later to an account, comes to later pods.
pub async fn only_pods_with_the_label_are_changed(town: &Town) {
    let (webhook, here) = (town.webhook().await, "labelled");
    inhabit(town, here, webhook).await;
    let labelled = town.create::<Pod>(here, bare(here, "labelled", "true")).await;
    let file = ["AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST"];
    assert_eq!(variables(&labelled), file, "its account is not annotated");
    let otherwise = town.create::<Pod>(here, bare(here, "otherwise", "false")).await;
    assert_eq!(variables(&otherwise), [""; 0]);
    let mounts = otherwise.spec.unwrap().containers[0].volume_mounts.clone().unwrap();
    assert_eq!(mounts.len(), 1, "the token for the API server, and no other: {mounts:?}");
    town.inhabit("not-asked-about").await;
    town.create::<ServiceAccount>("not-asked-about", json!({"metadata": {"name": "web"}})).await;
    let elsewhere = town.create::<Pod>("not-asked-about", bare(here, "elsewhere", "true")).await;
    assert_eq!(variables(&elsewhere), [""; 0]);

    annotate_account(town, here, CLIENT_ID, here).await;
    let later = town.create::<Pod>(here, bare(here, "later", "true")).await;
    assert_eq!(variables(&later)[..2], ["AZURE_CLIENT_ID", "AZURE_TENANT_ID"]);
    let before = town.pods(here).get("labelled").await.unwrap();
    assert_eq!(variables(&before), file, "a pod keeps what it began with");
    town.endpoint.trusts(&subject(here));
    let nodes = Nodes::start(&town.plane, town.options(&[here])).await.unwrap();
    town.pod(here, "labelled", is_ready).await;
    nodes.witnesses().wait_for(|seen| seen.accepted(here, "later") > 0, SOON).await.unwrap();
    assert_eq!(nodes.witnesses().read(|seen| seen.of_pod(here, "labelled").count()), 0);
}

/// AZURE 7: a life that is not allowed refuses the pod, in words that somebody can act on.
pub async fn a_pod_that_is_refused_is_told_why(town: &Town) {
    let (webhook, here) = (town.webhook().await, "overlong");
    inhabit(town, here, webhook).await;
    annotate_account(town, here, "azure.workload.identity/service-account-token-expiration", "600").await;
    let pod = serde_json::from_value(bare(here, "web", "true")).unwrap();
    let refused = town.pods(here).create(&PostParams::default(), &pod).await.unwrap_err().to_string();
    let expected = "admission webhook \"mutation.azure-workload-identity.io\" denied the request: \
                    token expiration 600 not valid. Expected value to be between 3600 and 86400";
    assert!(refused.contains(expected), "{refused}");
}

/// AZURE 7: issuer verbatim, subject and audience as Entra compares them. AZURE 4.3: a refusal has a code, and what was
/// refused is known by the three.
pub async fn a_pod_with_the_label_signs_in_with_the_cluster_s_own_token(town: &Town) {
    let (webhook, here) = (town.webhook().await, "federated");
    inhabit(town, here, webhook).await;
    annotate_account(town, here, CLIENT_ID, here).await;
    let nodes = Nodes::start(&town.plane, town.options(&[here])).await.unwrap();
    town.endpoint.trusts(&subject(here));
    town.create::<Pod>(here, bare(here, "web", "true")).await;
    nodes.witnesses().wait_for(|seen| seen.accepted(here, "web") >= 3, SOON).await.unwrap();
    let presented = town.endpoint.presented(&subject(here));
    let [claims] = &presented[..] else { panic!("one token for all sign-ins, not {presented:?}") };
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(town.plane.url()), &json!(["api://AzureADTokenExchange"])));
    assert_eq!(claims["kubernetes.io"]["pod"]["name"], "web");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);

    town.endpoint.distrusts(&subject(here));
    nodes.witnesses().wait_for(|seen| !seen.refusals.is_empty(), SOON).await.unwrap();
    let refusal = nodes.witnesses().refusals().remove(0);
    assert_eq!((refusal.cause, refusal.what.fingerprint), (Cause::Aadsts(700_213), shown(town, here)));
    assert_eq!((refusal.what.tenant.as_str(), refusal.what.client.as_str()), ("contoso", here));
}

/// AZURE 7: the file is read for every exchange, so that a renewed token is used in time.
pub async fn a_token_is_renewed_and_no_sign_in_sees_it(town: &Town) {
    let (webhook, here) = (town.webhook().await, "renewed");
    inhabit(town, here, webhook).await;
    annotate_account(town, here, CLIENT_ID, here).await;
    let options = Options { token_life: Some(Duration::from_secs(1)), ..town.options(&[here]) };
    let nodes = Nodes::start(&town.plane, options).await.unwrap();
    town.endpoint.trusts(&subject(here));
    town.create::<Pod>(here, bare(here, "web", "true")).await;
    let presented = || town.endpoint.presented(&subject(here));
    nodes.witnesses().wait_for(|_| presented().len() >= 3, SOON).await.unwrap();
    for claims in presented() {
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    }
    nodes.witnesses().read(|seen| {
        assert!(seen.refusals.is_empty(), "{:?}", seen.refusals);
        let held: Vec<_> = seen.of_pod(here, "web").map(|holding| (holding.what.fingerprint, holding.until)).collect();
        assert_eq!(held, [(shown(town, here), None)], "one holding, without a gap");
    });
}

/// As in SDKs: whoever has both goes on with the secret until it is taken out of the pod.
pub async fn a_secret_is_used_before_a_token(town: &Town) {
    let (webhook, here) = (town.webhook().await, "migrating");
    inhabit(town, here, webhook).await;
    annotate_account(town, here, CLIENT_ID, here).await;
    let nodes = Nodes::start(&town.plane, town.options(&[here])).await.unwrap();
    town.endpoint.knows("s9");
    town.endpoint.trusts(&subject(here));
    town.secret(here, "s9").await;
    let mut both = bare(here, "both", "true");
    both["spec"]["containers"][0]["envFrom"] = json!([{"secretRef": {"name": "entra"}}]);
    town.create::<Pod>(here, both).await;
    holds(&nodes, "both", "s9").await;
    assert!(town.endpoint.presented(&subject(here)).is_empty());
    town.create::<Pod>(here, bare(here, "token", "true")).await;
    nodes.witnesses().wait_for(|seen| seen.accepted(here, "token") > 0, SOON).await.unwrap();
}
