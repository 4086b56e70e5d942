//! Adoption day, and the first rotation after it: what was made by hand becomes the current credential without a mint and
//! without a restart, and goes one day like any other.

use keywright_sandbox::azure::NewPassword;
use kube::api::PostParams;
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    manifests::merged,
    rotation,
    town::{RESOURCE, Town, chain, change, insist, read, same},
};

pub async fn what_was_made_by_hand_is_adopted_and_goes_with_the_first_rotation(town: Town) -> Result<(), Failed> {
    let firm = town.firm("adoption-day").await?;
    let by_hand = firm.azure.seed_password(&firm.payments, NewPassword::default()).map_err(chain)?;
    let data = json!({
        "AZURE_TENANT_ID": firm.payments.tenant, "AZURE_CLIENT_ID": firm.payments.client_id,
        "AZURE_CLIENT_SECRET": by_hand.value,
    });
    let secret = json!({"metadata": {"name": RESOURCE}, "stringData": data});
    firm.secrets().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    firm.deploy("web", 2, RESOURCE).await?;
    firm.pods_sign_in(2).await?;
    let operator = firm.operator().await?;
    firm.tenant(&json!({"spec": {"grants": [merged(firm.grant(), &json!({"allow": ["RetireForeign"]}))]}})).await?;
    let from = |key| json!({"secretKeyRef": {"name": RESOURCE, "key": key}});
    let adopt = |key| json!({"keyId": by_hand.key_id, "valueFrom": from(key)});
    let adopting = json!({"spec": {
        "adopt": adopt("AZURE_CLIENT_ID"), "publish": {"secret": {"creationPolicy": "Adopt"}},
        "retirement": {"minOverlap": "1s"},
    }});
    firm.resource(RESOURCE, &adopting).await?;
    let told = firm.told(RESOURCE, "AdoptionRefused").await?;
    insist(told.message.contains("it is a GUID"), told.message)?;
    change(&firm.resources(), RESOURCE, &json!({"spec": {"adopt": adopt("AZURE_CLIENT_SECRET")}})).await?;

    firm.told(RESOURCE, "Published").await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    let current: Value = read(&firm.read(RESOURCE).await?, "/status/current").ok_or("no current credential")?;
    same("current", &current["keyId"], &json!(by_hand.key_id))?;
    same("minted", firm.minted().await?.len(), 0)?;
    let generation = firm.deployments().get("web").await?.metadata.generation;
    same("the generation of the workload", generation, Some(1))?;

    rotation::demand(&firm).await?;
    rotation::ends(&firm, 2).await?;
    firm.pods_sign_in_again(20).await?;
    same("minted", firm.minted().await?.len(), 1)?;
    firm.ends_with(&operator, &[keywright_sandbox::ledger::Offence::ForeignRemoved]).await
}
