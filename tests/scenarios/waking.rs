//! Who is woken by what happens to others: to an elder with the same target, to the first and the last resource of a
//! tenant, to a Secret of ours.

use std::time::{Duration, Instant};

use keywright_sandbox::{KUBERNETES, Rule, journal::Entry};
use kube::api::{DeleteParams, Patch, PatchParams};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    lifecycle::Admin,
    telling::eventually,
    town::{PATIENCE, Town, chain, insist, same},
};

/// Sooner than a resource at rest is looked at without being woken.
const BEFORE_IT_IS_TIME: Duration = Duration::from_secs(5);

/// A resource that publishes to a Secret of this name.
fn to_secret(name: &str) -> Value {
    json!({"spec": {"publish": {"secret": {"name": name}}}})
}

pub async fn a_younger_resource_is_woken_when_the_elder_one_leaves_its_target(town: Town) -> Result<(), Failed> {
    let (place, _operator) = town.open_place("elders").await?;
    place.tenant(&json!({})).await?;
    place.resource("elder", &to_secret("shared")).await?;
    place.told("elder", "InvalidTemplate").await?;
    // The one that comes first by its name is the elder of those that are created in the same second.
    place.resource("younger", &to_secret("shared")).await?;
    place.told("younger", "TargetConflict").await?;
    place.settled("first").await?;
    place.resource("elder", &to_secret("its-own")).await?;
    place.told("younger", "InvalidTemplate").await?;
    place.settled("second").await?;
    place.resource("elder", &to_secret("shared")).await?;
    place.told("younger", "TargetConflict").await?;
    place.settled("third").await?;
    place.resources().delete("elder", &DeleteParams::default()).await?;
    place.told("younger", "InvalidTemplate").await?;
    Ok(())
}

/// A round through the tenant.
fn is_round(entry: &Entry) -> bool {
    entry.verb == "listApplications" || entry.verb == "delta"
}

pub async fn a_tenant_that_is_named_again_is_looked_at_again(town: Town) -> Result<(), Failed> {
    let firm = town.firm("named-again").await?;
    let operator = firm.operator().await?;
    firm.tenant(&json!({})).await?;
    firm.resource("payments-api", &json!({"spec": {"suspend": true}})).await?;
    firm.tenant_told("Reached").await?;
    firm.settled("first").await?;
    firm.resources().delete("payments-api", &DeleteParams::default()).await?;
    // The round that would come next is not made, since nothing names the tenant any more.
    let admin = Admin::of(&operator).await?;
    let looks = looks_at_tenants(&admin).await?;
    let later = eventually(async || Ok(Some(looks_at_tenants(&admin).await?).filter(|now| *now > looks))).await?;
    insist(later.is_some(), "nobody looked at the tenant any more")?;
    let number = firm.azure.journal().len();
    firm.resource("payments-api", &json!({"spec": {"suspend": true}})).await?;
    firm.azure.journal().wait_for(|entry| entry.number >= number && is_round(entry), PATIENCE).await.map_err(chain)?;
    firm.ends_clean(&operator).await
}

/// How often a tenant was looked at.
async fn looks_at_tenants(admin: &Admin) -> Result<u64, Failed> {
    let looks = r#"keywright_reconciles_total{kind="EntraTenant",result="ok"} "#;
    let (_, metrics) = admin.get("/metrics").await?;
    Ok(metrics.lines().find_map(|line| line.strip_prefix(looks)?.parse().ok()).unwrap_or_default())
}

pub async fn a_secret_of_ours_whose_annotation_is_gone_is_repaired(town: Town) -> Result<(), Failed> {
    let firm = town.firm("stripped").await?;
    let operator = firm.operator().await?;
    firm.tenant(&json!({})).await?;
    firm.resource("payments-api", &json!({})).await?;
    firm.told("payments-api", "Published").await?;
    firm.settled("first").await?;
    for said in [Value::Null, json!("another")] {
        let stripped = json!({"metadata": {"annotations": {"keywright.dev/resource": said}}});
        firm.secrets().patch("payments-api", &PatchParams::default(), &Patch::Merge(stripped)).await?;
        let since = Instant::now();
        firm.until(|| async {
            let secret = firm.secrets().get_metadata("payments-api").await?;
            let said = secret.metadata.annotations.and_then(|mut all| all.remove("keywright.dev/resource"));
            let repaired = said.as_deref() == Some("payments-api");
            Ok(if repaired { Ok(()) } else { Err(format!("it says that it belongs to {said:?}")) })
        })
        .await?;
        insist(since.elapsed() < BEFORE_IT_IS_TIME, format!("it took {:?}", since.elapsed()))?;
    }
    same("mints", firm.minted().await?.len(), 1)?;
    insist(firm.records().await?.len() == 1, "there is one record")?;
    firm.ends_clean(&operator).await
}

pub async fn a_resource_that_was_deleted_during_a_look_leaves_no_figures(town: Town) -> Result<(), Failed> {
    let (place, operator) = town.open_place("figures").await?;
    // A look at a resource asks for a tenant that no watch has shown.
    let asks = Rule::at(KUBERNETES, "get", "/apis/keywright.dev/v1alpha1/entratenants/slow");
    place.proxy.faults().add(asks.nth(1).delay(Duration::from_secs(2)));
    place.resource("payments-api", &json!({"spec": {"tenantRef": {"name": "slow"}}})).await?;
    let is_asked = |entry: &Entry| entry.path.ends_with("/entratenants/slow");
    place.proxy.journal().wait_for(is_asked, PATIENCE).await.map_err(chain)?;
    place.resources().delete("payments-api", &DeleteParams::default()).await?;
    place.settled("gone").await?;
    let has_ended = |entry: &Entry| is_asked(entry) && entry.status.is_some();
    place.proxy.journal().wait_for(has_ended, PATIENCE).await.map_err(chain)?;
    place.settled("after").await?;
    let (_, metrics) = Admin::of(&operator).await?.get("/metrics").await?;
    let left: Vec<&str> = metrics.lines().filter(|line| line.contains(r#"name="payments-api""#)).collect();
    insist(left.is_empty(), format!("figures of what is gone: {left:?}"))
}
