//! The manifests that scenarios start from, and how they reach the API server.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

pub const CLIENT: &str = "8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f";
pub const OTHER: &str = "11111111-2222-3333-4444-555555555555";

/// The smallest manifest of a kind, with merge patches over it, one after the other.
pub fn smallest(kind: &str, namespace: &str, patches: &[&Value]) -> Result<DynamicObject, Failed> {
    let manifest = match kind {
        "EntraTenant" => json!({"metadata": {"name": namespace}, "spec": {"tenantId": CLIENT}}),
        _ => json!({
            "metadata": {"name": "payments-api", "namespace": namespace},
            "spec": {"clientId": CLIENT, "clientSecret": {}},
        }),
    };
    let types = json!({"apiVersion": "keywright.dev/v1alpha1", "kind": kind});
    let whole = patches.iter().fold(merged(manifest, &types), |manifest, patch| merged(manifest, patch));
    Ok(serde_json::from_value(whole)?)
}

/// Where an object of one of our kinds lives.
pub fn api(client: &Client, object: &DynamicObject) -> Result<Api<DynamicObject>, Failed> {
    let types: &TypeMeta = object.types.as_ref().ok_or("an object without a kind")?;
    let kind = GroupVersionKind::try_from(types)?;
    let resource = ApiResource::from_gvk(&kind);
    Ok(match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    })
}

/// A namespace of a scenario's own.
pub async fn namespace(client: &Client, name: &str) -> Result<String, Failed> {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    Ok(name.to_owned())
}

/// A merge patch (RFC 7396) applied: null takes away.
pub fn merged(mut into: Value, patch: &Value) -> Value {
    let Value::Object(fields) = patch else {
        return patch.clone();
    };
    if !into.is_object() {
        into = json!({});
    }
    if let Value::Object(target) = &mut into {
        for (key, value) in fields {
            if value.is_null() {
                target.remove(key);
            } else {
                let before = target.remove(key).unwrap_or_default();
                target.insert(key.clone(), merged(before, value));
            }
        }
    }
    into
}
