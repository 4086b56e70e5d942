//! A vault that does not let the operator in, or does not answer: each way with its own remedy.

use std::time::{Duration, Instant};

use keywright::{
    api::{Reason, publish::VaultObjectType},
    facts::{Effect, Service, TargetState, Trouble},
    vault::Vaults,
    wire::InTime,
};
use keywright_sandbox::{
    Rule,
    azure::{Access, Action, Grant, Limit, Network, Role, SecretEdit, TOKEN, VAULT as SERVICE},
    faults,
};

use crate::{
    place::{PATIENCE, application, through},
    vaults::{SUFFIX, Town, VAULT, credential, owner, projection, town, town_with, troubled},
};

/// Reads and writes meet the same refusal; it is the write's.
async fn refused(town: &Town) -> Trouble {
    let read = troubled(town.read(None).await);
    let written = town.write(&projection(1, "hush-hush")).await.unwrap_err();
    let listed = town.vaults.list(&town.entry.url, VaultObjectType::Secret).await.unwrap_err();
    assert_eq!((read.reason, listed.reason), (written.reason, written.reason));
    for trouble in [&read, &written, &listed] {
        assert!(!format!("{trouble:?}").contains("hush") && !trouble.remedy.is_empty(), "{trouble:?}");
        assert!(trouble.message.contains(town.entry.url.as_str()), "{}", trouble.message);
    }
    written
}

fn code(trouble: &Trouble) -> &str {
    trouble.code.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn without_a_role_the_remedy_names_one() {
    let town = town_with(|principal| Grant { principal, actions: vec![], secret: None }).await;
    let trouble = refused(&town).await;
    assert_eq!((trouble.reason, code(&trouble)), (Reason::VaultForbidden, "ForbiddenByRbac"));
    assert_eq!((trouble.effect, trouble.service), (Effect::Refused, Service::KeyVault));
    assert!(trouble.remedy.contains("Key Vault Secrets Officer"), "{}", trouble.remedy);
    assert!(trouble.message.contains("setSecret/action") && trouble.at.is_some(), "{trouble:?}");
}

#[tokio::test]
async fn without_an_access_policy_the_remedy_names_permissions() {
    let town = town_with(|principal| Grant { principal, actions: vec![], secret: None }).await;
    town.azure.edit_vault(VAULT, |settings| settings.access = Access::Policies).unwrap();
    for _ in 0..8 {
        let trouble = refused(&town).await;
        assert_eq!(trouble.reason, Reason::VaultForbidden);
        assert!(["ForbiddenByPolicy", "AccessDenied"].contains(&code(&trouble)), "{}", code(&trouble));
        assert!(trouble.remedy.contains("Get, List and Set"), "{}", trouble.remedy);
    }
}

#[tokio::test]
async fn firewalls_and_private_endpoints_are_told_apart() {
    let town = town().await;
    for (network, inner, remedy) in [
        (Network::Firewall, "ForbiddenByFirewall", "firewall"),
        (Network::Private, "ForbiddenByConnection", "private endpoints only"),
    ] {
        town.azure.edit_vault(VAULT, |settings| settings.network = network).unwrap();
        let trouble = refused(&town).await;
        assert_eq!((trouble.reason, code(&trouble)), (Reason::VaultUnreachable, inner));
        assert!(trouble.remedy.contains(remedy), "{}", trouble.remedy);
    }
}

#[tokio::test]
async fn a_disabled_entry_is_not_enabled_unasked() {
    let town = town().await;
    town.published(1, "ours").await;
    let off = SecretEdit { enabled: Some(false), ..SecretEdit::default() };
    town.azure.edit_secret(VAULT, town.entry.name.as_str(), None, off).unwrap();
    let trouble = troubled(town.read(Some(&projection(1, "ours"))).await);
    assert_eq!((trouble.reason, code(&trouble)), (Reason::VaultForbidden, "SecretDisabled"));
    assert!(trouble.remedy.contains("disabled"), "{}", trouble.remedy);
}

/// Who may read and write one secret may be forbidden to look at what is deleted; the write says that it is.
#[tokio::test]
async fn what_is_deleted_may_be_hidden_from_a_reader() {
    let grant = |principal| Grant { principal, actions: vec![Action::Get, Action::Set], secret: None };
    let town = town_with(grant).await;
    town.published(1, "ours").await;
    town.azure.delete_secret(VAULT, town.entry.name.as_str()).unwrap();
    assert_eq!(town.read(None).await, TargetState::Absent);
    assert_eq!(town.write(&projection(2, "new")).await.unwrap_err().reason, Reason::VaultEntryDeleted);
}

#[tokio::test]
async fn a_vault_of_another_tenant_is_told_as_such() {
    let mut town = town().await;
    let elsewhere = town.azure.seed_tenant();
    let (stranger, secret) = application(&town.azure, elsewhere, "stranger");
    town.vaults = Vaults::new(town.http.clone(), credential(&town.http, &stranger, &secret.value), SUFFIX.into());
    let trouble = refused(&town).await;
    assert_eq!((trouble.reason, code(&trouble)), (Reason::VaultForbidden, "AKV10032"));
    assert!(trouble.remedy.contains("another tenant"), "{}", trouble.remedy);
}

#[tokio::test]
async fn a_vault_whose_host_no_proxy_knows_is_not_found() {
    let mut town = town().await;
    town.entry.url = "https://kv-typo.vault.contoso.test".into();
    let credential = credential(&town.http, &town.operator, &town.secret.value);
    town.vaults = Vaults::new(town.http.clone(), credential, "vault.contoso.test".into());
    let trouble = refused(&town).await;
    assert_eq!((trouble.reason, trouble.effect), (Reason::VaultNotFound, Effect::NotSent));
}

#[tokio::test]
async fn without_a_way_out_nothing_was_sent() {
    let mut town = town().await;
    let http = through(&town.azure, "http://127.0.0.1:1").build().unwrap();
    town.vaults = Vaults::new(http.clone(), credential(&http, &town.operator, &town.secret.value), SUFFIX.into());
    let trouble = refused(&town).await;
    assert_eq!((trouble.reason, trouble.effect), (Reason::Unreachable, Effect::NotSent));
}

/// A token for Key Vault opens every vault, so it goes to no host that only looks like one.
#[tokio::test]
async fn a_host_outside_the_cloud_is_never_asked() {
    let mut town = town().await;
    for url in ["https://kv-payments.vault.azure.cn", "https://kv-payments.vault.azure.net.evil.example"] {
        town.entry.url = url.into();
        let trouble = refused(&town).await;
        assert_eq!((trouble.reason, trouble.effect), (Reason::VaultNotFound, Effect::NotSent));
        assert!(trouble.message.contains("<name>.vault.azure.net"), "{}", trouble.message);
    }
    assert!(town.azure.journal().is_empty());
}

/// A vault of another cloud asks for a token of that cloud.
#[tokio::test]
async fn a_vault_of_another_cloud_gets_no_token_of_ours() {
    let mut town = town().await;
    town.entry.url = "https://kv-payments.vault.azure.cn".into();
    let credential = credential(&town.http, &town.operator, &town.secret.value);
    town.vaults = Vaults::new(town.http.clone(), credential, "vault.azure.cn".into());
    town.azure.journal().keep_bodies(true);
    town.read(None).await;
    let entries = town.azure.journal().entries();
    let scopes: Vec<&str> = entries.iter().filter_map(|entry| entry.body.as_deref()).collect();
    assert!(scopes.iter().any(|body| body.contains("vault.azure.cn%2F.default")), "{scopes:?}");
    assert!(!scopes.iter().any(|body| body.contains("vault.azure.net")), "{scopes:?}");
}

#[tokio::test]
async fn a_throttled_vault_says_how_long_and_is_not_asked_again() {
    let town = town().await;
    town.published(1, "old").await;
    let wait = Duration::from_secs(7);
    let puts = town.asked("setSecret");
    town.azure.faults().add(Rule::at(SERVICE, "setSecret", "**").nth(1).throttle(429, wait));
    let trouble = town.write(&projection(2, "new")).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.retry_after), (Reason::Throttled, Some(wait)));
    assert_eq!((trouble.effect, town.asked("setSecret") - puts), (Effect::Refused, 1));
    town.azure
        .edit_vault(VAULT, |settings| settings.creates = Limit::new(0, jiff::SignedDuration::from_secs(10)))
        .unwrap();
    let trouble = town.write(&projection(2, "new")).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.effect, town.versions()), (Reason::Throttled, Effect::Refused, 1));
}

#[tokio::test]
async fn a_vault_in_trouble_leaves_a_write_unknown_and_unrepeated() {
    let town = town().await;
    town.published(1, "old").await;
    for status in [500, 503] {
        let puts = town.asked("setSecret");
        town.azure.faults().add(Rule::at(SERVICE, "setSecret", "**").nth(1).answer(status));
        let trouble = town.write(&projection(2, "new")).await.unwrap_err();
        assert_eq!((trouble.reason, trouble.effect), (Reason::Unreachable, Effect::Unknown));
        assert_eq!(town.asked("setSecret") - puts, 1, "sent once");
    }
    town.azure.faults().add(Rule::at(SERVICE, "*", "**").nth(1).answer(503));
    assert_eq!(troubled(town.read(None).await).reason, Reason::Unreachable);
}

#[tokio::test]
async fn silence_ends_with_the_clients_patience() {
    let town = town().await;
    town.published(1, "old").await;
    town.azure.faults().add(Rule::at(SERVICE, "setSecret", "**").nth(1).hang());
    let begin = Instant::now();
    let trouble = town.write(&projection(2, "new")).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.effect), (Reason::Unreachable, Effect::Unknown));
    assert!(begin.elapsed() >= PATIENCE && begin.elapsed() < PATIENCE * 5, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_write_that_is_too_late_when_the_token_is_there_is_not_sent() {
    let town = town().await;
    town.azure.faults().add(Rule::at(TOKEN, "signIn", "**").delay(PATIENCE / 2));
    let since = Instant::now();
    let in_time = InTime::so_long_as(move || since.elapsed() < PATIENCE / 4);
    let trouble = town.vaults.write(&town.entry, &projection(1, "new"), in_time).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.effect), (Reason::Unreachable, Effect::NotSent), "{}", trouble.message);
    assert!(trouble.message.contains("too old before there was a token"), "{}", trouble.message);
    assert_eq!(town.read(None).await, TargetState::Absent);
}

/// What is sent may be sent back, and a value must not get into a message that way.
#[tokio::test]
async fn an_answer_that_repeats_the_value_is_not_quoted() {
    for (status, body) in [
        (400, r#"{"error":{"code":"BadParameter","message":"The value hush-hush is invalid"}}"#),
        (200, r#"{"id":5,"value":"hush-hush"}"#),
        (403, "<html>hush-hush</html>"),
        (403, r#"{"error":{"code":"Forbidden","message":"you may not write hush-hush"}}"#),
        (502, "hush-hush"),
    ] {
        let town = town().await;
        town.read(None).await;
        let action = faults::Action::Answer { status, retry_after: None, body: Some(body.into()) };
        town.azure.faults().add(Rule::at(SERVICE, "*", "**").times(2).then(action));
        let trouble = town.write(&projection(1, "hush-hush")).await.unwrap_err();
        assert!(!format!("{trouble:?}").contains("hush"), "{trouble:?}");
        assert!(!trouble.remedy.is_empty());
    }
}

#[tokio::test]
async fn an_operator_that_cannot_sign_in_says_so() {
    let mut town = town().await;
    town.vaults = Vaults::new(town.http.clone(), credential(&town.http, &town.operator, "wrong"), SUFFIX.into());
    let trouble = refused(&town).await;
    assert_eq!((trouble.reason, trouble.service), (Reason::OperatorCannotSignIn, Service::Token));
    assert_eq!(trouble.effect, Effect::NotSent);
    assert!(trouble.message.contains("AADSTS7000215") && trouble.trace_id.is_some(), "{trouble:?}");
    let credential = credential(&town.http, &town.operator, &town.secret.value);
    town.vaults = Vaults::new(town.http.clone(), credential, SUFFIX.into());
    town.azure.faults().add(Rule::at(TOKEN, "signIn", "**").throttle(429, Duration::from_mins(1)));
    let trouble = refused(&town).await;
    assert_eq!((trouble.reason, trouble.service), (Reason::Throttled, Service::Token));
    assert_eq!(trouble.retry_after, Some(Duration::from_mins(1)));
    town.azure.faults().clear();
    town.azure.faults().add(Rule::at(TOKEN, "signIn", "**").answer(503));
    assert_eq!(refused(&town).await.reason, Reason::Unreachable);
}

#[tokio::test]
async fn disabling_without_the_right_to_says_what_is_missing() {
    let town = town().await;
    let old = town.published(1, "old").await.version;
    town.azure.revoke(VAULT, town.operator.principal).unwrap();
    town.azure.seed_grant(VAULT, Grant::role(town.operator.principal, Role::SecretsUser, None)).unwrap();
    let trouble = town.vaults.disable(&town.entry, &old, &owner()).await.unwrap_err();
    assert_eq!((trouble.reason, code(&trouble)), (Reason::VaultForbidden, "ForbiddenByRbac"));
    assert!(trouble.message.starts_with("could not disable a version of secret payments-api"), "{}", trouble.message);
}
