//! Writing the status of an object.

use kube::{
    Client, Resource, ResourceExt,
    api::PostParams,
    core::{ApiResource, PartialObjectMeta, Request},
};
use serde::Serialize;
use serde_json::json;

use super::{
    Error,
    call::{ask, for_metadata},
    stored::bytes,
};

/// What became of a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is in the cluster, and this is the version of the object that has it.
    Yes(Option<String>),
    /// The object has changed or gone since it was read; the watch will bring what is there now.
    Stale,
}

/// Replace all of an object's status, if the object is still the one that was read.
///
/// A PUT with the `resourceVersion` that was read: what others left in the status goes, a re-created object of the same
/// name is refused, and of the rest of the object the API server takes nothing, so that fields of a newer definition,
/// which this version cannot even read, stay as they are.
pub async fn replace<K, S>(client: &Client, object: &K, status: &S) -> Result<Written, Error>
where
    K: Resource<DynamicType = ()>,
    S: Serialize,
{
    let resource = ApiResource::erase::<K>(&());
    let (name, namespace) = (object.name_any(), object.namespace());
    let body = json!({
        "apiVersion": resource.api_version, "kind": resource.kind,
        "metadata": {
            "name": name, "namespace": namespace, "uid": object.uid(), "resourceVersion": object.resource_version(),
        },
        "status": status,
    });
    let request = Request::new(K::url_path(&(), namespace.as_deref()));
    let asked = request.replace_subresource("status", &name, &PostParams::default(), bytes(&body));
    let doing = || format!("write the status of {} {}/{name}", resource.kind, object.namespace().unwrap_or_default());
    match ask::<PartialObjectMeta<K>>(client, doing, for_metadata(asked)).await {
        Ok(object) => Ok(Written::Yes(object.metadata.resource_version)),
        Err(Error::Refused { source: error, .. }) if is_stale(&error) => Ok(Written::Stale),
        Err(error) => Err(error),
    }
}

fn is_stale(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict() || status.is_not_found())
}
