//! Events: for people who look at a resource with `kubectl describe`. Best effort: an Event that cannot be written
//! fails nothing.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use k8s_openapi::{api::events::v1::Event, apimachinery::pkg::apis::meta::v1::MicroTime};
use kube::{
    Client, Resource, ResourceExt,
    api::{ObjectMeta, PostParams},
    core::Request,
};
use serde::de::IgnoredAny;
use serde_json::json;

use super::{
    Error,
    call::{ask, for_metadata},
    stored::bytes,
};
use crate::api::{GROUP, conditions::shortened};

/// The longest note that the API server takes.
const LONGEST_NOTE: usize = 1024;

/// Who writes Events: this process among the replicas of the operator.
#[derive(Clone)]
pub struct Reporter {
    client: Client,
    instance: String,
}

impl Reporter {
    /// A reporter that signs as `instance`, usually the name of the pod.
    #[must_use]
    pub fn new(client: Client, instance: String) -> Self {
        Self { client, instance }
    }

    /// Write a warning about an object.
    pub async fn warn<K: Resource<DynamicType = ()>>(&self, about: &K, reason: &str, note: &str) -> Result<(), Error> {
        self.write("Warning", "Check", about, reason, note).await
    }

    /// Write what went as it should.
    pub async fn tell<K: Resource<DynamicType = ()>>(&self, about: &K, reason: &str, note: &str) -> Result<(), Error> {
        self.write("Normal", "Rotate", about, reason, note).await
    }

    /// Each is an Event of its own. kube's recorder would merge those of one reason and keep repeating the first note,
    /// but here it is the note that tells one vault from another.
    async fn write<K: Resource<DynamicType = ()>>(
        &self,
        type_: &str,
        action: &str,
        about: &K,
        reason: &str,
        note: &str,
    ) -> Result<(), Error> {
        // Events about cluster-scoped objects live in `default`, as everywhere in Kubernetes.
        let namespace = about.namespace().unwrap_or_else(|| "default".to_owned());
        let event = Event {
            metadata: ObjectMeta {
                name: Some(name_of(about, reason, note)),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            action: Some(action.to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            note: Some(shortened(note.to_owned(), LONGEST_NOTE)),
            reason: Some(reason.to_owned()),
            regarding: Some(about.object_ref(&())),
            reporting_controller: Some(format!("{GROUP}/operator")),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(type_.to_owned()),
            ..Event::default()
        };
        let doing = || format!("write an Event about {} {namespace}/{}", K::kind(&()), about.name_any());
        let request = Request::new(Event::url_path(&(), Some(&namespace)));
        let asked = request.create(&PostParams::default(), bytes(&json!(event)));
        match ask::<IgnoredAny>(&self.client, doing, for_metadata(asked)).await {
            Err(Error::Refused { source: error, .. }) if is_there(&error) => Ok(()),
            written => written.map(drop),
        }
    }
}

/// The same news about the same object has the same name, so that it is told once, whoever was killed in between.
fn name_of<K: Resource<DynamicType = ()>>(about: &K, reason: &str, note: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (about.uid(), about.meta().generation, reason, note).hash(&mut hasher);
    format!("{}.{:016x}", about.name_any(), hasher.finish())
}

fn is_there(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_already_exists())
}
