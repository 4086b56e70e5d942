//! Reading, writing, listing and disabling in a vault that lets the operator in.

use std::sync::Arc;

use jiff::SignedDuration;
use keywright::{
    api::{KeyId, Reason, publish::VaultObjectType},
    facts::{Effect, Holder, Nonce, Owner, Sequence, TargetState, VaultEntry},
    wire::InTime,
};
use keywright_sandbox::{
    Rule,
    azure::{Lag, SecretEdit, VAULT as SERVICE},
    faults::Action,
};
use secrecy::ExposeSecret;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::vaults::{VAULT, owner, present, projection, town, troubled};

#[tokio::test]
async fn what_is_not_there_is_absent() {
    let town = town().await;
    assert_eq!(town.read(None).await, TargetState::Absent);
    assert_eq!(town.vaults.value(&town.entry).await.unwrap_err().code.as_deref(), Some("SecretNotFound"));
}

#[tokio::test]
async fn what_was_written_is_seen_whole_and_agrees() {
    let town = town().await;
    let wanted = projection(7, "first~value");
    let written = town.write(&wanted).await.unwrap();
    assert_eq!((&written.holder, written.sequence), (&Holder::Owned(owner()), Some(Sequence(7))));
    assert_eq!((written.key_id, &written.nonce), (Some(KeyId(Uuid::from_u128(7))), &Some(Nonce::of([7; 10]))));
    assert!(written.agrees && written.version.len() == 32);
    assert_eq!(present(town.read(Some(&wanted)).await), written);
    assert!(!present(town.read(None).await).agrees, "nothing is wanted");
    assert!(!present(town.read(Some(&projection(8, "first~value"))).await).agrees);
    assert_eq!(town.vaults.value(&town.entry).await.unwrap().expose_secret(), "first~value");
    assert_eq!(town.tags(), wanted.tags);
    assert_eq!(town.versions(), 1);
}

#[tokio::test]
async fn what_others_have_written_is_nobodys_of_ours() {
    let town = town().await;
    town.by_hand("theirs", SecretEdit::default());
    let seen = present(town.read(Some(&projection(1, "theirs"))).await);
    assert_eq!((seen.holder, seen.key_id, seen.agrees), (Holder::Unowned, None, false));
}

#[tokio::test]
async fn a_value_that_was_changed_by_hand_no_longer_agrees() {
    let town = town().await;
    let wanted = projection(1, "ours");
    town.published(1, "ours").await;
    let tags = Some(town.tags());
    town.by_hand("theirs", SecretEdit { tags, ..SecretEdit::default() });
    let seen = present(town.read(Some(&wanted)).await);
    assert_eq!((seen.holder, seen.agrees), (Holder::Owned(owner()), false));
    assert!(town.write(&wanted).await.unwrap().agrees);
}

/// A PUT always makes a version: so whoever lost the answer reads, compares, and only then decides.
#[tokio::test]
async fn a_write_whose_answer_is_lost_is_exactly_one_version() {
    for lost in [Action::CutAfter, Action::Truncate(10)] {
        let town = town().await;
        town.published(1, "old").await;
        town.azure.faults().add(Rule::at(SERVICE, "setSecret", "**").nth(1).then(lost));
        let wanted = projection(2, "new");
        let trouble = town.write(&wanted).await.unwrap_err();
        assert_eq!((trouble.reason, trouble.effect), (Reason::Unreachable, Effect::Unknown));
        assert!(present(town.read(Some(&wanted)).await).agrees, "it had arrived, so nothing is written again");
        assert_eq!((town.versions(), town.asked("setSecret")), (2, 2));
    }
}

#[tokio::test]
async fn a_write_that_never_arrived_is_seen_not_to_have() {
    let town = town().await;
    town.published(1, "old").await;
    town.azure.faults().add(Rule::at(SERVICE, "setSecret", "**").nth(1).cut_before());
    let wanted = projection(2, "new");
    assert_eq!(town.write(&wanted).await.unwrap_err().effect, Effect::Unknown);
    assert!(!present(town.read(Some(&wanted)).await).agrees);
    assert!(town.write(&wanted).await.unwrap().agrees);
    assert_eq!((town.versions(), town.asked("setSecret")), (2, 3));
}

#[tokio::test]
async fn a_write_that_cannot_be_read_back_is_unknown() {
    let town = town().await;
    town.azure.faults().add(Rule::at(SERVICE, "getSecret", "**").times(1).answer(503));
    let trouble = town.write(&projection(1, "new")).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.effect, town.versions()), (Reason::Unreachable, Effect::Unknown, 1));
    assert!(trouble.message.starts_with("could not read back secret payments-api"), "{}", trouble.message);
}

/// Each client asks its vault once where to sign in; clones of it would ask again and again.
#[tokio::test]
async fn a_vault_is_asked_once_where_to_sign_in() {
    let town = town().await;
    for _ in 0..3 {
        town.read(None).await;
    }
    town.published(1, "new").await;
    let count = |verb: &str| town.azure.journal().count(|entry| entry.verb == verb);
    assert_eq!(town.azure.journal().count(|entry| entry.status == Some(401)), 1);
    assert_eq!((count("signIn"), count("setSecret")), (1, 1));
}

#[tokio::test]
async fn many_at_once_share_one_client_and_one_token() {
    let town = town().await;
    town.published(1, "ours").await;
    let (vaults, before) = (Arc::new(town.vaults), town.azure.journal().len());
    let mut reads = JoinSet::new();
    for _ in 0..20 {
        let (vaults, entry) = (Arc::clone(&vaults), town.entry.clone());
        reads.spawn(async move { vaults.read(&entry, Some(&projection(1, "ours"))).await });
    }
    assert!(reads.join_all().await.into_iter().all(|state| present(state).agrees));
    assert_eq!(town.azure.journal().len() - before, 20, "no challenge and no sign-in among them");
}

#[tokio::test]
async fn a_deleted_name_is_taken_and_is_not_recovered() {
    let town = town().await;
    town.published(1, "old").await;
    town.azure.delete_secret(VAULT, town.entry.name.as_str()).unwrap();
    let trouble = troubled(town.read(None).await);
    assert_eq!(trouble.reason, Reason::VaultEntryDeleted);
    assert!(trouble.message.contains("recoverable until 2"), "{}", trouble.message);
    let trouble = town.write(&projection(2, "new")).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.effect), (Reason::VaultEntryDeleted, Effect::Refused));
    assert_eq!(trouble.code.as_deref(), Some("ObjectIsDeletedButRecoverable"));
    assert_eq!(town.asked("recoverDeletedSecret"), 0);
    town.azure.purge_secret(VAULT, town.entry.name.as_str()).unwrap();
    assert_eq!(town.read(None).await, TargetState::Absent);
}

#[tokio::test]
async fn deletions_and_recoveries_under_way_are_told_by_the_write() {
    let town = town().await;
    let slow = Lag { least: SignedDuration::ZERO, most: SignedDuration::from_hours(1) };
    town.published(1, "old").await;
    town.azure.delete_secret(VAULT, town.entry.name.as_str()).unwrap();
    town.azure.edit_vault(VAULT, |settings| settings.recovery_lag = slow).unwrap();
    town.azure.recover_secret(VAULT, town.entry.name.as_str()).unwrap();
    assert!(matches!(town.read(None).await, TargetState::Present(_)), "it can be read before it can be written to");
    let refused = async || town.write(&projection(2, "new")).await.unwrap_err();
    let trouble = refused().await;
    assert_eq!((trouble.reason, trouble.code.as_deref()), (Reason::VaultEntryDeleted, Some("ObjectIsBeingRecovered")));
    let long = Lag { least: slow.most, ..slow };
    town.azure.edit_vault(VAULT, |settings| settings.deletion_lag = long).unwrap();
    town.azure.put_secret(VAULT, "other", "x", SecretEdit::default()).unwrap();
    town.azure.delete_secret(VAULT, "other").unwrap();
    let other = VaultEntry::secret(&town.entry.url, &"other".into());
    assert_eq!(town.vaults.read(&other, None).await, TargetState::Absent, "neither here nor deleted yet");
    let trouble = town.vaults.write(&other, &projection(2, "new"), InTime::always()).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.code.as_deref()), (Reason::VaultEntryDeleted, Some("ObjectIsBeingDeleted")));
}

/// Drift of a whole vault: pages without values, whatever else is in it.
#[tokio::test]
async fn a_list_has_every_entry_of_ours_from_every_page_and_no_value() {
    let town = town().await;
    let tags = projection(3, "x").tags;
    for number in 0..60 {
        let tags = (number % 2 == 0).then(|| tags.clone());
        town.azure
            .put_secret(VAULT, &format!("Entry-{number:02}"), "v", SecretEdit { tags, ..SecretEdit::default() })
            .unwrap();
    }
    let off = SecretEdit { enabled: Some(false), ..SecretEdit::default() };
    town.azure.edit_secret(VAULT, "entry-00", None, off).unwrap();
    let listed = town.vaults.list(&town.entry.url, VaultObjectType::Secret).await.unwrap();
    let names: Vec<String> = listed.iter().map(|entry| entry.name.to_string()).collect();
    let expected: Vec<String> = (0..60).step_by(2).map(|number| format!("entry-{number:02}")).collect();
    assert_eq!(names, expected);
    assert!(listed.iter().all(|entry| entry.tags.sequence == Some(Sequence(3)) && entry.updated.is_some()));
    assert_eq!(listed.iter().filter(|entry| !entry.enabled).count(), 1);
    assert_eq!((town.asked("listSecrets"), town.asked("getSecret")), (3, 0));
}

#[tokio::test]
async fn an_old_version_of_ours_is_taken_out_of_use_and_the_latest_stays() {
    let town = town().await;
    let (old, new) = (town.published(1, "old").await, town.published(2, "new").await);
    for _ in 0..2 {
        town.vaults.disable(&town.entry, &old.version, &owner()).await.unwrap();
    }
    let versions = town.vaults.versions(&town.entry).await.unwrap();
    let told: Vec<_> = versions.iter().map(|version| (version.id.as_str(), version.enabled)).collect();
    assert_eq!(told.len(), 2);
    assert!(told.contains(&(&old.version, false)) && told.contains(&(&new.version, true)), "{told:?}");
    assert_eq!(town.asked("updateSecret"), 1, "what is out of use already is left alone");
    assert!(present(town.read(Some(&projection(2, "new"))).await).agrees);
    let kept = versions.iter().find(|version| version.id == old.version).unwrap();
    assert_eq!(kept.tags.sequence, Some(Sequence(1)), "its tags still say what it was");
}

#[tokio::test]
async fn a_version_of_somebody_else_is_left_alone() {
    let town = town().await;
    town.by_hand("theirs", SecretEdit::default());
    let theirs = present(town.read(None).await).version;
    let ours = town.published(1, "ours").await.version;
    let other = Owner::of("cluster", "payments", "other");
    for (version, owner) in [(&theirs, owner()), (&ours, other)] {
        let trouble = town.vaults.disable(&town.entry, version, &owner).await.unwrap_err();
        assert_eq!((trouble.reason, trouble.effect), (Reason::VaultEntryNotOurs, Effect::NotSent));
    }
    assert_eq!(town.asked("updateSecret"), 0);
    let nothing = VaultEntry::secret(&town.entry.url, &"nothing".into());
    let gone = town.vaults.disable(&nothing, &ours, &owner()).await;
    assert_eq!(gone, Ok(()), "what is not there is not in use");
}

#[tokio::test]
async fn names_and_urls_have_no_case() {
    let town = town().await;
    town.published(1, "ours").await;
    let shouted = VaultEntry::secret(&"https://KV-Payments.vault.azure.net/".into(), &"PAYMENTS-API".into());
    let shouted = town.vaults.read(&shouted, None).await;
    assert_eq!(present(shouted).sequence, Some(Sequence(1)));
    assert_eq!(town.azure.journal().count(|entry| entry.status == Some(401)), 1, "one client for both spellings");
}
