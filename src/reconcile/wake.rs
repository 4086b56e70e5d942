//! Who is to be looked at when something has changed.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    ResourceExt,
    core::PartialObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::{
    api::{
        ClientId, Declared, EntraAppCredential, EntraTenant,
        values::{VaultName, VaultUrl},
    },
    facts::Owner,
};

/// Objects to be looked at. Unbounded: it holds names only, and what reads it merges those that come twice.
pub struct Queue<K: kube::Resource<DynamicType = ()>> {
    names: UnboundedSender<ObjectRef<K>>,
}

impl<K: kube::Resource<DynamicType = ()>> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self { names: self.names.clone() }
    }
}

impl<K: kube::Resource<DynamicType = ()>> Queue<K> {
    /// A queue, and what comes out of it.
    #[must_use]
    pub fn new() -> (Self, UnboundedReceiverStream<ObjectRef<K>>) {
        let (names, out): (_, UnboundedReceiver<_>) = unbounded_channel();
        (Self { names }, out.into())
    }

    /// Have an object looked at.
    pub fn push(&self, object: ObjectRef<K>) {
        // Nobody reads any more only when the operator stops.
        drop(self.names.send(object));
    }
}

/// Have a resource looked at, wherever it is watched.
pub fn wake(woken: &[Resources], namespace: &str, name: &str) {
    for resources in woken {
        resources.queue.push(ObjectRef::new(name).within(namespace));
    }
}

/// The resources of some namespaces, and the queue of those to be looked at.
#[derive(Clone)]
pub struct Resources {
    /// The copy of all of them.
    pub store: Store<Declared<EntraAppCredential>>,
    /// Those to be looked at.
    pub queue: Queue<Declared<EntraAppCredential>>,
}

impl Resources {
    /// A tenant has changed: look at those that name it.
    pub fn tenant_changed(&self, tenant: &ObjectRef<Declared<EntraTenant>>) {
        self.wake(|resource| resource.spec.as_ref().is_ok_and(|spec| spec.tenant_ref.name.as_str() == tenant.name));
    }

    /// The labels of a namespace have changed: look at those in it, since grants may select by labels.
    pub fn namespace_changed(&self, namespace: &ObjectRef<PartialObjectMeta<Namespace>>) {
        self.wake(|resource| resource.namespace().as_deref() == Some(&namespace.name));
    }

    /// Applications look different at Entra: look at the resources of this tenant that name them.
    pub fn applications_changed(&self, tenant: &str, applications: &BTreeSet<ClientId>) {
        self.wake(|resource| {
            let spec = resource.spec.as_ref();
            spec.is_ok_and(|spec| spec.tenant_ref.name.as_str() == tenant && applications.contains(&spec.client_id))
        });
    }

    /// Entries of a vault look different: look at the resources that publish there.
    pub fn entries_changed(&self, url: &VaultUrl, names: &BTreeSet<VaultName>) {
        if names.is_empty() {
            return;
        }
        self.wake(|resource| {
            let mut vaults =
                resource.spec.iter().flat_map(|spec| &spec.publish).flat_map(|publish| &publish.key_vaults);
            vaults.any(|target| target.vault_url == *url && names.contains(&target.name))
        });
    }

    /// A Secret of this owner has changed: look at the resource that it belongs to. Which that is, its label decides;
    /// what an annotation says is only quicker to find, and anybody may have edited it. Returns whether there is one.
    #[must_use]
    pub fn secret_changed(&self, cluster_id: &str, namespace: &str, owner: &str, said: Option<&str>) -> bool {
        let owns = |name: &str| Owner::of(cluster_id, namespace, name).as_str() == owner;
        let found = match said.filter(|said| owns(said)) {
            Some(said) => self.store.get(&ObjectRef::new(said).within(namespace)),
            None => self.store.find(|one| one.namespace().as_deref() == Some(namespace) && owns(&one.name_any())),
        };
        if let Some(resource) = &found {
            self.queue.push(ObjectRef::from_obj(resource));
        }
        found.is_some()
    }

    fn wake(&self, concerned: impl Fn(&Declared<EntraAppCredential>) -> bool) {
        for resource in self.store.state_filter(concerned) {
            self.queue.push(ObjectRef::from_obj(&*resource));
        }
    }
}
