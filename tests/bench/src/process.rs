//! What the operator's process and those around it use, by the kernel's books and by its own metrics.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use anyhow::Context;
use keywright_sandbox::Operator;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::town::PATIENCE;

/// Ticks of the kernel's books in a second, on every Linux that there is.
const TICKS: f64 = 100.0;

/// The memory of the operator: now, and at most, in MiB.
pub fn memory(operator: &Operator) -> anyhow::Result<(f64, f64)> {
    let path = format!("/proc/{}/status", operator.process_id()?);
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
    };
    field("VmRSS:").zip(field("VmHWM:")).with_context(|| format!("no memory in {path}"))
}

/// How many seconds of a processor the operator has used.
pub fn processor(operator: &Operator) -> anyhow::Result<f64> {
    let path = format!("/proc/{}/stat", operator.process_id()?);
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
    Ok(Stat::read(&text).with_context(|| format!("no times in {path}"))?.seconds)
}

/// How many seconds of processors this program has used, and each that it has started, by their names.
pub fn programs() -> anyhow::Result<BTreeMap<String, f64>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("could not list /proc")?.filter_map(Result::ok) {
        // What has ended meanwhile has used nothing more.
        let Ok(text) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let (Some(id), Some(stat)) = (entry.file_name().to_str().and_then(|id| id.parse().ok()), Stat::read(&text)) {
            all.insert(id, stat);
        }
    }
    let mut ours = BTreeSet::from([std::process::id()]);
    while all.iter().any(|(id, stat)| ours.contains(&stat.parent) && ours.insert(*id)) {}
    let mut used = BTreeMap::new();
    for stat in all.into_iter().filter(|(id, _)| ours.contains(id)).map(|(_, stat)| stat) {
        *used.entry(stat.name).or_insert(0.0) += stat.seconds;
    }
    Ok(used)
}

/// What the kernel's books say of a process.
struct Stat {
    name: String,
    parent: u32,
    seconds: f64,
}

impl Stat {
    fn read(text: &str) -> Option<Self> {
        // The second field is the name, which may have anything in it but ends with the last parenthesis.
        let (before, after) = text.rsplit_once(')')?;
        let (_, name) = before.split_once('(')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks = |place: usize| fields.get(place)?.parse::<f64>().ok();
        let (parent, seconds) = (fields.get(1)?.parse().ok()?, (ticks(11)? + ticks(12)?) / TICKS);
        Some(Self { name: name.to_owned(), parent, seconds })
    }
}

/// How many seconds of processors the whole machine has used.
pub fn machine() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/stat").context("could not read /proc/stat")?;
    let fields = text.lines().next().into_iter().flat_map(|line| line.split_whitespace().skip(1).take(8));
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    // user, nice, system; then idle and iowait, which are none; irq, softirq, steal.
    let busy = ticks.iter().enumerate().filter(|(place, _)| !(3..5).contains(place)).map(|(_, ticks)| ticks);
    Ok(busy.sum::<f64>() / TICKS)
}

/// The sum of a metric over the labels that have all of these.
pub async fn metric(operator: &Operator, name: &str, labels: &[&str]) -> anyhow::Result<f64> {
    let text = metrics(operator).await?;
    let lines = text.lines().filter(|line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']));
        rest.is_some_and(|rest| labels.iter().all(|label| rest.contains(label)))
    });
    Ok(lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
}

async fn metrics(operator: &Operator) -> anyhow::Result<String> {
    let said = |line: &str| line.contains(r#""message":"serving probes and metrics""#);
    let line: Value = serde_json::from_str(&operator.wait_for_line(said, PATIENCE).await?)?;
    let address = line["address"].as_str().context("the operator does not say where its metrics are")?;
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(10), connection.read_to_string(&mut answer));
    read.await.context("the operator does not tell its metrics")??;
    Ok(answer)
}
