//! Gathering the facts that `plan` decides on.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use k8s_openapi::{
    api::core::v1::{Namespace, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};

use super::{
    drift::LastRound,
    index::Index,
    memory::{Basis, Memory, Shown},
};
use crate::{
    api::{
        ClientId, Declared, EntraAppCredential, EntraAppCredentialSpec, EntraTenant,
        credential::TenantRef,
        grant::CredentialKind,
        kinds::{Certificate, ClientSecret, Federated},
    },
    cluster::{self, Client, follow::Followed, read, records},
    facts::{
        Braked, Elder, Entry, Mine, NamespaceSeen, Observation, Owner, Record, Sibling, TargetId, TenantObservation,
        TenantSeen, record,
    },
    plan::readable::secret_name,
};

/// The metadata of a Secret that bears the label of an owner: a record, or what is published.
pub type Labelled = PartialObjectMeta<Secret>;

/// Secrets of ours, by namespace and the owner that their label names.
pub type ByOwner = Index<Labelled, (String, String)>;

/// Resources by where they publish.
pub type ByTarget = Index<Declared<EntraAppCredential>, Place>;

/// A target of the whole cluster: one that is a Secret has a namespace.
pub type Place = (Option<String>, TargetId);

/// What is known of the surroundings of every resource: copies in memory, kept by watches.
#[derive(Clone)]
pub struct World {
    /// All tenants.
    pub tenants: Followed<Declared<EntraTenant>>,
    /// The metadata of namespaces: one copy of all, or one of each that the operator is limited to.
    pub namespaces: Vec<Followed<PartialObjectMeta<Namespace>>>,
    /// The resources, likewise.
    pub resources: Vec<Store<Declared<EntraAppCredential>>>,
    /// The same, by where they publish.
    pub by_target: ByTarget,
    /// Records and published Secrets, likewise.
    pub secrets: Vec<Followed<Labelled>>,
    /// The same, by their owners.
    pub by_owner: ByOwner,
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
        resource: &Arc<Declared<EntraAppCredential>>,
        memory: &mut Memory,
    ) -> Result<Observation, cluster::Error> {
        let spec = resource.spec.as_ref().ok();
        let tenant = match spec {
            Some(spec) => self.tenant(spec.tenant_ref.name.as_str()).await?,
            None => TenantSeen::Missing, // it cannot be read whom the resource names
        };
        Ok(Observation { elders: self.elders(resource), ..self.surroundings(resource, tenant, memory).await? })
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
        let resource = Arc::new(remembered(namespace, &record.entry));
        let tenant = match tenant.as_ref().map(|tenant| &tenant.spec) {
            Some(Ok(spec)) => TenantSeen::Present(Arc::clone(spec)),
            _ => TenantSeen::Missing,
        };
        Ok(Observation { gone: true, ..self.surroundings(&resource, tenant, memory).await? })
    }

    /// What is known about a tenant now.
    #[must_use]
    pub fn observe_tenant(
        &self,
        tenant: &Declared<EntraTenant>,
        round: Option<LastRound>,
        braked: Option<Braked>,
    ) -> TenantObservation {
        let care = round.as_ref().map(|round| round.care).filter(|_| !self.is_limited);
        TenantObservation { tenant: tenant.clone(), reached: round.map(|round| round.reached), care, braked }
    }

    async fn surroundings(
        &self,
        resource: &Arc<Declared<EntraAppCredential>>,
        tenant: TenantSeen,
        memory: &mut Memory,
    ) -> Result<Observation, cluster::Error> {
        let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
        let owner = self.owner(&namespace, &name);
        memory.take_in(Shown { basis: basis(resource, &tenant), ..self.shown(&namespace, &owner) });
        Ok(Observation {
            resource: Arc::clone(resource),
            gone: false,
            tenant,
            namespace: self.namespace(&namespace).await?,
            ambient_client_id: self.ambient_client_id,
            owner,
            process: self.process.clone(),
            elders: vec![],
            siblings: self.siblings(resource, &memory.records.list),
            records: std::mem::take(&mut memory.records),
            application: memory.application.take(),
            targets: std::mem::take(&mut memory.targets).into_iter().collect(),
            federation: std::mem::take(&mut memory.federation),
            source: memory.source.take(),
            braked: None,
            consumers: None, // other people's objects are remembered for no longer than a look
            mine: Mine { watching: false, ..memory.mine.clone() }, // what this process has done outlives a look that panics
        })
    }

    /// Who a resource is in everything that is minted for it.
    #[must_use]
    pub fn owner(&self, namespace: &str, name: &str) -> Owner {
        let cluster_id = self.cluster_id.get().map(String::as_str).unwrap_or_default();
        Owner::of(cluster_id, namespace, name)
    }

    /// What the watches show of an owner.
    fn shown(&self, namespace: &str, owner: &Owner) -> Shown {
        // Counted before the copies are read: what comes in between voids what was remembered at the next look.
        let lists = self.secrets.iter().map(Followed::lists).sum();
        let mut shown = Shown { lists, ..Shown::default() };
        let key = (namespace.to_owned(), owner.to_string());
        let found = self.by_owner.of(&key);
        let now = found.iter().filter_map(|name| self.secrets.iter().find_map(|followed| followed.store.get(name)));
        // The index may be a moment behind the copy.
        for object in now.filter(|object| owned_by(object).as_ref() == Some(&key)) {
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
            Some(Ok(spec)) => TenantSeen::Present(Arc::clone(spec)),
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
    fn elders(&self, resource: &Declared<EntraAppCredential>) -> Vec<Elder> {
        let rank = |one: &Declared<EntraAppCredential>| (one.creation_timestamp(), one.namespace(), one.name_any());
        let mine = rank(resource);
        let at = |place: Place| {
            let found = self.by_target.of(&place).into_iter().filter(|other| *other != ObjectRef::from_obj(resource));
            let there = found.filter_map(|other| self.resources.iter().find_map(|store| store.get(&other)));
            // The index may be a moment behind the copy.
            let elder = there.filter(|other| rank(other) < mine && places(other).contains(&place));
            let elder: Vec<_> = elder.map(|other| (other, place.1.clone())).collect();
            elder
        };
        let told = places(resource)
            .into_iter()
            .flat_map(at)
            .map(|(other, target)| Elder { name: named(&other, resource), publishes_to: vec![target] });
        told.collect()
    }

    /// Other resources about the application of this one, if it has or had federated identities.
    fn siblings(&self, resource: &Declared<EntraAppCredential>, records: &[Record]) -> Vec<Sibling> {
        let had = records.iter().any(|record| record.entry.kind == CredentialKind::Federated);
        let spec = resource.spec.as_ref().ok().filter(|spec| had || spec.federated.is_some());
        let Some(spec) = spec else { return vec![] };
        let is_one = |other: &&Arc<Declared<EntraAppCredential>>| {
            let about_it = |other: &Arc<EntraAppCredentialSpec>| other.client_id == spec.client_id;
            other.spec.as_ref().is_ok_and(about_it)
                && other.metadata.deletion_timestamp.is_none()
                && ObjectRef::from_obj(&***other) != ObjectRef::from_obj(resource)
        };
        let one = |other: &Arc<Declared<EntraAppCredential>>| {
            let federated = other.spec.as_ref().ok()?.federated.as_ref();
            let identities = federated.map(|federated| federated.identities.clone()).unwrap_or_default();
            Some(Sibling { name: named(other, resource), namespace: other.namespace()?, identities })
        };
        let all = self.resources.iter().flat_map(Store::state);
        all.collect::<Vec<_>>().iter().filter(is_one).filter_map(one).collect()
    }
}

/// What a resource is called beside another.
fn named(other: &Declared<EntraAppCredential>, beside: &Declared<EntraAppCredential>) -> String {
    let here = other.namespace() == beside.namespace();
    if here { other.name_any() } else { ObjectRef::from_obj(other).to_string() }
}

/// A resource, as far as a record tells what it was.
fn remembered(namespace: &str, entry: &Entry) -> Declared<EntraAppCredential> {
    let metadata = ObjectMeta {
        name: Some(entry.resource.clone()),
        namespace: Some(namespace.to_owned()),
        ..ObjectMeta::default()
    };
    let is = |kind| entry.kind == kind;
    let generated = || Certificate { generate: None, secret_ref: None };
    let spec = EntraAppCredentialSpec {
        tenant_ref: TenantRef::default(),
        client_id: entry.client_id,
        client_secret: is(CredentialKind::ClientSecret).then_some(ClientSecret { validity: None }),
        certificate: is(CredentialKind::Certificate).then(generated),
        federated: is(CredentialKind::Federated).then(|| Federated { identities: vec![] }),
        rotation: None,
        verification: None,
        publish: None,
        consumers: None,
        retirement: None,
        adopt: None,
        deletion_policy: None,
        suspend: false,
    };
    Declared { metadata, spec: Ok(Arc::new(spec)), status: None }
}

/// Where a resource publishes.
#[must_use]
pub fn places(resource: &Declared<EntraAppCredential>) -> BTreeSet<Place> {
    let Ok(spec) = &resource.spec else { return BTreeSet::new() };
    let name = resource.name_any();
    let secret = secret_name(spec, &name).map(|name| (resource.namespace(), TargetId::Secret(name.into())));
    let vaults = spec.publish.iter().flat_map(|publish| &publish.key_vaults);
    let vaults = vaults.map(|one| (None, TargetId::Vault(one.into()).place()));
    secret.into_iter().chain(vaults).collect()
}

fn basis(resource: &Declared<EntraAppCredential>, tenant: &TenantSeen) -> Basis {
    let cloud = match tenant {
        TenantSeen::Present(spec) => Some((spec.cloud, spec.endpoints.clone())),
        _ => None,
    };
    Basis { uid: resource.metadata.uid.clone(), generation: resource.metadata.generation, cloud }
}

/// Whose a Secret of ours is: its namespace, and the owner that its label names.
#[must_use]
pub fn owned_by(secret: &Labelled) -> Option<(String, String)> {
    Some((secret.namespace()?, secret.labels().get(record::OWNER)?.clone()))
}
