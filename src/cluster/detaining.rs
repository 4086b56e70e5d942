//! The finalizer of a resource: having the API server keep it when it is deleted, or letting it go.

use jiff::Timestamp;
use kube::{
    Client, Resource,
    api::{GetParams, Patch, PatchParams},
    core::{PartialObjectMeta, Request},
};
use serde_json::json;

use super::{
    Error,
    call::{ask, for_metadata},
};
use crate::{
    api::{EntraAppCredential, FINALIZER},
    facts::Trouble,
};

/// A resource as it is now, as far as this room is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detained {
    /// Whether our finalizer stands on it.
    pub detained: bool,
    /// Since when it is being deleted.
    pub deleted_at: Option<Timestamp>,
}

/// Put the finalizer on a resource, or take it off; those of others stay. None if it is gone. One that is being deleted is
/// given none any more: the API server would refuse it.
pub async fn detain(
    client: &Client,
    namespace: &str,
    (name, uid): (&str, Option<&str>),
    detained: bool,
) -> Result<Option<Detained>, Trouble> {
    let requests = Request::new(EntraAppCredential::url_path(&(), Some(namespace)));
    let doing = || format!("write the finalizers of EntraAppCredential {namespace}/{name}");
    // Read here and not by a watch, which may be a moment late: a patch of a list replaces all of it.
    let asked = for_metadata(requests.get(name, &GetParams::default()));
    let Some(now) = unless_gone(ask(client, doing, asked).await)? else { return Ok(None) };
    let metadata = &now.metadata;
    let deleted_at = metadata.deletion_timestamp.as_ref().map(|time| time.0);
    if metadata.uid.as_deref() != uid {
        return Ok(None);
    }
    let mut finalizers = metadata.finalizers.clone().unwrap_or_default();
    let stands = finalizers.iter().any(|one| one == FINALIZER);
    if stands == detained || (detained && deleted_at.is_some()) {
        return Ok(Some(Detained { detained: stands, deleted_at }));
    }
    finalizers.retain(|one| one != FINALIZER);
    if detained {
        finalizers.push(FINALIZER.to_owned());
    }
    let body = json!({"metadata": {
        "uid": uid, "resourceVersion": metadata.resource_version, "finalizers": finalizers,
    }});
    let asked = for_metadata(requests.patch(name, &PatchParams::default(), &Patch::Merge(body)));
    Ok(unless_gone(ask(client, doing, asked).await)?.map(|_| Detained { detained, deleted_at }))
}

fn unless_gone(
    answer: Result<PartialObjectMeta<EntraAppCredential>, Error>,
) -> Result<Option<PartialObjectMeta<EntraAppCredential>>, Error> {
    match answer {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}
