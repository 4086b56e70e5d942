//! What may happen to workloads while they get a new credential: somebody puts their manifests back, they wait for
//! somebody to delete their pods, they grow, lose pods, or go. The old credential lives until nobody has it.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use keywright_sandbox::node::{ENDS_AFTER, READY_AFTER, RESTART, RUN_FOR};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, EvictParams, ListParams, PostParams},
    core::ObjectMeta,
    runtime::wait::await_condition,
};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    manifests::{self, merged},
    rotation::{demand, ends, has_ended, published},
    town::{Firm, PATIENCE, RESOURCE, Town, chain, change, condition, in_lanes, insist, same},
};

/// Wait until a Deployment is restarted for a credential.
pub async fn is_restarted(firm: &Firm, name: &str) -> Result<(), Failed> {
    let restarted = |deployment: Option<&Deployment>| deployment.is_some_and(was_restarted);
    tokio::time::timeout(PATIENCE, await_condition(firm.deployments(), name, restarted)).await??;
    Ok(())
}

/// Whether a Deployment was restarted for a credential: it is not for the first one.
pub fn was_restarted(deployment: &Deployment) -> bool {
    let template = deployment.spec.template.metadata.as_ref();
    let annotations = template.and_then(|metadata| metadata.annotations.as_ref());
    annotations.is_some_and(|all| all.keys().any(|key| key.starts_with("keywright.dev/")))
}

/// So many credentials are there, and pods go on signing in.
async fn nothing_is_lost(firm: &Firm, valid: usize) -> Result<(), Failed> {
    firm.pods_sign_in_again(20).await?;
    same("valid", firm.azure.passwords(&firm.payments).map_err(chain)?.len(), valid)
}

/// Delete the pods of a workload, as people do.
async fn delete_pods_of(firm: &Firm, workload: &str) -> Result<(), Failed> {
    let of_it = ListParams::default().labels(&format!("app={workload}"));
    firm.pods().delete_collection(&DeleteParams::default(), &of_it).await?;
    Ok(())
}

pub async fn pods_that_wait_for_the_first_one_are_not_restarted_for_it(town: Town) -> Result<(), Failed> {
    let firm = town.firm("waiting").await?;
    let operator = firm.operator().await?;
    for (kind, name) in [("Deployment", "web"), ("StatefulSet", "queue"), ("DaemonSet", "agent")] {
        firm.run(kind, name, 1, RESOURCE).await?;
    }
    firm.bare_pod("bare", RESOURCE).await?;
    firm.pods_wait(4).await?;
    published(&firm, &json!({})).await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    firm.pods_sign_in(4).await?;
    let restarts = firm.proxy.journal().count(|entry| entry.verb == "patch" && entry.path.starts_with("/apis/apps/"));
    same("restarts", restarts, 0)?;
    firm.ends_clean(&operator).await
}

/// Somebody who puts a Deployment back to what it is now, again and again, with every field that is not in it.
async fn puts_back(firm: &Firm, name: &str, every: Duration) -> Result<AbortOnDropHandle<()>, Failed> {
    let api = firm.deployments();
    let now = api.get(name).await?;
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: now.metadata.labels, ..ObjectMeta::default() };
    let manifest = Deployment { metadata, spec: now.spec, status: None };
    let name = name.to_owned();
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        let mut rounds = tokio::time::interval(every);
        loop {
            rounds.tick().await;
            // What is refused now is tried again with the next round.
            drop(api.replace(&name, &PostParams::default(), &manifest).await);
        }
    })))
}

pub async fn a_manifest_that_is_put_back_all_the_time_is_told_and_harms_nobody(town: Town) -> Result<(), Failed> {
    let cases = [50, 300, 1500].map(|every| (format!("put-back-{every}"), Duration::from_millis(every)));
    let contested = in_lanes(cases, async |name, every| {
        let firm = town.firm(&name).await?;
        let operator = firm.operator().await?;
        firm.deploy("web", 2, RESOURCE).await?;
        published(&firm, &json!({})).await?;
        firm.pods_sign_in(2).await?;
        let _loop = puts_back(&firm, "web", every).await?;
        demand(&firm).await?;
        // A loop that is slow enough replaces all pods by those of its own manifest, which have the new one, too.
        firm.until(|| async {
            let ended = has_ended(&firm, RESOURCE, &firm.payments, 2).await?;
            Ok(if is_contested(&firm).await? { Ok(()) } else { ended })
        })
        .await?;
        let contested = is_contested(&firm).await?;
        if contested {
            nothing_is_lost(&firm, 2).await?;
            delete_pods_of(&firm, "web").await?;
        }
        ends(&firm, 2).await?;
        let restarts = firm.proxy.journal().count(|entry| entry.verb == "patch" && entry.path.ends_with("/web"));
        same("restarts", restarts, 1)?;
        firm.ends_clean(&operator).await?;
        Ok(contested)
    })
    .await?;
    insist(contested.contains(&true), "no loop was told")
}

async fn is_contested(firm: &Firm) -> Result<bool, Failed> {
    let object = firm.read(RESOURCE).await?;
    Ok(condition(Some(&object), "Rotating").is_some_and(|one| one.reason == "RolloutContested"))
}

pub async fn pods_that_only_people_replace_are_told_and_waited_for(town: Town) -> Result<(), Failed> {
    let on_delete = json!({"spec": {"updateStrategy": {"type": "OnDelete"}}});
    let partition = json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}}});
    let cases = [
        ("on-delete", "StatefulSet", on_delete.clone(), "OnDelete"),
        ("on-delete-each", "DaemonSet", on_delete, "OnDelete"),
        ("partition", "StatefulSet", partition, "below 1"),
    ];
    let cases = cases.map(|case| (case.0.to_owned(), case));
    in_lanes(cases, async |name, (_, kind, strategy, words)| {
        let firm = town.firm(&name).await?;
        let operator = firm.operator().await?;
        let template = json!({"spec": {"template": {"spec": firm.reader(RESOURCE)}}});
        firm.run_with(kind, "queue", 2, &merged(template, &strategy)).await?;
        published(&firm, &json!({})).await?;
        let pods = if kind == "DaemonSet" { 1 } else { 2 };
        firm.pods_sign_in(pods).await?;
        demand(&firm).await?;
        firm.condition_says("Rotating", "WorkloadWaits", words).await?;
        nothing_is_lost(&firm, 2).await?;
        delete_pods_of(&firm, "queue").await?;
        ends(&firm, 2).await?;
        firm.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}

pub async fn a_pod_of_a_job_is_told_by_its_name_and_waited_for(town: Town) -> Result<(), Failed> {
    let firm = town.firm("jobs").await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 1, RESOURCE).await?;
    let spec = merged(firm.reader(RESOURCE), &json!({"restartPolicy": "Never"}));
    let job = json!({"template": {"spec": spec}});
    let nightly = json!({"schedule": "0 3 * * *", "suspend": true, "jobTemplate": {"spec": job}});
    let nightly = create(&firm, "CronJob", "nightly", &nightly, &json!([])).await?;
    let owner = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": nightly, "controller": true,
    });
    create(&firm, "Job", "nightly-1", &job, &json!([owner])).await?;
    published(&firm, &json!({})).await?;
    firm.pods_sign_in(2).await?;
    demand(&firm).await?;
    firm.condition_says("Rotating", "StragglersRemain", "pod/nightly-1-").await?;
    firm.condition_says("Rotating", "StragglersRemain", "of job/nightly-1").await?;
    nothing_is_lost(&firm, 2).await?;
    let pods = firm.pods().list(&ListParams::default().labels("job-name=nightly-1")).await?;
    let pod = pods.items.first().ok_or("the Job has no pod")?.name_any();
    change(&firm.pods(), &pod, &json!({"metadata": {"annotations": {RUN_FOR: "1s"}}})).await?;
    ends(&firm, 2).await?;
    firm.ends_clean(&operator).await
}

/// Create an object of `batch/v1`. Returns its UID.
async fn create(firm: &Firm, kind: &str, name: &str, spec: &Value, owners: &Value) -> Result<String, Failed> {
    let metadata = json!({"name": name, "namespace": firm.name, "ownerReferences": owners});
    let object = json!({"apiVersion": "batch/v1", "kind": kind, "metadata": metadata, "spec": spec});
    let object = serde_json::from_value(object)?;
    let created = manifests::api(&firm.admin(), &object)?.create(&PostParams::default(), &object).await?;
    Ok(created.metadata.uid.unwrap_or_default())
}

pub async fn a_pod_that_takes_its_time_to_end_keeps_the_old_one_alive(town: Town) -> Result<(), Failed> {
    let firm = town.firm("grace").await?;
    let operator = firm.operator().await?;
    let spec = merged(firm.reader(RESOURCE), &json!({"terminationGracePeriodSeconds": 300}));
    let stubborn = json!({"metadata": {"annotations": {ENDS_AFTER: "never"}}, "spec": spec});
    firm.run_with("Deployment", "web", 1, &json!({"spec": {"template": stubborn}})).await?;
    published(&firm, &json!({})).await?;
    firm.pods_sign_in(1).await?;
    demand(&firm).await?;
    firm.condition_says("Rotating", "PodsEnding", "has been terminating since").await?;
    nothing_is_lost(&firm, 2).await?;
    for pod in firm.pods().list(&ListParams::default()).await? {
        if pod.metadata.deletion_timestamp.is_some() {
            firm.pods().delete(&pod.name_any(), &DeleteParams::default().grace_period(1)).await?;
        }
    }
    ends(&firm, 2).await?;
    firm.ends_clean(&operator).await
}

/// What happens to a workload while its pods are being replaced.
#[derive(Clone, Copy, Debug)]
enum Midway {
    Grows,
    LosesAPod,
    Crashes,
    IsDeleted,
    LeavesOrphans,
}

pub async fn a_workload_that_changes_while_it_is_restarted_loses_no_sign_in(town: Town) -> Result<(), Failed> {
    let all = [Midway::Grows, Midway::LosesAPod, Midway::Crashes, Midway::IsDeleted, Midway::LeavesOrphans];
    let cases = all.map(|midway| (format!("midway-{midway:?}").to_lowercase(), midway));
    in_lanes(cases, async |name, midway| {
        let firm = town.firm(&name).await?;
        let operator = firm.operator().await?;
        firm.deploy("other", 1, RESOURCE).await?;
        let slow = json!({"metadata": {"annotations": {READY_AFTER: "1s"}}, "spec": firm.reader(RESOURCE)});
        firm.run_with("Deployment", "web", 3, &json!({"spec": {"template": slow}})).await?;
        published(&firm, &json!({})).await?;
        firm.pods_sign_in(4).await?;
        demand(&firm).await?;
        is_restarted(&firm, "web").await?;
        happens(&firm, midway).await?;
        ends(&firm, 2).await?;
        firm.pods_sign_in_again(20).await?;
        firm.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}

async fn happens(firm: &Firm, midway: Midway) -> Result<(), Failed> {
    let deployments = firm.deployments();
    match midway {
        Midway::Grows => change(&deployments, "web", &json!({"spec": {"replicas": 6}})).await,
        Midway::LosesAPod => {
            let old = old_pods(firm).await?;
            let first = old.first().ok_or("no old pod is left")?;
            firm.pods().evict(first, &EvictParams::default()).await?;
            Ok(())
        }
        Midway::Crashes => {
            for pod in old_pods(firm).await? {
                change(&firm.pods(), &pod, &json!({"metadata": {"annotations": {RESTART: "1"}}})).await?;
            }
            Ok(())
        }
        Midway::IsDeleted => {
            deployments.delete("web", &DeleteParams::background()).await?;
            Ok(())
        }
        Midway::LeavesOrphans => {
            deployments.delete("web", &DeleteParams::orphan()).await?;
            firm.condition_says("Rotating", "StragglersRemain", "of deployment/web, which is gone").await?;
            nothing_is_lost(firm, 2).await?;
            let sets: Api<ReplicaSet> = Api::namespaced(firm.admin(), &firm.name);
            let of_it = ListParams::default().labels("app=web");
            sets.delete_collection(&DeleteParams::background(), &of_it).await?;
            Ok(())
        }
    }
}

/// The pods of `web` that have not been made for the new credential and are not about to end.
async fn old_pods(firm: &Firm) -> Result<Vec<String>, Failed> {
    let pods = firm.pods().list(&ListParams::default().labels("app=web")).await?;
    let is_new = |key: &String| key.starts_with("keywright.dev/");
    let old =
        pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none() && !pod.annotations().keys().any(is_new));
    Ok(old.map(ResourceExt::name_any).collect())
}
