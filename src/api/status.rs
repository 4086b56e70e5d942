//! What users read. Status is only a report: everything in it can be found again from the world, and nothing is decided
//! from it. There is no heartbeat: a status that says the same is not written again.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{KeyId, Period, consumers::RolloutStrategy, grant::CredentialKind, rotation::Window, values::Scope};

/// What Keywright has to say about an `EntraAppCredential`.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EntraAppCredentialStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The kind of credential that is declared.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<CredentialKind>,

    /// The policy in force: what the resource says, then the tenant's defaults, then what is built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectivePolicy>,

    /// `Ready`: a proven, unexpired credential is published for this generation. `Rotating`: its reason is the stage.
    /// `RolledOut`: every consumer has it. `Reconciling` and `Stalled` as tools such as Flux read them: `Stalled` waits
    /// for a person, and its message says for what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The credential that is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<CredentialStatus>,

    /// The credential that is on its way, and what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextStatus>,

    /// Credentials of ours that are on their way out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub retiring: Vec<CredentialStatus>,

    /// Federated identities, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub identities: Vec<IdentityStatus>,

    /// Where the credential is published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub targets: Vec<TargetStatus>,

    /// Who uses it, and who does not have it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumers: Option<ConsumersStatus>,

    /// Credentials of the application that are not ours. They are reported, never touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<ForeignStatus>,

    /// When the next rotation begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation_at: Option<Time>,

    /// The rotation that those outside the cluster were told of by an Event, days before it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced_rotation_at: Option<Time>,

    /// The last thing that failed, and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,

    /// The last five rotations, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub history: Vec<PastRotation>,
}

/// The policy in force.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EffectivePolicy {
    /// How long a credential lives; absent where it does not expire or somebody else decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity: Option<Period>,
    /// How long before its expiry it is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<Period>,
    /// The least time that the old one lives after everything is on the new one.
    pub min_overlap: Period,
    /// When workloads may be touched; absent is always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub windows: Vec<Window>,
    /// How a new credential proves itself.
    pub verification: EffectiveVerification,
    /// How workloads are restarted.
    pub rollout: EffectiveRollout,
    /// The Secret that is published, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret_name: Option<String>,
}

/// How a new credential proves itself.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveVerification {
    /// How many sign-ins in a row must succeed.
    pub consecutive_successes: i32,
    /// How long to wait between two.
    pub interval: Period,
    /// How long the proof may take.
    pub timeout: Period,
    /// How old a credential must be before it is published.
    pub min_age: Period,
    /// The scope that is asked for.
    pub scope: Scope,
}

/// How workloads are restarted.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveRollout {
    /// Restarted, or left to reload by themselves.
    pub strategy: RolloutStrategy,
    /// How many at the same time.
    pub max_concurrent: i32,
    /// How long one may take.
    pub timeout: Period,
}

/// One credential of ours.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CredentialStatus {
    /// Its number in the life of this resource.
    pub sequence: i64,
    /// Its key ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// The SHA-256 thumbprint, in hexadecimal, if it is a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub thumbprint: Option<String>,
    /// When it was minted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Time>,
    /// When it expires; absent if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Time>,
    /// What it waits for before it may go, if it is on its way out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub waiting_for: Vec<Line>,
}

/// A credential on its way to being published and used.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NextStatus {
    /// The credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialStatus>,
    /// Why a rotation is due.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// How far it is; the same word as the reason of the condition `Rotating`.
    #[schemars(length(max = 64))]
    pub stage: String,
    /// Since when it is in this stage.
    pub since: Time,
    /// What it waits for, each by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub waiting_for: Vec<Line>,
}

/// One line for a person to read.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(transparent)]
pub struct Line(#[schemars(length(max = 1024))] pub String);

/// One federated identity.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IdentityStatus {
    /// Its name in the spec.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The issuer.
    #[schemars(length(max = 600))]
    pub issuer: String,
    /// The subject.
    #[schemars(length(max = 600))]
    pub subject: String,
    /// The ID of the federated credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub id: Option<String>,
    /// `Proven` by real token exchanges, `IssuerOnly` where Keywright cannot get a token, or what it waits for.
    #[schemars(length(max = 1024))]
    pub proof: String,
}

/// One place where the credential is published.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// Which: `secret/payments-api`, or the URL of a vault's entry.
    #[schemars(length(max = 512))]
    pub target: String,
    /// The number of the credential that it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// What is wrong with it, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Line>,
}

/// Who uses the credential.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ConsumersStatus {
    /// How many workloads, pods without one, copies and outside holders are known.
    pub total: i32,
    /// How many of them have the current credential.
    pub updated: i32,
    /// The first ten that have not, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub pending: Vec<PendingConsumer>,
}

/// A consumer that does not have the current credential yet.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PendingConsumer {
    /// Which: `deployment/web`, `pod/batch-x7`, `external/braintrust-sso`.
    #[schemars(length(max = 320))]
    pub consumer: String,
    /// Why.
    pub because: Line,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// Credentials of the application that are not ours.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ForeignStatus {
    /// How many there are.
    pub count: i32,
    /// The nearest expiry among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest_expiry: Option<Time>,
    /// The first ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub credentials: Vec<ForeignCredential>,
}

/// A credential that is not ours.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ForeignCredential {
    /// Its key ID.
    pub key_id: KeyId,
    /// Its kind.
    #[serde(rename = "type")]
    pub type_: CredentialKind,
    /// Its name in Entra.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub display_name: Option<String>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// Something that failed.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// When.
    pub time: Time,
    /// In which stage.
    #[schemars(length(max = 64))]
    pub stage: String,
    /// Why, in one word; the docs have a paragraph for each.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// What was being done, to what, and what was answered.
    pub message: Line,
    /// What to do about it.
    pub remedy: Line,
    /// The code that Entra, Graph or Key Vault answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub code: Option<String>,
    /// Microsoft's trace or request ID, for their support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub trace_id: Option<String>,
    /// The correlation ID, for their support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub correlation_id: Option<String>,
}

/// A rotation that has ended.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PastRotation {
    /// The number of the credential that it brought.
    pub sequence: i64,
    /// Why it was due.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// How it ended.
    pub result: Line,
}

/// What Keywright has to say about an `EntraTenant`.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EntraTenantStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Ready`: the operator can sign in, and what it may do in Graph was tried. `Paused`: the brake is on; the message
    /// says how to resume.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// How many applications are worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applications: Option<i32>,

    /// How many credentials are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<i32>,

    /// The nearest expiry among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest_expiry: Option<Time>,

    /// Until when Graph has asked us to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_until: Option<Time>,
}
