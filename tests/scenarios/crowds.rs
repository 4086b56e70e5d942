//! Many who use one credential, Azure as slow as it is, and nodes whose knowledge is old: the same rotation, only later.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, future::try_join_all};
use k8s_openapi::api::apps::v1::Deployment;
use keywright_sandbox::{
    Operator, azure,
    ledger::{Blame, Offence},
};
use kube::{
    Api, ResourceExt,
    api::ListParams,
    runtime::{WatchStreamExt, watcher},
};
use libtest_mimic::Failed;
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    rollouts::was_restarted,
    rotation::{demand, ends, published},
    town::{Firm, PATIENCE, RESOURCE, Town, chain, in_lanes, insist, locked, same},
};

/// As many as a small machine bears beside other scenarios.
const MANY: usize = 60;

/// As many as some applications really have.
const ALL_OF_THEM: usize = 150;

/// How many may be restarted at the same time.
const AT_ONCE: usize = 20;

/// Counts the Deployments that are being restarted, as anybody sees it who watches them.
struct Restarting {
    seen: Arc<Mutex<Restarts>>,
    _watch: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Restarts {
    now: BTreeSet<String>,
    done: BTreeSet<String>,
    /// So many at once, at the most.
    most: usize,
    /// The same, until the first of them was done.
    most_before_the_first_was_done: usize,
}

impl Restarting {
    /// Count from now on.
    fn watch(deployments: Api<Deployment>) -> Self {
        let seen = Arc::<Mutex<Restarts>>::default();
        let told = Arc::clone(&seen);
        let watch = tokio::spawn(async move {
            let mut changes = watcher(deployments, watcher::Config::default()).applied_objects().boxed();
            while let Ok(Some(deployment)) = changes.try_next().await {
                locked(&told).note(&deployment);
            }
        });
        Self { seen, _watch: AbortOnDropHandle::new(watch) }
    }

    /// Everything that was to be restarted was, the first alone, and never more than so many at once.
    fn was_kept_to(&self, most: usize, all: usize) -> Result<(), Failed> {
        let seen = locked(&self.seen);
        same("restarted", seen.done.len(), all)?;
        same("at once, before the first was done", seen.most_before_the_first_was_done, 1)?;
        insist(seen.most <= most, format!("{} were restarted at once, but {most} may be", seen.most))?;
        insist(seen.most > 1, "never were two restarted at once")
    }
}

impl Restarts {
    fn note(&mut self, deployment: &Deployment) {
        let name = deployment.name_any();
        if !was_restarted(deployment) || self.done.contains(&name) {
            return;
        }
        if is_settled(deployment) {
            self.now.remove(&name);
            self.done.insert(name);
            return;
        }
        self.now.insert(name);
        self.most = self.most.max(self.now.len());
        if self.done.is_empty() {
            self.most_before_the_first_was_done = self.most;
        }
    }
}

/// Whether the last change of a Deployment has come to its end, as `kubectl rollout status` judges it.
fn is_settled(deployment: &Deployment) -> bool {
    let (wanted, status) = (deployment.spec.replicas.unwrap_or(1), deployment.status.clone().unwrap_or_default());
    let [updated, all, available] =
        [status.updated_replicas, status.replicas, status.available_replicas].map(Option::unwrap_or_default);
    let is_seen = status.observed_generation >= deployment.metadata.generation;
    is_seen && updated >= wanted && all <= updated && available >= updated
}

/// Wait until so many Deployments were restarted.
async fn are_restarted(firm: &Firm, count: usize) -> Result<(), Failed> {
    firm.until(|| async {
        let all = firm.deployments().list(&ListParams::default()).await?;
        let restarted = all.iter().filter(|one| was_restarted(one)).count();
        Ok(if restarted >= count { Ok(()) } else { Err(format!("{restarted} of {count} were restarted")) })
    })
    .await
}

pub async fn a_credential_that_many_workloads_use_rotates(town: Town) -> Result<(), Failed> {
    let firm = town.firm("crowd").await?;
    rotates_with(firm, MANY).await
}

pub async fn a_credential_that_a_hundred_and_fifty_workloads_use_rotates(town: Town) -> Result<(), Failed> {
    let mut firm = town.firm("whole-crowd").await?;
    firm.sign_in_every = Duration::from_secs(1);
    rotates_with(firm, ALL_OF_THEM).await
}

async fn rotates_with(firm: Firm, many: usize) -> Result<(), Failed> {
    let operator = firm.operator().await?;
    firm.nodes().await?;
    let names: Vec<String> = (0..many).map(|number| format!("web-{number}")).collect();
    try_join_all(names.iter().map(|name| firm.deploy(name, 1, RESOURCE))).await?;
    published(&firm, &json!({"spec": {"consumers": {"rollout": {"maxConcurrent": AT_ONCE}}}})).await?;
    firm.pods_sign_in(many).await?;
    let restarting = Restarting::watch(firm.deployments());
    demand(&firm).await?;
    are_restarted(&firm, many / 2).await?;
    are_restarted(&firm, many).await?;
    ends(&firm, 2).await?;
    restarting.was_kept_to(AT_ONCE, many)?;
    firm.pods_sign_in_again(200).await?;
    firm.ends_clean(&operator).await
}

pub async fn servers_of_entra_that_hear_of_it_late_refuse_nobody(town: Town) -> Result<(), Failed> {
    let mut firm =
        town.firm_with("as-slow-as-it-is", azure::Options { replicas: 5, ..azure::Options::default() }).await?;
    let proof = json!({"consecutiveSuccesses": 20, "interval": "1s", "timeout": "2m", "minAge": "19s"});
    firm.asking = json!({"spec": {"verification": proof}});
    let operator = firm.operator().await?;
    firm.deploy("web", 2, RESOURCE).await?;
    published(&firm, &json!({})).await?;
    firm.pods_sign_in(2).await?;
    demand(&firm).await?;
    are_restarted(&firm, 1).await?;
    ends(&firm, 2).await?;
    firm.pods_sign_in_again(50).await?;
    firm.ends_clean(&operator).await
}

/// What is built in is 90 seconds for a cache that is at most a minute old; here both are fifty times as short, but for a
/// margin.
pub async fn nodes_that_serve_old_copies_are_waited_for(town: Town) -> Result<(), Failed> {
    let cases = [1_800, 3_000].map(|lag| (format!("old-copies-{lag}"), Duration::from_millis(lag)));
    in_lanes(cases, async |name, lag| {
        let mut firm = town.firm(&name).await?;
        firm.cache_lag = lag;
        let operator = firm.operator().await?;
        firm.deploy("web", 3, RESOURCE).await?;
        published(&firm, &json!({})).await?;
        firm.pods_sign_in(3).await?;
        for number in 2..=3 {
            demand(&firm).await?;
            ends(&firm, number).await?;
        }
        firm.pods_sign_in_again(50).await?;
        firm.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}

/// The neighbour of the one above: nothing that is built in takes any time, so what starts right after the publication
/// may read what its node has kept for a minute. That must go wrong, and the ledger must say how; where nodes keep
/// nothing it goes well, so it is the settling that the others owe their peace to.
pub async fn nodes_that_serve_old_copies_break_a_rotation_that_does_not_settle(town: Town) -> Result<(), Failed> {
    let cases = [("keeps-old-copies", Duration::from_mins(1)), ("keeps-no-copies", Duration::ZERO)];
    in_lanes(cases.map(|(name, lag)| (name.to_owned(), lag)), async |name, lag| {
        let mut firm = town.firm_with(&name, azure::Options { scale: 0.0, ..azure::Options::default() }).await?;
        firm.cache_lag = lag;
        firm.args = ["--time-scale", "0"].map(str::to_owned).into();
        let operator = firm.operator().await?;
        firm.deploy("web", 2, RESOURCE).await?;
        published(&firm, &json!({})).await?;
        firm.pods_sign_in(2).await?;
        demand(&firm).await?;
        ends(&firm, 2).await?;
        if lag.is_zero() {
            firm.pods_sign_in_again(20).await?;
            return firm.ends_clean(&operator).await;
        }
        is_blamed(&firm, &operator).await
    })
    .await?;
    Ok(())
}

/// Pods are refused, since what they hold was removed while they held it; and nothing else is wrong.
async fn is_blamed(firm: &Firm, operator: &Operator) -> Result<(), Failed> {
    firm.witnesses().wait_for(|seen| !seen.refusals.is_empty(), PATIENCE).await.map_err(chain)?;
    firm.ends_with(operator, &[Offence::RemovedWhileHeld, Offence::Refused(Blame::StaleContainer)]).await
}
