//! The directory: all tenants, everybody's use of quotas, and what came of sign-ins. One lock holds it, so that each
//! request sees and leaves it whole. It does no I/O.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

use super::dice::Dice;
use super::log::RefusedSignIn;
use super::quotas::{Limits, Quotas};
use super::tenants::{Tenant, Weather};

/// The directory; clones are the same directory.
#[derive(Clone, Debug)]
pub(crate) struct Directory(Arc<Mutex<State>>);

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tenants: BTreeMap<Uuid, Tenant>,
    pub(crate) limits: Limits,
    pub(crate) quotas: Quotas,
    pub(crate) refused: Vec<RefusedSignIn>,
    pub(crate) accepted: BTreeMap<Uuid, Accepted>,
    pub(crate) dice: Dice,
    weather: Weather,
    replicas: usize,
    seed: u64,
}

/// The sign-ins that were accepted with one secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted {
    pub(crate) count: u64,
    pub(crate) last: Timestamp,
}

impl Directory {
    pub(crate) fn new(replicas: usize, weather: Weather, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            tenants: BTreeMap::new(),
            limits: Limits::default(),
            quotas: Quotas::default(),
            refused: vec![],
            accepted: BTreeMap::new(),
            dice: Dice::new(seed),
            weather,
            replicas,
            seed,
        })))
    }

    /// Every change leaves it whole, so a panic elsewhere does not spoil it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds a tenant, or finds it.
    pub(crate) fn tenant_or_new(&mut self, id: Uuid) -> &mut Tenant {
        let (replicas, weather, seed) = (self.replicas, self.weather, self.seed);
        self.tenants.entry(id).or_insert_with(|| Tenant::new(id, replicas, weather, seed))
    }

    /// The tenant that is called so: by its ID or by one of its domains.
    pub(crate) fn tenant_called(&mut self, name: &str) -> Option<&mut Tenant> {
        let id = Uuid::try_parse(name).ok();
        let is_it = |tenant: &&mut Tenant| {
            id == Some(tenant.id) || tenant.domains.iter().any(|domain| domain.eq_ignore_ascii_case(name))
        };
        self.tenants.values_mut().find(is_it)
    }
}
