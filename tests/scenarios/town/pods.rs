//! The pods of a firm: on nodes of its own, with what was published in their variables, signing in without pause.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, ServiceAccount},
};
use keywright_sandbox::{
    Nodes, Witnesses,
    node::{self, SignIn},
    witness::{Holding, Testimonies},
};
use kube::{
    Api,
    api::{ListParams, PostParams},
    core::DynamicObject,
    runtime::{WatchStreamExt, wait::await_condition, watcher},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::{Firm, PATIENCE, chain};

/// How long anything takes a node that takes seconds on a real one.
pub const MOMENT: Duration = Duration::from_millis(200);

impl Firm {
    /// Its nodes, started when the first pod needs one.
    pub async fn nodes(&self) -> Result<&Nodes, Failed> {
        let start = || async {
            let accounts: Api<ServiceAccount> = Api::namespaced(self.town.admin(), &self.name);
            let there = |account: Option<&ServiceAccount>| account.is_some();
            tokio::time::timeout(PATIENCE, await_condition(accounts, "default", there)).await??;
            let sign_in = SignIn {
                every: self.sign_in_every,
                trust: self.azure.ca_pem(),
                proxy: Some(self.azure.endpoints().proxy.clone()),
                ..SignIn::default()
            };
            let options = node::Options {
                names: vec![self.name.clone()],
                cache_lag: self.cache_lag,
                volume_delay: MOMENT,
                token_life: self.token_life,
                readiness: MOMENT,
                ends_after: MOMENT,
                retry: MOMENT,
                sign_in,
            };
            Nodes::start(&self.town.plane, options).await.map_err(chain)
        };
        self.nodes.get_or_try_init(start).await
    }

    /// What its pods have seen.
    pub fn witnesses(&self) -> Witnesses {
        self.nodes.get().map(|nodes| nodes.witnesses().clone()).unwrap_or_default()
    }

    /// A Deployment whose pods take a Secret as their variables; until it is there, they wait for it.
    pub async fn deploy(&self, name: &str, replicas: usize, secret: &str) -> Result<(), Failed> {
        self.run("Deployment", name, replicas, secret).await
    }

    /// A workload of a kind of `apps/v1`, likewise.
    pub async fn run(&self, kind: &str, name: &str, replicas: usize, secret: &str) -> Result<(), Failed> {
        let template = json!({"spec": {"containers": [{"name": "app", "envFrom": [{"secretRef": {"name": secret}}]}]}});
        self.run_with(kind, name, replicas, &json!({"spec": {"template": template}})).await
    }

    /// A workload of a kind of `apps/v1` on the nodes of this firm: a merge patch over one that reads nothing.
    pub async fn run_with(&self, kind: &str, name: &str, replicas: usize, patch: &Value) -> Result<(), Failed> {
        self.nodes().await?;
        let pod = json!({"nodeSelector": {"kubernetes.io/hostname": self.name}, "containers": [{"name": "app"}]});
        let mut workload = json!({
            "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": self.name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
            },
        });
        if kind == "DaemonSet" {
            workload["spec"].as_object_mut().map(|spec| spec.remove("replicas"));
        }
        let mut workload = super::merged(workload, patch);
        for container in workload["spec"]["template"]["spec"]["containers"].as_array_mut().into_iter().flatten() {
            container["image"] = "example.org/app".into();
        }
        let object: DynamicObject = serde_json::from_value(workload)?;
        let api = crate::manifests::api(&self.town.admin(), &object)?;
        api.create(&PostParams::default(), &object).await?;
        Ok(())
    }

    /// The spec of a pod on its nodes that takes a Secret as its variables.
    pub fn reader(&self, secret: &str) -> Value {
        let container =
            json!({"name": "app", "image": "example.org/app", "envFrom": [{"secretRef": {"name": secret}}]});
        json!({"nodeSelector": {"kubernetes.io/hostname": self.name}, "containers": [container]})
    }

    /// A pod that nothing makes anew, which takes a Secret as its variables.
    pub async fn bare_pod(&self, name: &str, secret: &str) -> Result<(), Failed> {
        self.nodes().await?;
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": name}, "spec": self.reader(secret)}))?;
        self.pods().create(&PostParams::default(), &pod).await?;
        Ok(())
    }

    /// Its pods.
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.town.admin(), &self.name)
    }

    /// Its Deployments.
    pub fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.town.admin(), &self.name)
    }

    /// Wait until so many pods cannot start for want of the Secret.
    pub async fn pods_wait(&self, count: usize) -> Result<(), Failed> {
        let waits = |pod: &Pod| {
            let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
            let waiting = statuses.filter_map(|status| status.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
            waiting.into_iter().any(|reason| reason == "CreateContainerConfigError")
        };
        self.pods_are(count, "wait for their Secret", waits).await
    }

    /// Wait until so many pods are so, no more and no less.
    pub(super) async fn pods_are(&self, count: usize, so: &str, are: impl Fn(&Pod) -> bool) -> Result<(), Failed> {
        let pods = self.pods();
        let all_are = async {
            let mut changes = watcher(pods.clone(), watcher::Config::default()).touched_objects().boxed();
            while changes.try_next().await?.is_some() {
                if pods.list(&ListParams::default()).await?.iter().filter(|pod| are(pod)).count() == count {
                    return Ok(());
                }
            }
            Err(Failed::from("the pods can be watched no more"))
        };
        let waited = tokio::time::timeout(PATIENCE, all_are).await;
        waited.map_err(|_| format!("not {count} pods {so}"))?
    }

    /// Wait until so many pods have signed in with what they hold now.
    pub async fn pods_sign_in(&self, count: usize) -> Result<(), Failed> {
        let signs_in = |holding: &&Holding| holding.accepted > 0;
        let pods =
            |seen: &Testimonies| seen.held().filter(signs_in).map(|one| one.who.uid.clone()).collect::<BTreeSet<_>>();
        self.witnesses().wait_for(|seen| pods(seen).len() >= count, PATIENCE).await.map_err(chain)
    }

    /// Wait until pods have signed in so many times more.
    pub async fn pods_sign_in_again(&self, times: u64) -> Result<(), Failed> {
        let accepted = |seen: &Testimonies| -> u64 { seen.holdings.iter().map(|one| one.accepted).sum() };
        let witnesses = self.witnesses();
        let before = witnesses.read(accepted);
        witnesses.wait_for(|seen| accepted(seen) >= before + times, PATIENCE).await.map_err(chain)
    }
}
