//! A tenant whose services take a call and never answer: it waits for itself, and everybody else goes on.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use keywright_sandbox::{
    Operator, Rule,
    azure::{GRAPH, TOKEN, VAULT},
    faults::Point,
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    lifecycle::Admin,
    manifests::{OTHER, merged},
    telling::eventually,
    town::{Firm, Town, insist},
};

/// More than are looked at, at the same time.
const MANY: u32 = 150;

/// Less than any call waits for its answer.
const SOON: Duration = Duration::from_secs(9);

/// As many resources as keep everybody busy, each like this.
async fn many(firm: &Firm, patch: impl Fn(&str) -> Value) -> Result<(), Failed> {
    let all = (0..MANY).map(|number| {
        let name = format!("dead-{number:03}");
        let patch = patch(&name);
        async move { firm.resource(&name, &patch).await }
    });
    try_join_all(all).await?;
    Ok(())
}

/// A resource is published although others wait for answers that never come.
async fn is_published_soon(firm: &Firm) -> Result<(), Failed> {
    let since = Instant::now();
    firm.resource("alive", &json!({})).await?;
    firm.told("alive", "Published").await?;
    insist(since.elapsed() < SOON, format!("it took {:?}", since.elapsed()))
}

/// A firm with another tenant in which nothing is answered at a point, and more resources of it than are looked at at once.
async fn beside_a_dead_tenant(firm: &Firm, hangs: impl FnOnce(&str) -> Point) -> Result<(), Failed> {
    firm.tenant(&json!({})).await?;
    let dead = firm.azure.seed_tenant();
    firm.azure.faults().add(hangs(&dead.to_string()).hang());
    let name = format!("{}-dead", firm.name);
    let grant = merged(firm.grant(), &json!({"clientIds": [OTHER]}));
    let spec = json!({"metadata": {"name": name}, "spec": {"tenantId": dead, "grants": [grant]}});
    firm.tenant(&spec).await?;
    many(firm, |_| json!({"spec": {"tenantRef": {"name": name}, "clientId": OTHER}})).await
}

/// Those that wait until somebody is free to look at them are counted, and for how long the first has waited.
async fn some_are_told_to_wait(operator: &Operator) -> Result<(), Failed> {
    let admin = Admin::of(operator).await?;
    let told = eventually(async || {
        let (_, text) = admin.get("/metrics").await?;
        let of = |name: &str| {
            let line = format!("{name}{{kind=\"EntraAppCredential\"}} ");
            text.lines().find_map(|found| found.strip_prefix(&line)?.parse::<f64>().ok())
        };
        let waiting = of("keywright_queue_waiting").filter(|count| *count > 0.0);
        Ok(waiting.zip(of("keywright_queue_oldest_seconds").filter(|seconds| *seconds > 0.0)))
    });
    let (waiting, _) = told.await?.ok_or("nobody is told to wait")?;
    insist(waiting <= f64::from(MANY), format!("{waiting} are told to wait"))
}

pub async fn a_tenant_whose_authority_never_answers_holds_up_nobody_else(town: Town) -> Result<(), Failed> {
    let firm = town.firm("dead-authority").await?;
    let operator = firm.operator().await?;
    beside_a_dead_tenant(&firm, |tenant| Rule::at(TOKEN, "*", &format!("/{tenant}/**"))).await?;
    some_are_told_to_wait(&operator).await?;
    is_published_soon(&firm).await?;
    firm.ends_clean(&operator).await
}

pub async fn a_vault_that_never_answers_holds_up_nobody_else(town: Town) -> Result<(), Failed> {
    let firm = town.firm("dead-vault").await?;
    let operator = firm.operator().await?;
    firm.tenant(&json!({})).await?;
    firm.azure.faults().add(Rule::at(VAULT, "*", "**").hang());
    many(&firm, |name| json!({"spec": {"publish": {"keyVaults": [{"vaultUrl": firm.vault, "name": name}]}}})).await?;
    is_published_soon(&firm).await?;
    firm.ends_clean(&operator).await
}

pub async fn a_graph_that_never_answers_is_asked_by_one_at_a_time(town: Town) -> Result<(), Failed> {
    let firm = town.firm("dead-graph").await?;
    let operator = firm.operator().await?;
    let hangs = firm.azure.faults().add(Rule::at(GRAPH, "*", "**").hang());
    firm.tenant(&json!({})).await?;
    many(&firm, |_| json!({"spec": {"suspend": true}})).await?;
    firm.tenant_told("Unreachable").await?;
    let asked = hangs.applied();
    // As long as nothing answers, one call at a time finds out whether something does.
    tokio::time::sleep(Duration::from_secs(12)).await;
    insist(hangs.applied() <= asked + 4, format!("{} calls, and before that {asked}", hangs.applied()))?;
    firm.ends_clean(&operator).await
}
