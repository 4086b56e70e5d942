//! People come between: at every stage of a first issue somebody wipes, deletes, changes or stops something.

use std::{ops::RangeInclusive, time::Duration};

use kube::api::{DeleteParams, Patch, PatchParams};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::town::{Course, PATIENCE, RESOURCE, STAGES, Stage, Town, change, in_lanes, insist, read};

/// As long as a request is held up for somebody to come between.
const A_WHILE: Duration = Duration::from_secs(2);

/// One run for each stage: the request that ends it is held up, something happens, and it is as it has to be in the end.
async fn at_every_stage(
    town: &Town,
    name: &str,
    happens: impl AsyncFn(&Course, &Stage) -> Result<(), Failed>,
    minted: RangeInclusive<usize>,
) -> Result<(), Failed> {
    let cases = STAGES.map(|stage| (format!("{name}-{}", stage.name), stage));
    in_lanes(cases, async |name, stage| {
        let course = town.course(&name).await?;
        course.hold(&stage, A_WHILE);
        let operator = course.operator().await?;
        course.is_held(&stage).await?;
        happens(&course, &stage).await?;
        course.is_through(&stage).await?;
        course.ends_published(&operator, minted.clone()).await
    })
    .await?;
    Ok(())
}

pub async fn a_status_that_is_wiped_at_any_stage_changes_nothing(town: Town) -> Result<(), Failed> {
    let wiped = async |course: &Course, _: &Stage| {
        let nothing = Patch::Merge(json!({"status": null}));
        course.resources().patch_status(RESOURCE, &PatchParams::default(), &nothing).await?;
        Ok(())
    };
    at_every_stage(&town, "wiped", wiped, 1..=1).await
}

pub async fn a_spec_that_is_changed_at_any_stage_is_what_counts_in_the_end(town: Town) -> Result<(), Failed> {
    let changed = async |course: &Course, _: &Stage| {
        let entries = [course.entry(RESOURCE), course.entry("second")];
        course.declare(&json!({"spec": {"publish": {"secret": {"name": "renamed"}, "keyVaults": entries}}})).await?;
        course.until(|| carries(course, 3)).await
    };
    at_every_stage(&town, "changed", changed, 1..=1).await
}

/// Whether the status tells of so many targets that all carry the first credential.
async fn carries(course: &Course, count: usize) -> Result<Result<(), String>, Failed> {
    let targets: Vec<Value> = read(&course.read(RESOURCE).await?, "/status/targets").unwrap_or_default();
    let all = targets.iter().all(|target| target["sequence"] == 1 && target["problem"].is_null());
    Ok(if all && targets.len() == count { Ok(()) } else { Err(format!("the targets are {targets:?}")) })
}

pub async fn a_suspended_resource_says_its_next_step_and_goes_on_where_it_was(town: Town) -> Result<(), Failed> {
    let suspended = async |course: &Course, stage: &Stage| {
        change(&course.resources(), RESOURCE, &json!({"spec": {"suspend": true}})).await?;
        // From the moment at which it counts as published, it is published without a pause.
        if ["opening", "rehearsing", "minting", "keeping", "proving"].contains(&stage.name) {
            let told = course.told(RESOURCE, "Suspended").await?;
            insist(told.message.contains("the next step would be to "), told.message)?;
        }
        change(&course.resources(), RESOURCE, &json!({"spec": {"suspend": false}})).await
    };
    at_every_stage(&town, "suspended", suspended, 1..=1).await
}

pub async fn a_suspended_resource_that_was_never_begun_is_a_dry_run(town: Town) -> Result<(), Failed> {
    let course = town.undeclared("dry-run").await?;
    course.declare(&json!({"spec": {"suspend": true}})).await?;
    let operator = course.operator().await?;
    let told = course.told(RESOURCE, "Suspended").await?;
    insist(told.message.contains("the next step would be to open record kw-"), told.message)?;
    insist(course.records().await?.is_empty() && course.minted().await?.is_empty(), "a dry run has done something")?;
    course.tenant(&json!({"spec": {"suspend": true}})).await?;
    change(&course.resources(), RESOURCE, &json!({"spec": {"suspend": false}})).await?;
    course
        .until(|| async {
            let message = course.told(RESOURCE, "Suspended").await?.message;
            Ok(if message.contains("of EntraTenant dry-run") { Ok(()) } else { Err(message) })
        })
        .await?;
    course.tenant(&json!({"spec": {"suspend": false}})).await?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn a_resource_that_comes_back_at_any_stage_is_published(town: Town) -> Result<(), Failed> {
    let came_back = async |course: &Course, _: &Stage| {
        deleted(course).await?;
        course.declare(&json!({})).await
    };
    at_every_stage(&town, "back", came_back, 1..=2).await
}

pub async fn a_resource_that_is_deleted_at_any_stage_leaves_what_was_published_and_nothing_else(
    town: Town,
) -> Result<(), Failed> {
    let cases = STAGES.map(|stage| (format!("gone-{}", stage.name), stage));
    in_lanes(cases, async |name, stage| {
        let course = town.course(&name).await?;
        course.hold(&stage, A_WHILE);
        let operator = course.operator().await?;
        course.is_held(&stage).await?;
        deleted(&course).await?;
        course.is_through(&stage).await?;
        course.comes_to_rest().await?;
        let published = course.ever_published().await?.len();
        let left = course.azure.passwords(&course.payments).map_err(crate::town::chain)?.len();
        insist(left == published + 1, format!("{published} were published, and {left} are left"))?;
        course.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}

pub async fn a_resource_that_comes_back_after_its_publication_finds_its_credential(town: Town) -> Result<(), Failed> {
    let course = town.course("comes-back").await?;
    let operator = course.operator().await?;
    course.deploy("web", 1, RESOURCE).await?;
    course.told(RESOURCE, "Published").await?;
    deleted(&course).await?;
    course.pods_sign_in_again(20).await?;
    course.declare(&json!({})).await?;
    course.told(RESOURCE, "Published").await?;
    course.pods_sign_in_again(20).await?;
    course.ends_published(&operator, 1..=1).await
}

async fn deleted(course: &Course) -> Result<(), Failed> {
    course.resources().delete(RESOURCE, &DeleteParams::default()).await?;
    let gone = kube::runtime::wait::await_condition(course.resources(), RESOURCE, |one: Option<&_>| one.is_none());
    tokio::time::timeout(PATIENCE, gone).await??;
    Ok(())
}
