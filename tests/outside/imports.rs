//! Certificates in a vault, through the SDK: imported, seen, listed, taken out of use.

use keywright::{
    api::{Reason, grant::CredentialKind, publish::VaultObjectType},
    certificate::made::{Wish, make},
    facts::{Effect, Entry, Sequence, TargetState, VaultEntry},
    vault::Projection,
    wire::InTime,
};
use keywright_sandbox::azure::{Grant, Lag, Role, SecretEdit};
use secrecy::ExposeSecret;

use crate::{
    place::AUTHORITY,
    vaults::{Town, VAULT, entry, owner, present, town, town_with, troubled},
};

/// A vault in which the operator may do everything with certificates.
async fn importing() -> Town {
    let town = town_with(|principal| Grant::role(principal, Role::CertificatesOfficer, None)).await;
    let user = Grant::role(town.operator.principal, Role::CertificateUser, None);
    town.azure.seed_grant(VAULT, user).unwrap();
    town.azure.edit_vault(VAULT, |settings| settings.deletion_lag = Lag::NONE).unwrap();
    as_certificate(town)
}

fn as_certificate(town: Town) -> Town {
    Town { entry: VaultEntry { object: VaultObjectType::Certificate, ..town.entry.clone() }, ..town }
}

/// What a certificate of this number makes of an entry.
fn wanted(sequence: u32) -> Projection {
    that_ends(sequence, "2036-01-01T00:00:00Z")
}

fn that_ends(sequence: u32, ends: &str) -> Projection {
    let (begins, ends) = ("2025-01-01T00:00:00Z".parse().unwrap(), ends.parse().unwrap());
    let bundle = make(&Wish { common_name: "payments".into(), bits: 2048, begins, ends }).unwrap();
    let entry = Entry { kind: CredentialKind::Certificate, ..entry(sequence) };
    Projection::of(&entry, &AUTHORITY.into(), bundle.pem()).unwrap()
}

#[tokio::test]
async fn what_was_imported_is_seen_whole_and_its_secret_has_the_key() {
    let town = importing().await;
    assert_eq!(town.read(None).await, TargetState::Absent);
    let (first, second) = (wanted(1), wanted(2));
    let written = town.write(&first).await.unwrap();
    assert!(written.agrees && written.obstacle.is_none() && written.sequence == Some(Sequence(1)));
    assert_eq!(present(town.read(Some(&first)).await), written);
    assert!(!present(town.read(Some(&second)).await).agrees);
    let value = town.vaults.value(&town.entry).await.unwrap();
    assert!(value.expose_secret().contains("PRIVATE KEY") && value.expose_secret().contains("CERTIFICATE"));
    let listed = town.vaults.list(&town.entry.url, VaultObjectType::Certificate).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].enabled && listed[0].tags.owner == Some(owner()) && listed[0].updated.is_some());
}

#[tokio::test]
async fn an_old_certificate_of_ours_is_taken_out_of_use_and_the_latest_stays() {
    let town = importing().await;
    let old = town.write(&wanted(1)).await.unwrap();
    let new = town.write(&wanted(2)).await.unwrap();
    for _ in 0..2 {
        town.vaults.disable(&town.entry, &old.version, &owner()).await.unwrap();
    }
    let versions = town.vaults.versions(&town.entry).await.unwrap();
    let told: Vec<_> = versions.iter().map(|version| (version.id.as_str(), version.enabled)).collect();
    assert_eq!(told.len(), 2);
    assert!(told.contains(&(&old.version, false)) && told.contains(&(&new.version, true)), "{told:?}");
    assert_eq!(town.asked("updateCertificate"), 1, "what is out of use already is left alone");
}

/// A certificate that is disabled can still be read, unlike a secret.
#[tokio::test]
async fn one_that_somebody_disabled_or_deleted_is_not_written_over_unasked() {
    let town = importing().await;
    let wanted = wanted(1);
    town.write(&wanted).await.unwrap();
    let off = SecretEdit { enabled: Some(false), ..SecretEdit::default() };
    town.azure.edit_certificate(VAULT, town.entry.name.as_str(), None, off).unwrap();
    let seen = present(town.read(Some(&wanted)).await);
    assert!(!seen.agrees);
    let obstacle = seen.obstacle.unwrap();
    assert_eq!(obstacle.reason, Reason::VaultForbidden);
    assert!(obstacle.message.contains("certificate payments-api of https://kv-payments"), "{}", obstacle.message);
    town.azure.delete_certificate(VAULT, town.entry.name.as_str()).unwrap();
    let trouble = troubled(town.read(Some(&wanted)).await);
    assert_eq!(trouble.reason, Reason::VaultEntryDeleted);
    assert!(trouble.remedy.contains("az keyvault certificate recover"), "{}", trouble.remedy);
}

#[tokio::test]
async fn a_secret_is_in_the_way_of_a_certificate_and_a_certificate_in_that_of_a_secret() {
    let town = importing().await;
    let secrets = Grant::role(town.operator.principal, Role::SecretsOfficer, None);
    town.azure.seed_grant(VAULT, secrets).unwrap();
    town.by_hand("theirs", SecretEdit::default());
    let trouble = town.write(&wanted(1)).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.effect), (Reason::VaultEntryNotOurs, Effect::Refused));
    let other = VaultEntry { name: "other".into(), ..town.entry.clone() };
    town.vaults.write(&other, &wanted(1), InTime::always()).await.unwrap();
    let secret = VaultEntry::secret(&other.url, &other.name);
    let trouble = town.vaults.write(&secret, &wanted(2), InTime::always()).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.effect), (Reason::VaultEntryNotOurs, Effect::Refused));
    assert!(trouble.remedy.contains("objectType"), "{}", trouble.remedy);
}

#[tokio::test]
async fn one_that_has_expired_is_told_as_such() {
    let town = importing().await;
    let trouble = town.write(&that_ends(1, "2026-01-01T00:00:00Z")).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.effect), (Reason::Refused, Effect::Refused));
    assert!(trouble.remedy.contains("has expired") && !trouble.message.contains("PRIVATE"), "{trouble:?}");
}

#[tokio::test]
async fn who_may_do_everything_with_secrets_is_told_the_roles_for_certificates() {
    let town = as_certificate(town().await);
    let read = troubled(town.read(None).await);
    let write = town.write(&wanted(1)).await.unwrap_err();
    for trouble in [read, write] {
        assert_eq!((trouble.reason, trouble.effect), (Reason::VaultForbidden, Effect::Refused));
        let roles = ["Key Vault Certificates Officer", "Key Vault Certificate User"];
        assert!(roles.iter().all(|role| trouble.remedy.contains(role)), "{}", trouble.remedy);
        assert!(!trouble.message.contains("PRIVATE"), "{}", trouble.message);
    }
}
