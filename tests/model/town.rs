//! The bounds of a search: which targets, clusters and operators there are, what may go wrong and how often, how long
//! things take.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use keywright::{
    facts::{Federation, Mine, NamespaceSeen, Nonce, Observation, Owner, Records, TargetId, TenantSeen, VaultEntry},
    plan::{Decision, Moment, Timing, plan},
};
use serde_json::{Value, json};

use super::{
    cluster::Cluster,
    mutants::Mutant,
    scene::Rotation,
    world::{self, Minted},
};

const CLIENT: &str = "8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f";
const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const VAULT: &str = "https://kv-payments.vault.azure.net";

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A service says no.
    Refusal,
    /// No answer comes, and the effect lands later, at once, or never.
    Silence,
    /// The answer is that of a second try of what had succeeded.
    Repeat,
    /// An operator is killed: between two steps, or after an effect that it never heard of.
    Crash,
    /// An operator sleeps over a step and takes it later.
    Pause,
    /// The same, over the writing of a target.
    PauseInPublishing,
    /// A target, or who reads it, cannot be seen.
    Blindness,
    /// A watch shows workloads and pods as they were a moment ago.
    OldNews,
    /// Somebody deletes a record.
    RecordDeleted,
    /// Somebody writes a record that is none of ours.
    Forgery,
    /// Somebody deletes the Secret, or scribbles on it.
    SecretTouched,
    /// Somebody puts an earlier Secret back.
    PutBack,
    /// Somebody removes a credential of ours in Entra.
    Revocation,
    /// etcd is restored from a backup.
    Restore,
    /// A policy blocks sign-ins for a while.
    Block,
    /// Somebody takes our annotation out of a template, or puts an earlier one back.
    AnnotationTaken,
    /// A pod is evicted, or its container restarts.
    Eviction,
    /// A new pod does not become well.
    Stall,
    /// A node does not answer.
    NodeLost,
}

/// Everything that may go wrong.
pub const EVERYTHING: &[Fault] = &[
    Fault::Refusal,
    Fault::Silence,
    Fault::Repeat,
    Fault::Crash,
    Fault::Pause,
    Fault::Blindness,
    Fault::OldNews,
    Fault::RecordDeleted,
    Fault::Forgery,
    Fault::SecretTouched,
    Fault::PutBack,
    Fault::Revocation,
    Fault::Restore,
    Fault::Block,
    Fault::AnnotationTaken,
    Fault::Eviction,
    Fault::Stall,
    Fault::NodeLost,
];

/// What is searched.
pub struct Town {
    pub operators: usize,
    /// Clusters with the same ID. With two, each has an operator of its own.
    pub clusters: usize,
    pub targets: Vec<TargetId>,
    /// Whether, before a first issue, a pod waits for the Secret.
    pub pods: bool,
    /// What there is when a rotation is due; none: nothing was ever issued.
    pub rotation: Option<Rotation>,
    pub faults: &'static [Fault],
    /// How many faults there may be in one run.
    pub most_faults: usize,
    pub timing: Timing,
    pub mutant: Option<Mutant>,
    /// The owner of a credential that is none of ours.
    pub stranger: Owner,
    template: Observation,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// In the order of the real ones, but small, so that few instants matter. A proof lasts longer than a change takes to be
/// heard of everywhere, or it would prove nothing.
const TIMING: Timing = Timing {
    mint_within: seconds(2),
    quiet_start: seconds(3),
    spread: seconds(6),
    fresh: seconds(4),
    takeover: seconds(8),
    absence: seconds(8),
    settle: seconds(10),
    late_mint: seconds(12),
    drift: seconds(30),
    consumers: seconds(30),
    finalizer: seconds(50),
    after_refusal: (seconds(2), seconds(6)),
    again: (seconds(2), seconds(6)),
    mint_again: (seconds(6), seconds(12)),
    usage: (seconds(2), seconds(12)),
    ..Timing::REAL
};

/// The least time that an old credential lives on after everybody has the new one.
pub const OVERLAP: i64 = 10;

impl Town {
    /// A first issue: some operators, and some of the targets `secret` and `vault`.
    pub fn new(operators: usize, targets: &[&str], faults: &'static [Fault], most_faults: usize) -> Self {
        let named = |name: &&str| match *name {
            "secret" => TargetId::Secret("payments-api".into()),
            _ => TargetId::Vault(VaultEntry::secret(&VAULT.into(), &"payments-api".into())),
        };
        Self {
            operators,
            clusters: 1,
            targets: targets.iter().map(named).collect(),
            pods: false,
            rotation: None,
            faults,
            most_faults,
            timing: TIMING,
            mutant: None,
            stranger: Owner::of("cluster", "other", "api"),
            template: template(targets, &json!({})),
        }
    }

    /// A rotation of what one operator has published to the Secret, or to the vault where nobody reads the Secret.
    pub fn rotating(rotation: Rotation, faults: &'static [Fault], most_faults: usize) -> Self {
        let targets: &[&str] = if rotation.is_read_from_the_vault() { &["vault"] } else { &["secret"] };
        let template = template(targets, &rotation.asks());
        Self { rotation: Some(rotation), template, ..Self::new(1, targets, faults, most_faults) }
    }

    /// The same with a pod that may start, and end, at any time.
    pub fn with_a_pod(mut self) -> Self {
        self.pods = true;
        self
    }

    /// The same with a second operator.
    pub fn with_two_operators(mut self) -> Self {
        self.operators = 2;
        self
    }

    /// The same with a clone of the cluster that has the same ID, with an operator of its own.
    pub fn cloned(mut self) -> Self {
        (self.operators, self.clusters) = (2, 2);
        self
    }

    /// The same with a planner that has a bug.
    pub fn with(mut self, mutant: Mutant) -> Self {
        self.mutant = Some(mutant);
        self
    }

    /// What an operator knows when it has looked at nothing yet.
    pub fn first_sight(&self, who: usize) -> Observation {
        Observation { process: format!("operator-{who}"), ..self.template.clone() }
    }

    /// Whose credentials ours are.
    pub fn owner(&self) -> &Owner {
        &self.template.owner
    }

    /// What the planner says.
    pub fn decide(&self, seen: &Observation, now: i64, chance: Nonce) -> Decision {
        let moment = Moment { now: world::time(now), chance };
        match self.mutant {
            None => plan(seen, &self.timing, &moment),
            Some(mutant) => mutant.plan(seen, &self.timing, &moment),
        }
    }

    /// How long a kubelet may show an old Secret.
    pub fn settle(&self) -> i64 {
        whole(self.timing.settle)
    }

    /// Whether something may go wrong.
    pub fn allows(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// Whether any pod may still start in a cluster.
    pub fn may_start(&self, cluster: &Cluster) -> bool {
        self.rotation.is_some() || (self.pods && cluster.pods_started == 0)
    }

    /// Whether the only backup is of before the rotation.
    pub fn only_one_backup(&self) -> bool {
        self.rotation.is_some()
    }

    /// Whether a credential is to be replaced although it is valid.
    pub fn is_due(&self, minted: &Minted, now: i64) -> bool {
        self.rotation.as_ref().is_some_and(|rotation| rotation.is_due(minted, now))
    }

    /// How many credentials may be minted when nothing goes wrong.
    pub fn mints(&self) -> usize {
        if self.rotation.is_some() { 2 * self.clusters } else { 1 }
    }
}

/// A duration as the model counts.
pub fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap()
}

fn template(targets: &[&str], asks: &Value) -> Observation {
    let vaults =
        if targets.contains(&"vault") { json!([{"vaultUrl": VAULT, "name": "payments-api"}]) } else { json!([]) };
    let mut publish = json!({"keyVaults": vaults});
    if targets.contains(&"secret") {
        publish["secret"] = json!({});
    }
    let mut spec = json!({
        "clientId": CLIENT, "clientSecret": {}, "publish": publish,
        "verification": {"consecutiveSuccesses": 2, "interval": "1s", "timeout": "16s", "minAge": "0s"},
        "retirement": {"minOverlap": format!("{OVERLAP}s")},
    });
    for (field, value) in asks.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    let object = json!({
        "metadata": {"name": "payments-api", "namespace": "payments", "generation": 1}, "spec": spec,
    });
    let tenant = json!({
        "tenantId": TENANT,
        "grants": [{
            "name": "payments", "namespaces": {"names": ["payments"]}, "clientIds": [CLIENT], "kinds": ["ClientSecret"],
            "keyVaults": [{"url": VAULT}], "allow": ["RetireForeign", "RevokeCompromised"],
        }],
    });
    Observation {
        resource: Arc::new(serde_json::from_value(object).unwrap()),
        gone: false,
        tenant: TenantSeen::Present(Arc::new(serde_json::from_value(tenant).unwrap())),
        namespace: NamespaceSeen::default(),
        ambient_client_id: None,
        owner: Owner::of("cluster", "payments", "payments-api"),
        process: String::new(),
        elders: vec![],
        siblings: vec![],
        records: Records::default(),
        application: None,
        targets: BTreeMap::new(),
        source: None,
        federation: Federation::default(),
        consumers: None,
        braked: None,
        mine: Mine::default(),
    }
}
