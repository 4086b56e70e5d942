//! Records are Secrets like others: somebody deletes one, with or without waiting for us, or writes one that is none of
//! ours. What can be told apart by evidence ends as it has to; the rest is told, and never guessed.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use keywright_sandbox::{Operator, azure::Password};
use kube::{
    ResourceExt,
    api::{DeleteParams, PostParams},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::town::{Course, RESOURCE, STAGES, Stage, Town, chain, change, in_lanes, insist, read, same};

/// As long as a request is held up for somebody to come between.
const A_WHILE: Duration = Duration::from_secs(2);

/// One run for each stage, in which records are deleted while the request that ends it is held up.
async fn deleted_at_every_stage(
    town: &Town,
    name: &str,
    delete: impl AsyncFn(&Course, &Secret) -> Result<(), Failed>,
    ends: impl AsyncFn(&Course, &Stage, &Operator) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let cases = STAGES.map(|stage| (format!("{name}-{}", stage.name), stage));
    in_lanes(cases, async |name, stage| {
        let course = town.course(&name).await?;
        course.hold(&stage, A_WHILE);
        let operator = course.operator().await?;
        course.is_held(&stage).await?;
        for record in course.records().await? {
            delete(&course, &record).await?;
        }
        course.is_through(&stage).await?;
        ends(&course, &stage, &operator).await
    })
    .await?;
    Ok(())
}

async fn delete(course: &Course, record: &Secret) -> Result<(), Failed> {
    course.secrets().delete(&record.name_any(), &DeleteParams::default()).await?;
    Ok(())
}

/// What is on its way still has its evidence, and is given up by it; what is published is found at its targets.
pub async fn a_record_that_somebody_deletes_at_any_stage_costs_no_more_than_a_credential(
    town: Town,
) -> Result<(), Failed> {
    let ends = async |course: &Course, stage: &Stage, operator: &Operator| {
        let on_its_way = ["minting", "keeping", "proving", "publishing"].contains(&stage.name);
        let minted = if on_its_way { 2 } else { 1 };
        course.ends_published(operator, minted..=minted).await
    };
    deleted_at_every_stage(&town, "deleted", delete, ends).await
}

/// With its finalizer the evidence goes. Whoever holds the value in memory, or finds it at a target, still knows what it
/// is; else a credential is left over that nobody can tell from one in use.
pub async fn a_record_that_somebody_tears_away_at_any_stage_leaves_what_is_told_until_it_is_acknowledged(
    town: Town,
) -> Result<(), Failed> {
    let tear = async |course: &Course, record: &Secret| {
        change(&course.secrets(), &record.name_any(), &json!({"metadata": {"finalizers": null}})).await?;
        delete(course, record).await
    };
    let ends = async |course: &Course, stage: &Stage, operator: &Operator| match stage.name {
        "proving" | "publishing" => {
            course.told(RESOURCE, "Published").await?;
            let [unknown, _] = &course.ours()?[..] else { return Err("there are not two credentials of ours".into()) };
            is_told_until_it_is_acknowledged(course, unknown).await?;
            // A person may, and nobody else.
            course.azure.remove_password(&course.payments, unknown.key_id).map_err(chain)?;
            course.ends_published(operator, 2..=2).await
        }
        "minting" | "keeping" => course.ends_published(operator, 2..=2).await,
        _ => course.ends_published(operator, 1..=1).await,
    };
    deleted_at_every_stage(&town, "torn", tear, ends).await
}

async fn is_told_until_it_is_acknowledged(course: &Course, unknown: &Password) -> Result<(), Failed> {
    let retiring = || async {
        let told: Option<Vec<Value>> = read(&course.read(RESOURCE).await?, "/status/retiring");
        Ok::<_, Failed>(told.unwrap_or_default())
    };
    let key_id = unknown.key_id.to_string();
    let (word, remedy) = ("UnknownCredential", format!("keywright.dev/forget={key_id}"));
    course
        .until(|| async {
            let told = retiring().await?;
            let is_told = told.len() == 1 && told[0]["keyId"] == key_id.as_str();
            let text = told.first().map(|one| one["waitingFor"].to_string()).unwrap_or_default();
            let is_told = is_told && text.contains(word) && text.contains(&remedy);
            Ok(if is_told { Ok(()) } else { Err(format!("told is {told:?}")) })
        })
        .await?;
    course
        .until(|| async {
            let events = course.events(RESOURCE).await?;
            let is_told = events.iter().any(|(reason, note)| reason == word && note.contains(&remedy));
            Ok(if is_told { Ok(()) } else { Err(format!("the Events are {events:?}")) })
        })
        .await?;
    let forget = json!({"metadata": {"annotations": {"keywright.dev/forget": key_id}}});
    change(&course.resources(), RESOURCE, &forget).await?;
    course
        .until(|| async {
            let told = retiring().await?;
            Ok(if told.is_empty() { Ok(()) } else { Err(format!("told is still {told:?}")) })
        })
        .await?;
    course.settled("marker").await?;
    same("credentials of ours", course.ours()?.len(), 2)
}

pub async fn the_record_of_a_published_credential_is_written_anew_from_a_target(town: Town) -> Result<(), Failed> {
    let course = town.course("written-anew").await?;
    let operator = course.operator().await?;
    course.told(RESOURCE, "Published").await?;
    course.comes_to_rest().await?;
    for round in ["first", "second"] {
        // The second time only the vault has it.
        if round == "second" {
            operator.pause();
            course.secrets().delete(RESOURCE, &DeleteParams::default()).await?;
        }
        for record in course.records().await? {
            delete(&course, &record).await?;
        }
        operator.resume();
        course.told(RESOURCE, "Proving").await?;
        course.told(RESOURCE, "Published").await?;
        course.is_carried_by(RESOURCE).await?;
    }
    course.ends_published(&operator, 1..=1).await
}

/// What somebody writes into a record of theirs.
struct Forgery {
    name: &'static str,
    /// Whose value is in it: that of a credential that somebody made by hand, or none of anybody's.
    signs_in: bool,
    stage: Option<&'static str>,
    /// Whether it is in the way until it is deleted, and told.
    is_told: bool,
}

const FORGERIES: [Forgery; 4] = [
    Forgery { name: "published", signs_in: true, stage: Some("publishing"), is_told: true },
    Forgery { name: "proven", signs_in: true, stage: None, is_told: true },
    // These are given up, or were, and forgotten in time.
    Forgery { name: "useless", signs_in: false, stage: None, is_told: false },
    Forgery { name: "abandoned", signs_in: true, stage: Some("abandoned"), is_told: false },
];

impl Forgery {
    /// A record under this name.
    fn record(&self, name: &str, course: &Course) -> Result<Secret, Failed> {
        let (owner, sequence) = name.trim_start_matches("kw-").rsplit_once('-').ok_or("no name of a record")?;
        let by_hand = by_hand(course)?;
        let (then, value) = ("2026-01-01T00:00:00Z", if self.signs_in { by_hand.value.as_str() } else { "nonsense" });
        let attempts = json!([{"nonce": "aaaaaaaaaaaaaaaa", "holder": "somebody", "at": then}]);
        let mut annotations = json!({
            "keywright.dev/resource": RESOURCE, "keywright.dev/tenant-id": course.payments.tenant,
            "keywright.dev/client-id": course.payments.client_id, "keywright.dev/kind": "ClientSecret",
            "keywright.dev/sequence": sequence, "keywright.dev/attempts": attempts.to_string(),
            "keywright.dev/key-id": by_hand.key_id, "keywright.dev/issued-at": then,
        });
        if let Some(stage) = self.stage {
            annotations["keywright.dev/stage"] = stage.into();
        }
        let metadata = json!({"name": name, "labels": {"keywright.dev/owner": owner}, "annotations": annotations});
        Ok(serde_json::from_value(json!({
            "metadata": metadata, "type": "keywright.dev/record", "immutable": true, "stringData": {"value": value},
        }))?)
    }
}

fn by_hand(course: &Course) -> Result<Password, Failed> {
    let all = course.azure.passwords(&course.payments).map_err(chain)?;
    all.into_iter()
        .find(|one| one.key_id == course.by_hand)
        .ok_or_else(|| "somebody has removed what was made by hand".into())
}

/// Wait until a forged record is told, under its name.
async fn forgery_is_told(course: &Course, name: &str) -> Result<(), Failed> {
    let told = course.told(RESOURCE, "RecordForged").await?;
    same("Ready", told.status.as_str(), "False")?;
    let by_hand: Uuid = course.by_hand;
    insist(told.message.contains(name) && told.message.contains(&by_hand.to_string()), told.message)
}

pub async fn a_forged_record_is_never_published_and_harms_no_credential(town: Town) -> Result<(), Failed> {
    let cases = FORGERIES.map(|forgery| (format!("forged-{}", forgery.name), forgery));
    in_lanes(cases, async |name, forgery| {
        let course = town.undeclared(&name).await?;
        // A dry run tells how its first record will be called.
        // One whose value signs in is not given up, however long that takes; the other is not waited for.
        let timeout = if forgery.signs_in { "30s" } else { "3s" };
        course.declare(&json!({"spec": {"suspend": true, "verification": {"timeout": timeout}}})).await?;
        let operator = course.operator().await?;
        let told = course.told(RESOURCE, "Suspended").await?.message;
        let record =
            told.split_whitespace().map(|word| word.trim_end_matches('.')).find(|word| word.starts_with("kw-"));
        let record = record.ok_or_else(|| format!("no record is named: {told}"))?.to_owned();
        course.secrets().create(&PostParams::default(), &forgery.record(&record, &course)?).await?;
        change(&course.resources(), RESOURCE, &json!({"spec": {"suspend": false}})).await?;
        if forgery.is_told {
            forgery_is_told(&course, &record).await?;
            course.settled("marker").await?;
            insist(course.minted().await?.is_empty() && course.ever_published().await?.is_empty(), "it was believed")?;
            delete(&course, &course.secrets().get(&record).await?).await?;
        }
        course.ends_published(&operator, 1..=1).await
    })
    .await?;
    Ok(())
}

pub async fn a_record_that_is_forged_over_a_published_one_changes_no_target(town: Town) -> Result<(), Failed> {
    let cases = [("forged-later", false), ("forged-over", true)].map(|(name, over)| (name.to_owned(), over));
    in_lanes(cases, async |name, over| {
        let course = town.course(&name).await?;
        let operator = course.operator().await?;
        course.deploy("web", 1, RESOURCE).await?;
        course.told(RESOURCE, "Published").await?;
        course.comes_to_rest().await?;
        let before = course.secrets().get(RESOURCE).await?;
        let record = course.records().await?.pop().ok_or("there is no record")?.name_any();
        let forged = if over { record } else { format!("{}-2", record.trim_end_matches("-1")) };
        operator.pause(); // else it would be quicker
        if over {
            delete(&course, &course.secrets().get(&forged).await?).await?;
        }
        course.secrets().create(&PostParams::default(), &FORGERIES[0].record(&forged, &course)?).await?;
        operator.resume();
        forgery_is_told(&course, &forged).await?;
        course.settled("marker").await?;
        course.pods_sign_in_again(5).await?;
        same("the published Secret", course.secrets().get(RESOURCE).await?, before)?;
        delete(&course, &course.secrets().get(&forged).await?).await?;
        course.ends_published(&operator, 1..=1).await
    })
    .await?;
    Ok(())
}
