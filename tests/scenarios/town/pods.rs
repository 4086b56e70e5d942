//! The pods of a firm: on nodes of its own, with what was published in their variables, signing in without pause.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, Secret, ServiceAccount},
};
use keywright_sandbox::{
    Nodes, Witnesses,
    azure::{SelfSigned, X509},
    node::{self, SignIn},
    witness::{Holding, Testimonies},
};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams, PostParams},
    core::DynamicObject,
    runtime::{WatchStreamExt, wait::await_condition, watcher},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::{Firm, PATIENCE, chain};

/// Where pods mount a Secret with a certificate.
const CERTIFICATES: &str = "/var/run/secrets/entra";

/// When a program reads its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// For each sign-in, so that it follows what is published.
    EachTime,
    /// Once, as it does with a credential of Microsoft's SDKs: it needs a restart.
    AtStart,
}

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

    /// A Deployment whose pods mount a Secret and sign in with what is in a file of it: a key and its certificate. Keywright
    /// calls it `credential.pem`. Until the Secret is there, they wait for it.
    pub async fn run_certificate(
        &self,
        name: &str,
        replicas: usize,
        (secret, file): (&str, &str),
        reads: Reads,
    ) -> Result<(), Failed> {
        let template = self.certified((secret, file), &self.client_id, reads);
        self.run_with("Deployment", name, replicas, &json!({"spec": {"template": template}})).await
    }

    /// The template of such pods, of any application.
    pub fn certified(&self, (secret, file): (&str, &str), client_id: &str, reads: Reads) -> Value {
        let variables = json!([
            {"name": "AZURE_TENANT_ID", "value": self.payments.tenant.to_string()},
            {"name": "AZURE_CLIENT_ID", "value": client_id},
            {"name": "AZURE_CLIENT_CERTIFICATE_PATH", "value": format!("{CERTIFICATES}/{file}")},
        ]);
        let mounts = json!([{"name": "entra", "mountPath": CERTIFICATES, "readOnly": true}]);
        let container = json!({"name": "app", "env": variables, "volumeMounts": mounts});
        let volumes = json!([{"name": "entra", "secret": {"secretName": secret}}]);
        let annotations = match reads {
            Reads::EachTime => json!({}),
            Reads::AtStart => json!({node::READS_AT: "start"}),
        };
        json!({"metadata": {"annotations": annotations}, "spec": {"containers": [container], "volumes": volumes}})
    }

    /// A certificate with a key, as cert-manager or a person keeps them: a Secret of the type `kubernetes.io/tls`, with all
    /// in one file besides, which may be the operator's source. If it is there already, it is changed in place.
    pub async fn provide(&self, secret: &str, certificate: &SelfSigned, key: &SelfSigned) -> Result<(), Failed> {
        self.published.is_a_source(secret);
        let (certificate, key) = (certificate.pem(), key.key_pem());
        let data = json!({"tls.crt": certificate, "tls.key": key, "tls-combined.pem": format!("{key}{certificate}")});
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}, "type": "kubernetes.io/tls",
            "stringData": data,
        });
        let secrets: Api<Secret> = Api::namespaced(self.town.admin(), &self.name);
        secrets.patch(secret, &PatchParams::apply("issuer").force(), &Patch::Apply(object)).await?;
        Ok(())
    }

    /// Wait until so many pods have signed in with this certificate, which they hold now.
    pub async fn pods_sign_in_with(&self, count: usize, x509: &X509) -> Result<(), Failed> {
        let fingerprint = x509.fingerprint();
        let pods = |seen: &Testimonies| {
            let signing_in = seen.holders_of(fingerprint).filter(|holding| holding.accepted > 0);
            signing_in.map(|one| one.who.uid.clone()).collect::<BTreeSet<_>>()
        };
        self.witnesses().wait_for(|seen| pods(seen).len() >= count, PATIENCE).await.map_err(chain)
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
