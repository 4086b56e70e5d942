//! Who uses a credential.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Period, rules,
    values::{HolderName, ObjectName, SecretKey},
};

/// Who uses the credential.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Consumers {
    /// How workloads are found: `PublishedSecret` (the default) looks for those that read the published Secret, by
    /// environment or volume; `None` says that there are none to look for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Discovery>,

    /// More workloads of this namespace, for those that read a Key Vault themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["kind".into(), "name".into()]))]
    pub workloads: Vec<Workload>,

    /// Copies of the credential that another tool makes from a Key Vault (External Secrets, the CSI driver): wait
    /// until the copy has the new value, then roll those who read the copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into(), "key".into()]))]
    pub synced_secrets: Vec<SyncedSecret>,

    /// Holders outside the cluster. The old credential stays until each has confirmed that it has the new one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub external: Vec<ExternalHolder>,

    /// How workloads are restarted. Without it, the tenant's defaults apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// How workloads are found.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discovery {
    /// Those that read the published Secret.
    PublishedSecret,
    /// There are none to look for.
    None,
}

/// A workload of the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: ObjectName,
}

/// A kind of workload that can be rolled.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    /// A Deployment of `apps/v1`.
    Deployment,
    /// A StatefulSet of `apps/v1`.
    StatefulSet,
    /// A DaemonSet of `apps/v1`.
    DaemonSet,
    /// A Rollout of Argo Rollouts, where it is installed.
    Rollout,
}

impl WorkloadKind {
    /// The word for people, as `kubectl` takes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
            Self::Rollout => "rollout",
        }
    }
}

/// A key of a Secret into which another tool copies the credential.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct SyncedSecret {
    /// The name of the Secret.
    pub name: ObjectName,
    /// The key that carries the credential.
    pub key: SecretKey,
}

/// A holder outside the cluster.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[x_kube(validation = rules::AFTER_NEEDS_A_PERIOD)]
pub struct ExternalHolder {
    /// The name by which status, events and the confirming annotation speak of it, at most 53 characters.
    pub name: HolderName,

    /// How it confirms: `Manual` by the annotation `keywright.dev/confirmed.<name>: <keyId>` on this resource,
    /// `After` by a time that passes, `SignInReport` by Microsoft's report of when each credential was last used.
    ///
    /// That report is about the application, not about this holder: it counts as confirmed when nobody at all has signed in
    /// with an old credential for the time in `after`, and the report shows a sign-in with the new one later than that, so
    /// that it is known to be recent enough. Somebody who signs in more seldom than that is not noticed. It needs
    /// `AuditLog.Read.All` for the operator and Microsoft's public cloud, and knows nothing of federated credentials; what it
    /// does not show proves nothing. The annotation counts as well, whatever the report says.
    pub confirm: Confirmation,

    /// With `confirm: After`: how long after publication it counts as confirmed. With `confirm: SignInReport`: how long nobody
    /// may have signed in with an old credential, at least an hour; by default as long as the overlap
    /// (`retirement.minOverlap`). Make it longer than the longest pause of the holder: `35d` for one that runs once a month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Period>,
}

/// How an outside holder confirms that it has the new credential.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// Somebody annotates the resource.
    Manual,
    /// A time passes.
    After,
    /// Microsoft's report shows that no old credential is used any more.
    SignInReport,
}

/// How workloads are restarted.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// `Rolling` (the default) restarts the readers, the first alone and then a few at a time; `None` says that the
    /// applications reload by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<RolloutStrategy>,

    /// How many workloads roll at the same time after the first. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_concurrent: Option<i32>,

    /// How long one workload may take before it counts as stalled; then no further one is started. Default: 30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
}

/// How workloads get the new credential.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutStrategy {
    /// They are restarted.
    Rolling,
    /// They reload by themselves.
    None,
}
