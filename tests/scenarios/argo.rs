//! Rollouts of Argo Rollouts, under their real controller: restarted once each, judged by what Argo says, and waited for
//! until their last old pod is gone, which may be long after Argo calls them healthy.

use k8s_openapi::api::apps::v1::ReplicaSet;
use keywright_sandbox::{Operator, journal::Entry};
use kube::{Api, api::ListParams, core::DynamicObject, runtime::wait::await_condition};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    rotation::{demand, ends, published},
    town::{Firm, PATIENCE, RESOURCE, Town, chain, change, in_lanes, insist, read, same},
};

/// How often the operator has changed a Rollout.
fn restarts(firm: &Firm, name: &str) -> usize {
    let path = format!("/rollouts/{name}");
    firm.proxy.journal().count(|entry| entry.verb == "patch" && entry.path.ends_with(&path))
}

/// New pods one by one, by these steps.
fn canary(steps: &Value) -> Value {
    json!({"canary": {"steps": steps}})
}

/// All new pods beside all old ones, then a switch; with this besides.
fn blue_green(name: &str, more: &Value) -> Value {
    json!({"blueGreen": crate::manifests::merged(json!({"activeService": name}), more)})
}

/// Wait until Argo says this of a Rollout, and has seen its last change.
async fn argo_says(firm: &Firm, name: &str, phase: &str) -> Result<(), Failed> {
    let says = |object: Option<&DynamicObject>| {
        object.is_some_and(|object| {
            let observed: Option<String> = read(object, "/status/observedGeneration");
            let is_current = observed == object.metadata.generation.map(|one| one.to_string());
            is_current && read(object, "/status/phase") == Some(phase.to_owned())
        })
    };
    let waited = tokio::time::timeout(PATIENCE, await_condition(firm.rollouts(), name, says)).await;
    let last: Option<Value> = read(&firm.rollouts().get(name).await?, "/status");
    waited.map_err(|_| format!("Argo should have said {phase} of {name}, but last it was {last:?}"))??;
    Ok(())
}

/// A firm in which both pods of one Rollout sign in with the first credential.
async fn at_rest(town: &Town, name: &str, strategy: &Value) -> Result<(Firm, Operator), Failed> {
    let firm = town.firm_with_rollouts(name).await?;
    let operator = firm.operator().await?;
    firm.run_rollout("web", 2, strategy).await?;
    published(&firm, &json!({})).await?;
    firm.pods_sign_in(2).await?;
    argo_says(&firm, "web", "Healthy").await?;
    Ok((firm, operator))
}

/// Two credentials are valid, and pods go on signing in.
async fn both_are_valid(firm: &Firm) -> Result<(), Failed> {
    firm.pods_sign_in_again(20).await?;
    same("valid", firm.azure.passwords(&firm.payments).map_err(chain)?.len(), 2)
}

pub async fn every_pod_of_a_rollout_gets_the_new_one_before_the_old_one_goes(town: Town) -> Result<(), Failed> {
    let firm = town.firm_with_rollouts("argo").await?;
    let operator = firm.operator().await?;
    let halfway = canary(&json!([{"setWeight": 50}, {"pause": {"duration": "1s"}}]));
    firm.run_rollout("a-canary", 2, &halfway).await?;
    let soon = blue_green("b-blue", &json!({"scaleDownDelaySeconds": 1}));
    firm.run_rollout("b-blue", 2, &soon).await?;
    firm.run_rollout("c-canary", 1, &canary(&json!([]))).await?;
    firm.deploy("d-web", 1, RESOURCE).await?;
    published(&firm, &json!({})).await?;
    firm.pods_sign_in(6).await?;
    for number in 2..=3 {
        demand(&firm).await?;
        ends(&firm, number).await?;
        firm.pods_sign_in_again(20).await?;
    }
    for name in ["a-canary", "b-blue", "c-canary"] {
        same(name, restarts(&firm, name), 2)?;
    }
    same("minted", firm.minted().await?.len(), 3)?;
    firm.ends_clean(&operator).await
}

pub async fn a_healthy_one_keeps_the_old_one_alive_until_its_old_pods_are_gone(town: Town) -> Result<(), Failed> {
    let late = blue_green("web", &json!({"scaleDownDelaySeconds": 900}));
    let (firm, operator) = at_rest(&town, "argo-delay", &late).await?;
    firm.deploy("worker", 1, RESOURCE).await?;
    firm.pods_sign_in(3).await?;
    demand(&firm).await?;
    firm.condition_says("Rotating", "PodsEnding", "rollout/web").await?;
    firm.condition_says("Rotating", "PodsEnding", "scaleDownDelaySeconds").await?;
    argo_says(&firm, "web", "Healthy").await?;
    same("pods with the old one", old_pods(&firm).await?, 2)?;
    both_are_valid(&firm).await?;
    let no_more = json!({"spec": {"strategy": {"blueGreen": {"scaleDownDelayRevisionLimit": 0}}}});
    change(&firm.rollouts(), "web", &no_more).await?;
    ends(&firm, 2).await?;
    same("pods with the old one", old_pods(&firm).await?, 0)?;
    same("restarts", restarts(&firm, "web"), 1)?;
    firm.ends_clean(&operator).await
}

/// How many pods a Rollout keeps of a template without our annotation.
async fn old_pods(firm: &Firm) -> Result<i32, Failed> {
    let sets: Api<ReplicaSet> = Api::namespaced(firm.admin(), &firm.name);
    let of_it = sets.list(&ListParams::default().labels("app=web")).await?;
    let is_old = |set: &&ReplicaSet| {
        let template = set.spec.template.as_ref().and_then(|template| template.metadata.as_ref());
        let annotations = template.and_then(|metadata| metadata.annotations.as_ref());
        !annotations.is_some_and(|all| all.keys().any(|key| key.starts_with("keywright.dev/")))
    };
    Ok(of_it.iter().filter(is_old).filter_map(|set| set.status.as_ref()).map(|status| status.replicas).sum())
}

pub async fn one_that_waits_for_somebody_is_told_and_nobody_else_restarted(town: Town) -> Result<(), Failed> {
    let by_hand = canary(&json!([{"setWeight": 50}, {"pause": {}}]));
    let unpromoted = blue_green("web", &json!({"autoPromotionEnabled": false, "scaleDownDelaySeconds": 1}));
    let cases = [("argo-canary", by_hand), ("argo-blue", unpromoted)].map(|case| (case.0.to_owned(), case.1));
    in_lanes(cases, async |name, strategy| {
        let (firm, operator) = at_rest(&town, &name, &strategy).await?;
        firm.run_rollout("worker", 1, &canary(&json!([]))).await?;
        firm.pods_sign_in(3).await?;
        demand(&firm).await?;
        firm.condition_says("Rotating", "WorkloadPaused", "rollout/web").await?;
        both_are_valid(&firm).await?;
        same("restarts of another", restarts(&firm, "worker"), 0)?;
        firm.tell_argo("web", &json!({"pauseConditions": null})).await?;
        ends(&firm, 2).await?;
        same("restarts", (restarts(&firm, "web"), restarts(&firm, "worker")), (1, 1))?;
        firm.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}

pub async fn one_that_pauses_for_a_while_is_no_trouble(town: Town) -> Result<(), Failed> {
    let a_while = canary(&json!([{"setWeight": 50}, {"pause": {"duration": "4s"}}]));
    let promoted = blue_green("web", &json!({"autoPromotionSeconds": 4, "scaleDownDelaySeconds": 1}));
    let cases = [("argo-while", a_while), ("argo-auto", promoted)].map(|case| (case.0.to_owned(), case.1));
    in_lanes(cases, async |name, strategy| {
        let (firm, operator) = at_rest(&town, &name, &strategy).await?;
        demand(&firm).await?;
        argo_says(&firm, "web", "Paused").await?;
        ends(&firm, 2).await?;
        let told: Vec<String> = firm.events(RESOURCE).await?.into_iter().map(|(reason, _)| reason).collect();
        insist(!told.iter().any(|reason| reason == "WorkloadPaused"), format!("{told:?}"))?;
        firm.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}

pub async fn one_that_is_aborted_is_stalled_until_it_is_tried_again(town: Town) -> Result<(), Failed> {
    let by_hand = canary(&json!([{"setWeight": 50}, {"pause": {}}]));
    let (firm, operator) = at_rest(&town, "argo-abort", &by_hand).await?;
    demand(&firm).await?;
    firm.condition_told("Rotating", "WorkloadPaused").await?;
    firm.tell_argo("web", &json!({"abort": true})).await?;
    firm.condition_says("Rotating", "RolloutStalled", "rollout/web").await?;
    both_are_valid(&firm).await?;
    firm.tell_argo("web", &json!({"abort": false})).await?;
    firm.condition_told("Rotating", "WorkloadPaused").await?;
    firm.tell_argo("web", &json!({"pauseConditions": null})).await?;
    ends(&firm, 2).await?;
    same("restarts", restarts(&firm, "web"), 1)?;
    firm.ends_clean(&operator).await
}

pub async fn a_canary_of_somebody_else_s_is_left_to_its_end(town: Town) -> Result<(), Failed> {
    let by_hand = canary(&json!([{"setWeight": 50}, {"pause": {}}]));
    let (firm, operator) = at_rest(&town, "argo-busy", &by_hand).await?;
    let theirs = json!({"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}});
    change(&firm.rollouts(), "web", &theirs).await?;
    argo_says(&firm, "web", "Paused").await?;
    demand(&firm).await?;
    firm.condition_says("Rotating", "WorkloadPaused", "rollout/web").await?;
    both_are_valid(&firm).await?;
    same("restarts amid it", restarts(&firm, "web"), 0)?;
    firm.tell_argo("web", &json!({"pauseConditions": null})).await?;
    let ours = |entry: &Entry| entry.verb == "patch" && entry.path.ends_with("/rollouts/web");
    firm.proxy.journal().wait_for(|entry| ours(entry) && entry.status == Some(200), PATIENCE).await.map_err(chain)?;
    argo_says(&firm, "web", "Paused").await?;
    both_are_valid(&firm).await?;
    firm.tell_argo("web", &json!({"pauseConditions": null})).await?;
    ends(&firm, 2).await?;
    same("restarts", restarts(&firm, "web"), 1)?;
    firm.ends_clean(&operator).await
}
