//! Gathering the facts that `plan` decides on.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::{ResourceExt, core::PartialObjectMeta, runtime::reflector::ObjectRef};

use crate::{
    api::{ClientId, Declared, EntraAppCredential, EntraTenant},
    cluster::follow::Followed,
    facts::{Observation, TenantObservation, TenantSeen},
};

/// What is known of the surroundings of every resource: copies in memory, kept by watches.
#[derive(Clone)]
pub struct World {
    /// All tenants.
    pub tenants: Followed<Declared<EntraTenant>>,
    /// The metadata of namespaces: one copy of all, or one of each that the operator is limited to.
    pub namespaces: Vec<Followed<PartialObjectMeta<Namespace>>>,
    /// The application that the operator's surroundings sign in as, if they say so.
    pub ambient_client_id: Option<ClientId>,
}

impl World {
    /// Wait until everything has been read once: before that, a tenant that is there would seem to be missing.
    pub async fn filled(&self) {
        self.tenants.filled().await;
        for namespaces in &self.namespaces {
            namespaces.filled().await;
        }
    }

    /// What is known about a resource now.
    #[must_use]
    pub fn observe(&self, resource: &Declared<EntraAppCredential>) -> Observation {
        Observation {
            tenant: self.tenant_of(resource),
            namespace_labels: self.labels(&resource.namespace().unwrap_or_default()),
            ambient_client_id: self.ambient_client_id,
            resource: resource.clone(),
        }
    }

    /// What is known about a tenant now.
    #[must_use]
    pub fn observe_tenant(&self, tenant: &Declared<EntraTenant>) -> TenantObservation {
        TenantObservation { tenant: tenant.clone() }
    }

    fn tenant_of(&self, resource: &Declared<EntraAppCredential>) -> TenantSeen {
        let Ok(spec) = &resource.spec else {
            return TenantSeen::Missing; // it cannot be read whom the resource names
        };
        match self.tenants.store.get(&ObjectRef::new(spec.tenant_ref.name.as_str())) {
            None => TenantSeen::Missing,
            Some(tenant) => match &tenant.spec {
                Ok(spec) => TenantSeen::Present(Box::new(spec.clone())),
                Err(error) => TenantSeen::Undecodable(error.clone()),
            },
        }
    }

    fn labels(&self, namespace: &str) -> BTreeMap<String, String> {
        let key = ObjectRef::new(namespace);
        let found = self.namespaces.iter().find_map(|followed| followed.store.get(&key));
        found.map(|namespace| namespace.labels().clone()).unwrap_or_default()
    }
}
