//! Gathering the facts that `plan` decides on.

use std::sync::{Arc, OnceLock};

use k8s_openapi::{
    api::core::v1::{Namespace, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};

use super::inflight::{Memory, Shown};
use crate::{
    api::{
        ClientId, Declared, EntraAppCredential, EntraAppCredentialSpec, EntraTenant, credential::TenantRef,
        kinds::ClientSecret,
    },
    cluster::{self, Client, follow::Followed, read, records},
    facts::{
        Elder, Entry, Looked, NamespaceSeen, Observation, Owner, Record, TargetId, TenantObservation, TenantSeen,
        Trouble, record,
    },
    plan::readable::secret_name,
};

/// The metadata of a Secret that bears the label of an owner: a record, or what is published.
pub type Labelled = PartialObjectMeta<Secret>;

/// What is known of the surroundings of every resource: copies in memory, kept by watches.
#[derive(Clone)]
pub struct World {
    /// All tenants.
    pub tenants: Followed<Declared<EntraTenant>>,
    /// The metadata of namespaces: one copy of all, or one of each that the operator is limited to.
    pub namespaces: Vec<Followed<PartialObjectMeta<Namespace>>>,
    /// The resources, likewise.
    pub resources: Vec<Store<Declared<EntraAppCredential>>>,
    /// Records and published Secrets, likewise.
    pub secrets: Vec<Followed<Labelled>>,
    /// Whether the operator is limited to some namespaces. Tenants that nothing there names are then somebody else's.
    pub is_limited: bool,
    /// The application that the operator's surroundings sign in as, if they say so.
    pub ambient_client_id: Option<ClientId>,
    /// Who this process is among those that try to mint.
    pub process: String,
    /// What tells this cluster from others; found out before anything is looked at.
    pub cluster_id: Arc<OnceLock<String>>,
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
        for secrets in &self.secrets {
            secrets.filled().await;
        }
    }

    /// What is known about a resource now.
    pub async fn observe(
        &self,
        resource: &Declared<EntraAppCredential>,
        memory: &mut Memory,
    ) -> Result<Observation, cluster::Error> {
        let spec = resource.spec.as_ref().ok();
        let tenant = match spec {
            Some(spec) => self.tenant(spec.tenant_ref.name.as_str()).await?,
            None => TenantSeen::Missing, // it cannot be read whom the resource names
        };
        let elders = spec.map(|spec| self.elders(resource, spec)).unwrap_or_default();
        Ok(Observation { elders, ..self.surroundings(resource, tenant, memory).await? })
    }

    /// What is known about a resource that has been deleted, from one of its records.
    pub async fn observe_gone(
        &self,
        namespace: &str,
        record: &Record,
        memory: &mut Memory,
    ) -> Result<Observation, cluster::Error> {
        let entry = &record.entry;
        let registered =
            |tenant: &Declared<EntraTenant>| tenant.spec.as_ref().is_ok_and(|spec| spec.tenant_id == entry.tenant);
        let tenant = self.tenants.store.find(registered);
        let resource = remembered(namespace, &record.entry);
        let tenant = match tenant.as_ref().map(|tenant| &tenant.spec) {
            Some(Ok(spec)) => TenantSeen::Present(Box::new(spec.clone())),
            _ => TenantSeen::Missing,
        };
        Ok(Observation { gone: true, ..self.surroundings(&resource, tenant, memory).await? })
    }

    /// What is known about a tenant now.
    #[must_use]
    pub fn observe_tenant(
        &self,
        tenant: &Declared<EntraTenant>,
        reached: Option<Looked<Result<(), Trouble>>>,
    ) -> TenantObservation {
        TenantObservation { tenant: tenant.clone(), reached }
    }

    async fn surroundings(
        &self,
        resource: &Declared<EntraAppCredential>,
        tenant: TenantSeen,
        memory: &mut Memory,
    ) -> Result<Observation, cluster::Error> {
        let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
        let cluster_id = self.cluster_id.get().map(String::as_str).unwrap_or_default();
        let owner = Owner::of(cluster_id, &namespace, &name);
        memory.take_in(self.shown(&namespace, &owner));
        Ok(Observation {
            resource: resource.clone(),
            gone: false,
            tenant,
            namespace: self.namespace(&namespace).await?,
            ambient_client_id: self.ambient_client_id,
            owner,
            process: self.process.clone(),
            elders: vec![],
            records: std::mem::take(&mut memory.records),
            application: memory.application.take(),
            targets: std::mem::take(&mut memory.targets),
            pods: None,                // other people's objects are remembered for no longer than a look
            mine: memory.mine.clone(), // what this process has done outlives a look that panics
        })
    }

    /// What the watches show of an owner.
    fn shown(&self, namespace: &str, owner: &Owner) -> Shown {
        let mut shown = Shown::default();
        let ours = |one: &Labelled| {
            one.namespace().as_deref() == Some(namespace)
                && one.labels().get(record::OWNER).is_some_and(|said| said == owner.as_str())
        };
        for object in self.secrets.iter().flat_map(|followed| followed.store.state_filter(ours)) {
            match records::from_metadata(&object.metadata) {
                Ok(record) => shown.records.push(record),
                Err(why) if record::is_named_like_one(&object.name_any()) => {
                    shown.forged.push((object.name_any(), why.to_string()));
                }
                Err(_) => {
                    let version = object.resource_version().unwrap_or_default();
                    shown.secrets.insert(object.name_any(), version);
                }
            }
        }
        shown
    }

    async fn tenant(&self, name: &str) -> Result<TenantSeen, cluster::Error> {
        let tenant = match self.tenants.store.get(&ObjectRef::new(name)) {
            Some(copy) => Some(copy),
            None => read::cluster_scoped(&self.client, name).await?.map(Arc::new),
        };
        Ok(match tenant.as_ref().map(|tenant: &Arc<Declared<EntraTenant>>| &tenant.spec) {
            None => TenantSeen::Missing,
            Some(Ok(spec)) => TenantSeen::Present(Box::new(spec.clone())),
            Some(Err(error)) => TenantSeen::Undecodable(error.clone()),
        })
    }

    async fn namespace(&self, name: &str) -> Result<NamespaceSeen, cluster::Error> {
        let key = ObjectRef::new(name);
        let namespace = match self.namespaces.iter().find_map(|followed| followed.store.get(&key)) {
            Some(copy) => Some(copy),
            None => read::cluster_scoped(&self.client, name).await?.map(Arc::new),
        };
        Ok(namespace.map_or_else(NamespaceSeen::default, |namespace: Arc<PartialObjectMeta<Namespace>>| {
            NamespaceSeen {
                labels: namespace.labels().clone(),
                terminating: namespace.meta().deletion_timestamp.is_some(),
            }
        }))
    }

    /// Resources that were there before this one and publish to one of its targets.
    fn elders(&self, resource: &Declared<EntraAppCredential>, spec: &EntraAppCredentialSpec) -> Vec<Elder> {
        let own = targets(resource, spec);
        let rank = |one: &Declared<EntraAppCredential>| (one.creation_timestamp(), one.namespace(), one.name_any());
        let mine = rank(resource);
        let elder = |other: &Declared<EntraAppCredential>| {
            let theirs = other.spec.as_ref().ok().filter(|_| rank(other) < mine);
            theirs.is_some_and(|theirs| own.iter().any(|target| publishes_to(other, theirs, resource, target)))
        };
        let found = self.resources.iter().flat_map(|store| store.state_filter(elder));
        let told = found.map(|other| {
            let here = other.namespace() == resource.namespace();
            let name = if here { other.name_any() } else { ObjectRef::from_obj(&*other).to_string() };
            Elder { name, publishes_to: own.clone() }
        });
        told.collect()
    }
}

/// A resource, as far as a record tells what it was.
fn remembered(namespace: &str, entry: &Entry) -> Declared<EntraAppCredential> {
    let metadata = ObjectMeta {
        name: Some(entry.resource.clone()),
        namespace: Some(namespace.to_owned()),
        ..ObjectMeta::default()
    };
    let spec = EntraAppCredentialSpec {
        tenant_ref: TenantRef::default(),
        client_id: entry.client_id,
        client_secret: Some(ClientSecret { validity: None }),
        certificate: None,
        federated: None,
        rotation: None,
        verification: None,
        publish: None,
        consumers: None,
        retirement: None,
        adopt: None,
        deletion_policy: None,
        suspend: false,
    };
    Declared { metadata, spec: Ok(spec), status: None }
}

/// Where a resource publishes.
fn targets(resource: &Declared<EntraAppCredential>, spec: &EntraAppCredentialSpec) -> Vec<TargetId> {
    let name = resource.name_any();
    let secret = secret_name(spec, &name).map(|name| TargetId::Secret(name.into()));
    let vaults = spec.publish.iter().flat_map(|publish| &publish.key_vaults);
    let vaults = vaults.map(|one| TargetId::Vault { url: one.vault_url.clone(), name: one.name.clone() });
    secret.into_iter().chain(vaults).collect()
}

fn publishes_to(
    other: &Declared<EntraAppCredential>,
    theirs: &EntraAppCredentialSpec,
    resource: &Declared<EntraAppCredential>,
    target: &TargetId,
) -> bool {
    match target {
        TargetId::Secret(name) => {
            other.metadata.namespace == resource.metadata.namespace
                && secret_name(theirs, &other.name_any()) == Some(name.as_str())
        }
        TargetId::Vault { url, name } => {
            let mut vaults = theirs.publish.iter().flat_map(|publish| &publish.key_vaults);
            vaults.any(|one| one.vault_url == *url && one.name == *name)
        }
    }
}
