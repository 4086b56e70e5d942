//! A resource that somebody deletes and creates again under its name for another application, as GitOps tools do when a
//! field that cannot be changed has changed.

use std::time::Duration;

use keywright_sandbox::azure::{NewApplication, NewPassword, Seeded};
use kube::api::DeleteParams;
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    manifests::merged,
    town::{Firm, KEEPING, MINTING, RESOURCE, Stage, Town, chain, in_lanes, insist, read, same},
};

/// A firm with a second application that a grant is for. On the first somebody has made a secret by hand.
async fn with_another(town: &Town, name: &str) -> Result<(Firm, Seeded), Failed> {
    let firm = town.firm(name).await?;
    firm.azure.seed_password(&firm.payments, NewPassword::default()).map_err(chain)?;
    let owners = vec![firm.keywright.principal];
    let new = NewApplication { display_name: "billing".to_owned(), owners, ..NewApplication::default() };
    let billing = firm.azure.seed_application(firm.payments.tenant, new).map_err(chain)?;
    let grant = merged(firm.grant(), &json!({"clientIds": [firm.payments.client_id, billing.client_id]}));
    firm.tenant(&json!({"spec": {"grants": [grant]}})).await?;
    Ok((firm, billing))
}

async fn recreate(firm: &Firm, billing: &Seeded) -> Result<(), Failed> {
    firm.resources().delete(RESOURCE, &DeleteParams::default()).await?;
    firm.resource(RESOURCE, &json!({"spec": {"clientId": billing.client_id}})).await
}

pub async fn what_was_on_its_way_for_another_application_is_taken_back(town: Town) -> Result<(), Failed> {
    let cases = [MINTING, KEEPING].map(|stage| (format!("former-{}", stage.name), stage));
    in_lanes(cases, async |name, stage: Stage| {
        let (firm, billing) = with_another(&town, &name).await?;
        firm.hold(&stage, Duration::from_secs(2));
        let operator = firm.operator().await?;
        firm.resource(RESOURCE, &json!({})).await?;
        firm.is_held(&stage).await?;
        recreate(&firm, &billing).await?;
        firm.is_through(&stage).await?;
        firm.told(RESOURCE, "Published").await?;
        firm.comes_to_rest().await?;
        same("secrets of the former", firm.azure.passwords(&firm.payments).map_err(chain)?.len(), 1)?;
        same("secrets of the other", firm.azure.passwords(&billing).map_err(chain)?.len(), 1)?;
        firm.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}

pub async fn what_was_published_for_another_application_is_told(town: Town) -> Result<(), Failed> {
    let (firm, billing) = with_another(&town, "former-told").await?;
    let operator = firm.operator().await?;
    firm.resource(RESOURCE, &json!({})).await?;
    firm.told(RESOURCE, "Published").await?;
    let before: String = read(&firm.read(RESOURCE).await?, "/status/current/keyId").ok_or("nothing is published")?;
    recreate(&firm, &billing).await?;
    firm.told(RESOURCE, "Published").await?;
    let object = firm.read(RESOURCE).await?;
    let retiring: Vec<Value> = read(&object, "/status/retiring").unwrap_or_default();
    let told = retiring.iter().find(|one| one["keyId"] == json!(before)).ok_or("it is not told of the former one")?;
    let advice = told["waitingFor"][0].as_str().unwrap_or_default();
    insist(advice.contains(&firm.payments.client_id.to_string()), advice)?;
    same("secrets of the former", firm.azure.passwords(&firm.payments).map_err(chain)?.len(), 2)?;
    insist(firm.leaks(&operator).await?.is_empty(), "a value has left its place")
}
