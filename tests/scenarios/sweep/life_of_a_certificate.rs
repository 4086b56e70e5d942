//! The operator is killed around every request that changes something from the declaration of a certificate to the end of its
//! first rotation.

use std::time::Instant;

use keywright_sandbox::{faults::Point, points};
use libtest_mimic::Failed;

use super::{Swept, report, told};
use crate::{
    certificates,
    town::{PATIENCE, Side, Town, chain, in_lanes},
};

pub async fn every_request_in_the_life_of_a_certificate_may_be_the_last(town: Town) -> Result<(), Failed> {
    let began = Instant::now();
    let calm = certificates::with_pod(&town, "keys-calm").await?;
    let operator = calm.operator().await?;
    certificates::is_issued_and_rotated(&calm).await?;
    let points = calm.points();
    calm.ends_clean(&operator).await?;
    operator.kill().await.map_err(chain)?;

    // What is only told is told again.
    let told = |point: &Point| ["/events", "/status"].iter().any(|end| point.path().ends_with(end));
    let points: Vec<Point> =
        points.into_iter().filter(|point| points::changes_something(point) && !told(point)).collect();
    let runs = points.iter().enumerate().flat_map(|(number, point)| {
        let both = [Side::Before, Side::After].into_iter();
        both.map(move |side| (format!("keys-{number}-{side:?}").to_lowercase(), (point.clone(), side)))
    });
    let swept = in_lanes(runs, |name, (point, side)| killed_with_a_certificate(&town, name, point, side)).await?;
    report(&points, &swept, began)
}

/// One run: killed at a point in the life of a certificate, which another operator brings to its second all the same.
async fn killed_with_a_certificate(town: &Town, name: String, point: Point, side: Side) -> Result<Swept, Failed> {
    let began = Instant::now();
    let firm = certificates::with_pod(town, &name).await?;
    let (mut operator, added) = firm.operator_killed_at(&point, side).await?;
    tokio::select! {
        ended = operator.exited(PATIENCE) => drop(ended.map_err(chain)?),
        ended = certificates::is_issued_and_rotated(&firm) => ended?,
    }
    let killed = added.applied() > 0;
    added.lift();
    if killed {
        operator.exited(PATIENCE).await.map_err(chain)?;
        operator = firm.operator().await?;
    }
    let ended = match certificates::is_issued_and_rotated(&firm).await {
        Ok(()) => firm.ends_clean(&operator).await,
        failed => failed,
    };
    ended.map_err(|failed| told(&point, side, &failed))?;
    let minted = firm.minted().await?.len();
    Ok(Swept { point, side, killed, minted, took: began.elapsed() })
}
