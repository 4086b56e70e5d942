//! An object as the API server has it, whether or not this version of the operator understands it.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    core::object::{HasSpec, HasStatus},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// An object of kind `K` as it was declared.
///
/// A newer version of the definition may allow what this version cannot read. One such object must stop neither the
/// watch nor the others, so the spec is read apart from the rest: metadata tells whom to answer, and the status what
/// was answered before.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared<K: HasSpec + HasStatus> {
    /// The metadata.
    pub metadata: ObjectMeta,
    /// The spec, or why it cannot be read. Shared, since every look at an object takes it along.
    pub spec: Result<Arc<K::Spec>, String>,
    /// The status; one that cannot be read counts as none, because status is only a report.
    pub status: Option<K::Status>,
}

/// The same with nothing interpreted yet. Unknown fields beside these three are Kubernetes' own.
#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: serde_json::Value,
    #[serde(default)]
    status: serde_json::Value,
}

impl<'de, K> Deserialize<'de> for Declared<K>
where
    K: HasSpec<Spec: DeserializeOwned> + HasStatus<Status: DeserializeOwned>,
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(from)?;
        Ok(Self {
            metadata: raw.metadata,
            spec: K::Spec::deserialize(raw.spec).map(Arc::new).map_err(|error| error.to_string()),
            status: Option::deserialize(raw.status).unwrap_or_default(),
        })
    }
}

impl<K: Resource<DynamicType = ()> + HasSpec + HasStatus> Resource for Declared<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> std::borrow::Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> std::borrow::Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> std::borrow::Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> std::borrow::Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::EntraAppCredential;

    fn read(object: serde_json::Value) -> Declared<EntraAppCredential> {
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn what_is_understood_is_read_whole() {
        let seen = read(json!({
            "apiVersion": "keywright.dev/v1alpha1", "kind": "EntraAppCredential",
            "metadata": {"name": "payments-api"},
            "spec": {"clientId": "8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f", "clientSecret": {}},
            "status": {"observedGeneration": 3},
        }));
        assert_eq!(seen.metadata.name.as_deref(), Some("payments-api"));
        assert!(seen.spec.unwrap().client_secret.is_some());
        assert_eq!(seen.status.unwrap().observed_generation, Some(3));
    }

    #[test]
    fn a_spec_from_the_future_leaves_metadata_and_status_readable() {
        let seen = read(json!({
            "metadata": {"name": "payments-api"},
            "spec": {"clientId": "8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f", "deletionPolicy": "Archive"},
            "status": {"observedGeneration": 3},
        }));
        assert!(seen.spec.unwrap_err().contains("Archive"));
        assert_eq!(seen.metadata.name.as_deref(), Some("payments-api"));
        assert_eq!(seen.status.unwrap().observed_generation, Some(3));
    }

    #[test]
    fn a_status_from_the_future_counts_as_none() {
        let seen = read(json!({
            "metadata": {"name": "payments-api"},
            "spec": {"clientId": "8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f", "clientSecret": {}},
            "status": {"observedGeneration": "three"},
        }));
        assert!(seen.spec.is_ok());
        assert_eq!(seen.status, None);
    }
}
