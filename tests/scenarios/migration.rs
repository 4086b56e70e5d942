//! From a secret to no secret at all, and back: what there was stays until everybody has what takes its place, and nobody
//! reads it any more.

use k8s_openapi::api::batch::v1::CronJob;
use keywright_sandbox::{Operator, ledger::Offence};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    federation::{accepts, accepts_so_many, account},
    manifests::merged,
    town::{Firm, RESOURCE, Town, chain, change, same},
};

/// Grant secrets, too.
async fn grant_both(firm: &Firm) -> Result<(), Failed> {
    let grant = merged(firm.grant(), &json!({"kinds": ["ClientSecret", "Federated"]}));
    firm.tenant(&json!({"spec": {"grants": [grant]}})).await
}

/// A firm whose two pods sign in with a secret. They ask for a token, too, and nobody tells them for which application.
pub async fn with_secret(town: &Town, name: &str) -> Result<(Firm, Operator), Failed> {
    let container = json!({"name": "app", "envFrom": [{"secretRef": {"name": RESOURCE}}]});
    with_secret_read_by(town, name, &container).await
}

/// The same with pods of such a container.
pub async fn with_secret_read_by(town: &Town, name: &str, container: &Value) -> Result<(Firm, Operator), Failed> {
    let firm = town.federating(name, true).await?;
    grant_both(&firm).await?;
    firm.service_account("api", None).await?;
    firm.resource(RESOURCE, &json!({"spec": {"retirement": {"minOverlap": "1s"}}})).await?;
    let operator = firm.operator().await?;
    firm.told(RESOURCE, "Published").await?;
    let patch = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
    firm.run_federated_with("Deployment", "web", 2, "api", &patch).await?;
    firm.pods_sign_in(2).await?;
    Ok((firm, operator))
}

/// Declare the account instead.
pub async fn federate(firm: &Firm) -> Result<(), Failed> {
    firm.federate(&[account("api")], &json!({"spec": {"retirement": {"minOverlap": "1s"}}})).await
}

/// Git takes the secret out of the workload.
async fn read_no_more(firm: &Firm) -> Result<(), Failed> {
    let container = json!({"name": "app", "image": "example.org/app"});
    change(&firm.deployments(), "web", &json!({"spec": {"template": {"spec": {"containers": [container]}}}})).await
}

/// Git does so as soon as nothing else is in the way, and then the secret goes.
pub async fn lead_over(firm: &Firm) -> Result<(), Failed> {
    if reads_it(firm).await? {
        firm.condition_says("Rotating", "StillInUse", "deployment/web").await?;
        read_no_more(firm).await?;
    }
    firm.pods_federate("api", 2).await?;
    has_secrets(firm, 0).await?;
    has_records(firm, 1).await
}

async fn reads_it(firm: &Firm) -> Result<bool, Failed> {
    let template = firm.deployments().get("web").await?.spec.template.spec;
    Ok(template.is_some_and(|spec| spec.containers.iter().any(|container| container.env_from.is_some())))
}

/// Wait until the application has so many secrets.
pub async fn has_secrets(firm: &Firm, count: usize) -> Result<(), Failed> {
    firm.until(|| async {
        let there = firm.azure.passwords(&firm.payments).map_err(chain)?.len();
        Ok(if there == count { Ok(()) } else { Err(format!("{count} secrets should be there, but {there} are")) })
    })
    .await
}

/// Wait until there are so many records.
pub async fn has_records(firm: &Firm, count: usize) -> Result<(), Failed> {
    firm.until(|| async {
        let there = firm.records().await?.len();
        Ok(if there == count { Ok(()) } else { Err(format!("there are {there} records")) })
    })
    .await
}

/// Wait until there are no secrets any more, and two pods sign in without.
pub async fn ends_without_secrets(firm: &Firm, operator: &Operator) -> Result<(), Failed> {
    firm.pods_federate("api", 2).await?;
    has_secrets(firm, 0).await?;
    firm.comes_to_rest().await?;
    has_records(firm, 1).await?;
    same("accepted", accepts(firm)?.len(), 1)?;
    same("added", firm.minted().await?.len(), 2)?;
    firm.told(RESOURCE, "Published").await?;
    firm.ends_clean(operator).await
}

pub async fn a_secret_goes_when_its_pods_sign_in_by_tokens_and_read_it_no_more(town: Town) -> Result<(), Failed> {
    let (firm, operator) = with_secret(&town, "lead-over").await?;
    federate(&firm).await?;
    firm.condition_says("Rotating", "StillInUse", "deployment/web").await?;
    firm.told(RESOURCE, "Published").await?;
    firm.pods_have_token(2).await?;
    has_secrets(&firm, 1).await?;
    read_no_more(&firm).await?;
    ends_without_secrets(&firm, &operator).await
}

pub async fn what_is_federated_goes_when_its_pods_have_a_secret_and_no_token(town: Town) -> Result<(), Failed> {
    let (firm, operator) = with_secret(&town, "lead-back").await?;
    federate(&firm).await?;
    firm.condition_says("Rotating", "StillInUse", "deployment/web").await?;
    read_no_more(&firm).await?;
    firm.pods_federate("api", 2).await?;
    has_secrets(&firm, 0).await?;
    firm.resource(RESOURCE, &json!({"spec": {"federated": null, "retirement": {"minOverlap": "1s"}}})).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.condition_says("Rotating", "StragglersRemain", "serviceaccount/api").await?;
    same("accepted", accepts(&firm)?.len(), 1)?;
    let container = json!({"name": "app", "image": "example.org/app", "envFrom": [{"secretRef": {"name": RESOURCE}}]});
    let spec = json!({"serviceAccountName": "default", "serviceAccount": "default", "containers": [container]});
    change(&firm.deployments(), "web", &json!({"spec": {"template": {"spec": spec}}})).await?;
    firm.pods_sign_in(2).await?;
    accepts_so_many(&firm, 0).await?;
    firm.comes_to_rest().await?;
    firm.ends_clean(&operator).await
}

pub async fn a_secret_stays_while_a_pod_that_nothing_restarts_reads_it(town: Town) -> Result<(), Failed> {
    let (firm, operator) = with_secret(&town, "lead-bare").await?;
    firm.bare_pod("batch", RESOURCE).await?;
    firm.pods_sign_in(3).await?;
    federate(&firm).await?;
    firm.condition_says("Rotating", "StillInUse", "deployment/web").await?;
    read_no_more(&firm).await?;
    firm.pods_federate("api", 2).await?;
    firm.condition_says("Rotating", "StillInUse", "pod/batch").await?;
    firm.rounds(2).await?;
    has_secrets(&firm, 1).await?;
    firm.pods_sign_in_again(3).await?;
    let night = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "night", "namespace": firm.name},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "app", "image": "example.org/app", "envFrom": [{"secretRef": {"name": RESOURCE}}]}],
        }}}}},
    });
    let night: CronJob = serde_json::from_value(night)?;
    let schedules: Api<CronJob> = Api::namespaced(town.admin(), &firm.name);
    schedules.create(&PostParams::default(), &night).await?;
    firm.pods().delete("batch", &DeleteParams::default()).await?;
    firm.condition_says("Rotating", "StillInUse", "cronjob/night").await?;
    has_secrets(&firm, 1).await?;
    schedules.delete("night", &DeleteParams::default()).await?;
    ends_without_secrets(&firm, &operator).await
}

pub async fn a_secret_stays_where_no_webhook_gives_pods_a_token(town: Town) -> Result<(), Failed> {
    let firm = town.federating("lead-alone", true).await?;
    grant_both(&firm).await?;
    firm.service_account("api", None).await?;
    firm.resource(RESOURCE, &json!({})).await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 2, RESOURCE).await?;
    firm.pods_sign_in(2).await?;
    federate(&firm).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.condition_says("Rotating", "StillInUse", "deployment/web").await?;
    firm.rounds(2).await?;
    firm.pods_sign_in_again(3).await?;
    same("secrets", firm.azure.passwords(&firm.payments).map_err(chain)?.len(), 1)?;
    firm.ends_clean(&operator).await
}

pub async fn one_that_is_declared_again_on_the_way_is_what_it_was(town: Town) -> Result<(), Failed> {
    let (firm, operator) = with_secret(&town, "lead-astray").await?;
    federate(&firm).await?;
    firm.condition_says("Rotating", "StillInUse", "deployment/web").await?;
    firm.resource(RESOURCE, &json!({"spec": {"federated": null, "retirement": {"minOverlap": "1s"}}})).await?;
    firm.condition_says("Rotating", "StragglersRemain", "serviceaccount/api").await?;
    same("what was minted", firm.minted().await?.len(), 2)?;
    firm.pods_sign_in_again(3).await?;
    let label = json!({"spec": {"template": {"metadata": {"labels": {"azure.workload.identity/use": null}}}}});
    change(&firm.deployments(), "web", &label).await?;
    accepts_so_many(&firm, 0).await?;
    firm.pods_sign_in(2).await?;
    firm.comes_to_rest().await?;
    same("what was minted", firm.minted().await?.len(), 2)?;
    firm.ends_clean(&operator).await
}

pub async fn a_resource_that_revokes_takes_both_kinds_with_it(town: Town) -> Result<(), Failed> {
    let (firm, operator) = with_secret(&town, "lead-out").await?;
    let revoking = json!({"spec": {"deletionPolicy": "Revoke", "retirement": {"minOverlap": "1s"}}});
    firm.federate(&[account("api")], &revoking).await?;
    firm.condition_says("Rotating", "StillInUse", "deployment/web").await?;
    firm.resources().delete(RESOURCE, &DeleteParams::default()).await?;
    firm.condition_says("Ready", "StillInUse", "deployment/web").await?;
    firm.deployments().delete("web", &DeleteParams::default()).await?;
    has_secrets(&firm, 0).await?;
    accepts_so_many(&firm, 0).await?;
    firm.comes_to_rest().await?;
    has_records(&firm, 0).await?;
    firm.ends_with(&operator, &[Offence::NoneValid]).await
}
