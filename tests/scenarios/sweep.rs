//! A crash at any instruction is harmless: the operator is killed around every request of a first issue, to Azure and to
//! the API server, before and after its effect. Another one takes over, and the same end is reached.

use std::{
    fmt,
    io::{Write, stdout},
    ops::RangeInclusive,
    time::Instant,
};

use keywright_sandbox::faults::{Point, When};
use libtest_mimic::Failed;

use crate::town::{PATIENCE, RESOURCE, Side, Town, chain, in_lanes, insist};

/// What became of a run that was to be killed at a point.
struct Swept {
    point: Point,
    side: Side,
    killed: bool,
    minted: usize,
}

impl fmt::Display for Swept {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let killed = if self.killed { "killed" } else { "NEVER REACHED" };
        write!(out, "{}, {:?}: {killed}, {} minted", self.point, self.side, self.minted)
    }
}

pub async fn every_request_of_a_first_issue_may_be_the_last(town: Town) -> Result<(), Failed> {
    let began = Instant::now();
    let calm = town.course("calm").await?;
    let operator = calm.operator().await?;
    calm.told(RESOURCE, "Published").await?;
    let points = calm.points();
    calm.ends_published(&operator, 1..=1).await?;
    operator.kill().await.map_err(chain)?;

    let sides = points.iter().enumerate().flat_map(|(number, point)| {
        [Side::Before, Side::After]
            .map(|side| (format!("sweep-{number}-{side:?}").to_lowercase(), (point.clone(), side)))
    });
    let swept = in_lanes(sides, |name, (point, side)| killed_at(&town, name, point, side)).await?;
    let mut report: Vec<String> = swept.iter().map(ToString::to_string).collect();
    report.sort_unstable();
    let killed = swept.iter().filter(|one| one.killed).count();
    let took = began.elapsed().as_secs();
    report.push(format!("{} points, {killed} of {} kills, {took} s", points.len(), swept.len()));
    writeln!(stdout(), "{}", report.join("\n"))?;
    insist(killed * 10 >= swept.len() * 9, "more than a tenth of the points were never reached again")
}

/// One run: killed at a point, taken up by another operator, published all the same.
async fn killed_at(town: &Town, name: String, point: Point, side: Side) -> Result<Swept, Failed> {
    let course = town.course(&name).await?;
    let (mut operator, added) = course.operator_killed_at(&point, side).await?;
    tokio::select! {
        ended = operator.exited(PATIENCE) => drop(ended.map_err(chain)?),
        published = course.told(RESOURCE, "Published") => drop(published?),
    }
    // It may have told of it with its last request.
    let killed = added.applied() > 0;
    added.lift();
    if killed {
        operator.exited(PATIENCE).await.map_err(chain)?;
        operator = course.operator().await?;
    }
    let told = |failed: Failed| format!("{point}, {side:?}: {}", failed.message().unwrap_or_default());
    course.ends_published(&operator, allowed(&point, side)).await.map_err(told)?;
    let minted = course.minted().await?.len();
    Ok(Swept { point, side, killed, minted })
}

/// How many credentials may be minted: one more if the only place of a value was the memory of the process.
fn allowed(point: &Point, side: Side) -> RangeInclusive<usize> {
    let keep = point.path() == "/api/v1/namespaces/*/secrets/*" && point.when() == When::Nth(2);
    let beside = ["/entratenants", "/entraappcredentials", "/events", "/applications"];
    match (point.verb(), side) {
        ("addPassword", Side::After) => 2..=2,
        ("update", Side::Before) if keep => 2..=2,
        // What goes on beside the steps may be asked between mint and keep.
        _ if beside.iter().any(|path| point.path().contains(path)) && point.verb() != "addPassword" => 1..=2,
        _ => 1..=1,
    }
}
