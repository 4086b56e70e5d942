//! What an agent asks of the API server for a pod: objects through the node's cache, tokens, status, Events, and the
//! end of the object. Only so many requests at a time, as kubelets limit themselves too. It decides nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Event, EventSource, Pod, PodStatus, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource};
use serde_json::json;
use tokio::sync::Semaphore;

use super::cache::{Cache, Found, Source};
use super::registration::MANAGER;
use super::volumes::TokenAsked;

/// The requests of an agent that are under way at once.
pub(crate) const AT_ONCE: usize = 16;

/// The API server, seen from a node.
#[derive(Clone)]
pub(crate) struct Kubernetes {
    pub(crate) client: Client,
    pub(crate) cache: Cache,
    pub(crate) turns: Arc<Semaphore>,
}

impl Kubernetes {
    /// Those of the objects that exist, as far as the node knows.
    pub(crate) async fn read(&self, sources: &BTreeSet<Source>) -> kube::Result<Found> {
        self.cache.read(sources.iter().cloned()).await
    }

    /// A token of the pod's ServiceAccount, and when it expires.
    pub(crate) async fn issue(&self, pod: &Pod, asked: &TokenAsked) -> anyhow::Result<(String, Timestamp)> {
        let _turn = self.turns.acquire().await;
        let bound = BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
        };
        let spec = TokenRequestSpec {
            audiences: asked.audience.clone().map(|audience| vec![audience]),
            expiration_seconds: Some(asked.seconds),
            bound_object_ref: Some(bound),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or("default");
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace(pod));
        let issued = accounts.create_token_request(account, &PostParams::default(), &request).await?;
        let issued = issued.status.and_then(|status| Some((status.token?, status.expiration_timestamp?.0)));
        issued.context("the API server answered without a token")
    }

    /// Writes the status, unless the name belongs to another pod by now.
    pub(crate) async fn write_status(&self, pod: &Pod, status: &PodStatus) -> kube::Result<()> {
        let _turn = self.turns.acquire().await;
        let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": status});
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let written = self.pods(pod).patch_status(name(pod), &params, &Patch::Strategic(patch)).await;
        unless(&[404], written.map(drop))
    }

    /// Deletes the object for good, unless the name belongs to another pod by now.
    pub(crate) async fn delete(&self, pod: &Pod) -> kube::Result<()> {
        let _turn = self.turns.acquire().await;
        let preconditions = Preconditions { uid: pod.metadata.uid.clone(), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default().grace_period(0) };
        unless(&[404, 409], self.pods(pod).delete(name(pod), &params).await.map(drop))
    }

    /// A warning among the pod's Events. Nothing depends on it, so it is not tried again.
    pub(crate) async fn warn(&self, pod: &Pod, node: &str, reason: &str, message: &str) {
        let _turn = self.turns.acquire().await;
        let now = Time(Timestamp::now());
        let source = EventSource { component: Some(MANAGER.to_owned()), host: Some(node.to_owned()) };
        let event = Event {
            metadata: ObjectMeta { generate_name: Some(format!("{}.", name(pod))), ..ObjectMeta::default() },
            involved_object: pod.object_ref(&()),
            type_: Some("Warning".to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            reporting_component: Some(MANAGER.to_owned()),
            reporting_instance: Some(node.to_owned()),
            source: Some(source),
            count: Some(1),
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            ..Event::default()
        };
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace(pod));
        if let Err(error) = events.create(&PostParams::default(), &event).await {
            tracing::debug!("an Event about a pod could not be written: {error}");
        }
    }

    fn pods(&self, pod: &Pod) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace(pod))
    }
}

/// A pod that is gone, or has given its name to another, wants nothing any more: these statuses say so.
fn unless(gone: &[u16], done: kube::Result<()>) -> kube::Result<()> {
    match done {
        Err(kube::Error::Api(refused)) if gone.contains(&refused.code) => Ok(()),
        done => done,
    }
}

fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or_default()
}

fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}
