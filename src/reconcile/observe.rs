//! Gathering the facts that `plan` decides on.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::Namespace;
use kube::{ResourceExt, core::PartialObjectMeta, runtime::reflector::ObjectRef};

use crate::{
    api::{ClientId, Declared, EntraAppCredential, EntraTenant},
    cluster::{self, Client, follow::Followed, read},
    facts::{Mine, NamespaceSeen, Observation, Owner, Records, TenantObservation, TenantSeen},
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
    /// For what the copies lack. A watch brings things late: somebody who applies a tenant and a resource at once must
    /// not be told that there is no such tenant.
    pub client: Client,
}

impl World {
    /// Wait until everything has been read once.
    pub async fn filled(&self) {
        self.tenants.filled().await;
        for namespaces in &self.namespaces {
            namespaces.filled().await;
        }
    }

    /// What is known about a resource now.
    pub async fn observe(&self, resource: &Declared<EntraAppCredential>) -> Result<Observation, cluster::Error> {
        let namespace = resource.namespace().unwrap_or_default();
        Ok(Observation {
            tenant: self.tenant_of(resource).await?,
            namespace: NamespaceSeen { labels: self.labels(&namespace).await?, terminating: false },
            owner: Owner::of("", &namespace, &resource.name_any()),
            process: String::new(),
            elders: vec![],
            records: Records::default(),
            application: None,
            targets: BTreeMap::new(),
            pods: None,
            mine: Mine::default(),
            ambient_client_id: self.ambient_client_id,
            resource: resource.clone(),
        })
    }

    /// What is known about a tenant now.
    #[must_use]
    pub fn observe_tenant(&self, tenant: &Declared<EntraTenant>) -> TenantObservation {
        TenantObservation { tenant: tenant.clone() }
    }

    async fn tenant_of(&self, resource: &Declared<EntraAppCredential>) -> Result<TenantSeen, cluster::Error> {
        let Ok(spec) = &resource.spec else {
            return Ok(TenantSeen::Missing); // it cannot be read whom the resource names
        };
        let name = spec.tenant_ref.name.as_str();
        let tenant = match self.tenants.store.get(&ObjectRef::new(name)) {
            Some(copy) => Some(copy),
            None => read::cluster_scoped(&self.client, name).await?.map(Arc::new),
        };
        Ok(match tenant.as_ref().map(|tenant| &tenant.spec) {
            None => TenantSeen::Missing,
            Some(Ok(spec)) => TenantSeen::Present(Box::new(spec.clone())),
            Some(Err(error)) => TenantSeen::Undecodable(error.clone()),
        })
    }

    async fn labels(&self, name: &str) -> Result<BTreeMap<String, String>, cluster::Error> {
        let key = ObjectRef::new(name);
        let namespace = match self.namespaces.iter().find_map(|followed| followed.store.get(&key)) {
            Some(copy) => Some(copy),
            None => read::cluster_scoped(&self.client, name).await?.map(Arc::new),
        };
        Ok(namespace.map(|namespace| namespace.labels().clone()).unwrap_or_default())
    }
}
