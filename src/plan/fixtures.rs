//! The world that the tests of this room start from: a granted resource that makes sense. Each test changes one thing.

use serde_json::{Value, json};

use std::{collections::BTreeMap, sync::Arc};

use crate::facts::{Federation, Mine, NamespaceSeen, Observation, Owner, Records, TenantSeen};

pub(super) const CLIENT: &str = "8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f";
pub(super) const OTHER: &str = "11111111-2222-3333-4444-555555555555";
pub(super) const VAULT: &str = "https://kv-payments.vault.azure.net";

/// A resource and its tenant, as they were written.
#[derive(Clone)]
pub(super) struct World {
    pub spec: Value,
    pub status: Value,
    pub tenant: Value,
    pub labels: Vec<(&'static str, &'static str)>,
    pub ambient: Option<&'static str>,
}

/// payments-api in namespace payments, with a grant that is for exactly it.
pub(super) fn world() -> World {
    World {
        spec: json!({"clientId": CLIENT, "clientSecret": {}}),
        status: Value::Null,
        tenant: json!({
            "tenantId": OTHER,
            "grants": [{
                "name": "payments", "namespaces": {"names": ["payments"]}, "clientIds": [CLIENT],
                "kinds": ["ClientSecret", "Certificate", "Federated"], "secretNames": ["payments-*"],
                "keyVaults": [{"url": VAULT, "names": ["payments-*"]}],
            }],
        }),
        labels: vec![],
        ambient: None,
    }
}

impl World {
    /// The same with other values under spec, as in a merge patch.
    pub(super) fn asking(mut self, patch: &Value) -> Self {
        merge(&mut self.spec, patch);
        self
    }

    /// The same with a tenant that says something else.
    pub(super) fn tenant(mut self, patch: &Value) -> Self {
        merge(&mut self.tenant, patch);
        self
    }

    /// The same with one grant that says something else.
    pub(super) fn grant(mut self, patch: &Value) -> Self {
        merge(&mut self.tenant["grants"][0], patch);
        self
    }

    pub(super) fn labelled(mut self, key: &'static str, value: &'static str) -> Self {
        self.labels.push((key, value));
        self
    }

    pub(super) fn seen(&self) -> Observation {
        let object = json!({
            "metadata": {"name": "payments-api", "namespace": "payments", "generation": 7},
            "spec": self.spec, "status": self.status,
        });
        Observation {
            resource: Arc::new(serde_json::from_value(object).unwrap()),
            gone: false,
            tenant: TenantSeen::Present(Arc::new(serde_json::from_value(self.tenant.clone()).unwrap())),
            namespace: NamespaceSeen {
                labels: self.labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
                terminating: false,
            },
            owner: Owner::of("cluster", "payments", "payments-api"),
            process: "this".into(),
            elders: vec![],
            siblings: vec![],
            records: Records::default(),
            application: None,
            targets: BTreeMap::new(),
            federation: Federation::default(),
            source: None,
            consumers: None,
            braked: None,
            mine: Mine::default(),
            ambient_client_id: self.ambient.map(|id| serde_json::from_value(id.into()).unwrap()),
        }
    }
}

/// A value with a merge patch.
pub(super) fn merged(value: &Value, patch: &Value) -> Value {
    let mut merged = value.clone();
    merge(&mut merged, patch);
    merged
}

/// A merge patch (RFC 7396): null takes away.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut into[key], value);
        }
    }
}
