//! Several operators at once, without any agreement between them: the record is the fence.

use std::time::Duration;

use libtest_mimic::Failed;

use crate::town::{KEEPING, MINTING, RESOURCE, STAGES, Stage, Town, chain, in_lanes};

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

/// Whoever is slower than the age at which somebody else may take over finds itself fenced.
pub async fn a_mint_and_a_keep_that_come_too_late_are_taken_back(town: Town) -> Result<(), Failed> {
    let cases = [MINTING, KEEPING].map(|stage| (format!("late-{}", stage.name), stage));
    in_lanes(cases, async |name, stage: Stage| {
        let course = town.course(&name).await?;
        course.hold(&stage, Duration::from_millis(9_500));
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
