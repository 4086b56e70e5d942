//! Writing the status of an object.

use kube::{
    Api, Client, Resource, ResourceExt,
    api::PostParams,
    core::{ApiResource, DynamicObject},
};
use serde::Serialize;

use super::{Error, within};

/// What became of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is in the cluster.
    Yes,
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
    let name = object.name_any();
    let mut body = DynamicObject::new(&name, &resource).data(serde_json::json!({ "status": status }));
    body.metadata.namespace = object.namespace();
    body.metadata.uid = object.uid();
    body.metadata.resource_version = object.resource_version();
    let api: Api<DynamicObject> = match object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let doing = || format!("write the status of {} {}/{name}", resource.kind, object.namespace().unwrap_or_default());
    match within(doing, api.replace_status(&name, &PostParams::default(), &body)).await {
        Ok(_) => Ok(Written::Yes),
        Err(Error::Refused { source: error, .. }) if is_stale(&error) => Ok(Written::Stale),
        Err(error) => Err(error),
    }
}

fn is_stale(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict() || status.is_not_found())
}
