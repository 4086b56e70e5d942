//! All rotations at once: everything is told beforehand when it is due, and that moment is the same for all. How long
//! until each has its successor published, until the last old one is gone, and what each has cost. And what a hundred
//! rotations that are under way take, beside the rest.

use std::time::Duration;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use keywright_sandbox::{Operator, azure::GRAPH};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    counts::{self, OfGraph},
    issue::progress,
    process,
    published::Published,
    rest::quiet,
    table::{Table, count, number},
    town::{AT_ONCE, PATIENCE, Place},
};

/// How long the slowest scene is waited for.
const LONGEST: Duration = Duration::from_mins(5);

/// How long it takes at most to tell one resource when it is due, and the operator to have heard of it.
const TOLD_WITHIN: Duration = Duration::from_millis(60);

/// So many are under way at once, where memory is looked at.
const UNDER_WAY: usize = 100;

/// Measure the rotation of all that an operator at work has published; within so many seconds they should be.
pub async fn measure(place: &Place<'_>, operator: &Operator, wanted: f64, table: &mut Table) -> anyhow::Result<()> {
    progress("rotations")?;
    let all = place.count();
    let until = TOLD_WITHIN * u32::try_from(all)? + Duration::from_secs(10);
    let (began, due) = (Instant::now(), jiff::Timestamp::now() + until);
    // Nobody is looked for who would be restarted, and nothing is waited for.
    let at_once = json!({"spec": {
        "rotation": {"issuedAfter": due.to_string()}, "retirement": {"minOverlap": "0s"},
        "consumers": {"discovery": "None"},
    }});
    tell(place, all, &at_once).await?;
    quiet(place).await;
    anyhow::ensure!(began.elapsed() < until, "telling {all} resources took {:?}, and they are due", began.elapsed());
    let published = Published::since(began + until, place.resources(), 2);
    sleep_until(began + until).await;
    let (kubernetes, azure) = (place.proxy.journal().len(), place.azure.journal().len());
    let (used, busy) = (process::processor(operator)?, process::machine()?);
    let times = published.all(all, LONGEST).await?;
    let gone = last_is_gone(place, azure, began + until).await?;
    let (used, busy) = (process::processor(operator)? - used, process::machine()? - busy);
    quiet(place).await;

    table.group(format!("All rotations at once: due at the same moment{}", place.weather()));
    let seconds = |time: Option<&Duration>| time.map(Duration::as_secs_f64).context("nothing was rotated");
    let last = seconds(times.last())?;
    table.at_most("from that moment to the last published", last, wanted, " s");
    table.told("… to half of them", format!("{} s", number(seconds(times.get(all / 2))?)));
    table.told("… to the last old one gone", format!("{} s", number(gone.as_secs_f64())));
    let graph = OfGraph::count(&counts::since(place.azure.journal(), azure));
    costs(&graph, all, table);
    for (what, asked) in counts::of_kubernetes(&counts::since(place.proxy.journal(), kubernetes)) {
        if asked * 10 >= all {
            table.told(format!("API server: {what}, of each"), number(count(asked) / count(all)));
        }
    }
    table.told("processor: the operator", format!("{} s", number(used)));
    table.told("processor: the whole machine", format!("{} s", number(busy)));
    table.told("memory at most, since it was started", format!("{} MiB", number(process::memory(operator)?.1)));
    Ok(())
}

fn costs(graph: &OfGraph, all: usize, table: &mut Table) {
    let (writes, all_writes) = OfGraph::most_and_all(&graph.writes);
    let (reads, all_reads) = OfGraph::most_and_all(&graph.reads);
    let each = |sum: usize| number(count(sum) / count(all));
    table.at_most("writes to Graph, of the one with most", count(writes), 2.0, "");
    table.told("… of each", each(all_writes));
    table.at_most("reads from Graph, of the one with most", count(reads), 3.0, "");
    table.told("… of each", each(all_reads));
    table.told("token requests, of each", each(graph.sign_ins));
}

/// What a hundred rotations take that are under way at the same time, until they wait for their overlap of a day.
pub async fn measure_memory(place: &Place<'_>, operator: Operator, table: &mut Table) -> anyhow::Result<()> {
    progress("memory with rotations under way")?;
    operator.kill().await?;
    let operator = place.operator().await?;
    operator.wait_for_line(|line| line.contains(r#""message":"watching""#), PATIENCE).await?;
    quiet(place).await;
    let some = UNDER_WAY.min(place.count());
    table.group(format!("{some} rotations under way beside the rest, of an operator just started"));
    table.at_most("memory before", process::memory(&operator)?.0, 64.0, " MiB");
    let published = Published::from_now_on(place.resources(), 3);
    let now = jiff::Timestamp::now().to_string();
    let slowly = json!({"spec": {"rotation": {"issuedAfter": now}, "retirement": {"minOverlap": "24h"}}});
    tell(place, some, &slowly).await?;
    let times = published.all(some, LONGEST).await?;
    table.told("to the last published", format!("{} s", number(times.last().map_or(0.0, Duration::as_secs_f64))));
    quiet(place).await;
    let (now, most) = process::memory(&operator)?;
    table.at_most("memory, while they wait for their overlap", now, 128.0, " MiB");
    table.at_most("memory at most", most, 128.0, " MiB");
    Ok(())
}

/// Patch so many resources, the first ones.
async fn tell(place: &Place<'_>, some: usize, patch: &Value) -> anyhow::Result<()> {
    let (resources, patch) = (place.resources(), Patch::Merge(patch));
    let told = stream::iter(0..some).map(|number| {
        let (resources, patch) = (&resources, &patch);
        async move { resources.patch(&Place::resource(number), &PatchParams::default(), patch).await.map(drop) }
    });
    told.buffer_unordered(AT_ONCE).try_collect().await.context("could not tell the resources when they are due")
}

/// Wait until as many credentials were removed as there are resources; the answer is how long after a moment that was.
async fn last_is_gone(place: &Place<'_>, since: usize, moment: Instant) -> anyhow::Result<Duration> {
    let removed = || {
        place.azure.journal().count(|entry| {
            let is_removal = entry.service == GRAPH && entry.verb == "removePassword";
            entry.number >= since && is_removal && entry.status.is_some_and(|status| status < 300)
        })
    };
    while removed() < place.count() {
        anyhow::ensure!(moment.elapsed() < LONGEST, "only {} of the old ones are gone", removed());
        sleep(Duration::from_millis(100)).await;
    }
    Ok(moment.elapsed())
}
