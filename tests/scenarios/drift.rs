//! What others change at Entra and in vaults is found by rounds, one a tenant and one a vault; a resource at rest costs no
//! call of its own, and nothing is written.

use keywright_sandbox::{
    azure::{GRAPH, SecretEdit, TOKEN, VAULT},
    journal::Entry,
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::town::{Firm, PATIENCE, Town, chain, insist, read, same};

/// A published credential, in a Secret and a vault.
async fn published(firm: &Firm, creation_policy: &str) -> Result<(), Failed> {
    firm.tenant(&json!({})).await?;
    let vault = json!({"vaultUrl": firm.vault, "name": "payments-api", "creationPolicy": creation_policy});
    firm.resource("payments-api", &json!({"spec": {"publish": {"secret": {}, "keyVaults": [vault]}}})).await?;
    firm.told("payments-api", "Published").await?;
    Ok(())
}

pub async fn a_resource_at_rest_costs_no_call_and_no_write(town: Town) -> Result<(), Failed> {
    let firm = town.firm("at-rest").await?;
    let operator = firm.operator().await?;
    published(&firm, "Owner").await?;
    firm.rounds(2).await?;
    let number = firm.azure.journal().entries().last().map_or(0, |entry| entry.number);
    let writes = firm.proxy.journal().count(|entry| !["get", "list", "watch"].contains(&entry.verb.as_str()));
    firm.rounds(3).await?;
    let entries = firm.azure.journal().entries();
    let later = entries.iter().filter(|entry| entry.number > number);
    let mut own: Vec<(&str, &str)> = later.map(|entry| (entry.service.as_str(), entry.verb.as_str())).collect();
    own.retain(|(service, verb)| {
        let round = ["listApplications", "delta"].contains(verb) || (*service == VAULT && *verb == "listSecrets");
        !round && *service != TOKEN
    });
    insist(own.is_empty(), format!("calls for one resource at rest: {own:?}"))?;
    let now = firm.proxy.journal().count(|entry| !["get", "list", "watch"].contains(&entry.verb.as_str()));
    same("writes at rest", now, writes)?;
    firm.ends_clean(&operator).await
}

pub async fn a_vault_entry_that_somebody_overwrites_is_told_or_repaired(town: Town) -> Result<(), Failed> {
    let firm = town.firm("overwritten").await?;
    let operator = firm.operator().await?;
    published(&firm, "Owner").await?;
    firm.rounds(1).await?;
    firm.azure.put_secret("kv-overwritten", "payments-api", "by hand", SecretEdit::default()).map_err(chain)?;
    // It is somebody else's now, by its tags.
    firm.told("payments-api", "VaultEntryNotOurs").await?;
    published(&firm, "Adopt").await?;
    firm.rounds(1).await?;
    firm.azure.put_secret("kv-overwritten", "payments-api", "by hand", SecretEdit::default()).map_err(chain)?;
    let number = firm.azure.journal().entries().last().map_or(0, |entry| entry.number);
    let repaired = |entry: &Entry| entry.number > number && entry.verb == "setSecret";
    firm.azure.journal().wait_for(repaired, PATIENCE).await.map_err(chain)?;
    let object = firm.read("payments-api").await?;
    same("still published", read::<Value>(&object, "/status/current/sequence"), Some(json!(1)))?;
    same("mints", firm.azure.journal().count(|entry| entry.service == GRAPH && entry.verb == "addPassword"), 1)?;
    firm.ends_clean(&operator).await
}

pub async fn a_credential_that_somebody_removed_is_told(town: Town) -> Result<(), Failed> {
    let firm = town.firm("removed").await?;
    let operator = firm.operator().await?;
    published(&firm, "Owner").await?;
    let object = firm.read("payments-api").await?;
    let key_id: String = read(&object, "/status/current/keyId").ok_or("no key ID")?;
    firm.azure.remove_password(&firm.payments, key_id.parse()?).map_err(chain)?;
    let ready = firm.told("payments-api", "CredentialUnknown").await?;
    same("Ready", ready.status.as_str(), "False")?;
    insist(ready.message.contains(&key_id), ready.message)?;
    insist(firm.leaks(&operator).await?.is_empty(), "a value has left its place")
}
