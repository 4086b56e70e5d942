//! A node as the control plane sees it: its object, always Ready, and the Lease that says that it lives. It knows
//! nothing of pods.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::{Value, json};

/// As often as kubelets.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long the scheduler may be kept from a new node.
const WITHIN: Duration = Duration::from_secs(30);

/// Who writes, in the fields' metadata.
pub(crate) const MANAGER: &str = "kubelet";

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) name: String,
    /// No two nodes of a process have the same.
    pub(crate) ip: String,
}

impl Registered {
    pub(crate) fn new(name: String) -> Self {
        let [.., high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        Self { name, ip: format!("10.0.{high}.{low}") }
    }

    /// Makes sure that the node is there, Ready, and alive.
    pub(crate) async fn beat(&self, client: &Client) -> anyhow::Result<()> {
        let nodes: Api<Node> = Api::all(client.clone());
        let failed = || format!("could not register the node {}", self.name);
        match nodes.get_opt(&self.name).await.with_context(failed)? {
            None => {
                let version = client.apiserver_version().await.with_context(failed)?.git_version;
                let node = serde_json::from_value(self.object(&version)).with_context(failed)?;
                nodes.create(&PostParams::default(), &node).await.with_context(failed)?;
            }
            Some(node) if !is_ready(&node) => {
                let status = json!({"status": {"conditions": conditions()}});
                let told = nodes.patch_status(&self.name, &PatchParams::default(), &Patch::Strategic(status)).await;
                told.with_context(failed)?;
            }
            Some(_) => {}
        }
        self.renew(client).await.with_context(|| format!("could not renew the Lease of the node {}", self.name))
    }

    async fn renew(&self, client: &Client) -> anyhow::Result<()> {
        let spec = LeaseSpec {
            holder_identity: Some(self.name.clone()),
            lease_duration_seconds: Some(40),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        };
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let lease = Lease { metadata, spec: Some(spec) };
        let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
        leases.patch(&self.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(lease)).await?;
        Ok(())
    }

    /// Waits until pods are scheduled on it: a new node is tainted until the node controller has seen that it is Ready.
    pub(crate) async fn is_open(&self, client: &Client) -> anyhow::Result<()> {
        let untainted = |node: Option<&Node>| {
            let spec = node.and_then(|node| node.spec.as_ref());
            spec.is_some_and(|spec| spec.taints.as_ref().is_none_or(Vec::is_empty))
        };
        let open = await_condition(Api::all(client.clone()), &self.name, untainted);
        let waited = tokio::time::timeout(WITHIN, open).await;
        let name = &self.name;
        waited
            .with_context(|| {
                format!("the node {name} is still tainted after {WITHIN:?}: is the controller manager up?")
            })?
            .map(drop)
            .with_context(|| format!("could not watch the node {name}"))
    }

    /// `version` is the API server's, since a kubelet is usually as old as that.
    fn object(&self, version: &str) -> Value {
        let room = json!({"cpu": "1000", "memory": "4Ti", "ephemeral-storage": "4Ti", "pods": "10000"});
        let unknown = json!("sandbox");
        json!({
            "metadata": {"name": self.name, "labels": {
                "kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            }},
            "status": {
                "capacity": room,
                "allocatable": room,
                "addresses": [
                    {"type": "InternalIP", "address": self.ip},
                    {"type": "Hostname", "address": self.name},
                ],
                "conditions": conditions(),
                "nodeInfo": {
                    "architecture": "amd64", "operatingSystem": "linux", "osImage": "Keywright sandbox",
                    "kubeletVersion": version, "kubeProxyVersion": "", "containerRuntimeVersion": "sandbox://1",
                    "bootID": unknown, "kernelVersion": unknown, "machineID": unknown, "systemUUID": unknown,
                },
            },
        })
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.filter(|condition| condition.type_ == "Ready").any(|ready| ready.status == "True")
}

fn conditions() -> Value {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition = |type_: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": type_, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        })
    };
    json!([
        condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ])
}
