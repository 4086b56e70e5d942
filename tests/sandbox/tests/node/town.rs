//! A plane, a token endpoint, and what scenarios do with both.

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret, ServiceAccount};
use keywright_sandbox::node::{Options, SignIn};
use keywright_sandbox::witness::Fingerprint;
use keywright_sandbox::{Nodes, Plane, Programs, Webhook};
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::endpoint::Endpoint;

/// Longer than anything takes on a machine under load.
pub const SOON: Duration = Duration::from_mins(1);

pub struct Town {
    pub plane: Plane,
    pub endpoint: Endpoint,
    webhook: OnceCell<Webhook>,
    kubectl: PathBuf,
}

impl Town {
    pub async fn new() -> Self {
        let plane = Plane::start(keywright_sandbox::Options::default()).await.unwrap();
        let kubectl = Programs::find().await.unwrap().kubectl().unwrap();
        Self { plane, endpoint: Endpoint::open().await, webhook: OnceCell::new(), kubectl }
    }

    /// The webhook, opened for whoever asks for it first.
    pub async fn webhook(&self) -> &Webhook {
        self.webhook.get_or_try_init(|| Webhook::start(&self.plane)).await.unwrap()
    }

    pub async fn close(self) {
        self.plane.stop().await.unwrap();
    }

    pub fn client(&self) -> Client {
        self.plane.admin()
    }

    /// Nodes in a hurry.
    pub fn options(&self, names: &[&str]) -> Options {
        let moment = Duration::from_millis(200);
        let sign_in = SignIn { every: moment, trust: self.endpoint.trust.clone(), ..SignIn::default() };
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Options {
            names,
            cache_lag: moment,
            volume_delay: moment,
            token_life: None,
            readiness: moment,
            ends_after: moment,
            retry: moment,
            sign_in,
        }
    }

    /// A node, and a namespace of the same name in which pods can be created.
    pub async fn node(&self, name: &str) -> Nodes {
        self.inhabit(name).await;
        Nodes::start(&self.plane, self.options(&[name])).await.unwrap()
    }

    pub async fn inhabit(&self, name: &str) {
        let namespace = Namespace {
            metadata: kube::api::ObjectMeta { name: Some(name.into()), ..Default::default() },
            ..Default::default()
        };
        Api::all(self.client()).create(&PostParams::default(), &namespace).await.unwrap();
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), name);
        let present = await_condition(accounts, "default", |account: Option<&ServiceAccount>| account.is_some());
        tokio::time::timeout(SOON, present).await.unwrap().unwrap();
    }

    pub async fn create<K>(&self, namespace: &str, object: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Serialize + DeserializeOwned + Clone + Debug,
    {
        let object: K = serde_json::from_value(object).unwrap();
        Api::namespaced(self.client(), namespace).create(&PostParams::default(), &object).await.unwrap()
    }

    /// A whole set of variables as a Secret `entra`, of which only the client secret is ever another.
    pub async fn secret(&self, namespace: &str, value: &str) {
        let data = json!({
            "AZURE_AUTHORITY_HOST": self.endpoint.url(), "AZURE_TENANT_ID": "contoso", "AZURE_CLIENT_ID": namespace,
            "AZURE_CLIENT_SECRET": value,
        });
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "entra"}, "stringData": data});
        let secrets: Api<Secret> = Api::namespaced(self.client(), namespace);
        secrets.patch("entra", &PatchParams::apply("test").force(), &Patch::Apply(secret)).await.unwrap();
    }

    pub fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client(), namespace)
    }

    pub async fn annotate(&self, namespace: &str, pod: &str, name: &str, value: &str) {
        let patch = json!({"metadata": {"annotations": {name: value}}});
        self.pods(namespace).patch(pod, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Waits until a pod is so, and returns it.
    pub async fn pod(&self, namespace: &str, name: &str, is_so: impl Fn(&Pod) -> bool) -> Pod {
        let so = await_condition(self.pods(namespace), name, |pod: Option<&Pod>| pod.is_some_and(&is_so));
        let Ok(found) = tokio::time::timeout(SOON, so).await else {
            panic!("{namespace}/{name} is {:#?}", self.pods(namespace).get_opt(name).await.unwrap());
        };
        found.unwrap().unwrap()
    }

    pub async fn gone(&self, namespace: &str, name: &str) {
        let gone = await_condition(self.pods(namespace), name, |pod: Option<&Pod>| pod.is_none());
        tokio::time::timeout(SOON, gone).await.unwrap().unwrap();
    }

    /// What kubectl prints; it has to succeed.
    pub async fn kubectl(&self, namespace: &str, command: &str) -> String {
        let mut kubectl = tokio::process::Command::new(&self.kubectl);
        kubectl.args(["--namespace", namespace]).args(command.split_whitespace());
        let done = kubectl.env("KUBECONFIG", self.plane.kubeconfig()).output().await.unwrap();
        assert!(done.status.success(), "kubectl {command}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}

/// A pod on the node of that name, with these fields over the usual ones.
pub fn pod(node: &str, name: &str, annotations: &Value, spec: &Value) -> Value {
    json!({"metadata": {"name": name, "annotations": annotations}, "spec": template(node, spec)})
}

/// The spec of pods on the node of that name: one container, with the Secret `entra` as variables.
pub fn template(node: &str, more: &Value) -> Value {
    let container = json!({"name": "app", "image": "example.org/app", "envFrom": [{"secretRef": {"name": "entra"}}]});
    let mut spec = json!({"nodeSelector": {"kubernetes.io/hostname": node}, "containers": [container]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// The Secret `entra` as files below /etc/entra, and nothing as variables.
pub fn with_files() -> Value {
    json!({
        "containers": [{"name": "app", "image": "example.org/app", "volumeMounts": [{"name": "entra", "mountPath": "/etc/entra"}]}],
        "volumes": [{"name": "entra", "secret": {"secretName": "entra"}}],
    })
}

/// Waits until a pod of that name holds this value, and returns when that began.
pub async fn holds(nodes: &Nodes, pod: &str, value: &str) {
    let held = |holding: &keywright_sandbox::witness::Holding| holding.who.pod == pod && holding.accepted > 0;
    let fingerprint = Fingerprint::of(value);
    nodes.witnesses().wait_for(|seen| seen.holders_of(fingerprint).any(held), SOON).await.unwrap();
}

pub fn is_running(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"))
}

pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready") == "True"
}

pub fn condition(pod: &Pod, name: &str) -> String {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.filter(|condition| condition.type_ == name).map(|condition| condition.status.clone()).collect()
}

/// Why the first container waits: its reason and message.
pub fn waits(pod: &Pod) -> Option<(String, String)> {
    let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    Some((waiting.reason.clone()?, waiting.message.clone().unwrap_or_default()))
}
