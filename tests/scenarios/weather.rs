//! Every service fails in every way that it can, at every request of a first issue: the same end is reached, and no more
//! is minted than the fault excuses.

use std::time::Duration;

use jiff::SignedDuration;
use keywright_sandbox::{
    KUBERNETES, Rule,
    azure::{self, Lag},
    faults::{Action, Point, When},
};
use libtest_mimic::Failed;
use serde_json::json;

use crate::town::{KEEPING, MINTING, RESOURCE, Town, chain, in_lanes, insist};

/// What befalls a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Throttled,
    /// As Entra does it, where nothing in the answer is JSON.
    ThrottledInPlainText,
    Broken,
    Hanging,
    CutBefore,
    CutAfter,
}

impl Fault {
    const ALL: [Self; 6] =
        [Self::Throttled, Self::ThrottledInPlainText, Self::Broken, Self::Hanging, Self::CutBefore, Self::CutAfter];

    fn at(self, point: &Point) -> Rule {
        let point = point.clone();
        let (second, words) = (Duration::from_secs(1), "Too Many Requests".to_owned());
        match self {
            Self::Throttled => point.throttle(429, second),
            Self::ThrottledInPlainText => {
                point.then(Action::Answer { status: 429, retry_after: Some(second), body: Some(words) })
            }
            Self::Broken => point.answer(500),
            Self::Hanging => point.hang(),
            Self::CutBefore => point.cut_before(),
            Self::CutAfter => point.cut_after(),
        }
    }

    /// Whether a scenario can wait for the end of it: what is said of plain text holds for Azure; a list that hangs is given
    /// up after minutes only, and a watch lasts for ever.
    fn fits(self, point: &Point) -> bool {
        let is_read_by_a_watch = point.verb() == "watch" || point.verb() == "list" && point.when() == When::Nth(1);
        match self {
            Self::ThrottledInPlainText => point.service() != KUBERNETES,
            Self::Hanging => point.service() != KUBERNETES || !is_read_by_a_watch,
            _ => true,
        }
    }
}

pub async fn every_fault_at_every_request_ends_the_same(town: Town) -> Result<(), Failed> {
    let calm = town.course("fair").await?;
    let operator = calm.operator().await?;
    calm.told(RESOURCE, "Published").await?;
    let points = calm.points();
    operator.kill().await.map_err(chain)?;

    let cases = points.iter().enumerate().flat_map(|(number, point)| {
        let faults = Fault::ALL.into_iter().filter(|fault| fault.fits(point));
        faults.map(move |fault| (format!("foul-{number}-{}", fault as u8), (point.clone(), fault)))
    });
    let met = in_lanes(cases, |name, (point, fault)| befallen(&town, name, point, fault)).await?;
    let unmet: Vec<String> = met.into_iter().flatten().collect();
    insist(unmet.len() <= 12, format!("too much was never met: {}", unmet.join("; ")))
}

/// One run with one fault. What comes back is the point, if it was never reached.
async fn befallen(town: &Town, name: String, point: Point, fault: Fault) -> Result<Option<String>, Failed> {
    let course = town.course(&name).await?;
    let added = course.faults_at(&point).add(fault.at(&point));
    let operator = course.operator().await?;
    // An answer that was lost is the one thing for which a second credential may be minted.
    let minted = if point.verb() == "addPassword" && fault == Fault::CutAfter { 2 } else { 1 };
    let ended = course.ends_published(&operator, minted..=minted).await;
    ended.map_err(|failed| format!("{point}, {fault:?}: {}", failed.message().unwrap_or_default()))?;
    Ok((added.applied() == 0).then(|| format!("{point}, {fault:?}")))
}

pub async fn replicas_that_lag_and_flap_are_waited_for(town: Town) -> Result<(), Failed> {
    let options = azure::Options { scale: 0.1, replicas: 5, ..azure::Options::default() };
    let mut course = town.undeclared_with("lagging", options).await?;
    course.args = ["--time-scale", "0.1"].map(str::to_owned).into();
    course.azure.set_weather(course.payments.tenant, |weather| weather.noise = 0.02).map_err(chain)?;
    let eight = json!({"spec": {"verification": {"consecutiveSuccesses": 8}}});
    course.declare(&eight).await?;
    course.deploy("web", 2, RESOURCE).await?;
    let operator = course.operator().await?;
    course.told(RESOURCE, "Published").await?;
    course.pods_sign_in(2).await?;
    course.pods_sign_in_again(100).await?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn a_credential_whose_answer_was_lost_is_found_when_reads_show_it_late(town: Town) -> Result<(), Failed> {
    let course = town.course("seen-late").await?;
    let late = Lag { least: SignedDuration::from_secs(3), most: SignedDuration::from_secs(4) };
    course.azure.set_weather(course.payments.tenant, |weather| weather.reads = late).map_err(chain)?;
    course.azure.faults().add(MINTING.point().cut_after());
    let operator = course.operator().await?;
    course.ends_published(&operator, 2..=2).await
}

pub async fn a_value_that_can_be_kept_only_in_the_end_is_minted_once(town: Town) -> Result<(), Failed> {
    let keeping = || KEEPING.point();
    let refused = [403, 409, 422, 429].map(|status| (format!("keep-{status}"), keeping().answer(status)));
    let lost = [("keep-cut", keeping().cut_before()), ("keep-gone", keeping().cut_after())];
    let cases = refused.into_iter().chain(lost.map(|(name, rule)| (name.to_owned(), rule)));
    in_lanes(cases, async |name, rule| {
        let course = town.course(&name).await?;
        course.proxy.faults().add(rule);
        let operator = course.operator().await?;
        course.ends_published(&operator, 1..=1).await
    })
    .await?;
    Ok(())
}
