//! A certificate that a Key Vault imports: it is a certificate there, a key, and a secret, with a life and roles of its own.

use keywright_sandbox::azure::{Grant, Lag, Role, SecretEdit, SelfSigned, VaultSettings};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    certificates::{PUBLISHED, ends, generated},
    manifests::merged,
    rotation::demand,
    town::{Firm, RESOURCE, Reads, Town, chain, change, insist, read, same},
};

/// A resource whose certificate goes to a Secret, and is imported into the vault.
fn imported(firm: &Firm) -> Value {
    let entry = json!({"vaultUrl": firm.vault, "name": RESOURCE, "objectType": "Certificate"});
    merged(generated(), &json!({"spec": {"publish": {"secret": {}, "keyVaults": [entry]}}}))
}

/// The versions of the entry, the first one first: the thumbprint of each, and whether it is enabled.
fn versions(firm: &Firm) -> Result<Vec<(String, bool)>, Failed> {
    let (vaults, name) = (firm.azure.inspect_vaults(), firm.vault_name());
    let of = |list: &Value, name: &str| list.as_array()?.iter().find(|one| one["name"] == name).cloned();
    let entry = of(&vaults, &name).and_then(|vault| of(&vault["secrets"], RESOURCE));
    let versions = entry.as_ref().and_then(|entry| entry["versions"].as_array()).ok_or("there is no entry")?;
    let told = |one: &Value| Some((one["thumbprint"].as_str()?.to_owned(), one["enabled"].as_bool()?));
    versions.iter().map(|one| told(one).ok_or_else(|| format!("no certificate: {one}").into())).collect()
}

/// Wait until the latest version is a certificate of the application, and every other one is disabled.
async fn only_the_latest_is_in_use(firm: &Firm, number: usize) -> Result<(), Failed> {
    firm.until(|| async {
        let there: Vec<_> =
            firm.azure.certificates(&firm.payments).map_err(chain)?.iter().map(|one| one.x509.thumbprint()).collect();
        let versions = versions(firm)?;
        let latest = versions.last().is_some_and(|(thumbprint, enabled)| there.contains(thumbprint) && *enabled);
        let in_use = versions.iter().filter(|(_, enabled)| *enabled).count();
        let is_so = latest && in_use == 1 && versions.len() == number;
        Ok(if is_so { Ok(()) } else { Err(format!("Entra has {there:?}, the vault {versions:?}")) })
    })
    .await
}

/// `Ready` gives this reason, with all these words.
async fn is_told(firm: &Firm, reason: &str, words: &[&str]) -> Result<(), Failed> {
    let ready = firm.told(RESOURCE, reason).await?;
    insist(words.iter().all(|word| ready.message.contains(word)), format!("{words:?} are not in: {}", ready.message))
}

pub async fn a_vault_imports_it_and_keeps_it(town: Town) -> Result<(), Failed> {
    let firm = town.firm("imported").await?;
    let vault = firm.vault_name();
    let at_once =
        |settings: &mut VaultSettings| (settings.deletion_lag, settings.recovery_lag) = (Lag::NONE, Lag::NONE);
    firm.azure.edit_vault(&vault, at_once).map_err(chain)?;
    let operator = firm.operator().await?;
    firm.tenant(&json!({})).await?;
    firm.resource(RESOURCE, &imported(&firm)).await?;
    firm.run_certificate("web", 2, PUBLISHED, Reads::AtStart).await?;
    // Who may do everything with secrets may do nothing with certificates.
    let roles = ["could not read certificate", "Key Vault Certificates Officer", "Key Vault Certificate User"];
    is_told(&firm, "VaultForbidden", &roles).await?;
    for role in [Role::CertificatesOfficer, Role::CertificateUser] {
        firm.azure.seed_grant(&vault, Grant::role(firm.keywright.principal, role, None)).map_err(chain)?;
    }
    firm.told(RESOURCE, "Published").await?;
    firm.pods_sign_in(2).await?;
    only_the_latest_is_in_use(&firm, 1).await?;
    demand(&firm).await?;
    ends(&firm, 2).await?;
    only_the_latest_is_in_use(&firm, 2).await?;
    firm.comes_to_rest().await?;

    // What somebody has disabled or deleted is told, and not undone unasked.
    let enabled = |enabled| SecretEdit { enabled: Some(enabled), ..SecretEdit::default() };
    firm.azure.edit_certificate(&vault, RESOURCE, None, enabled(false)).map_err(chain)?;
    is_told(&firm, "VaultForbidden", &["its latest version is disabled", "enable it"]).await?;
    firm.azure.edit_certificate(&vault, RESOURCE, None, enabled(true)).map_err(chain)?;
    firm.told(RESOURCE, "Published").await?;
    firm.azure.delete_certificate(&vault, RESOURCE).map_err(chain)?;
    is_told(&firm, "VaultEntryDeleted", &["az keyvault certificate recover"]).await?;
    firm.azure.recover_certificate(&vault, RESOURCE).map_err(chain)?;
    firm.told(RESOURCE, "Published").await?;
    same("versions", versions(&firm)?.len(), 2)?;

    // Somebody else's is theirs, and what is theirs is imported over only where that is asked for.
    let theirs = SelfSigned::for_days("theirs", 90).map_err(chain)?;
    let pem = format!("{}{}", theirs.key_pem(), theirs.pem());
    firm.azure.import_certificate(&vault, RESOURCE, &pem, SecretEdit::default()).map_err(chain)?;
    is_told(&firm, "VaultEntryNotOurs", &["creationPolicy to Adopt"]).await?;
    let adopting: Option<Value> = read(&firm.read(RESOURCE).await?, "/spec/publish/keyVaults/0");
    let adopting = merged(adopting.ok_or("no entry")?, &json!({"creationPolicy": "Adopt"}));
    let patch = json!({"spec": {"publish": {"keyVaults": [adopting]}}});
    change(&firm.resources(), RESOURCE, &patch).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.pods_sign_in_again(5).await?;
    same("versions", versions(&firm)?.len(), 4)?;
    firm.ends_clean(&operator).await
}

/// A name is one entry: nothing is imported over a secret, and nothing written over the secret of a certificate.
pub async fn a_name_that_is_something_else_is_left_alone(town: Town) -> Result<(), Failed> {
    let firm = town.firm("named-twice").await?;
    let vault = firm.vault_name();
    for role in [Role::CertificatesOfficer, Role::CertificateUser] {
        firm.azure.seed_grant(&vault, Grant::role(firm.keywright.principal, role, None)).map_err(chain)?;
    }
    firm.azure.put_secret(&vault, RESOURCE, "theirs", SecretEdit::default()).map_err(chain)?;
    let operator = firm.operator().await?;
    firm.tenant(&json!({})).await?;
    firm.resource(RESOURCE, &imported(&firm)).await?;
    is_told(&firm, "VaultEntryNotOurs", &["there is a secret of this name", "in the certificate's way"]).await?;
    let other = json!({"vaultUrl": firm.vault, "name": "payments-cert", "objectType": "Certificate"});
    let patch = json!({"spec": {"publish": {"keyVaults": [other]}}});
    change(&firm.resources(), RESOURCE, &patch).await?;
    firm.told(RESOURCE, "Published").await?;

    let text = json!({"vaultUrl": firm.vault, "name": "payments-cert"});
    let patch = json!({"spec": {"publish": {"keyVaults": [text]}}});
    change(&firm.resources(), RESOURCE, &patch).await?;
    is_told(&firm, "VaultEntryNotOurs", &["secret of a certificate", "set objectType to Certificate"]).await?;
    let patch = json!({"spec": {"publish": {"keyVaults": [other]}}});
    change(&firm.resources(), RESOURCE, &patch).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.ends_clean(&operator).await
}
