//! Several operators at once, without any agreement between them: the record is the fence.

use std::time::Duration;

use keywright_sandbox::{
    KUBERNETES, Rule,
    azure::{SecretChange, SecretWhat, VAULT},
    journal::Entry,
};
use kube::ResourceExt;
use libtest_mimic::Failed;
use serde_json::json;

use crate::{
    federation::{declared, declared_without_pods, ends_in_use},
    rotation::demand,
    town::{
        Course, FEDERATING, KEEPING, MINTING, PATIENCE, RESOURCE, STAGES, Stage, Town, chain, in_lanes, insist, read,
        same,
    },
};

pub async fn two_operators_at_once_publish_one_credential(town: Town) -> Result<(), Failed> {
    let cases = (0..8).map(|number| (format!("rivals-{number}"), ()));
    in_lanes(cases, async |name, ()| {
        let course = town.course(&name).await?;
        let (one, other) = tokio::try_join!(course.starting_operator_as("one"), course.starting_operator_as("other"))?;
        course.ends_published(&one, 1..=2).await?;
        course.ends_clean(&other).await
    })
    .await?;
    Ok(())
}

pub async fn two_operators_at_once_set_up_one_federated_credential(town: Town) -> Result<(), Failed> {
    let cases = (0..8).map(|number| (format!("fed-rivals-{number}"), ()));
    in_lanes(cases, async |name, ()| {
        let firm = declared(&town, &name).await?;
        let (one, other) = tokio::try_join!(firm.starting_operator_as("one"), firm.starting_operator_as("other"))?;
        ends_in_use(&firm, &one, 2).await?;
        firm.ends_clean(&other).await
    })
    .await?;
    Ok(())
}

pub async fn an_operator_that_stood_still_while_it_federated_harms_nothing_when_it_goes_on(
    town: Town,
) -> Result<(), Failed> {
    let cases = FEDERATING.map(|stage| (format!("fed-stop-{}", stage.name), stage));
    in_lanes(cases, async |name, stage| {
        let firm = declared_without_pods(&town, &name).await?;
        firm.hold(&stage, Duration::from_secs(1));
        let sleeper = firm.starting_operator_as("sleeper").await?;
        firm.is_held(&stage).await?;
        sleeper.pause();
        let other = firm.starting_operator_as("other").await?;
        firm.told(RESOURCE, "Published").await?;
        sleeper.resume();
        firm.settled("both").await?;
        other.kill().await.map_err(chain)?;
        firm.settled("alone").await?;
        ends_in_use(&firm, &sleeper, 0).await
    })
    .await?;
    Ok(())
}

/// What arrives when its sender has given up, and somebody else has taken over, was fenced.
pub async fn a_mint_and_a_keep_that_come_too_late_are_taken_back(town: Town) -> Result<(), Failed> {
    let cases = [MINTING, KEEPING].map(|stage| (format!("late-{}", stage.name), stage));
    in_lanes(cases, async |name, stage: Stage| {
        let course = town.course(&name).await?;
        course.hold(&stage, Duration::from_secs(12));
        let _slow = course.starting_operator_as("slow").await?;
        course.is_held(&stage).await?;
        let quick = course.starting_operator_as("quick").await?;
        course.is_through(&stage).await?;
        course.ends_published(&quick, 2..=2).await
    })
    .await?;
    Ok(())
}

pub async fn an_operator_that_stood_still_at_any_stage_harms_nothing_when_it_goes_on(town: Town) -> Result<(), Failed> {
    let cases = STAGES.map(|stage| (format!("stopped-{}", stage.name), stage));
    in_lanes(cases, async |name, stage| {
        let course = town.course(&name).await?;
        course.hold(&stage, Duration::from_secs(1));
        let sleeper = course.starting_operator_as("sleeper").await?;
        course.is_held(&stage).await?;
        sleeper.pause();
        let other = course.starting_operator_as("other").await?;
        course.told(RESOURCE, "Published").await?;
        sleeper.resume();
        course.settled("both").await?;
        other.kill().await.map_err(chain)?;
        // From here on it is the one that slept who answers.
        course.settled("alone").await?;
        course.ends_published(&sleeper, 1..=2).await
    })
    .await?;
    Ok(())
}

/// Kubernetes refuses what comes too late, a vault takes whatever comes: so the records are asked once more.
pub async fn an_operator_that_is_held_up_before_it_writes_to_a_vault_puts_nothing_old_over_what_came_meanwhile(
    town: Town,
) -> Result<(), Failed> {
    let mut course = town.undeclared("overtaken").await?;
    let first = course.operator().await?;
    let only_secret = json!({"spec": {"publish": {"secret": {}, "keyVaults": []}}});
    course.declare(&only_secret).await?;
    course.told(RESOURCE, "Published").await?;
    course.comes_to_rest().await?;
    first.kill().await.map_err(chain)?;
    let record = course.records().await?.first().map(ResourceExt::name_any).ok_or("there is no record")?;

    // It is to write to the vault as well. Its time passes as everybody's does: what it has seen is still fresh when it goes on.
    course.declare(&json!({})).await?;
    let scaled = std::mem::take(&mut course.args);
    // The value is read to look at the Secret, to look at the vault, and to write to the vault.
    let path = format!("/api/v1/namespaces/{}/secrets/{record}", course.name);
    let reading = Rule::at(KUBERNETES, "get", &path).nth(3);
    course.proxy.faults().add(reading.delay(Duration::from_secs(2)));
    let slow = course.starting_operator_as("slow").await?;
    let delayed = |entry: &Entry| entry.fault.as_ref().is_some_and(|fault| fault.starts_with("delay"));
    course.proxy.journal().wait_for(delayed, PATIENCE).await.map_err(chain)?;
    let decided = course.azure.journal().count(|entry| entry.service == VAULT && entry.verb == "getSecret");
    insist(decided > 0, "it was held up before it had looked at the vault")?;
    slow.pause();

    course.args = scaled;
    let quick = course.starting_operator_as("quick").await?;
    course.is_carried_by(RESOURCE).await?;
    demand(&course).await?;
    course
        .until(|| async {
            let current: Option<i64> = read(&course.read(RESOURCE).await?, "/status/current/sequence");
            let stored = stores(&course)?;
            let is_there = current == Some(2) && stored.last() == Some(&2);
            Ok(if is_there { Ok(()) } else { Err(format!("{current:?} is published, stored were {stored:?}")) })
        })
        .await?;
    quick.kill().await.map_err(chain)?;

    let begun = course.azure.journal().len();
    slow.resume();
    // Whatever it does, it looks at the vault after that.
    let looks = |entry: &Entry| entry.number >= begun && entry.service == VAULT && entry.verb == "getSecret";
    course.azure.journal().wait_for(looks, PATIENCE).await.map_err(chain)?;
    same("what was stored last", stores(&course)?.last().copied(), Some(2))?;
    course.ends_clean(&slow).await
}

/// Which of our credentials were put into the vault, by their order.
fn stores(course: &Course) -> Result<Vec<usize>, Failed> {
    let ours = course.ours()?;
    let number = |change: SecretChange| match change.what {
        SecretWhat::Stored { fingerprint, .. } => {
            ours.iter().position(|one| one.fingerprint == fingerprint).map(|place| place + 1)
        }
        _ => None,
    };
    Ok(course.entry_changes(RESOURCE).into_iter().filter_map(number).collect())
}
