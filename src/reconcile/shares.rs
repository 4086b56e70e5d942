//! Nobody gets more than a share of the looks that go on at the same time: while nothing answers in one tenant or one
//! vault, each look at what belongs there takes as long as its calls may, and the others must still find somebody to look
//! at them. Nobody is kept waiting in a look: whoever does not get a share is called when one is given back.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::blast::Key;
use crate::api::{EntraAppCredentialSpec, values::VaultUrl};

/// How many objects of one kind are looked at, at the same time. Each may have a connection to the API server of its own,
/// which takes 80 KiB and stays for a while; more of them would do nothing sooner.
pub(super) const ALL: u16 = 128;

/// How many of one tenant.
const OF_A_TENANT: usize = 64;

/// How many of those that publish to one vault. As many as may be stuck in it; what they share is the tenant.
const OF_A_VAULT: usize = 32;

/// Whose looks count together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Of {
    Tenant(String),
    Vault(VaultUrl),
}

impl Of {
    const fn most(&self) -> usize {
        match self {
            Self::Tenant(_) => OF_A_TENANT,
            Self::Vault(_) => OF_A_VAULT,
        }
    }
}

/// The looks that go on.
pub(super) struct Shares {
    taken: Mutex<HashMap<Of, Taken>>,
    call: Box<dyn Fn(&Key) + Send + Sync>,
}

/// How many look, and who would.
#[derive(Debug, Default)]
struct Taken {
    count: usize,
    waiting: BTreeSet<Key>,
}

/// A place among the looks that go on, until it is dropped.
pub(super) struct Share<'a> {
    shares: &'a Shares,
    of: Vec<Of>,
}

impl Shares {
    /// All of them, and what calls a resource that waits for one.
    pub(super) fn new(call: impl Fn(&Key) + Send + Sync + 'static) -> Self {
        Self { taken: Mutex::default(), call: Box::new(call) }
    }

    /// A share for a look at a resource, if its tenant and each of its vaults have one left.
    pub(super) fn take(&self, spec: &EntraAppCredentialSpec, key: Key) -> Option<Share<'_>> {
        let vaults = spec.publish.iter().flat_map(|publish| &publish.key_vaults);
        let mut of: Vec<Of> = vaults.map(|one| Of::Vault(one.vault_url.clone())).collect();
        of.push(Of::Tenant(spec.tenant_ref.name.to_string()));
        of.sort_unstable();
        of.dedup();
        let mut taken = self.lock();
        if let Some(full) = of.iter().find(|one| taken.get(one).is_some_and(|taken| taken.count >= one.most())) {
            taken.entry(full.clone()).or_default().waiting.insert(key);
            return None;
        }
        for one in &of {
            let taken = taken.entry(one.clone()).or_default();
            taken.count += 1;
            taken.waiting.remove(&key);
        }
        Some(Share { shares: self, of })
    }

    /// A panic elsewhere cannot leave a count half-written.
    fn lock(&self) -> MutexGuard<'_, HashMap<Of, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut taken = self.shares.lock();
        let mut next = Vec::new();
        for one in &self.of {
            let Some(left) = taken.get_mut(one) else { continue };
            left.count -= 1;
            next.extend(left.waiting.pop_first());
            if left.count == 0 && left.waiting.is_empty() {
                taken.remove(one);
            }
        }
        drop(taken);
        for key in &next {
            (self.shares.call)(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn spec(tenant: &str, vaults: &[&str]) -> EntraAppCredentialSpec {
        let entry = |name: &&str| json!({"vaultUrl": format!("https://{name}.vault.azure.net"), "name": "a"});
        let vaults: Vec<_> = vaults.iter().map(entry).collect();
        serde_json::from_value(json!({
            "tenantRef": {"name": tenant}, "clientId": "8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f", "clientSecret": {},
            "publish": {"keyVaults": vaults},
        }))
        .unwrap()
    }

    fn key(number: usize) -> Key {
        ("n".to_owned(), number.to_string())
    }

    /// As many as there are.
    fn all<'a>(shares: &'a Shares, tenant: &str, vaults: &[&str]) -> Vec<Share<'a>> {
        (0..200).map_while(|number| shares.take(&spec(tenant, vaults), key(number))).collect()
    }

    #[test]
    fn a_dead_tenant_holds_half_of_the_looks_at_the_most_and_a_dead_vault_half_of_its_tenants() {
        let shares = Shares::new(|_| ());
        let in_vault = all(&shares, "a", &["kv-a"]);
        assert_eq!(in_vault.len(), OF_A_VAULT);
        let elsewhere = all(&shares, "a", &[]);
        assert_eq!(in_vault.len() + elsewhere.len(), OF_A_TENANT);
        assert!(shares.take(&spec("b", &["kv-a"]), key(0)).is_none(), "the vault is the same");
        assert_eq!(all(&shares, "b", &["kv-b", "kv-c"]).len(), OF_A_VAULT);
        assert!(OF_A_TENANT * 2 <= ALL.into() && OF_A_VAULT * 2 <= OF_A_TENANT);
    }

    #[test]
    fn what_is_given_back_is_there_again_and_whoever_waits_is_called_once() {
        let called = Arc::new(Mutex::new(Vec::new()));
        let by = Arc::clone(&called);
        let shares = Shares::new(move |key| by.lock().unwrap().push(key.1.clone()));
        let mut taken = all(&shares, "a", &["kv-a", "kv-a"]);
        assert_eq!(taken.len(), OF_A_VAULT, "twice in one vault is once");
        let waits = key(OF_A_VAULT);
        taken.pop();
        assert_eq!(*called.lock().unwrap(), [waits.1.as_str()]);
        taken.extend(shares.take(&spec("a", &["kv-a"]), waits));
        assert_eq!(taken.len(), OF_A_VAULT);
        drop(taken);
        assert_eq!(called.lock().unwrap().len(), 1);
        assert!(shares.lock().is_empty(), "nothing is left of what is given back");
    }
}
