//! Which keys of which Secrets the containers of a pod read, and how, by the spec of the pod or of the template that it is
//! made from. Only what stands in the spec is found: not what a program asks the API server for, nor what a
//! persistent volume is mounted with. What an image is pulled with is read anew for each pull, and nobody holds it.
//!
//! A spec is read no further than this needs. (In a kind of somebody else's, the rest may be written in ways that the types
//! of Kubernetes do not know, such as `cpu: 1`.)

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::facts::{Identity, Means, Reading};

/// The spec of a pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec {
    init_containers: Option<Vec<Container>>,
    containers: Option<Vec<Container>>,
    ephemeral_containers: Option<Vec<Container>>,
    volumes: Option<Vec<Volume>>,
    service_account_name: Option<String>,
}

/// The label by which a pod asks the workload identity webhook for a token.
const ASKS: &str = "azure.workload.identity/use";

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    env: Option<Vec<Variable>>,
    env_from: Option<Vec<Variables>>,
    volume_mounts: Option<Vec<Mount>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Variable {
    name: String,
    value: Option<String>,
    value_from: Option<ValueFrom>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ValueFrom {
    secret_key_ref: Option<KeyRef>,
}

#[derive(Debug, Clone, Deserialize)]
struct KeyRef {
    name: Option<String>,
    key: Option<String>,
    optional: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Variables {
    secret_ref: Option<Named>,
}

#[derive(Debug, Clone, Deserialize)]
struct Named {
    name: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mount {
    name: String,
    sub_path: Option<String>,
    sub_path_expr: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Volume {
    name: String,
    secret: Option<Files>,
    projected: Option<Projected>,
    csi: Option<Driver>,
}

/// Keys of a Secret as files. A volume calls the Secret `secretName`, a projection `name`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Files {
    #[serde(alias = "name")]
    secret_name: Option<String>,
    items: Option<Vec<KeyRef>>,
    optional: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
struct Projected {
    sources: Option<Vec<Source>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Source {
    secret: Option<Files>,
}

/// A driver that signs in with a Secret: Azure's with an application's.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    node_publish_secret_ref: Option<Named>,
}

impl PodSpec {
    /// What its containers read.
    pub(super) fn reads(&self) -> Vec<Reading> {
        let volumes = self.volumes.iter().flatten().flat_map(|volume| volume.reads(self.freezes(volume)));
        let all: BTreeSet<Reading> = self.all().flat_map(Container::reads).chain(volumes).collect();
        all.into_iter().collect()
    }

    /// As whom it runs. A webhook has written into a pod what it signs in with; into a template, at most its author.
    pub(super) fn identity(&self, labels: Option<&BTreeMap<String, String>>) -> Identity {
        let account = self.service_account_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("default");
        Identity {
            account: account.to_owned(),
            asks: labels.and_then(|labels| labels.get(ASKS)).is_some_and(|said| said == "true"),
            signs_in_as: self.all().find_map(Container::signs_in_as),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Container> {
        [&self.init_containers, &self.containers, &self.ephemeral_containers].into_iter().flatten().flatten()
    }

    /// Whether a container has a part of a volume mounted that the node does not replace.
    fn freezes(&self, volume: &Volume) -> bool {
        self.all().flat_map(|container| container.volume_mounts.iter().flatten()).any(|mount| {
            let part = [&mount.sub_path, &mount.sub_path_expr].into_iter().flatten().any(|path| !path.is_empty());
            mount.name == volume.name && part
        })
    }
}

impl Container {
    /// The application that it is told to sign in as, or the Secret that tells it, if it is given a token for that.
    fn signs_in_as(&self) -> Option<String> {
        let told = |name: &str| self.env.iter().flatten().find(|one| one.name == name);
        told("AZURE_FEDERATED_TOKEN_FILE")?;
        let said = told("AZURE_CLIENT_ID").and_then(|one| one.value.clone().or_else(|| one.told_by()));
        Some(said.unwrap_or_default())
    }

    fn reads(&self) -> impl Iterator<Item = Reading> {
        let at_start = |secret: &Option<String>, key, optional| reading(secret.as_ref()?, key, Means::Start, optional);
        let keys = self.env.iter().flatten().filter_map(|one| one.value_from.as_ref()?.secret_key_ref.as_ref());
        let whole = self.env_from.iter().flatten().filter_map(|one| one.secret_ref.as_ref());
        keys.filter_map(move |one| at_start(&one.name, one.key.as_ref(), one.optional))
            .chain(whole.filter_map(move |one| at_start(&one.name, None, None)))
    }
}

impl Variable {
    /// The Secret that says which application.
    fn told_by(&self) -> Option<String> {
        let from = self.value_from.as_ref()?.secret_key_ref.as_ref()?;
        let secret = from.name.as_ref().filter(|_| from.key.as_deref() == Some("AZURE_CLIENT_ID"))?;
        Some(format!("secret/{secret}"))
    }
}

impl Volume {
    fn reads(&self, frozen: bool) -> Vec<Reading> {
        let by = if frozen { Means::Start } else { Means::File };
        let sources = self.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        let files = self.secret.iter().chain(sources.filter_map(|source| source.secret.as_ref()));
        // A driver is given the Secret when it mounts the volume; whether it ever is again, is between it and the node.
        let driver = self.csi.as_ref().and_then(|driver| driver.node_publish_secret_ref.as_ref()?.name.as_ref());
        let mounted = driver.and_then(|secret| reading(secret, None, Means::Start, None));
        files.flat_map(|files| files.reads(by)).chain(mounted).collect()
    }
}

impl Files {
    fn reads(&self, by: Means) -> Vec<Reading> {
        let Some(secret) = &self.secret_name else { return vec![] };
        match self.items.as_deref().unwrap_or_default() {
            [] => reading(secret, None, by, None).into_iter().collect(),
            items => {
                let of = |item: &KeyRef| reading(secret, Some(item.key.as_ref()?), by, self.optional);
                items.iter().filter_map(of).collect()
            }
        }
    }
}

/// A key that is named has to be there, unless it is said to be optional.
fn reading(secret: &str, key: Option<&String>, by: Means, optional: Option<bool>) -> Option<Reading> {
    let needs_it = key.is_some() && optional != Some(true);
    (!secret.is_empty()).then(|| Reading { secret: secret.to_owned(), key: key.cloned(), by, needs_it })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What a spec reads, in words: `secret/key by means`.
    fn reads(spec: Value) -> Vec<String> {
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        let words = |one: Reading| format!("{}/{} by {:?}", one.secret, one.key.as_deref().unwrap_or("*"), one.by);
        spec.reads().into_iter().map(words).collect()
    }

    #[test]
    fn the_environment_of_every_container_is_read_at_its_start() {
        let env = |name: &str| json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": "k"}}}, {"name": "B", "value": "no"}]);
        let from = |name: &str| json!([{"prefix": "P", "secretRef": {"name": name}}, {"configMapRef": {"name": "no"}}]);
        let read = reads(json!({
            "initContainers": [{"name": "i", "env": env("init-env"), "envFrom": from("init-from")}],
            "containers": [{"name": "a", "env": env("env")}, {"name": "b", "envFrom": from("env")}, {"name": "c"}],
            "ephemeralContainers": [{"name": "e", "env": env("debug"), "envFrom": from("debug-from")}],
        }));
        assert_eq!(
            read,
            [
                "debug/k by Start",
                "debug-from/* by Start",
                "env/* by Start",
                "env/k by Start",
                "init-env/k by Start",
                "init-from/* by Start",
            ]
        );
    }

    #[test]
    fn a_volume_is_read_as_files_by_its_items_or_whole() {
        let items = json!([{"key": "tls.crt", "path": "crt"}, {"key": "tls.key", "path": "key"}]);
        let read = reads(
            json!({"containers": [{"name": "a", "volumeMounts": [{"name": "whole", "mountPath": "/a"}]}], "volumes": [
                {"name": "whole", "secret": {"secretName": "whole", "defaultMode": 256}},
                {"name": "items", "secret": {"secretName": "items", "items": items}},
                {"name": "none", "emptyDir": {"sizeLimit": 1}},
                {"name": "projected", "projected": {"sources": [
                    {"secret": {"name": "projected"}},
                    {"secret": {"name": "projected-items", "items": items}},
                    {"configMap": {"name": "no"}},
                    {"serviceAccountToken": {"path": "token"}},
                ]}},
            ]}),
        );
        assert_eq!(
            read,
            [
                "items/tls.crt by File",
                "items/tls.key by File",
                "projected/* by File",
                "projected-items/tls.crt by File",
                "projected-items/tls.key by File",
                "whole/* by File",
            ]
        );
    }

    #[test]
    fn a_part_of_a_volume_is_never_replaced_whichever_container_mounts_it() {
        let volumes = json!([
            {"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "k"}]}},
            {"name": "other", "secret": {"secretName": "other"}},
        ]);
        for mount in [
            json!({"name": "v", "mountPath": "/a", "subPath": "k"}),
            json!({"name": "v", "mountPath": "/a", "subPathExpr": "$(K)"}),
        ] {
            for kind in ["initContainers", "containers", "ephemeralContainers"] {
                let whole = json!({"name": "v", "mountPath": "/b", "subPath": ""});
                let spec = json!({kind: [{"name": "a", "volumeMounts": [whole, mount]}], "volumes": volumes});
                assert_eq!(reads(spec), ["other/* by File", "s/k by Start"], "{kind} {mount}");
            }
        }
        let whole = json!([{"name": "a", "volumeMounts": [{"name": "v", "mountPath": "/b", "subPath": ""}]}]);
        assert_eq!(reads(json!({"containers": whole, "volumes": volumes})), ["other/* by File", "s/k by File"]);
    }

    #[test]
    fn a_key_that_is_named_is_needed_unless_it_is_said_to_be_optional() {
        let key = |name: &str, optional: Value| json!({"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": "k", "optional": optional}}});
        let items = json!([{"key": "k", "path": "k"}]);
        let spec = json!({
            "containers": [
                {"name": "a", "env": [key("needed", json!(false)), key("needed-too", Value::Null), key("may-lack", json!(true))]},
                {"name": "b", "envFrom": [{"secretRef": {"name": "whole", "optional": false}}]},
            ],
            "volumes": [
                {"name": "a", "secret": {"secretName": "needed-file", "items": items}},
                {"name": "b", "secret": {"secretName": "may-lack-file", "items": items, "optional": true}},
                {"name": "c", "secret": {"secretName": "whole-files"}},
                {"name": "d", "projected": {"sources": [
                    {"secret": {"name": "needed-source", "items": items}},
                    {"secret": {"name": "may-lack-source", "items": items, "optional": true}},
                ]}},
            ],
        });
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        let needed: Vec<_> = spec.reads().into_iter().filter(|one| one.needs_it).map(|one| one.secret).collect();
        assert_eq!(needed, ["needed", "needed-file", "needed-source", "needed-too"]);
    }

    #[test]
    fn what_a_driver_signs_in_with_is_read_when_it_mounts() {
        let read = reads(json!({"containers": [], "volumes": [
            {"name": "a", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "csi"}}},
            {"name": "b", "csi": {"driver": "d"}},
        ]}));
        assert_eq!(read, ["csi/* by Start"]);
    }

    #[test]
    fn what_an_image_is_pulled_with_is_held_by_nobody() {
        assert!(reads(json!({"containers": [], "imagePullSecrets": [{"name": "registry"}]})).is_empty());
    }

    #[test]
    fn a_spec_that_is_written_loosely_is_read_all_the_same() {
        let env = json!([
            {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": 1}}},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ]);
        let container = json!({"name": "a", "env": env, "envFrom": null, "resources": {"limits": {"cpu": 1}}});
        assert_eq!(reads(json!({"containers": [container], "volumes": null})), ["s/k by Start"]);
    }
}
