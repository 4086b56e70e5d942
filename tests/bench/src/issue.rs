//! All first issues at once: how long until each is published, and what each has cost.

use std::{collections::BTreeMap, io::Write, time::Duration};

use keywright_sandbox::Operator;
use tokio::time::Instant;

use crate::{
    counts::{self, OfGraph},
    process,
    published::Published,
    table::{Table, count, number},
    town::Place,
};

/// How long the slowest scene is waited for.
const LONGEST: Duration = Duration::from_mins(5);

/// What it is like outside, and what is wanted then.
pub struct Weather {
    /// One name for the scene and its place.
    pub name: &'static str,
    /// How slow Azure's replicas are, against what was measured of the real ones.
    pub lag: f64,
    /// What is added to every answer of Azure's.
    pub latency: Option<Duration>,
    /// How long what is built in takes, against how it ships.
    pub time_scale: f64,
    /// Within how many seconds everything should be published.
    pub wanted: Option<f64>,
    /// Whether to stay, and look at it at rest.
    pub then_rest: bool,
    /// Within how many seconds of the moment at which all are due their successors should be published, if that is measured.
    pub rotated: Option<f64>,
}

impl Weather {
    /// Nothing but work: the pauses that ship are left out, and nothing outside takes time.
    pub const FAST: Self = Self {
        name: "fast",
        lag: 0.0,
        latency: None,
        time_scale: 0.0,
        wanted: Some(20.0),
        then_rest: true,
        rotated: Some(20.0),
    };

    /// Every weather. The last two have the pauses as they ship: 15 s of quiet start, and sign-ins spread over 30 s.
    pub const ALL: [Self; 4] = [
        Self::FAST,
        Self {
            name: "latency",
            latency: Some(Duration::from_millis(50)),
            wanted: Some(60.0),
            then_rest: false,
            rotated: Some(60.0),
            ..Self::FAST
        },
        Self { name: "shipped", time_scale: 1.0, wanted: None, then_rest: false, rotated: None, ..Self::FAST },
        Self {
            name: "shipped-lag",
            lag: 1.0,
            time_scale: 1.0,
            wanted: None,
            then_rest: false,
            rotated: None,
            ..Self::FAST
        },
    ];

    fn title(&self) -> String {
        let pauses = if self.time_scale == 0.0 { "pauses left out" } else { "pauses as shipped" };
        let lag = if self.lag == 0.0 { "no lag" } else { "replicas lag 4 to 18 s" };
        let latency = self.latency.map(|time| format!(", {} ms on every answer of Azure's", time.as_millis()));
        format!("All first issues at once: {pauses}, {lag}{}", latency.unwrap_or_default())
    }
}

/// Start an operator, and see to it that everything is published.
pub async fn measure(place: &Place<'_>, weather: &Weather, table: &mut Table) -> anyhow::Result<Operator> {
    progress(weather.name)?;
    let published = Published::from_now_on(place.resources(), 1);
    let (began, busy, before) = (Instant::now(), process::machine()?, process::programs()?);
    let operator = place.operator().await?;
    let times = published.all(place.count(), LONGEST).await?;
    let took = began.elapsed().as_secs_f64();
    let (busy, after) = (process::machine()? - busy, process::programs()?);

    table.group(weather.title());
    let last = times.last().map_or(took, Duration::as_secs_f64);
    let all = "from the start of the process to the last published";
    match weather.wanted {
        Some(wanted) => table.at_most(all, last, wanted, " s"),
        None => table.told(all, format!("{} s", number(last))),
    }
    let middle = times.get(times.len() / 2).map_or(took, Duration::as_secs_f64);
    table.told("… to half of them", format!("{} s", number(middle)));
    costs(place, table);
    let used = process::processor(&operator)?;
    let each = |value: f64| number(value / count(place.count()));
    table
        .told("looks, of each", each(process::metric(&operator, "keywright_reconciles_total", &["Credential"]).await?));
    table.told("processor: the operator", format!("{} s", number(used)));
    let others =
        [("kube-apiserver", "the API server"), ("etcd", "etcd"), ("keywright-bench", "proxy and Azure, in here")];
    for (program, name) in others {
        let of = |books: &BTreeMap<String, f64>| books.get(program).copied().unwrap_or_default();
        let other = of(&after) - of(&before);
        let times = format!("{} s, {} of the operator's", number(other), number(other / used));
        table.told(format!("processor: {name}"), times);
    }
    table.told("processor: the whole machine", format!("{} s", number(busy)));
    table.told("memory at most", format!("{} MiB", number(process::memory(&operator)?.1)));
    Ok(operator)
}

fn costs(place: &Place<'_>, table: &mut Table) {
    let graph = OfGraph::count(&place.azure.journal().entries());
    let (writes, all_writes) = OfGraph::most_and_all(&graph.writes);
    let (reads, all_reads) = OfGraph::most_and_all(&graph.reads);
    let each = |all: usize| number(count(all) / count(place.count()));
    table.at_most("writes to Graph, of the one with most", count(writes), 1.0, "");
    table.told("… of each", each(all_writes));
    table.at_most("reads from Graph, of the one with most", count(reads), 2.0, "");
    table.told("… of each", each(all_reads));
    table.told("token requests, of each", each(graph.sign_ins));
    for (what, asked) in counts::of_kubernetes(&place.proxy.journal().entries()) {
        if asked * 10 >= place.count() {
            table.told(format!("API server: {what}, of each"), each(asked));
        }
    }
}

/// A word for whoever waits.
pub fn progress(what: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr(), "measuring: {what}")?;
    Ok(())
}
