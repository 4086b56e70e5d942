//! Many who use one credential, Azure as slow as it is, and nodes whose knowledge is old: the same rotation, only later.

use std::time::Duration;

use futures::future::try_join_all;
use keywright_sandbox::azure;
use kube::api::ListParams;
use libtest_mimic::Failed;
use serde_json::json;

use crate::{
    rollouts::was_restarted,
    rotation::{demand, ends, published},
    town::{Firm, RESOURCE, Town, in_lanes},
};

/// As many as a small machine bears beside other scenarios.
const MANY: usize = 60;

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
    let operator = firm.operator().await?;
    firm.nodes().await?;
    let names: Vec<String> = (0..MANY).map(|number| format!("web-{number}")).collect();
    try_join_all(names.iter().map(|name| firm.deploy(name, 1, RESOURCE))).await?;
    published(&firm, &json!({"spec": {"consumers": {"rollout": {"maxConcurrent": 20}}}})).await?;
    firm.pods_sign_in(MANY).await?;
    demand(&firm).await?;
    are_restarted(&firm, MANY / 2).await?;
    are_restarted(&firm, MANY).await?;
    ends(&firm, 2).await?;
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
