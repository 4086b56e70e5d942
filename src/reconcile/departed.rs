//! What is to be done when a resource is gone: whatever is remembered of it is forgotten, and what is left of it is looked
//! at.

use std::sync::Arc;

use futures::StreamExt;
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{Context, observe::Labelled, wake::Queue};
use crate::{
    api::{Declared, EntraAppCredential},
    facts::record,
};

/// The resources that have changed, and where what is left of one that is gone is named to be looked at.
pub struct Departed {
    /// Every resource that has changed; it is gone if no copy has it.
    pub changed: UnboundedReceiverStream<ObjectRef<Declared<EntraAppCredential>>>,
    /// The Secrets of ours, and the queue of those to be looked at.
    pub farewells: Vec<(Store<Labelled>, Queue<Labelled>)>,
}

impl Departed {
    /// Work for ever.
    pub async fn work(mut self, context: Arc<Context>) {
        while let Some(resource) = self.changed.next().await {
            if context.woken.iter().any(|resources| resources.store.get(&resource).is_some()) {
                continue;
            }
            let namespace = resource.namespace.clone().unwrap_or_default();
            context.metrics.forget(&namespace, &resource.name);
            context.retries.forget(&resource.to_string());
            if !self.name_what_is_left(&namespace, &resource.name) {
                context.inflight.forget(&namespace, &resource.name);
            }
        }
        std::future::pending::<()>().await;
    }

    /// Whether anything is left.
    fn name_what_is_left(&self, namespace: &str, name: &str) -> bool {
        let left = |secret: &Labelled| {
            secret.namespace().as_deref() == Some(namespace)
                && secret.annotations().get(record::RESOURCE).is_some_and(|resource| resource == name)
        };
        let mut any = false;
        for (store, farewells) in &self.farewells {
            for secret in store.state_filter(left) {
                farewells.push(ObjectRef::from_obj(&*secret));
                any = true;
            }
        }
        any
    }
}
