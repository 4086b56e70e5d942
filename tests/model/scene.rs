//! Where a rotation begins: credential 1 is published, whoever is to have it has it, and another one is due.

use std::rc::Rc;

use keywright::facts::{Attempt, Cause, Entry, Kept, Mark, Nonce, Record, Sequence, Stage, TargetId};
use serde_json::{Value, json};

use super::{
    cluster::{Cluster, Copy, Etcd, Pod, Published, stamped},
    town::{Fault, OVERLAP, Town},
    world::{Key, Minted, Outside, World, key_id, time},
};

/// What there is when a rotation is due.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rotation {
    /// How many workloads read the Secret.
    pub workloads: usize,
    /// Whether a pod does that nothing restarts.
    pub bare: bool,
    pub outside: Who,
    pub due: Due,
    /// When a maintenance window opens; none if there is no window. The next one opens after a day.
    pub window: Option<i64>,
    /// Whether the spec names every credential that is none of ours, to be removed.
    pub foreign: bool,
}

/// Who uses the credential outside of the cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Who {
    #[default]
    Nobody,
    /// Somebody who is named, and for whom a person confirms.
    Named,
    /// Somebody who is named, and confirms by a report of who signs in with what.
    Reported,
    /// Somebody of whom nobody has told us, and who reads the vault.
    Unknown,
}

/// Why a rotation is due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Due {
    /// The spec asks for one that is younger.
    #[default]
    Demanded,
    /// It ends before long.
    Ending,
    /// Somebody else may know it.
    Compromised,
}

/// The credential that is published at first.
pub const FIRST: Key = 2;
/// One that somebody has made by hand.
pub const MADE_BY_HAND: Key = 0;
const STRANGERS: Key = 1;

/// How long a rollout may take.
pub const PATIENCE: i64 = 20;
const DEMANDED: i64 = -10;
const ENDS: i64 = 260;
const RENEW_BEFORE: i64 = 200;
/// How long a window stays open.
const OPEN: i64 = 60;
const LONG_AGO: i64 = -1000;

impl Rotation {
    /// Whether no Secret is published.
    pub fn is_read_from_the_vault(&self) -> bool {
        self.outside == Who::Unknown
    }

    /// What the spec says.
    pub fn asks(&self) -> Value {
        let mut consumers = json!({"rollout": {"timeout": format!("{PATIENCE}s")}});
        let confirm = match self.outside {
            Who::Named => Some("Manual"),
            Who::Reported => Some("SignInReport"),
            Who::Nobody | Who::Unknown => None,
        };
        if let Some(confirm) = confirm {
            consumers["external"] = json!([{"name": "sso", "confirm": confirm}]);
        }
        let mut rotation = match self.due {
            Due::Demanded => json!({"issuedAfter": time(DEMANDED).to_string()}),
            Due::Ending => json!({"renewBefore": format!("{RENEW_BEFORE}s")}),
            Due::Compromised => json!({}),
        };
        if let Some(opens) = self.window {
            let schedule = time(opens).strftime("%M %H * * *").to_string();
            rotation["windows"] = json!([{"schedule": schedule, "duration": format!("{OPEN}s")}]);
        }
        let named = |keys: &[Key]| keys.iter().map(|key| key_id(*key).to_string()).collect::<Vec<_>>();
        let retirement = json!({
            "minOverlap": format!("{OVERLAP}s"),
            "foreignKeyIds": named(if self.foreign { &[MADE_BY_HAND, STRANGERS] } else { &[] }),
            "compromisedKeyIds": named(if self.due == Due::Compromised { &[FIRST] } else { &[] }),
        });
        json!({"consumers": consumers, "rotation": rotation, "retirement": retirement})
    }

    /// Whether a credential is to be replaced.
    pub fn is_due(&self, minted: &Minted, now: i64) -> bool {
        match self.due {
            Due::Demanded | Due::Compromised => minted.added < DEMANDED,
            Due::Ending => minted.ends.is_some_and(|end| end - RENEW_BEFORE <= now),
        }
    }

    /// Whether workloads may be touched.
    pub fn is_open(&self, now: i64) -> bool {
        self.window.is_none_or(|opens| opens <= now && now < opens + OPEN)
    }

    /// How long before the end of a credential no window is waited for any more.
    pub const fn notice() -> i64 {
        RENEW_BEFORE / 2
    }

    /// Make a world as it is when nothing was done about it yet.
    pub fn set(&self, town: &Town, world: &mut World) {
        let mark = Mark { owner: town.owner().clone(), sequence: Sequence(1), nonce: Nonce::of([1; 10]) };
        let ends = (self.due == Due::Ending).then_some(ENDS);
        let key = FIRST;
        let name = mark.display_name("payments", "payments-api");
        let copy = Copy { key, sequence: mark.sequence, nonce: mark.nonce.clone(), edited: false };
        let record = stamped(record(town, mark.clone(), key, ends));
        world.graph.push(Minted { name, mark: Some(mark), added: LONG_AGO, ends, removed: None, used: None });
        let mut etcd = Etcd { records: vec![record], templates: vec![None; self.workloads], ..Etcd::default() };
        if self.is_read_from_the_vault() {
            world.vault = Some(copy);
        } else {
            etcd.secret = Some(Published { uid: 0, version: 0, copy });
        }
        let of_workloads = (0..self.workloads).map(Some);
        let pods = of_workloads.chain(self.bare.then_some(None));
        let pods: Vec<Pod> =
            pods.map(|of| Pod { well: true, ..Pod::starting(of, None, Some(key), LONG_AGO) }).collect();
        let etcd = Rc::new(etcd);
        let backups = if town.allows(Fault::Restore) { vec![Rc::clone(&etcd)] } else { vec![] };
        let cluster = Cluster { etcd, pods: Rc::new(pods), backups, ..Cluster::default() };
        world.clusters = vec![cluster; town.clusters];
        world.outside = (self.outside != Who::Nobody).then_some(Outside { holds: key, confirmed: None });
    }
}

fn record(town: &Town, mark: Mark, key: Key, ends: Option<i64>) -> Record {
    let seen = town.first_sight(0);
    let at = |second| Some(time(LONG_AGO + second));
    let keywright::facts::TenantSeen::Present(tenant) = &seen.tenant else { panic!("a tenant is there") };
    let client_id = seen.resource.spec.as_ref().unwrap().client_id;
    let about = (tenant.tenant_id, client_id, keywright::api::grant::CredentialKind::ClientSecret);
    let first = Attempt { nonce: mark.nonce, holder: "operator-0".into(), at: time(LONG_AGO) };
    let entry = Entry {
        cause: Some(Cause::FirstIssue),
        kept: Some(Kept {
            key_id: key_id(key),
            issued_at: time(LONG_AGO),
            expires_at: ends.map(time),
            thumbprint: None,
        }),
        stage: Stage::Publishing,
        published_to: published_to(town),
        verified_at: at(10),
        published_at: at(11),
        proven_at: at(12),
        ..Entry::opened(mark.owner, "payments-api", about, mark.sequence, first)
    };
    Record {
        uid: "first".into(),
        version: String::new(),
        created_at: time(LONG_AGO),
        finalized: false,
        deleting: false,
        entry,
    }
}

fn published_to(town: &Town) -> Vec<TargetId> {
    let mut every = town.targets.clone();
    every.sort_unstable();
    every
}
