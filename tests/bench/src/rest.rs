//! What an operator does that has nothing to do: while it rests, and after it was killed and started again.

use std::time::Duration;

use keywright_sandbox::{Operator, azure::GRAPH, journal::Entry};
use tokio::time::{Instant, sleep};

use crate::{
    counts::{self, OfGraph},
    issue::progress,
    process,
    table::{self, Table, number},
    town::{PATIENCE, Place},
};

/// How long it is looked at. With its pauses left out, a round of drift comes every second instead of every five minutes.
const WHILE: Duration = Duration::from_secs(20);

/// Nothing but rounds of drift for so long is rest.
const SILENCE: Duration = Duration::from_secs(3);

/// Measure both; what comes back is the operator that was started again.
pub async fn measure(place: &Place<'_>, operator: Operator, table: &mut Table) -> anyhow::Result<Operator> {
    progress("rest")?;
    quiet(place).await;
    let tasks = process::metric(&operator, "keywright_tasks_alive", &[]).await?;
    let (kubernetes, azure) = (place.proxy.journal().len(), place.azure.journal().len());
    let used = process::processor(&operator)?;
    sleep(WHILE).await;
    table.group(format!("At rest, for {} s with a round of drift every second", WHILE.as_secs()));
    let asked = counts::since(place.proxy.journal(), kubernetes);
    let graph = OfGraph::count(&counts::since(place.azure.journal(), azure));
    table.at_most("writes to the API server", count(&asked, counts::writes), 0.0, "");
    table.at_most("reads from the API server", count(&asked, |entry| !counts::writes(entry)), 0.0, "");
    table.at_most("writes to Graph", sum(OfGraph::most_and_all(&graph.writes)), 0.0, "");
    table.at_most("reads of single applications", sum(OfGraph::most_and_all(&graph.reads)), 0.0, "");
    table.told("reads of the whole tenant", graph.rounds.to_string());
    table.at_most("memory", process::memory(&operator)?.0, 64.0, " MiB");
    let now = process::metric(&operator, "keywright_tasks_alive", &[]).await?;
    table.told("tasks alive, before and after", format!("{tasks} and {now}"));
    let share = (process::processor(&operator)? - used) / WHILE.as_secs_f64() * 100.0;
    table.told("of one processor", format!("{} %", number(share)));
    restart(place, operator, table).await
}

async fn restart(place: &Place<'_>, operator: Operator, table: &mut Table) -> anyhow::Result<Operator> {
    progress("restart")?;
    operator.kill().await?;
    let (kubernetes, azure) = (place.proxy.journal().len(), place.azure.journal().len());
    let began = Instant::now();
    let operator = place.operator().await?;
    operator.wait_for_line(|line| line.contains(r#""message":"watching""#), PATIENCE).await?;
    table.group("Killed, and started again");
    table.told("watches, after", format!("{} s", number(began.elapsed().as_secs_f64())));
    let took = quiet(place).await.duration_since(began);
    table.at_most("does nothing any more, after", took.as_secs_f64(), 10.0, " s");
    let asked = counts::since(place.proxy.journal(), kubernetes);
    let graph = OfGraph::count(&counts::since(place.azure.journal(), azure));
    table.at_most("writes to the API server", count(&asked, counts::writes), 0.0, "");
    table.at_most("writes to Graph", sum(OfGraph::most_and_all(&graph.writes)), 0.0, "");
    table.told("reads of single applications", number(sum(OfGraph::most_and_all(&graph.reads))));
    for (what, asked) in counts::of_kubernetes(&asked) {
        if asked * 10 >= place.count() {
            table.told(
                format!("API server: {what}, of each"),
                number(table::count(asked) / table::count(place.count())),
            );
        }
    }
    table.told("processor: the operator", format!("{} s", number(process::processor(&operator)?)));
    table.told("memory", format!("{} MiB", number(process::memory(&operator)?.0)));
    Ok(operator)
}

/// Waits until nothing was asked for a while but rounds of drift, and says since when.
pub async fn quiet(place: &Place<'_>) -> Instant {
    let asked = || {
        let of_azure = place.azure.journal().count(|entry| entry.service != GRAPH || !is_round(entry));
        place.proxy.journal().len() + of_azure
    };
    let (mut before, mut since) = (asked(), Instant::now());
    while since.elapsed() < SILENCE {
        sleep(Duration::from_millis(100)).await;
        let now = asked();
        if now != before {
            (before, since) = (now, Instant::now());
        }
    }
    since
}

fn is_round(entry: &Entry) -> bool {
    matches!(entry.verb.as_str(), "delta" | "listApplications")
}

fn count(entries: &[Entry], is_so: impl Fn(&Entry) -> bool) -> f64 {
    table::count(entries.iter().filter(|entry| is_so(entry)).count())
}

fn sum((_, all): (usize, usize)) -> f64 {
    table::count(all)
}
