//! What a pod may know of itself (`fieldRef`), for variables and for files. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

/// The value of a field, in the forms that the downward API gives them.
pub(crate) fn field(pod: &Pod, path: &str) -> Option<String> {
    let (spec, status) = (pod.spec.as_ref()?, pod.status.as_ref());
    match path {
        "metadata.name" => pod.metadata.name.clone(),
        "metadata.namespace" => pod.metadata.namespace.clone(),
        "metadata.uid" => pod.metadata.uid.clone(),
        "metadata.labels" => pod.metadata.labels.as_ref().map(all),
        "metadata.annotations" => pod.metadata.annotations.as_ref().map(all),
        "spec.nodeName" => spec.node_name.clone(),
        "spec.serviceAccountName" => spec.service_account_name.clone(),
        "status.hostIP" | "status.hostIPs" => status?.host_ip.clone(),
        "status.podIP" | "status.podIPs" => status?.pod_ip.clone(),
        _ => one(pod, path),
    }
}

/// `metadata.labels['app']`.
fn one(pod: &Pod, path: &str) -> Option<String> {
    let (map, key) = path.strip_suffix("']")?.split_once("['")?;
    let map = match map {
        "metadata.labels" => pod.metadata.labels.as_ref(),
        "metadata.annotations" => pod.metadata.annotations.as_ref(),
        _ => None,
    };
    map?.get(key).cloned()
}

fn all(map: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = map.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    lines.join("\n")
}
