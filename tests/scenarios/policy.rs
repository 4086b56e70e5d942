//! Somebody's admission policy on the Secrets of a place.

use std::time::Duration;

use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    core::v1::Secret,
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use libtest_mimic::Failed;
use serde_json::json;

use crate::town::{PATIENCE, Place};

/// A policy that is in force until it is lifted.
pub struct Policy {
    name: String,
    bindings: Api<ValidatingAdmissionPolicyBinding>,
}

impl Policy {
    /// Allow the creation of Secrets in a place only if an expression holds; it does not for a Secret of the name `refused`.
    pub async fn put(place: &Place, expression: &str, refused: &str) -> Result<Self, Failed> {
        let (name, client) = (format!("no-{}", place.name), place.admin());
        let policy = json!({"metadata": {"name": name}, "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.name}},
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"], "operations": ["CREATE"]},
                ],
            },
            "validations": [{"expression": expression, "message": "not here"}],
        }});
        let binding = json!({"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}});
        let post = PostParams::default();
        let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
        policies.create(&post, &serde_json::from_value(policy)?).await?;
        let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client);
        bindings.create(&post, &serde_json::from_value(binding)?).await?;

        // No event tells when a policy is in force.
        let tried: Secret = serde_json::from_value(json!({"metadata": {"name": refused}}))?;
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let secrets = place.secrets();
        let in_force = async {
            while secrets.create(&dry, &tried).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, in_force).await?;
        Ok(Self { name, bindings })
    }

    /// Take it out of force.
    pub async fn lift(self) -> Result<(), Failed> {
        self.bindings.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}
