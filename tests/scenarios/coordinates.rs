//! A Secret that says where to sign in, and as what, and has no secret in it; and how one that had a secret comes to that under
//! those who read it.

use k8s_openapi::api::core::v1::Secret;
use keywright_sandbox::Operator;
use kube::{ResourceExt, api::DeleteParams};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    federation::{accepts, account},
    manifests::merged,
    migration::{ends_without_secrets, has_records, has_secrets, with_secret, with_secret_read_by},
    town::{Firm, RESOURCE, Town, chain, change, insist, same},
};

/// The keys that say where to sign in.
const COORDINATES: [&str; 3] = ["AZURE_AUTHORITY_HOST", "AZURE_CLIENT_ID", "AZURE_TENANT_ID"];

/// What has a key that says what is secret.
const KEY: &str = "AZURE_CLIENT_SECRET";

fn publishing() -> Value {
    json!({"spec": {"retirement": {"minOverlap": "1s"}, "publish": {"secret": {}}}})
}

/// Declare the account, and a Secret of the name that the secret had.
pub async fn federate_in_place(firm: &Firm) -> Result<(), Failed> {
    firm.federate(&[account("api")], &publishing()).await
}

fn keys(secret: &Secret) -> Vec<&str> {
    secret.data.iter().flatten().map(|(key, _)| key.as_str()).collect()
}

async fn published(firm: &Firm) -> Result<Secret, Failed> {
    Ok(firm.secrets().get(RESOURCE).await?)
}

async fn has_key(firm: &Firm) -> Result<bool, Failed> {
    Ok(keys(&published(firm).await?).contains(&KEY))
}

/// Wait until the Secret has these keys and no others.
async fn has_keys(firm: &Firm, wanted: &[&str]) -> Result<(), Failed> {
    firm.until(|| async {
        let secret = firm.secrets().get_opt(RESOURCE).await?;
        let there = secret.as_ref().map(keys).unwrap_or_default();
        Ok(if there == wanted { Ok(()) } else { Err(format!("the Secret has {there:?}")) })
    })
    .await
}

/// Wait until the pods sign in by tokens, and the secret has gone by itself.
pub async fn is_led_in_place(firm: &Firm) -> Result<(), Failed> {
    firm.pods_federate("api", 2).await?;
    has_secrets(firm, 0).await?;
    has_records(firm, 1).await
}

/// Wait until the secret has gone by itself, with pods that sign in by tokens and read the Secret as before.
pub async fn ends_without_key(firm: &Firm, operator: &Operator) -> Result<(), Failed> {
    has_keys(firm, &COORDINATES).await?;
    ends_without_secrets(firm, operator).await?;
    let secret = published(firm).await?;
    let marks: Vec<_> = secret.annotations().keys().map(String::as_str).collect();
    same("its annotations", marks, vec!["keywright.dev/resource"])
}

pub async fn a_federated_resource_says_where_to_sign_in_and_is_repaired_without_any_mint(
    town: Town,
) -> Result<(), Failed> {
    let firm = town.federating("where", true).await?;
    firm.service_account("api", None).await?;
    let template = json!({"data": {"sdk.json": r#"{"client": {{ clientId | json }}}"#}});
    let patch = json!({"spec": {"publish": {"secret": {"template": template, "deletionPolicy": "Delete"}}}});
    firm.federate(&[account("api")], &patch).await?;
    // They wait for the Secret.
    let container = json!({"name": "app", "envFrom": [{"secretRef": {"name": RESOURCE}}]});
    let spec = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
    firm.run_federated_with("Deployment", "web", 2, "api", &spec).await?;
    firm.pods_wait(2).await?;
    let operator = firm.operator().await?;
    firm.told(RESOURCE, "Published").await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    firm.pods_federate("api", 2).await?;
    let all = [&COORDINATES[..], &["sdk.json"]].concat();
    has_keys(&firm, &all).await?;
    let before = published(&firm).await?;
    let client = format!(r#"{{"client": "{}"}}"#, firm.payments.client_id);
    let made = before.data.as_ref().and_then(|data| data.get("sdk.json")).map(|value| value.0.clone());
    same("what the template made", made, Some(client.into_bytes()))?;
    let edits = [
        json!({"data": {"AZURE_CLIENT_ID": "ZWRpdGVk"}}),
        json!({"data": {KEY: "cHV0IGJ5IGhhbmQ="}}),
        json!({"metadata": {"annotations": {"keywright.dev/key-id": "8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f"}}}),
        json!({"data": null}),
    ];
    for edit in edits {
        change(&firm.secrets(), RESOURCE, &edit).await?;
        is_again(&firm, &before).await?;
    }
    firm.secrets().delete(RESOURCE, &DeleteParams::default()).await?;
    is_again(&firm, &before).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.comes_to_rest().await?;
    same("accepted", accepts(&firm)?.len(), 1)?;
    same("added", firm.minted().await?.len(), 1)?;
    // It goes with the resource, and what is accepted stays.
    firm.resources().delete(RESOURCE, &DeleteParams::default()).await?;
    firm.until(|| async {
        let there = firm.secrets().get_opt(RESOURCE).await?.is_some();
        Ok(if there { Err("the Secret is still there".to_owned()) } else { Ok(()) })
    })
    .await?;
    firm.comes_to_rest().await?;
    same("accepted", accepts(&firm)?.len(), 1)?;
    firm.ends_clean(&operator).await
}

/// Wait until the Secret says again what it said.
async fn is_again(firm: &Firm, before: &Secret) -> Result<(), Failed> {
    let said = |secret: &Secret| (secret.data.clone(), secret.labels().clone(), secret.annotations().clone());
    firm.until(|| async {
        let now = firm.secrets().get_opt(RESOURCE).await?;
        let same = now.as_ref().map(said) == Some(said(before));
        Ok(if same { Ok(()) } else { Err(format!("the Secret has {:?}", now.as_ref().map(keys))) })
    })
    .await
}

pub async fn a_key_is_taken_out_under_its_readers_and_the_secret_goes_by_itself(town: Town) -> Result<(), Failed> {
    let (firm, operator) = with_secret(&town, "taken-out").await?;
    federate_in_place(&firm).await?;
    ends_without_key(&firm, &operator).await?;
    let web = firm.deployments().get("web").await?;
    let template = web.spec.template.metadata.and_then(|metadata| metadata.annotations).unwrap_or_default();
    let mark = template.get("keywright.dev/payments-api").cloned().unwrap_or_default();
    insist(mark.starts_with("without."), mark)
}

pub async fn a_key_stays_while_a_pod_reads_it_that_has_no_token(town: Town) -> Result<(), Failed> {
    let (firm, operator) = with_secret(&town, "taken-bare").await?;
    firm.bare_pod("batch", RESOURCE).await?;
    firm.pods_sign_in(3).await?;
    federate_in_place(&firm).await?;
    firm.condition_says("Rotating", "StillInUse", "pod/batch to end").await?;
    firm.told(RESOURCE, "Published").await?;
    firm.rounds(2).await?;
    insist(has_key(&firm).await?, "its key was taken out under a pod that has nothing else")?;
    // Whoever starts meanwhile finds it, whatever somebody does to it.
    firm.secrets().delete(RESOURCE, &DeleteParams::default()).await?;
    let [host, client, tenant] = COORDINATES;
    has_keys(&firm, &[host, client, KEY, tenant]).await?;
    firm.pods_sign_in_again(3).await?;
    has_secrets(&firm, 1).await?;
    firm.pods().delete("batch", &DeleteParams::default()).await?;
    ends_without_key(&firm, &operator).await
}

pub async fn whoever_could_not_start_without_the_key_is_not_restarted_until_git_has_changed_it(
    town: Town,
) -> Result<(), Failed> {
    let variable = |key: &str, optional: bool| {
        let from = json!({"secretKeyRef": {"name": RESOURCE, "key": key, "optional": optional}});
        json!({"name": key, "valueFrom": from})
    };
    let container = |optional: bool| {
        let variables: Vec<Value> = COORDINATES.iter().map(|key| variable(key, false)).collect();
        let variables = [variables, vec![variable(KEY, optional)]].concat();
        json!({"name": "app", "image": "example.org/app", "env": variables})
    };
    let (firm, operator) = with_secret_read_by(&town, "taken-hard", &container(false)).await?;
    federate_in_place(&firm).await?;
    firm.condition_says("Rotating", "StillInUse", "deployment/web to be rid of key AZURE_CLIENT_SECRET").await?;
    firm.rounds(2).await?;
    insist(has_key(&firm).await?, "its key was taken out under pods that cannot start without it")?;
    firm.pods_wait(0).await?;
    firm.pods_sign_in_again(3).await?;
    let patch = json!({"spec": {"template": {"spec": {"containers": [container(true)]}}}});
    change(&firm.deployments(), "web", &patch).await?;
    ends_without_key(&firm, &operator).await
}

pub async fn a_secret_that_is_declared_again_after_its_key_was_taken_out_comes_back_to_its_readers(
    town: Town,
) -> Result<(), Failed> {
    let (firm, operator) = with_secret(&town, "taken-back").await?;
    let slowly = json!({"spec": {"retirement": {"minOverlap": "1h"}}});
    firm.federate(&[account("api")], &merged(publishing(), &slowly)).await?;
    firm.condition_says("Rotating", "Overlapping", "the former secret").await?;
    insist(!has_key(&firm).await?, "the key is still there")?;
    firm.pods_federate("api", 2).await?;
    let back = json!({"spec": {"federated": null, "clientSecret": {}, "retirement": {"minOverlap": "1s"}}});
    firm.resource(RESOURCE, &back).await?;
    let label = json!({"spec": {"template": {"metadata": {"labels": {"azure.workload.identity/use": null}}}}});
    let [host, client, tenant] = COORDINATES;
    has_keys(&firm, &[host, client, KEY, tenant]).await?;
    change(&firm.deployments(), "web", &label).await?;
    firm.until(|| async {
        let (there, accepted) = (firm.azure.passwords(&firm.payments).map_err(chain)?.len(), accepts(&firm)?.len());
        let over = (there, accepted) == (1, 0);
        Ok(if over { Ok(()) } else { Err(format!("there are {there} secrets, and {accepted} are accepted")) })
    })
    .await?;
    firm.pods_sign_in_again(3).await?;
    firm.comes_to_rest().await?;
    firm.ends_clean(&operator).await
}
