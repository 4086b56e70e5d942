//! Whose a place is: what is somebody else's is left alone, taken over or added to, as the resource says; and of two
//! resources with one place the older keeps it.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use keywright_sandbox::{
    azure::{Actor, Lag, SecretEdit},
    journal::Entry,
    witness::Fingerprint,
};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    manifests::merged,
    rotation::demand,
    town::{Course, PATIENCE, RESOURCE, Town, chain, change, insist, read, same},
};

/// Somebody's Secret of the name that is published to.
async fn theirs(course: &Course, type_: &str) -> Result<Secret, Failed> {
    let data = json!({"theirs": "their own", "AZURE_CLIENT_SECRET": "an old one"});
    let secret =
        json!({"metadata": {"name": RESOURCE, "labels": {"theirs": "yes"}}, "type": type_, "stringData": data});
    Ok(course.secrets().create(&PostParams::default(), &serde_json::from_value(secret)?).await?)
}

/// Declare how a Secret that exists is to be treated.
async fn claim(course: &Course, policy: &str, type_: Option<&str>) -> Result<(), Failed> {
    let template = type_.map_or(Value::Null, |type_| json!({"type": type_}));
    course.declare(&json!({"spec": {"publish": {"secret": {"creationPolicy": policy, "template": template}}}})).await
}

/// The text of every key of the published Secret.
async fn texts(course: &Course) -> Result<BTreeMap<String, String>, Failed> {
    let data = course.secrets().get(RESOURCE).await?.data.unwrap_or_default();
    Ok(data.into_iter().map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned())).collect())
}

/// Wait until only one of both targets has a problem, and is told with this reason.
async fn all_but_one(course: &Course, reason: &str, problem: &str) -> Result<(), Failed> {
    let told = course.told(RESOURCE, reason).await?;
    same("Ready", told.status.as_str(), "False")?;
    insist(told.message.contains(problem), told.message)?;
    course
        .until(|| async {
            let targets: Vec<Value> = read(&course.read(RESOURCE).await?, "/status/targets").unwrap_or_default();
            let as_is_right = |target: &Value| {
                let held_back = target["target"].as_str().is_some_and(|name| name.contains(problem));
                held_back != target["problem"].is_null() && held_back != (target["sequence"] == 1)
            };
            let right = targets.len() == 2 && targets.iter().all(as_is_right);
            Ok(if right { Ok(()) } else { Err(format!("the targets are {targets:?}")) })
        })
        .await
}

/// Somebody puts an entry into the vault.
fn put_entry(course: &Course) -> Result<(), Failed> {
    let put = course.azure.put_secret(&course.vault_name(), RESOURCE, "their own", SecretEdit::default());
    put.map(drop).map_err(chain)
}

/// Somebody takes it away for good.
async fn purge_entry(course: &Course) -> Result<(), Failed> {
    let vault = course.vault_name();
    course.azure.delete_secret(&vault, RESOURCE).map_err(chain)?;
    // It is deleted only after a while.
    let purged = || async { Ok(course.azure.purge_secret(&vault, RESOURCE).map_err(|error| format!("{error:#}"))) };
    course.until(purged).await
}

pub async fn a_secret_in_the_way_is_left_alone_and_all_else_published(town: Town) -> Result<(), Failed> {
    let course = town.course("secret-in-the-way").await?;
    let before = theirs(&course, "Opaque").await?;
    let operator = course.operator().await?;
    all_but_one(&course, "SecretNotOurs", "secret/payments-api").await?;
    course.settled("marker").await?;
    same("their Secret", course.secrets().get(RESOURCE).await?, before)?;
    course.secrets().delete(RESOURCE, &DeleteParams::default()).await?;
    course.is_carried_by(RESOURCE).await?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn an_entry_in_the_way_is_left_alone_and_all_else_published(town: Town) -> Result<(), Failed> {
    let course = town.course("entry-in-the-way").await?;
    put_entry(&course)?;
    let operator = course.operator().await?;
    all_but_one(&course, "VaultEntryNotOurs", "vault.azure.net/secrets/payments-api").await?;
    course.is_carried_by(RESOURCE).await?;
    course.settled("marker").await?;
    let changes = course.entry_changes(RESOURCE);
    insist(changes.iter().all(|change| change.by == Actor::Administrator), format!("{changes:?}"))?;
    purge_entry(&course).await?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn an_entry_that_comes_while_a_credential_is_on_its_way_is_left_alone(town: Town) -> Result<(), Failed> {
    let course = town.course("entry-comes-late").await?;
    let (tenant, never) = (course.payments.tenant, SignedDuration::from_hours(24));
    course.azure.set_weather(tenant, |weather| weather.sign_ins = Lag { least: never, most: never }).map_err(chain)?;
    let operator = course.operator().await?;
    course.told(RESOURCE, "Proving").await?;
    put_entry(&course)?;
    // A round through the vault shows what is ours there, and nothing of this entry.
    let number = course.azure.journal().len();
    let listed = |entry: &Entry| entry.number >= number && entry.verb == "listSecrets";
    course.azure.journal().wait_for(listed, PATIENCE).await.map_err(chain)?;
    // With the next change everybody learns of all earlier ones, and the proof succeeds within moments.
    course.azure.set_weather(tenant, |weather| weather.sign_ins = Lag::NONE).map_err(chain)?;
    course.azure.edit_application(&course.payments, |_| ()).map_err(chain)?;
    all_but_one(&course, "VaultEntryNotOurs", "vault.azure.net/secrets/payments-api").await?;
    let changes = course.entry_changes(RESOURCE);
    insist(changes.iter().all(|change| change.by == Actor::Administrator), format!("{changes:?}"))?;
    purge_entry(&course).await?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn nothing_is_minted_while_everything_is_in_the_way(town: Town) -> Result<(), Failed> {
    let course = town.course("all-in-the-way").await?;
    theirs(&course, "Opaque").await?;
    put_entry(&course)?;
    let operator = course.operator().await?;
    course.told(RESOURCE, "SecretNotOurs").await?;
    course.settled("marker").await?;
    insist(course.minted().await?.is_empty() && course.records().await?.is_empty(), "minted for no place at all")?;
    course.secrets().delete(RESOURCE, &DeleteParams::default()).await?;
    all_but_one(&course, "VaultEntryNotOurs", "vault.azure.net/secrets/payments-api").await?;
    purge_entry(&course).await?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn a_secret_that_is_adopted_is_taken_over_whole(town: Town) -> Result<(), Failed> {
    let course = town.undeclared("adopted").await?;
    let before = theirs(&course, "Opaque").await?;
    claim(&course, "Adopt", None).await?;
    let operator = course.operator().await?;
    course.is_carried_by(RESOURCE).await?;
    let now = course.secrets().get(RESOURCE).await?;
    same("its UID", now.uid(), before.uid())?;
    let keys: Vec<String> = texts(&course).await?.into_keys().collect();
    same(
        "its keys",
        keys,
        ["AUTHORITY_HOST", "CLIENT_ID", "CLIENT_SECRET", "TENANT_ID"].map(|key| format!("AZURE_{key}")).into(),
    )?;
    insist(!now.labels().contains_key("theirs"), "what others have labelled is left")?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn a_secret_of_another_type_is_adopted_only_as_what_it_is(town: Town) -> Result<(), Failed> {
    const TYPE: &str = "example.org/theirs";
    let course = town.undeclared("other-type").await?;
    let before = theirs(&course, TYPE).await?;
    claim(&course, "Adopt", None).await?;
    put_entry(&course)?; // so that there is no other place
    let operator = course.operator().await?;
    let told = course.told(RESOURCE, "SecretTypeDiffers").await?;
    insist(told.message.contains(TYPE) && told.message.contains("template.type"), told.message)?;
    course.settled("marker").await?;
    same("their Secret", course.secrets().get(RESOURCE).await?, before.clone())?;
    insist(course.minted().await?.is_empty(), "minted for no place at all")?;
    purge_entry(&course).await?;
    claim(&course, "Adopt", Some(TYPE)).await?;
    course.is_carried_by(RESOURCE).await?;
    let now = course.secrets().get(RESOURCE).await?;
    same("UID and type", (now.uid(), now.type_), (before.uid(), Some(TYPE.to_owned())))?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn what_is_merged_leaves_the_rest_to_its_owner(town: Town) -> Result<(), Failed> {
    let course = town.undeclared("merged").await?;
    let before = theirs(&course, "example.org/theirs").await?;
    claim(&course, "Merge", None).await?;
    // Whose field it is decides, not what is in it: their old value is the one thing that is in the way.
    let operator = course.operator().await?;
    let told = course.told(RESOURCE, "SecretNotOurs").await?;
    insist(told.message.contains("AZURE_CLIENT_SECRET"), told.message)?;
    change(&course.secrets(), RESOURCE, &json!({"data": {"AZURE_CLIENT_SECRET": null}})).await?;
    course.is_carried_by(RESOURCE).await?;
    course.told(RESOURCE, "Published").await?;

    for (marker, theirs, more) in [("first", "dGhlaXIgb3du", "b25l"), ("second", "Y2hhbmdlZA==", "dHdv")] {
        change(&course.secrets(), RESOURCE, &json!({"data": {"theirs": theirs, "more": more}})).await?;
        course.settled(marker).await?;
        let now = course.secrets().get(RESOURCE).await?;
        let has = |key: &str, coded: &str| json!(now.data)[key] == coded;
        insist(has("theirs", theirs) && has("more", more), "what is theirs does not stay")?;
        same(
            "type, UID and label",
            (&now.type_, now.uid(), now.labels().get("theirs")),
            (&before.type_, before.uid(), before.labels().get("theirs")),
        )?;
        course.is_carried_by(RESOURCE).await?;
    }
    change(&course.secrets(), RESOURCE, &json!({"data": {"AZURE_CLIENT_SECRET": null, "more": null}})).await?;
    course.is_carried_by(RESOURCE).await?;
    let keys = texts(&course).await?;
    same("their keys", (keys.get("theirs").map(String::as_str), keys.get("more")), (Some("changed"), None))?;
    course.ends_published(&operator, 1..=1).await
}

/// What was written whole before is ours to merge, at the next rotation, too.
pub async fn what_was_ours_alone_is_merged_from_then_on(town: Town) -> Result<(), Failed> {
    let course = town.course("shared-later").await?;
    let operator = course.operator().await?;
    course.told(RESOURCE, "Published").await?;
    let merging = json!({"spec": {"publish": {"secret": {"creationPolicy": "Merge"}}}});
    change(&course.resources(), RESOURCE, &merging).await?;
    course.settled("merging").await?;
    change(&course.secrets(), RESOURCE, &json!({"data": {"theirs": "dGhlaXIgb3du"}})).await?;
    demand(&course).await?;
    course
        .until(|| async {
            let current: Option<i64> = read(&course.read(RESOURCE).await?, "/status/current/sequence");
            Ok(if current == Some(2) { Ok(()) } else { Err(format!("{current:?} is published")) })
        })
        .await?;
    course.told(RESOURCE, "Published").await?;
    let texts = texts(&course).await?;
    let minted = course.minted().await?;
    let new = texts.get("AZURE_CLIENT_SECRET").map(Fingerprint::of);
    insist(new.is_some() && new == minted.last().map(|one| one.fingerprint), "it has not the new value")?;
    same("their key", texts.get("theirs").map(String::as_str), Some("their own"))?;
    course.ends_clean(&operator).await
}

pub async fn what_is_to_be_merged_waits_for_a_secret_to_be_there_and_free(town: Town) -> Result<(), Failed> {
    let course = town.undeclared("merging").await?;
    claim(&course, "Merge", None).await?;
    let operator = course.operator().await?;
    all_but_one(&course, "SecretMissing", "secret/payments-api").await?;
    let apply = async |data: Value| {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": RESOURCE}, "data": data});
        course.secrets().patch(RESOURCE, &PatchParams::apply("theirs"), &Patch::Apply(secret)).await
    };
    apply(json!({"theirs": "dGhlaXIgb3du", "AZURE_CLIENT_ID": "dGhlaXIgb3du"})).await?;
    let told = course.told(RESOURCE, "SecretNotOurs").await?;
    insist(told.message.contains("AZURE_CLIENT_ID") && told.message.contains("theirs"), told.message)?;
    same("their key", texts(&course).await?.remove("AZURE_CLIENT_ID"), Some("their own".to_owned()))?;
    apply(json!({"theirs": "dGhlaXIgb3du"})).await?;
    course.is_carried_by(RESOURCE).await?;
    same("their key", texts(&course).await?.remove("theirs"), Some("their own".to_owned()))?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn of_two_resources_with_one_target_the_older_keeps_it(town: Town) -> Result<(), Failed> {
    let course = town.course("two-of-one").await?;
    let operator = course.operator().await?;
    course.told(RESOURCE, "Published").await?;
    // They come before it in the alphabet, and yet are the younger ones.
    let secret = json!({"publish": {"secret": {"name": RESOURCE}}});
    course.resource("another", &json!({"spec": secret})).await?;
    let entry = json!({"publish": {"keyVaults": [course.entry(RESOURCE)]}});
    course.resource("one-more", &json!({"spec": entry})).await?;
    for (younger, place) in [("another", "secret/payments-api"), ("one-more", "vault.azure.net/secrets/payments-api")] {
        let told = course.told(younger, "TargetConflict").await?;
        same("Ready", told.status.as_str(), "False")?;
        let names = told.message.contains(place) && told.message.starts_with("payments-api publishes to ");
        insist(names, told.message)?;
    }
    // A name in a vault is one place, whatever it is to be there.
    let imported =
        json!({"publish": {"keyVaults": [merged(course.entry(RESOURCE), &json!({"objectType": "Certificate"}))]}});
    let certificate = json!({"clientSecret": null, "certificate": {"generate": {}}});
    course.resource("certified", &json!({"spec": merged(certificate, &imported)})).await?;
    let told = course.told("certified", "TargetConflict").await?;
    insist(told.message.contains("vault.azure.net/certificates/payments-api"), told.message)?;
    course.resources().delete("certified", &DeleteParams::default()).await?;
    course.settled("marker").await?;
    course.told(RESOURCE, "Published").await?;
    course.is_carried_by(RESOURCE).await?;
    same("minted", course.minted().await?.len(), 1)?;

    // What the older one leaves is still read by somebody, so it is for a person to clear.
    course.declare(&json!({"spec": {"publish": {"secret": {"name": "elsewhere"}}}})).await?;
    course.told("another", "SecretNotOurs").await?;
    course.is_carried_by("elsewhere").await?;
    course.secrets().delete(RESOURCE, &DeleteParams::default()).await?;
    course.told("another", "Published").await?;
    course.resources().delete(RESOURCE, &DeleteParams::default()).await?;
    course.told("one-more", "VaultEntryNotOurs").await?;
    course.comes_to_rest().await?;
    same("minted", course.minted().await?.len(), 2)?;
    course.ends_clean(&operator).await
}
