//! The files of a pod's volumes, and where its containers see them: Secrets, `ConfigMap`s, projections of both with
//! ServiceAccount tokens and fields; or what is missing, in the kubelet's words. Other volumes are empty. Pure: objects
//! are read and tokens issued before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hyper::body::Bytes;
use k8s_openapi::api::core::v1::{
    ConfigMapProjection, ConfigMapVolumeSource, Container, DownwardAPIVolumeFile, KeyToPath, Pod, SecretProjection,
    SecretVolumeSource, Volume, VolumeProjection,
};

use super::cache::{Entries, Found, Kind, Source};
use super::environment::not_found;
use super::fields;

/// Files by their path within a volume.
pub(crate) type Files = BTreeMap<String, Bytes>;

/// The volumes of a pod, by name.
pub(crate) type Volumes = BTreeMap<String, Arc<Files>>;

/// A ServiceAccount token as a projection asks for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TokenAsked {
    pub(crate) audience: Option<String>,
    pub(crate) seconds: i64,
}

/// The tokens that a pod has.
pub(crate) type Issued = BTreeMap<TokenAsked, Bytes>;

/// A part of a volume: some keys of an object, the same for volumes and projections.
struct Part {
    kind: Kind,
    name: String,
    items: Option<Vec<KeyToPath>>,
    optional: bool,
}

/// The objects that a pod's volumes are made of.
pub(crate) fn sources(pod: &Pod) -> BTreeSet<Source> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let source = |part: Part| Source { kind: part.kind, namespace: namespace.to_owned(), name: part.name };
    all(pod).flat_map(parts).map(source).collect()
}

/// The tokens that a pod's volumes are made of.
pub(crate) fn tokens(pod: &Pod) -> BTreeSet<TokenAsked> {
    all(pod).flat_map(projections).filter_map(token).map(|(asked, _)| asked).collect()
}

/// All volumes, or why they cannot be mounted: the message of `FailedMount`.
pub(crate) fn volumes(pod: &Pod, found: &Found, issued: &Issued) -> Result<Volumes, String> {
    all(pod).map(|volume| Ok((volume.name.clone(), Arc::new(files(pod, volume, found, issued)?)))).collect()
}

/// The volumes after a while: what cannot be brought up to date stays as it was, and so does what has not changed.
pub(crate) fn refreshed(before: &Volumes, pod: &Pod, found: &Found, issued: &Issued) -> Volumes {
    let refresh = |volume: &Volume| {
        let before = before.get(&volume.name)?;
        let now = files(pod, volume, found, issued).ok().filter(|now| *now != **before);
        Some((volume.name.clone(), now.map_or_else(|| Arc::clone(before), Arc::new)))
    };
    all(pod).filter_map(refresh).collect()
}

fn files(pod: &Pod, volume: &Volume, found: &Found, issued: &Issued) -> Result<Files, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut files = Files::new();
    let failed = |why| format!("MountVolume.SetUp failed for volume \"{}\" : {why}", volume.name);
    for part in parts(volume) {
        part.put(namespace, found, &mut files).map_err(failed)?;
    }
    for (asked, path) in projections(volume).filter_map(token) {
        let token = issued.get(&asked).ok_or_else(|| failed("failed to fetch token".to_owned()))?;
        files.insert(path.to_owned(), token.clone());
    }
    let own = volume.downward_api.iter().flat_map(|own| own.items.iter().flatten());
    let projected = projections(volume).filter_map(|projection| projection.downward_api.as_ref());
    for item in own.chain(projected.flat_map(|projected| projected.items.iter().flatten())) {
        let value = downward(pod, item).unwrap_or_default();
        files.insert(item.path.clone(), value.into());
    }
    Ok(files)
}

fn downward(pod: &Pod, item: &DownwardAPIVolumeFile) -> Option<String> {
    fields::field(pod, &item.field_ref.as_ref()?.field_path)
}

impl Part {
    fn put(&self, namespace: &str, found: &Found, files: &mut Files) -> Result<(), String> {
        let source = Source { kind: self.kind, namespace: namespace.to_owned(), name: self.name.clone() };
        match (found.get(&source), &self.items) {
            (None, _) if self.optional => Ok(()),
            (None, _) => Err(not_found(self.kind, &self.name)),
            (Some(entries), None) => {
                files.extend(entries.iter().map(|(key, value)| (key.clone(), value.clone())));
                Ok(())
            }
            (Some(entries), Some(items)) => items.iter().try_for_each(|item| self.put_item(item, entries, files)),
        }
    }

    fn put_item(&self, item: &KeyToPath, entries: &Entries, files: &mut Files) -> Result<(), String> {
        match (entries.get(&item.key), self.kind) {
            (Some(value), _) => _ = files.insert(item.path.clone(), value.clone()),
            (None, _) if self.optional => {}
            (None, Kind::Secret) => return Err(format!("references non-existent secret key: {}", item.key)),
            (None, Kind::ConfigMap) => return Err(format!("references non-existent config key: {}", item.key)),
        }
        Ok(())
    }
}

fn all(pod: &Pod) -> impl Iterator<Item = &Volume> {
    pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten())
}

fn projections(volume: &Volume) -> impl Iterator<Item = &VolumeProjection> {
    volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten())
}

fn parts(volume: &Volume) -> impl Iterator<Item = Part> {
    let secret = |secret: &SecretVolumeSource| {
        let SecretVolumeSource { secret_name, items, optional, .. } = secret.clone();
        part(Kind::Secret, secret_name.unwrap_or_default(), items, optional)
    };
    let map = |map: &ConfigMapVolumeSource| {
        let ConfigMapVolumeSource { name, items, optional, .. } = map.clone();
        part(Kind::ConfigMap, name, items, optional)
    };
    let projected = |projection: &VolumeProjection| {
        let secret = projection.secret.clone();
        let secret = secret.map(|SecretProjection { name, items, optional }| part(Kind::Secret, name, items, optional));
        let map = projection.config_map.clone();
        let map = map.map(|ConfigMapProjection { name, items, optional }| part(Kind::ConfigMap, name, items, optional));
        secret.into_iter().chain(map)
    };
    let own = volume.secret.as_ref().map(secret).into_iter().chain(volume.config_map.as_ref().map(map));
    own.chain(projections(volume).flat_map(projected))
}

fn part(kind: Kind, name: String, items: Option<Vec<KeyToPath>>, optional: Option<bool>) -> Part {
    Part { kind, name, items, optional: optional == Some(true) }
}

fn token(projection: &VolumeProjection) -> Option<(TokenAsked, &str)> {
    let token = projection.service_account_token.as_ref()?;
    let asked = TokenAsked { audience: token.audience.clone(), seconds: token.expiration_seconds.unwrap_or(3600) };
    Some((asked, &token.path))
}

/// Where a container sees a volume.
#[derive(Clone, Debug)]
pub(crate) struct Mount {
    at: String,
    volume: String,
    /// With `subPath`, what was there when the container started: it never changes.
    frozen: Option<Files>,
}

/// Where a container that starts now sees the volumes.
pub(crate) fn mounts(container: &Container, volumes: &Volumes) -> Vec<Mount> {
    let mounts = container.volume_mounts.iter().flatten().map(|mount| {
        let frozen = mount.sub_path.as_deref().filter(|path| !path.is_empty()).map(|path| {
            volumes.get(&mount.name).map(|files| below(files, path.trim_end_matches('/'))).unwrap_or_default()
        });
        Mount { at: mount.mount_path.trim_end_matches('/').to_owned(), volume: mount.name.clone(), frozen }
    });
    mounts.collect()
}

/// A file or a folder of a volume, as a volume of its own: a file has the empty path.
fn below(files: &Files, path: &str) -> Files {
    let inside = files.iter().filter_map(|(name, value)| {
        let rest = name.strip_prefix(path).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
        Some((rest.trim_start_matches('/').to_owned(), value.clone()))
    });
    inside.collect()
}

/// What a container reads at a path now. The innermost mount hides the others.
pub(crate) fn read(mounts: &[Mount], volumes: &Volumes, path: &str) -> Option<Bytes> {
    let rest = |mount: &Mount| path.strip_prefix(mount.at.as_str()).map(str::to_owned);
    let holds = |rest: &String| rest.is_empty() || rest.starts_with('/');
    let candidates = mounts.iter().filter_map(|mount| Some((mount, rest(mount).filter(holds)?)));
    let (mount, rest) = candidates.max_by_key(|(mount, _)| mount.at.len())?;
    let files = mount.frozen.as_ref().or_else(|| volumes.get(&mount.volume).map(Arc::as_ref))?;
    files.get(rest.trim_start_matches('/')).cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(volumes: &Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web-0", "namespace": "shop", "labels": {"app": "web"}},
            "spec": {"containers": [], "volumes": volumes},
        }))
        .unwrap()
    }

    fn found(kind: Kind, name: &str, data: &[(&str, &'static str)]) -> Found {
        let entries = data.iter().map(|(key, value)| ((*key).to_owned(), Bytes::from(*value))).collect();
        Found::from([(Source { kind, namespace: "shop".into(), name: name.into() }, Arc::new(entries))])
    }

    fn of(volumes: &Volumes, name: &str) -> Vec<String> {
        volumes[name].iter().map(|(path, value)| format!("{path}={}", String::from_utf8_lossy(value))).collect()
    }

    #[test]
    fn a_secret_is_a_file_per_key_or_per_item() {
        let found = found(Kind::Secret, "s", &[("a", "1"), ("b", "2")]);
        let all = json!({"name": "all", "secret": {"secretName": "s"}});
        let some =
            json!({"name": "some", "secret": {"secretName": "s", "items": [{"key": "b", "path": "deep/b.txt"}]}});
        let volumes = volumes(&pod(&json!([all, some])), &found, &Issued::new()).unwrap();
        assert_eq!(of(&volumes, "all"), ["a=1", "b=2"]);
        assert_eq!(of(&volumes, "some"), ["deep/b.txt=2"]);
    }

    #[test]
    fn a_projection_has_secrets_maps_tokens_and_fields() {
        let mut all = found(Kind::Secret, "s", &[("a", "1")]);
        all.extend(found(Kind::ConfigMap, "m", &[("c", "3")]));
        let pod = pod(&json!([{"name": "p", "projected": {"sources": [
            {"secret": {"name": "s"}},
            {"configMap": {"name": "m", "items": [{"key": "c", "path": "d"}]}},
            {"serviceAccountToken": {"path": "token", "audience": "api://AzureADTokenExchange", "expirationSeconds": 600}},
            {"downwardAPI": {"items": [{"path": "app", "fieldRef": {"fieldPath": "metadata.labels['app']"}}]}},
        ]}}]));
        let asked = TokenAsked { audience: Some("api://AzureADTokenExchange".into()), seconds: 600 };
        assert_eq!(tokens(&pod), BTreeSet::from([asked.clone()]));
        assert_eq!(sources(&pod).len(), 2);
        let volumes = volumes(&pod, &all, &Issued::from([(asked, Bytes::from("jwt"))])).unwrap();
        assert_eq!(of(&volumes, "p"), ["a=1", "app=web", "d=3", "token=jwt"]);
    }

    #[test]
    fn what_is_missing_is_told_in_the_kubelets_words() {
        let found = found(Kind::Secret, "s", &[("a", "1")]);
        let told = |source: Value| {
            let volume = json!([{"name": "v", "secret": source}]);
            volumes(&pod(&volume), &found, &Issued::new())
        };
        let failed = "MountVolume.SetUp failed for volume \"v\" : ";
        assert_eq!(told(json!({"secretName": "t"})).unwrap_err(), format!("{failed}secret \"t\" not found"));
        let items = json!([{"key": "x", "path": "x"}]);
        assert_eq!(
            told(json!({"secretName": "s", "items": items})).unwrap_err(),
            format!("{failed}references non-existent secret key: x")
        );
        assert_eq!(of(&told(json!({"secretName": "t", "optional": true})).unwrap(), "v"), [""; 0]);
        assert_eq!(of(&told(json!({"secretName": "s", "optional": true, "items": items})).unwrap(), "v"), [""; 0]);
    }

    #[test]
    fn what_is_gone_later_stays_as_it_was() {
        let pod = pod(&json!([{"name": "v", "secret": {"secretName": "s"}}]));
        let before = volumes(&pod, &found(Kind::Secret, "s", &[("a", "1")]), &Issued::new()).unwrap();
        let gone = refreshed(&before, &pod, &Found::new(), &Issued::new());
        assert_eq!(of(&gone, "v"), ["a=1"]);
        let changed = refreshed(&before, &pod, &found(Kind::Secret, "s", &[("a", "2")]), &Issued::new());
        assert_eq!(of(&changed, "v"), ["a=2"]);
    }

    #[test]
    fn a_sub_path_never_changes_and_a_mount_does() {
        let pod = pod(&json!([{"name": "v", "secret": {"secretName": "s"}}]));
        let container: Container = serde_json::from_value(json!({"name": "app", "volumeMounts": [
            {"name": "v", "mountPath": "/etc/entra/"},
            {"name": "v", "mountPath": "/etc/entra/fixed", "subPath": "a"},
        ]}))
        .unwrap();
        let before = volumes(&pod, &found(Kind::Secret, "s", &[("a", "1")]), &Issued::new()).unwrap();
        let mounts = mounts(&container, &before);
        let after = refreshed(&before, &pod, &found(Kind::Secret, "s", &[("a", "2")]), &Issued::new());
        assert_eq!(read(&mounts, &after, "/etc/entra/a").unwrap(), "2");
        assert_eq!(read(&mounts, &after, "/etc/entra/fixed").unwrap(), "1");
        assert_eq!(read(&mounts, &after, "/etc/entrance"), None);
        assert_eq!(read(&mounts, &after, "/etc/entra/b"), None);
    }
}
