//! An `AdmissionReview` read and answered: whose pod it is, and what is to be changed of it as a JSON patch. Pure.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;
use serde_json::{Value, json};

/// What the API server wants to know.
#[derive(Deserialize)]
pub(crate) struct Review {
    request: Asked,
}

/// A pod that is to be created.
#[derive(Deserialize)]
pub(crate) struct Asked {
    uid: String,
    /// A pod that a controller makes has none in its metadata yet.
    pub(crate) namespace: String,
    pub(crate) object: Pod,
}

/// Reads the body of a request.
pub(crate) fn read(body: &[u8]) -> anyhow::Result<Asked> {
    let review: Review = serde_json::from_slice(body).context("this is no AdmissionReview about a pod")?;
    Ok(review.request)
}

impl Asked {
    /// The account of the pod, which is `default` if it names none.
    pub(crate) fn account(&self) -> &str {
        let named = self.object.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref());
        named.filter(|name| !name.is_empty()).unwrap_or("default")
    }

    /// The answer: the pod as it is to be, or why it may not be.
    pub(crate) fn answered(&self, outcome: Result<Pod, String>) -> anyhow::Result<Value> {
        let uid = &self.uid;
        let response = match outcome {
            Ok(pod) => {
                let patch = STANDARD.encode(serde_json::to_vec(&patch(&self.object, &pod)?)?);
                json!({"uid": uid, "allowed": true, "patchType": "JSONPatch", "patch": patch})
            }
            Err(message) => json!({"uid": uid, "allowed": false, "status": {"code": 400, "message": message}}),
        };
        Ok(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
    }
}

/// Whole lists, since nothing within them can have been changed meanwhile. `add` replaces what is there.
fn patch(before: &Pod, after: &Pod) -> anyhow::Result<Vec<Value>> {
    let (before, after) = (serde_json::to_value(&before.spec)?, serde_json::to_value(&after.spec)?);
    let lists = ["initContainers", "containers", "volumes"].into_iter().filter(|list| before[list] != after[list]);
    Ok(lists.map(|list| json!({"op": "add", "path": format!("/spec/{list}"), "value": after[list]})).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(spec: &Value) -> Asked {
        let pod = json!({"metadata": {"generateName": "web-"}, "spec": spec});
        let request = json!({"uid": "u", "namespace": "shop", "operation": "CREATE", "object": pod});
        let kind = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        read(kind.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_pod_that_names_no_account_has_the_default_one() {
        assert_eq!(asked(&json!({"containers": []})).account(), "default");
        assert_eq!(asked(&json!({"containers": [], "serviceAccountName": "web"})).account(), "web");
    }

    #[test]
    fn only_what_is_changed_is_patched() {
        let asked = asked(&json!({"initContainers": [{"name": "init"}], "containers": [{"name": "app"}]}));
        let mut changed = asked.object.clone();
        changed.spec.as_mut().unwrap().containers[0].env = Some(vec![]);
        let answer = asked.answered(Ok(changed)).unwrap();
        let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
        let patch: Value = serde_json::from_slice(&patch).unwrap();
        let containers = json!([{"name": "app", "env": []}]);
        assert_eq!(patch, json!([{"op": "add", "path": "/spec/containers", "value": containers}]));
        assert_eq!((&answer["response"]["uid"], &answer["response"]["allowed"]), (&json!("u"), &json!(true)));
    }

    #[test]
    fn a_refusal_says_why() {
        let answer = asked(&json!({"containers": []})).answered(Err("not so".into())).unwrap();
        let status = json!({"code": 400, "message": "not so"});
        assert_eq!(answer["response"], json!({"uid": "u", "allowed": false, "status": status}));
    }

    #[test]
    fn what_is_no_review_is_not_answered() {
        assert!(read(b"{}").is_err());
    }
}
