//! Maintenance windows: one is waited for, none is begun to be restarted after it has closed, and none outlasts a
//! credential. Windows open on the minute, so these scenarios take up to one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use keywright_sandbox::node::READY_AFTER;
use kube::{api::ListParams, core::DynamicObject, runtime::wait::await_condition};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    rollouts::{is_restarted, was_restarted},
    rotation::{demand, ends, has_ended, published},
    town::{Firm, PATIENCE, RESOURCE, Town, change, insist, read, same},
};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A window that opens once a day, at the minute of this time.
fn window(opens: Timestamp, duration: SignedDuration) -> Value {
    let opens = opens.to_zoned(TimeZone::UTC);
    let schedule = format!("{} {} * * *", opens.minute(), opens.hour());
    json!({"schedule": schedule, "duration": format!("{}s", duration.as_secs())})
}

/// One that opens in some hours.
pub fn closed() -> Value {
    window(Timestamp::now() + HOUR * 3, HOUR)
}

/// One that has been open for a while and closes then.
fn open_until(closes: Timestamp) -> Value {
    let minute = Timestamp::now().as_second() / 60 * 60;
    let opened = Timestamp::from_second(minute).unwrap_or_default() - HOUR;
    window(opened, closes.duration_since(opened))
}

/// These are the windows from now on.
async fn are_windows(firm: &Firm, windows: &Value) -> Result<(), Failed> {
    change(&firm.resources(), RESOURCE, &json!({"spec": {"rotation": {"windows": windows}}})).await
}

/// Wait until the credential of this number is published.
async fn is_published(firm: &Firm, number: i64, patience: Duration) -> Result<(), Failed> {
    let current = |object: Option<&DynamicObject>| {
        object.and_then(|object| read::<i64>(object, "/status/current/sequence")) == Some(number)
    };
    tokio::time::timeout(patience, await_condition(firm.resources(), RESOURCE, current)).await??;
    Ok(())
}

pub async fn a_rotation_waits_for_a_window_that_opens_soon(town: Town) -> Result<(), Failed> {
    let firm = town.firm("opens-soon").await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 2, RESOURCE).await?;
    published(&firm, &json!({})).await?;
    firm.pods_sign_in(2).await?;
    let soon = Timestamp::now().as_second() + 5;
    let opens = Timestamp::from_second((soon / 60 + 1) * 60)?;
    are_windows(&firm, &json!([window(opens, HOUR)])).await?;
    demand(&firm).await?;
    let words = format!("a maintenance window, for the credential to be published. It opens at {opens}");
    firm.condition_says("Rotating", "Queued", &words).await?;
    is_published(&firm, 2, 2 * PATIENCE).await?;
    let at: Option<Timestamp> = read(&firm.read(RESOURCE).await?, "/status/current/publishedAt");
    insist(at.is_some_and(|at| at >= opens), format!("it was published at {at:?}, and the window opened at {opens}"))?;
    ends(&firm, 2).await?;
    firm.ends_clean(&operator).await
}

pub async fn no_workload_is_begun_to_be_restarted_after_its_window_has_closed(town: Town) -> Result<(), Failed> {
    let firm = town.firm("closes").await?;
    let operator = firm.operator().await?;
    let slow = json!({"metadata": {"annotations": {READY_AFTER: "1s"}}, "spec": firm.reader(RESOURCE)});
    for number in 0..5 {
        firm.run_with("Deployment", &format!("web-{number}"), 1, &json!({"spec": {"template": slow}})).await?;
    }
    published(&firm, &json!({"spec": {"consumers": {"rollout": {"maxConcurrent": 1}}}})).await?;
    firm.pods_sign_in(5).await?;
    demand(&firm).await?;
    is_restarted(&firm, "web-0").await?;
    are_windows(&firm, &json!([open_until(Timestamp::now() + SignedDuration::from_secs(2))])).await?;
    firm.condition_says("Rotating", "Queued", "a maintenance window, for workloads to be restarted").await?;
    let restarted = restarted(&firm).await?;
    insist((1..5).contains(&restarted), format!("{restarted} of 5 were restarted"))?;
    firm.pods_sign_in_again(50).await?;
    same("restarted", self::restarted(&firm).await?, restarted)?;
    are_windows(&firm, &json!(null)).await?;
    ends(&firm, 2).await?;
    firm.ends_clean(&operator).await
}

/// How many workloads were restarted.
async fn restarted(firm: &Firm) -> Result<usize, Failed> {
    Ok(firm.deployments().list(&ListParams::default()).await?.iter().filter(|one| was_restarted(one)).count())
}

pub async fn a_credential_with_little_life_left_waits_for_no_window(town: Town) -> Result<(), Failed> {
    let firm = town.firm("short-lived").await?;
    let operator = firm.operator().await?;
    let rotation = json!({"renewBefore": "40s", "windows": [closed()]});
    let short = json!({"clientSecret": {"validity": "44s"}, "consumers": {"discovery": "None"}, "rotation": rotation});
    published(&firm, &json!({"spec": short})).await?;
    firm.condition_told("Rotating", "Queued").await?;
    is_published(&firm, 2, PATIENCE).await?;
    let object = firm.read(RESOURCE).await?;
    let ended: Timestamp = read(&object, "/status/retiring/0/expiresAt").ok_or("no first one")?;
    let at: Timestamp = read(&object, "/status/current/publishedAt").ok_or("not published")?;
    insist(at < ended, format!("the first one ended at {ended}, and the second was published at {at}"))?;
    change(&firm.resources(), RESOURCE, &json!({"spec": {"clientSecret": {"validity": null}, "rotation": null}}))
        .await?;
    firm.until(|| async {
        let object = firm.read(RESOURCE).await?;
        let ends: Option<Timestamp> = read(&object, "/status/current/expiresAt");
        let number = read(&object, "/status/current/sequence").unwrap_or_default();
        let lasts = ends.is_some_and(|ends| ends > Timestamp::now() + HOUR);
        let ended = has_ended(&firm, RESOURCE, &firm.payments, number).await?;
        Ok(if lasts { ended } else { Err(format!("{number} ends at {ends:?}")) })
    })
    .await?;
    firm.ends_clean(&operator).await
}
