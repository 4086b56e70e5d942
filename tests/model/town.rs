//! The bounds of a search: which targets and how many operators there are, what may go wrong and how often, how long
//! things take.

use std::{collections::BTreeMap, time::Duration};

use keywright::{
    facts::{Mine, NamespaceSeen, Nonce, Observation, Owner, Records, TargetId, TenantSeen},
    plan::{Decision, Moment, Timing, plan},
};
use serde_json::json;

use super::{mutants::Mutant, world};

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
    /// A target cannot be read.
    Blindness,
    /// Somebody deletes a record.
    RecordDeleted,
    /// Somebody deletes the Secret, or scribbles on it.
    SecretTouched,
    /// Somebody removes a credential of ours in Entra.
    Revocation,
    /// etcd is restored from a backup.
    Restore,
    /// A policy blocks sign-ins for a while.
    Block,
}

/// Everything that may go wrong.
pub const EVERYTHING: &[Fault] = &[
    Fault::Refusal,
    Fault::Silence,
    Fault::Repeat,
    Fault::Crash,
    Fault::Pause,
    Fault::Blindness,
    Fault::RecordDeleted,
    Fault::SecretTouched,
    Fault::Revocation,
    Fault::Restore,
    Fault::Block,
];

/// What is searched.
pub struct Town {
    pub operators: usize,
    pub targets: Vec<TargetId>,
    pub pods: bool,
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
    finalizer: seconds(50),
    after_refusal: (seconds(2), seconds(6)),
    again: (seconds(2), seconds(6)),
    mint_again: (seconds(6), seconds(12)),
    ..Timing::REAL
};

impl Town {
    /// Some operators, and some of the targets `secret` and `vault`.
    pub fn new(operators: usize, targets: &[&str], faults: &'static [Fault], most_faults: usize) -> Self {
        let named = |name: &&str| match *name {
            "secret" => TargetId::Secret("payments-api".into()),
            _ => TargetId::Vault { url: VAULT.into(), name: "payments-api".into() },
        };
        Self {
            operators,
            targets: targets.iter().map(named).collect(),
            pods: false,
            faults,
            most_faults,
            timing: TIMING,
            mutant: None,
            stranger: Owner::of("cluster", "other", "api"),
            template: template(targets),
        }
    }

    /// The same with a pod that may start, and end, at any time.
    pub fn with_a_pod(mut self) -> Self {
        self.pods = true;
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
}

/// A duration as the model counts.
pub fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap()
}

fn template(targets: &[&str]) -> Observation {
    let vaults =
        if targets.contains(&"vault") { json!([{"vaultUrl": VAULT, "name": "payments-api"}]) } else { json!([]) };
    let mut publish = json!({"keyVaults": vaults});
    if targets.contains(&"secret") {
        publish["secret"] = json!({});
    }
    let object = json!({
        "metadata": {"name": "payments-api", "namespace": "payments", "generation": 1},
        "spec": {
            "clientId": CLIENT, "clientSecret": {}, "publish": publish,
            "verification": {"consecutiveSuccesses": 2, "interval": "1s", "timeout": "16s", "minAge": "0s"},
        },
    });
    let tenant = json!({
        "tenantId": TENANT,
        "grants": [{
            "name": "payments", "namespaces": {"names": ["payments"]}, "clientIds": [CLIENT], "kinds": ["ClientSecret"],
            "keyVaults": [{"url": VAULT}],
        }],
    });
    Observation {
        resource: serde_json::from_value(object).unwrap(),
        gone: false,
        tenant: TenantSeen::Present(Box::new(serde_json::from_value(tenant).unwrap())),
        namespace: NamespaceSeen::default(),
        ambient_client_id: None,
        owner: Owner::of("cluster", "payments", "payments-api"),
        process: String::new(),
        elders: vec![],
        records: Records::default(),
        application: None,
        targets: BTreeMap::new(),
        pods: None,
        mine: Mine::default(),
    }
}
