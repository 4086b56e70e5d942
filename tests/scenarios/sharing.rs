//! Several resources that have something in common: a workload that uses two credentials, an application that has two.
//! None waits for the other for ever, and none takes anything from the other.

use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    manifests::merged,
    rollouts::is_restarted,
    rotation::{demand, demand_of, has_ended},
    town::{Firm, RESOURCE, Town, chain, in_lanes, read, same},
};

/// The other resource.
const OTHER: &str = "payments-other";

/// A resource whose old credentials go soon.
fn with_short_overlap(patch: &Value) -> Value {
    merged(json!({"spec": {"retirement": {"minOverlap": "1s"}}}), patch)
}

pub async fn two_applications_of_one_workload_rotate_at_once(town: Town) -> Result<(), Failed> {
    let cases = [("together", false), ("one-in-the-other", true)].map(|(name, midway)| (name.to_owned(), midway));
    in_lanes(cases, async |name, midway| {
        let firm = town.firm(&name).await?;
        let other = firm.application("other")?;
        let operator = firm.operator().await?;
        let both = json!({"clientIds": [firm.payments.client_id, other.client_id]});
        firm.tenant(&json!({"spec": {"grants": [merged(firm.grant(), &both)]}})).await?;
        let container = |name, secret| json!({"name": name, "envFrom": [{"secretRef": {"name": secret}}]});
        let spec = json!({"containers": [container("app", RESOURCE), container("other", OTHER)]});
        firm.run_with("Deployment", "web", 2, &json!({"spec": {"template": {"spec": spec}}})).await?;
        firm.resource(RESOURCE, &with_short_overlap(&json!({}))).await?;
        firm.resource(OTHER, &with_short_overlap(&json!({"spec": {"clientId": other.client_id}}))).await?;
        for resource in [RESOURCE, OTHER] {
            firm.told(resource, "Published").await?;
        }
        firm.pods_sign_in(2).await?;
        demand(&firm).await?;
        if midway {
            is_restarted(&firm, "web").await?;
        }
        demand_of(&firm, OTHER).await?;
        firm.until(|| has_ended(&firm, RESOURCE, &firm.payments, 2)).await?;
        firm.until(|| has_ended(&firm, OTHER, &other, 2)).await?;
        let template = firm.deployments().get("web").await?.spec.template.metadata.unwrap_or_default();
        for resource in [RESOURCE, OTHER] {
            let key_id: Option<String> = read(&firm.read(resource).await?, "/status/current/keyId");
            let annotations = template.annotations.clone().unwrap_or_default();
            same(resource, annotations.get(&format!("keywright.dev/{resource}")).cloned(), key_id)?;
        }
        firm.pods_sign_in_again(20).await?;
        firm.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}

pub async fn two_resources_of_one_application_leave_each_other_alone(town: Town) -> Result<(), Failed> {
    let firm = town.firm("one-app").await?;
    let operator = firm.operator().await?;
    firm.tenant(&json!({})).await?;
    for (resource, workload) in [(RESOURCE, "web"), (OTHER, "batch")] {
        firm.deploy(workload, 1, resource).await?;
        firm.resource(resource, &with_short_overlap(&json!({}))).await?;
        firm.told(resource, "Published").await?;
    }
    firm.pods_sign_in(2).await?;
    demand(&firm).await?;
    ended(&firm, [2, 1]).await?;
    demand(&firm).await?;
    demand_of(&firm, OTHER).await?;
    ended(&firm, [3, 2]).await?;
    same("minted", firm.minted().await?.len(), 5)?;
    same("valid", firm.azure.passwords(&firm.payments).map_err(chain)?.len(), 2)?;
    firm.pods_sign_in_again(20).await?;
    firm.ends_clean(&operator).await
}

/// Wait until both resources are at these numbers, and alone there.
async fn ended(firm: &Firm, numbers: [i64; 2]) -> Result<(), Failed> {
    for (resource, number) in [RESOURCE, OTHER].into_iter().zip(numbers) {
        firm.until(|| has_ended(firm, resource, &firm.payments, number)).await?;
    }
    Ok(())
}
