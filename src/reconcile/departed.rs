//! What is to be done when a resource is gone, or has come back for another application: whatever is remembered of it is
//! forgotten, and what is left of it is looked at. And when a tenant has changed: the ways that no tenant describes any more
//! are forgotten, with what the operator signed in with.

use std::{collections::HashMap, sync::Arc};

use futures::StreamExt;
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{Context, inflight::Whose, observe::Labelled, wake::Queue};
use crate::{
    api::{Declared, EntraAppCredential, EntraTenant},
    facts::{Owner, record},
};

/// The resources that have changed, and where what is left of one that is gone is named to be looked at.
pub struct Departed {
    /// Every resource that has changed; it is gone if no copy has it.
    pub changed: UnboundedReceiverStream<ObjectRef<Declared<EntraAppCredential>>>,
    /// Every tenant that has changed.
    pub tenants: UnboundedReceiverStream<ObjectRef<Declared<EntraTenant>>>,
    /// The Secrets of ours, and the queue of those to be looked at.
    pub farewells: Vec<(Store<Labelled>, Queue<Labelled>)>,
    /// Under what each resource was remembered when it last changed.
    pub remembered: HashMap<ObjectRef<Declared<EntraAppCredential>>, Whose>,
}

impl Departed {
    /// Work for ever.
    pub async fn work(mut self, context: Arc<Context>) {
        loop {
            tokio::select! {
                Some(resource) = self.changed.next() => self.resource_changed(&resource, &context),
                Some(_) = self.tenants.next() => context.forget_old_ways(),
                else => std::future::pending::<()>().await,
            }
        }
    }

    fn resource_changed(&mut self, resource: &ObjectRef<Declared<EntraAppCredential>>, context: &Context) {
        let now = context.whose(resource);
        let before = match &now {
            Some(whose) => self.remembered.insert(resource.clone(), whose.clone()),
            None => self.remembered.remove(resource),
        };
        let (namespace, name) = (resource.namespace.clone().unwrap_or_default(), resource.name.clone());
        if now.is_none() {
            context.metrics.forget(&namespace, &name);
            context.retries.forget(&resource.to_string());
            context.hands.attending.let_go(&(namespace.clone(), name.clone()));
            context.wake(context.hands.blast.forget(&(namespace.clone(), name.clone())));
        }
        if let Some(before) = before.filter(|before| Some(before) != now.as_ref()) {
            context.inflight.forget(&before);
        }
        if now.is_none() {
            self.name_what_is_left(&context.world.owner(&namespace, &name), &namespace);
        }
    }

    fn name_what_is_left(&self, owner: &Owner, namespace: &str) {
        let left = |secret: &Labelled| {
            secret.namespace().as_deref() == Some(namespace)
                && secret.labels().get(record::OWNER).is_some_and(|said| said == owner.as_str())
        };
        for (store, farewells) in &self.farewells {
            for secret in store.state_filter(left) {
                farewells.push(ObjectRef::from_obj(&*secret));
            }
        }
    }
}
