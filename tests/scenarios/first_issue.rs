//! From nothing to a proven, published secret.

use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::town::{Town, insist, read, same};

pub async fn a_declared_secret_is_minted_proven_and_published(town: Town) -> Result<(), Failed> {
    let firm = town.firm("first-issue").await?;
    let operator = firm.operator().await?;
    firm.tenant(&json!({})).await?;
    firm.deploy("web", 2, "payments-api").await?;
    firm.pods_wait(2).await?;
    let vault = json!({"vaultUrl": firm.vault, "name": "payments-api"});
    firm.resource("payments-api", &json!({"spec": {"publish": {"secret": {}, "keyVaults": [vault]}}})).await?;

    let ready = firm.told("payments-api", "Published").await?;
    same("Ready", ready.status.as_str(), "True")?;
    firm.tenant_told("Reached").await?;
    firm.pods_sign_in(2).await?;
    firm.pods_sign_in_again(20).await?;
    let object = firm.read("payments-api").await?;
    let current: Value = read(&object, "/status/current").ok_or("no current credential")?;
    same("sequence", &current["sequence"], &json!(1))?;
    let targets: Vec<Value> = read(&object, "/status/targets").ok_or("no targets")?;
    insist(
        targets.iter().all(|target| target["sequence"] == 1 && target["problem"].is_null()),
        format!("{targets:?}"),
    )?;
    firm.ends_clean(&operator).await
}
