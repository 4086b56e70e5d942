//! A crash at any instruction is harmless: the operator is killed around every request of a first issue, of a rotation, of
//! the set-up of a federated credential, on the way from a secret to none, and in the life of a certificate, to Azure and to
//! the API server. Another one
//! takes over, and the same end is reached.

use std::{
    fmt,
    io::{Write, stdout},
    iter,
    ops::RangeInclusive,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use keywright_sandbox::{
    Operator,
    faults::{Point, When},
    points,
};
use libtest_mimic::Failed;
use serde_json::json;

use crate::{
    coordinates::{ends_without_key, federate_in_place, is_led_in_place},
    federation::{declared, ends_in_use},
    migration::{ends_without_secrets, federate, lead_over, with_secret},
    rotation::{demand, has_ended},
    town::{Course, Firm, PATIENCE, RESOURCE, Side, Town, chain, in_lanes, insist},
};

mod life_of_a_certificate;

pub use life_of_a_certificate::every_request_in_the_life_of_a_certificate_may_be_the_last;

/// In so many firms rotations are cut short, one after another.
const FIRMS: usize = 12;

/// What became of a run that was to be killed at a point.
struct Swept {
    point: Point,
    side: Side,
    killed: bool,
    minted: usize,
    took: Duration,
}

impl fmt::Display for Swept {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let killed = if self.killed { "killed" } else { "NEVER REACHED" };
        let (minted, took) = (self.minted, self.took.as_secs());
        write!(out, "{}, {:?}: {killed}, {minted} minted, {took} s", self.point, self.side)
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
    report(&points, &swept, began)
}

/// Tell what became of all runs.
fn report(points: &[Point], swept: &[Swept], began: Instant) -> Result<(), Failed> {
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
    let began = Instant::now();
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
    let ended = course.ends_published(&operator, allowed(&point, side)).await;
    ended.map_err(|failed| told(&point, side, &failed))?;
    let minted = course.minted().await?.len();
    Ok(Swept { point, side, killed, minted, took: began.elapsed() })
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

pub async fn every_request_of_a_rotation_may_be_the_last(town: Town) -> Result<(), Failed> {
    let began = Instant::now();
    let calm = issued(&town, "turn").await?;
    let (asked, called) = (calm.proxy.journal().len(), calm.azure.journal().len());
    demand(&calm).await?;
    let operator = calm.operator().await?;
    is_forgotten(&calm, 2).await?;
    let points = calm.points_since(asked, called);
    calm.ends_clean(&operator).await?;
    operator.kill().await.map_err(chain)?;

    // Between two changes the world is one, so of requests that change nothing the first of a kind is enough.
    let sides = |point: &Point| match point.when() {
        _ if points::changes_something(point) => 2,
        When::Nth(1) => 1,
        _ => 0,
    };
    let both = |point| [Side::Before, Side::After].map(|side| (point, side)).into_iter().take(sides(point));
    let runs = points.iter().flat_map(both);
    let left = Mutex::new(runs);
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let firms = (0..FIRMS).map(|number| cut_short(&town, format!("turn-{number}"), &next));
    let swept: Vec<Swept> = try_join_all(firms).await?.into_iter().flatten().collect();
    report(&points, &swept, began)
}

pub async fn every_request_of_a_set_up_of_federation_may_be_the_last(town: Town) -> Result<(), Failed> {
    let began = Instant::now();
    let calm = declared(&town, "fed-calm").await?;
    let operator = calm.operator().await?;
    ends_in_use(&calm, &operator, 2).await?;
    let points = calm.points();
    operator.kill().await.map_err(chain)?;

    // A token leaves nothing behind, and of what is only told the first is enough.
    let matters = |point: &Point| {
        let told = ["/events", "/status"].iter().any(|end| point.path().ends_with(end));
        points::changes_something(point) && !point.path().ends_with("/token") && (!told || point.when() == When::Nth(1))
    };
    let sides = |point: &Point| match point.when() {
        _ if matters(point) => 2,
        _ if ["list", "watch"].contains(&point.verb()) => 0, // as in a first issue
        When::Nth(1) => 1,
        _ => 0,
    };
    let runs = points.iter().enumerate().flat_map(|(number, point)| {
        let both = [Side::Before, Side::After].into_iter().take(sides(point));
        both.map(move |side| (format!("fed-{number}-{side:?}").to_lowercase(), (point.clone(), side)))
    });
    let swept = in_lanes(runs, |name, (point, side)| killed_in_set_up(&town, name, point, side)).await?;
    report(&points, &swept, began)
}

/// One run: killed at a point, taken up by another operator, in use all the same, and added once only.
async fn killed_in_set_up(town: &Town, name: String, point: Point, side: Side) -> Result<Swept, Failed> {
    let began = Instant::now();
    let firm = declared(town, &name).await?;
    let (mut operator, added) = firm.operator_killed_at(&point, side).await?;
    tokio::select! {
        ended = operator.exited(PATIENCE) => drop(ended.map_err(chain)?),
        published = firm.condition_told("RolledOut", "RolledOut") => drop(published?),
    }
    let killed = added.applied() > 0;
    added.lift();
    if killed {
        operator.exited(PATIENCE).await.map_err(chain)?;
        operator = firm.operator().await?;
    }
    let ended = ends_in_use(&firm, &operator, 2).await;
    ended.map_err(|failed| told(&point, side, &failed))?;
    Ok(Swept { point, side, killed, minted: 1, took: began.elapsed() })
}

/// How a secret is left behind.
#[derive(Clone, Copy)]
enum Way {
    /// Git takes the Secret out of the pods.
    OutOfPods,
    /// The operator takes the key out of the Secret.
    OutOfSecret,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::OutOfPods => "lead",
            Self::OutOfSecret => "take",
        }
    }

    /// Declare what is to be instead.
    async fn begins(self, firm: &Firm) -> Result<(), Failed> {
        match self {
            Self::OutOfPods => federate(firm).await,
            Self::OutOfSecret => federate_in_place(firm).await,
        }
    }

    /// Whatever people do on the way.
    async fn is_led(self, firm: &Firm) -> Result<(), Failed> {
        match self {
            Self::OutOfPods => lead_over(firm).await,
            Self::OutOfSecret => is_led_in_place(firm).await,
        }
    }

    async fn ends(self, firm: &Firm, operator: &Operator) -> Result<(), Failed> {
        match self {
            Self::OutOfPods => ends_without_secrets(firm, operator).await,
            Self::OutOfSecret => ends_without_key(firm, operator).await,
        }
    }
}

pub async fn every_request_on_the_way_to_no_secret_may_be_the_last(town: Town) -> Result<(), Failed> {
    every_request_on_the_way(&town, Way::OutOfPods).await
}

pub async fn every_request_that_takes_a_key_out_of_a_secret_may_be_the_last(town: Town) -> Result<(), Failed> {
    every_request_on_the_way(&town, Way::OutOfSecret).await
}

async fn every_request_on_the_way(town: &Town, way: Way) -> Result<(), Failed> {
    let began = Instant::now();
    let (calm, operator) = with_secret(town, &format!("{}-calm", way.name())).await?;
    let (asked, called) = (calm.proxy.journal().len(), calm.azure.journal().len());
    way.begins(&calm).await?;
    way.is_led(&calm).await?;
    way.ends(&calm, &operator).await?;
    let points = calm.points_since(asked, called);
    operator.kill().await.map_err(chain)?;

    // The set-up has a sweep of its own; what is only told is told again.
    let told = |point: &Point| ["/events", "/status", "/token"].iter().any(|end| point.path().ends_with(end));
    let points: Vec<Point> =
        points.into_iter().filter(|point| points::changes_something(point) && !told(point)).collect();
    let runs = points.iter().enumerate().flat_map(|(number, point)| {
        let both = [Side::Before, Side::After].into_iter();
        both.map(move |side| (format!("{}-{number}-{side:?}", way.name()).to_lowercase(), (point.clone(), side)))
    });
    let swept = in_lanes(runs, |name, (point, side)| killed_on_the_way(town, name, way, point, side)).await?;
    report(&points, &swept, began)
}

/// One run: killed at a point on the way from a secret to none, led to its end by another operator.
async fn killed_on_the_way(town: &Town, name: String, way: Way, point: Point, side: Side) -> Result<Swept, Failed> {
    let began = Instant::now();
    let (firm, operator) = with_secret(town, &name).await?;
    operator.kill().await.map_err(chain)?;
    way.begins(&firm).await?;
    let (mut operator, added) = firm.operator_killed_at(&point, side).await?;
    tokio::select! {
        ended = operator.exited(PATIENCE) => drop(ended.map_err(chain)?),
        led = way.is_led(&firm) => drop(led?),
    }
    let killed = added.applied() > 0;
    added.lift();
    if killed {
        operator.exited(PATIENCE).await.map_err(chain)?;
        operator = firm.operator().await?;
    }
    let ended = match way.is_led(&firm).await {
        Ok(()) => way.ends(&firm, &operator).await,
        failed => failed,
    };
    ended.map_err(|failed| told(&point, side, &failed))?;
    Ok(Swept { point, side, killed, minted: 2, took: began.elapsed() })
}

/// Rotations of one firm, one after another, each cut short at a point.
async fn cut_short<'a>(
    town: &Town,
    name: String,
    next: impl FnMut() -> Option<(&'a Point, Side)>,
) -> Result<Vec<Swept>, Failed> {
    let course = issued(town, &name).await?;
    let (mut swept, mut last) = (vec![], None::<Operator>);
    for (number, (point, side)) in (2..).zip(iter::from_fn(next)) {
        if let Some(operator) = last.take() {
            operator.kill().await.map_err(chain)?;
        }
        let run = killed_in_rotation(&course, number, point, side).await;
        let (one, operator) = run.map_err(|failed| told(point, side, &failed))?;
        swept.push(one);
        last = Some(operator);
    }
    if let Some(operator) = last {
        course.comes_to_rest().await?;
        course.ends_clean(&operator).await?;
    }
    Ok(swept)
}

/// A firm whose first credential is with everybody, at a moment at which there is no operator.
async fn issued(town: &Town, name: &str) -> Result<Course, Failed> {
    let mut course = town.undeclared(name).await?;
    course.sign_in_every = Duration::from_secs(1);
    for (kind, name) in [("Deployment", "web"), ("StatefulSet", "queue"), ("DaemonSet", "agent")] {
        course.run(kind, name, 1, RESOURCE).await?;
    }
    let operator = course.operator().await?;
    course.declare(&json!({"spec": {"retirement": {"minOverlap": "1s"}}})).await?;
    course.condition_told("RolledOut", "RolledOut").await?;
    course.pods_sign_in(3).await?;
    operator.kill().await.map_err(chain)?;
    Ok(course)
}

/// One run: killed at a point of the rotation to this number, brought to its end by another operator.
async fn killed_in_rotation(
    course: &Course,
    number: i64,
    point: &Point,
    side: Side,
) -> Result<(Swept, Operator), Failed> {
    let began = Instant::now();
    let before = course.minted().await?.len();
    demand(course).await?;
    let (mut operator, added) = course.operator_killed_at(point, side).await?;
    tokio::select! {
        ended = operator.exited(PATIENCE) => drop(ended.map_err(chain)?),
        forgotten = is_forgotten(course, number) => forgotten?,
    }
    let killed = added.applied() > 0;
    added.lift();
    if killed {
        operator.exited(PATIENCE).await.map_err(chain)?;
        operator = course.operator().await?;
    }
    course.until(|| is_alone(course, number)).await?;
    let minted = course.minted().await?.len() - before;
    let may = if points::changes_something(point) { allowed(point, side) } else { 1..=2 };
    insist(may.contains(&minted), format!("{may:?} should have been minted, but {minted} were"))?;
    course.ledger().await?.expect(&[]).map_err(chain)?;
    Ok((Swept { point: point.clone(), side, killed, minted, took: began.elapsed() }, operator))
}

/// Whether the credential of this number is the only one of ours.
async fn is_alone(course: &Course, number: i64) -> Result<Result<(), String>, Failed> {
    let ended = has_ended(course, RESOURCE, &course.payments, number).await?;
    let there: Vec<_> = course.azure.passwords(&course.payments).map_err(chain)?.iter().map(|one| one.key_id).collect();
    let alone = there.len() == 2 && there.contains(&course.by_hand);
    Ok(ended.and_then(|()| if alone { Ok(()) } else { Err(format!("not alone: {there:?}")) }))
}

/// Wait until the same is so, and all records of those before it are gone.
async fn is_forgotten(course: &Course, number: i64) -> Result<(), Failed> {
    course
        .until(|| async {
            let records = course.records().await?.len();
            let forgotten = if records == 1 { Ok(()) } else { Err(format!("there are {records} records")) };
            Ok(is_alone(course, number).await?.and(forgotten))
        })
        .await
}

/// A failure, and where it was.
fn told(point: &Point, side: Side, failed: &Failed) -> Failed {
    format!("{point}, {side:?}: {}", failed.message().unwrap_or_default()).into()
}
