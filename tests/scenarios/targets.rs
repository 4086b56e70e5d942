//! What others do to what is published. It is repaired from the record, without a mint; where it cannot be, that is told,
//! nothing is written over, and it is written again when the way is free.

use k8s_openapi::api::core::v1::Secret;
use keywright_sandbox::{
    Operator,
    azure::{SecretChange, SecretWhat},
};
use kube::{
    ResourceExt,
    api::{DeleteParams, ObjectMeta, PostParams},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    manifests::merged,
    town::{Course, RESOURCE, Town, change, in_lanes, insist, read, same},
};

/// The label by which a Secret is ours.
const OWNER: &str = "keywright.dev/owner";

/// A credential that is published under this name, with a label and a key that a template makes.
async fn declare(course: &Course, secret: &str) -> Result<(), Failed> {
    let template = json!({"metadata": {"labels": {"team": "payments"}}, "data": {"id": "{{ clientId }}"}});
    course.declare(&json!({"spec": {"publish": {"secret": {"name": secret, "template": template}}}})).await
}

async fn published(town: &Town, name: &str) -> Result<(Course, Operator), Failed> {
    let course = town.undeclared(name).await?;
    declare(&course, RESOURCE).await?;
    let operator = course.operator().await?;
    course.told(RESOURCE, "Published").await?;
    course.comes_to_rest().await?;
    Ok((course, operator))
}

/// What a Secret is to those who read it, and to us.
fn essence(secret: &Secret) -> Value {
    json!({
        "labels": secret.labels(), "annotations": secret.annotations(), "type": secret.type_, "data": secret.data,
    })
}

/// Wait until the published Secret is again what it was.
async fn is_again(course: &Course, before: &Secret) -> Result<(), Failed> {
    course
        .until(|| async {
            let now = course.secrets().get_opt(RESOURCE).await?;
            let same = now.as_ref().map(essence) == Some(essence(before));
            let differs = || {
                format!("the Secret is {}", now.map(|now| essence(&now)["annotations"].to_string()).unwrap_or_default())
            };
            Ok(if same { Ok(()) } else { Err(differs()) })
        })
        .await
}

pub async fn a_published_secret_that_somebody_edits_is_repaired_from_its_record(town: Town) -> Result<(), Failed> {
    let edits = [
        ("edited", json!({"data": {"AZURE_CLIENT_SECRET": "ZWRpdGVk"}})),
        ("emptied", json!({"data": null})),
        ("extended", json!({"data": {"more": "bW9yZQ=="}})),
        ("relabelled", json!({"metadata": {"labels": {"team": "others"}}})),
        ("unnoted", json!({"metadata": {"annotations": null}})),
        // It says what it is to say; what it can no longer do is asked of it only when the credential changes.
        ("frozen", json!({"immutable": true})),
    ];
    let cases = edits.map(|(name, edit)| (name.to_owned(), edit));
    in_lanes(cases, async |name, edit| {
        let (course, operator) = published(&town, &name).await?;
        let before = course.secrets().get(RESOURCE).await?;
        change(&course.secrets(), RESOURCE, &edit).await?;
        is_again(&course, &before).await?;
        course.settled("marker").await?;
        course.ends_published(&operator, 1..=1).await
    })
    .await?;
    Ok(())
}

pub async fn a_published_secret_that_somebody_deletes_is_written_again(town: Town) -> Result<(), Failed> {
    let (course, operator) = published(&town, "deleted").await?;
    course.deploy("web", 1, RESOURCE).await?;
    course.pods_sign_in(1).await?;
    let before = course.secrets().get(RESOURCE).await?;
    course.secrets().delete(RESOURCE, &DeleteParams::default()).await?;
    is_again(&course, &before).await?;
    course.deploy("worker", 1, RESOURCE).await?;
    course.pods_sign_in(2).await?;
    course.ends_published(&operator, 1..=1).await
}

/// What somebody makes of a published Secret, and why it then stays as it is.
#[derive(Clone, Copy)]
enum Spoilt {
    /// It bears our label no more.
    Disowned,
    /// It cannot be changed any more, and has another value.
    Immutable,
    /// It is another one, of another type.
    Retyped,
    /// The same with our marks on it.
    RetypedAsOurs,
}

impl Spoilt {
    const ALL: [(&'static str, Self, &'static str); 4] = [
        ("disowned", Self::Disowned, "SecretNotOurs"),
        ("immutable", Self::Immutable, "SecretImmutable"),
        ("retyped", Self::Retyped, "SecretNotOurs"),
        ("retyped-as-ours", Self::RetypedAsOurs, "SecretTypeDiffers"),
    ];

    async fn befalls(self, course: &Course, operator: &Operator, before: &Secret) -> Result<(), Failed> {
        let marks = match self {
            Self::Disowned => {
                let disown = json!({"metadata": {"labels": {OWNER: null}}});
                return change(&course.secrets(), RESOURCE, &disown).await;
            }
            Self::Immutable => {
                let freeze = json!({"data": {"AZURE_CLIENT_SECRET": "ZWRpdGVk"}, "immutable": true});
                return change(&course.secrets(), RESOURCE, &freeze).await;
            }
            Self::Retyped => ObjectMeta::default(),
            Self::RetypedAsOurs => before.metadata.clone(),
        };
        let metadata = ObjectMeta {
            name: Some(RESOURCE.to_owned()),
            labels: marks.labels,
            annotations: marks.annotations,
            ..ObjectMeta::default()
        };
        let other = Secret {
            metadata,
            type_: Some("example.org/other".to_owned()),
            data: before.data.clone(),
            ..Secret::default()
        };
        operator.pause(); // else it would be quicker
        course.secrets().delete(RESOURCE, &DeleteParams::default()).await?;
        course.secrets().create(&PostParams::default(), &other).await?;
        operator.resume();
        Ok(())
    }
}

pub async fn a_published_secret_that_cannot_be_repaired_is_told_and_written_again_when_it_is_gone(
    town: Town,
) -> Result<(), Failed> {
    let cases = Spoilt::ALL.map(|(name, spoilt, reason)| (name.to_owned(), (spoilt, reason)));
    in_lanes(cases, async |name, (spoilt, reason)| {
        let (course, operator) = published(&town, &name).await?;
        course.deploy("web", 1, RESOURCE).await?;
        course.pods_sign_in(1).await?;
        let before = course.secrets().get(RESOURCE).await?;
        spoilt.befalls(&course, &operator, &before).await?;
        let theirs = course.secrets().get(RESOURCE).await?;

        let told = course.told(RESOURCE, reason).await?;
        same("Ready", told.status.as_str(), "False")?;
        insist(told.message.contains(RESOURCE) && told.message.contains("elete it"), told.message)?;
        let targets: Vec<Value> = read(&course.read(RESOURCE).await?, "/status/targets").unwrap_or_default();
        let problems: Vec<bool> = targets.iter().map(|target| !target["problem"].is_null()).collect();
        same("whether the Secret and the entry have a problem", problems, vec![true, false])?;
        course.settled("marker").await?;
        course.pods_sign_in_again(5).await?;
        same("what is not ours", course.secrets().get(RESOURCE).await?, theirs)?;

        course.secrets().delete(RESOURCE, &DeleteParams::default()).await?;
        is_again(&course, &before).await?;
        course.ends_published(&operator, 1..=1).await
    })
    .await?;
    Ok(())
}

pub async fn a_target_that_is_renamed_is_written_under_its_new_name_and_stays_under_its_old_one(
    town: Town,
) -> Result<(), Failed> {
    let (course, operator) = published(&town, "renaming").await?;
    course.deploy("web", 1, RESOURCE).await?;
    course.pods_sign_in(1).await?;
    let before = course.secrets().get(RESOURCE).await?;
    declare(&course, "renamed").await?;
    course.is_carried_by("renamed").await?;
    course.deploy("worker", 1, "renamed").await?;
    course.pods_sign_in(2).await?;
    course.pods_sign_in_again(20).await?;
    same("the Secret of the old name", course.secrets().get(RESOURCE).await?, before)?;
    let records = course.records().await?;
    let remembered = records.first().and_then(|record| record.annotations().get("keywright.dev/published-to"));
    let both = ["secret/payments-api", "secret/renamed"];
    insist(remembered.is_some_and(|all| both.iter().all(|one| all.contains(one))), format!("{remembered:?}"))?;

    // What is not declared any more is nobody's to write: it may go when nobody reads it.
    course.secrets().delete(RESOURCE, &DeleteParams::default()).await?;
    course.settled("marker").await?;
    insist(course.secrets().get_opt(RESOURCE).await?.is_none(), "what is not declared any more is written again")?;
    declare(&course, RESOURCE).await?;
    course.is_carried_by(RESOURCE).await?;
    course.ends_published(&operator, 1..=1).await
}

/// What a target carries agrees with a template, or does not: another template is another question.
pub async fn a_template_that_changes_is_applied_at_once(town: Town) -> Result<(), Failed> {
    let (course, operator) = published(&town, "retemplated").await?;
    let template = json!({"metadata": {"labels": {"team": "others"}}, "data": {"id": null, "where": "{{ tenantId }}"}});
    let entry = merged(course.entry(RESOURCE), &json!({"template": "{{ clientId }}:{{ clientSecret }}"}));
    let publish = json!({"secret": {"template": template}, "keyVaults": [entry]});
    change(&course.resources(), RESOURCE, &json!({"spec": {"publish": publish}})).await?;
    course
        .until(|| async {
            let secret = course.secrets().get(RESOURCE).await?;
            let keys: Vec<String> = secret.data.iter().flatten().map(|(name, _)| name.clone()).collect();
            let has = |name: &str| keys.iter().any(|key| key == name);
            let is_so = has("where") && !has("id") && secret.labels().get("team").is_some_and(|team| team == "others");
            Ok(if is_so { Ok(()) } else { Err(format!("the Secret has {keys:?} and {:?}", secret.labels())) })
        })
        .await?;
    let stored = |change: &SecretChange| matches!(change.what, SecretWhat::Stored { .. });
    course
        .until(|| async {
            let stored = course.entry_changes(RESOURCE).iter().filter(|change| stored(change)).count();
            Ok(if stored == 2 { Ok(()) } else { Err(format!("the entry has {stored} versions")) })
        })
        .await?;
    course.ends_published(&operator, 1..=1).await
}
