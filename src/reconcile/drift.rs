//! What changes outside without us: read per tenant and per vault, never per resource, and only what is declared here is
//! remembered. A round that shows nothing new makes what was known as fresh as the round.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::{
    api::{
        ClientId,
        publish::VaultObjectType,
        values::{VaultName, VaultUrl},
    },
    entra::{Changes, Concern, Since},
    facts::{Application, Care, Holder, Looked, Observation, TargetId, TargetState, Trouble},
    vault::Listed,
};

/// What the rounds through tenants and vaults have shown.
#[derive(Debug, Default)]
pub struct Drift {
    tenants: Mutex<HashMap<String, Applications>>,
    vaults: Mutex<HashMap<Shelf, Entries>>,
}

/// What is listed at once: what a vault keeps of one type.
pub type Shelf = (VaultUrl, VaultObjectType);

/// The last round through a tenant: what came of it, of which generation of the tenant, and when the next is due.
#[derive(Debug, Clone)]
pub struct LastRound {
    /// What came of it.
    pub reached: Looked<Result<(), Trouble>>,
    /// What was cared for then.
    pub care: Care,
    /// Of which generation.
    pub generation: Option<i64>,
    /// When the next is due.
    pub next: Timestamp,
}

#[derive(Debug, Default)]
struct Applications {
    last: Option<LastRound>,
    since: Option<Since>,
    /// When the last round began.
    at: Option<Timestamp>,
    known: BTreeMap<ClientId, Looked<Application>>,
    /// What was known, and has to be looked at by itself since then.
    void_since: BTreeMap<ClientId, Timestamp>,
}

#[derive(Debug)]
struct Entries {
    at: Timestamp,
    listed: BTreeMap<VaultName, Listed>,
}

impl Drift {
    /// The last round, if the next one is not due yet.
    pub fn last_round(&self, tenant: &str, generation: Option<i64>, now: Timestamp) -> Option<LastRound> {
        let tenants = locked(&self.tenants);
        let last = tenants.get(tenant)?.last.clone()?;
        (last.generation == generation && now < last.next).then_some(last)
    }

    /// Remember what came of a round.
    pub fn round_ended(&self, tenant: &str, round: LastRound) {
        locked(&self.tenants).entry(tenant.to_owned()).or_default().last = Some(round);
    }

    /// Where the next round through a tenant begins, and what it is to show of it.
    pub fn next_round(&self, tenant: &str, declared: &BTreeSet<ClientId>) -> (Option<Since>, Concern) {
        let tenants = locked(&self.tenants);
        let shown = tenants.get(tenant);
        let known = shown.iter().flat_map(|shown| shown.known.values()).map(|looked| looked.found.object_id);
        let concern = Concern { applications: declared.clone(), known: known.collect() };
        (shown.and_then(|shown| shown.since.clone()), concern)
    }

    /// Remember a round through a tenant that began then. Returns the declared applications that look different from
    /// before.
    pub fn remember(
        &self,
        tenant: &str,
        changes: Changes,
        declared: &BTreeSet<ClientId>,
        at: Timestamp,
    ) -> BTreeSet<ClientId> {
        let mut tenants = locked(&self.tenants);
        let shown = tenants.entry(tenant.to_owned()).or_default();
        (shown.since, shown.at) = (Some(changes.since), Some(at));
        let mut different = BTreeSet::new();
        // Of a full picture, what is not in it is gone; of changes, only what they say.
        let is_full = changes.is_full;
        for (client_id, found) in changes.seen {
            let same = shown.known.get(&client_id).is_some_and(|known| known.found == found);
            if !same {
                different.insert(client_id);
            }
            shown.known.insert(client_id, Looked { at, found });
        }
        let void = |application: &Application| {
            changes.gone.contains(&application.object_id) || changes.unclear.contains(&application.object_id)
        };
        shown.known.retain(|client_id, looked| {
            let missing = is_full && looked.at != at;
            let stays = declared.contains(client_id) && !void(&looked.found) && !missing;
            if !stays {
                shown.void_since.insert(*client_id, at);
                different.insert(*client_id);
            }
            stays
        });
        different
    }

    /// Remember what a vault listed then. Returns the names that look different from before.
    pub fn remember_vault(&self, on: &Shelf, listed: Vec<Listed>, at: Timestamp) -> BTreeSet<VaultName> {
        let listed: BTreeMap<_, _> = listed.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        let before = locked(&self.vaults).insert(on.clone(), Entries { at, listed: listed.clone() });
        let Some(before) = before else { return BTreeSet::new() };
        let names = before.listed.keys().chain(listed.keys()).cloned();
        names.filter(|name| before.listed.get(name) != listed.get(name)).collect()
    }

    /// Bring an observation up to the last rounds.
    pub fn refresh(&self, seen: &mut Observation, tenant: &str, client_id: ClientId) {
        self.refresh_application(seen, tenant, client_id);
        let vaults = locked(&self.vaults);
        seen.targets.retain(|target, looked| {
            let TargetId::Vault(entry) = target else { return true };
            let on = (entry.url.clone(), entry.object);
            let Some(entries) = vaults.get(&on).filter(|entries| entries.at > looked.at) else { return true };
            let same = is_still(&looked.found, entries.listed.get(&entry.name), looked.at);
            if same == Some(true) {
                looked.at = entries.at;
            }
            same != Some(false)
        });
    }

    fn refresh_application(&self, seen: &mut Observation, tenant: &str, client_id: ClientId) {
        let tenants = locked(&self.tenants);
        let Some(shown) = tenants.get(tenant) else { return };
        let void = shown.void_since.get(&client_id);
        if void.is_some_and(|since| seen.application.as_ref().is_some_and(|looked| looked.at < *since)) {
            // Not forgotten but old, so that it is read by itself.
            if let Some(looked) = &mut seen.application {
                looked.at = Timestamp::UNIX_EPOCH;
            }
        }
        let Some(known) = shown.known.get(&client_id) else { return };
        let at = shown.at.unwrap_or(known.at);
        match &mut seen.application {
            // What was read by itself since then is newer than what the rounds know, unless they know the same.
            Some(looked) if looked.at >= known.at => {
                if looked.found == known.found {
                    looked.at = looked.at.max(at);
                }
            }
            other => *other = Some(Looked { at, found: known.found.clone() }),
        }
    }
}

/// Whether an entry is what it was when it was looked at. Only entries with an owner are listed: of a name that is missing
/// it is not known whether it is free or somebody else's.
fn is_still(found: &TargetState, listed: Option<&Listed>, looked_at: Timestamp) -> Option<bool> {
    match (found, listed) {
        (TargetState::Present(carried), Some(listed)) => {
            let tags = &listed.tags;
            // Key Vault tells whole seconds: what was changed in the second of a look may have been changed after it.
            let untouched = listed.updated.is_none_or(|updated| updated.as_second() < looked_at.as_second());
            let said = (listed.enabled, tags.key_id, tags.sequence);
            // A certificate that is disabled is seen, with that as an obstacle; a secret is not.
            Some(untouched && said == (carried.obstacle.is_none(), carried.key_id, carried.sequence))
        }
        (TargetState::Present(carried), None) if carried.holder == Holder::Unowned => None,
        (TargetState::Present(_), None) | (TargetState::Absent | TargetState::Troubled(_), Some(_)) => Some(false),
        (TargetState::Absent | TargetState::Troubled(_), None) => None,
    }
}

/// A panic elsewhere cannot leave a map half-written.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::{
        api::{KeyId, Reason},
        facts::{Carried, Owner, Sequence, Service},
        vault::Tags,
    };

    fn looked_at() -> Timestamp {
        "2026-11-30T12:00:05.9Z".parse().unwrap()
    }

    fn carried() -> Carried {
        Carried {
            holder: Holder::Owned(Owner::of("cluster", "payments", "api")),
            key_id: Some(KeyId(Uuid::from_u128(1))),
            sequence: Some(Sequence(1)),
            nonce: None,
            agrees: true,
            obstacle: None,
            version: "1".into(),
            uid: None,
        }
    }

    fn listed() -> Listed {
        let Carried { key_id, sequence, .. } = carried();
        let tags = Tags { key_id, sequence, ..Tags::default() };
        Listed { name: "api".into(), tags, enabled: true, updated: "2026-11-30T12:00:04Z".parse().ok() }
    }

    #[test]
    fn what_is_listed_as_it_was_seen_is_not_looked_at_again() {
        assert_eq!(is_still(&TargetState::Present(carried()), Some(&listed()), looked_at()), Some(true));
    }

    #[test]
    fn a_change_in_the_second_of_the_look_may_have_come_after_it() {
        let updated = "2026-11-30T12:00:05Z".parse().ok();
        let changed = Listed { updated, ..listed() };
        assert_eq!(is_still(&TargetState::Present(carried()), Some(&changed), looked_at()), Some(false));
        let later = looked_at() + Duration::from_secs(1);
        assert_eq!(is_still(&TargetState::Present(carried()), Some(&changed), later), Some(true));
    }

    #[test]
    fn what_was_disabled_and_is_not_any_more_is_looked_at_again() {
        let disabled = Trouble::unsent(Service::KeyVault, Reason::VaultForbidden, "it is disabled".into(), "Enable it");
        let seen = TargetState::Present(Carried { obstacle: Some(disabled), ..carried() });
        let off = Listed { enabled: false, ..listed() };
        assert_eq!(is_still(&seen, Some(&off), looked_at()), Some(true));
        assert_eq!(is_still(&seen, Some(&listed()), looked_at()), Some(false));
        assert_eq!(is_still(&TargetState::Present(carried()), Some(&off), looked_at()), Some(false));
    }
}
