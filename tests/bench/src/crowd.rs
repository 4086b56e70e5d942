//! One Secret that very many Deployments read: how long after its publication the template of the last one was changed.
//! Their pods really run and are really replaced, since the operator waits for them: no more are under way at once than
//! a resource may say.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ServiceAccount};
use keywright_sandbox::{
    Nodes,
    journal::Entry,
    node::{self, SignIn},
};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams, PostParams},
    runtime::wait::await_condition,
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    issue::progress,
    process,
    published::Published,
    table::{Table, number},
    town::{AT_ONCE, PATIENCE, Place},
};

/// How long the slowest part is waited for.
const LONGEST: Duration = Duration::from_mins(10);

/// As many at the same time as the definition allows.
const CONCURRENCY: u32 = 100;

/// So many readers, and within how many seconds of the publication the last template should be changed.
pub const SIZES: [(usize, f64); 2] = [(500, 5.0), (1000, 8.0)];

/// Measure one rotation under so many Deployments.
pub async fn measure(place: &Place<'_>, many: usize, wanted: f64, table: &mut Table) -> anyhow::Result<()> {
    progress(&place.name)?;
    let operator = place.operator().await?;
    Published::from_now_on(place.resources(), 1).all(1, LONGEST).await?;
    let _nodes = nodes(place).await?;
    deploy(place, many).await?;

    let (asked, used, busy) = (place.proxy.journal().len(), process::processor(&operator)?, process::machine()?);
    let rollout = json!({"maxConcurrent": CONCURRENCY, "timeout": "30m"});
    let now = Timestamp::now().to_string();
    let rotation = json!({"spec": {"rotation": {"issuedAfter": now}, "consumers": {"rollout": rollout}}});
    let resource = Place::resource(0);
    place.resources().patch(&resource, &PatchParams::default(), &Patch::Merge(&rotation)).await?;
    let patches = || {
        let entries = place.proxy.journal().entries().into_iter().skip(asked);
        entries.filter(|entry| succeeded(entry, "patch", "/deployments/")).collect::<Vec<Entry>>()
    };
    let begun = Instant::now();
    while distinct(&patches()) < many {
        anyhow::ensure!(begun.elapsed() < LONGEST, "only {} of {many} are being restarted", distinct(&patches()));
        sleep(Duration::from_millis(200)).await;
    }
    let everybody = await_condition(place.resources(), &resource, |object: Option<&kube::core::DynamicObject>| {
        let all = object.and_then(|object| object.data.pointer("/status/conditions")?.as_array());
        let mut told = all.into_iter().flatten().filter(|one| one["type"] == "RolledOut");
        told.any(|one| one["status"] == "True")
    });
    tokio::time::timeout(LONGEST, everybody).await.context("not everybody has it")??;
    let everybody = Timestamp::now();
    let (used, busy) = (process::processor(&operator)? - used, process::machine()? - busy);

    let end = format!("/secrets/{resource}");
    let written = |entry: &Entry| entry.path.ends_with(&end) && ["update", "patch"].contains(&entry.verb.as_str());
    let published =
        place.proxy.journal().entries().into_iter().skip(asked).find(written).context("nothing was published")?;
    let patches = patches();
    let after = |time: Timestamp| time.duration_since(published.time).as_secs_f64();
    let first = patches.first().map_or(0.0, |entry| after(entry.time));
    let last = patches.last().map_or(0.0, |entry| after(entry.time));
    table.group(format!("One Secret that {many} Deployments read, {CONCURRENCY} of them restarted at once"));
    table.told("from the publication to the first template", format!("{} s", number(first)));
    table.at_most("… to the last template", last, wanted, " s");
    table.told("… until everybody has it", format!("{} s", number(after(everybody))));
    table.told("patches of templates", patches.len().to_string());
    table.told("processor: the operator", format!("{} s", number(used)));
    table.told("processor: the whole machine", format!("{} s", number(busy)));
    table.told("memory at most", format!("{} MiB", number(process::memory(&operator)?.1)));
    Ok(())
}

/// The path of each Deployment that was patched.
fn distinct(patches: &[Entry]) -> usize {
    patches.iter().map(|entry| &entry.path).collect::<BTreeSet<_>>().len()
}

fn succeeded(entry: &Entry, verb: &str, path: &str) -> bool {
    entry.verb == verb && entry.path.contains(path) && entry.status.is_some_and(|status| status < 300)
}

/// A node for all pods, on which everything goes as fast as it can, and nobody signs in all the time.
async fn nodes(place: &Place<'_>) -> anyhow::Result<Nodes> {
    let accounts: Api<ServiceAccount> = Api::namespaced(place.admin(), &place.name);
    let there = await_condition(accounts, "default", |account: Option<&ServiceAccount>| account.is_some());
    tokio::time::timeout(PATIENCE, there).await.context("there is no default ServiceAccount")??;
    let sign_in = SignIn {
        every: Duration::from_mins(10),
        trust: place.azure.ca_pem(),
        proxy: Some(place.azure.endpoints().proxy.clone()),
        ..SignIn::default()
    };
    let options = node::Options {
        names: vec![place.name.clone()],
        cache_lag: Duration::ZERO,
        readiness: Duration::ZERO,
        ends_after: Duration::ZERO,
        sign_in,
        ..node::Options::default()
    };
    place.nodes(options).await
}

/// So many Deployments of one pod each that take the Secret as their variables, all of them running.
async fn deploy(place: &Place<'_>, many: usize) -> anyhow::Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(place.admin(), &place.name);
    let secret = Place::resource(0);
    let created = stream::iter(0..many).map(|number| {
        let (deployments, name) = (&deployments, format!("web-{number:04}"));
        let container =
            json!({"name": "app", "image": "example.org/app", "envFrom": [{"secretRef": {"name": secret}}]});
        let pod = json!({"nodeSelector": {"kubernetes.io/hostname": place.name}, "containers": [container]});
        let template = json!({"metadata": {"labels": {"app": name}}, "spec": pod});
        let spec = json!({"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template});
        async move {
            let one = serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec}))?;
            deployments.create(&PostParams::default(), &one).await?;
            anyhow::Ok(())
        }
    });
    created.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let begun = Instant::now();
    loop {
        let all = deployments.list(&ListParams::default()).await?;
        let available = |one: &&Deployment| one.status.as_ref().and_then(|status| status.available_replicas) == Some(1);
        let there = all.iter().filter(available).count();
        if there == many {
            return Ok(());
        }
        anyhow::ensure!(begun.elapsed() < LONGEST, "only {there} of {many} Deployments run");
        sleep(Duration::from_secs(1)).await;
    }
}
