//! The environment of a container, as a kubelet builds it: what `envFrom` brings, then `env`, later names over earlier
//! ones; or what is missing, in the kubelet's words. Pure: the objects are read before. Service variables, `fileKeyRef`
//! and `resourceFieldRef` are left out, since no credential comes that way.

use std::collections::{BTreeMap, BTreeSet};

use hyper::body::Bytes;
use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, Pod};

use super::cache::{Found, Kind, Source};

/// The variables of a container.
pub(crate) type Environment = BTreeMap<String, String>;

/// The objects that a container's environment is read from.
pub(crate) fn sources(container: &Container, namespace: &str) -> BTreeSet<Source> {
    let source = |(kind, name, _)| Source { kind, namespace: namespace.to_owned(), name };
    let whole = container.env_from.iter().flatten().filter_map(whole);
    let keys = container.env.iter().flatten().filter_map(key).map(|key| (key.kind, key.name, key.optional));
    whole.chain(keys).map(source).collect()
}

/// The environment, or why the container cannot be created: the message of `CreateContainerConfigError`. What the
/// node decides itself, like the pod's address, has to be in the pod's status.
pub(crate) fn environment(container: &Container, pod: &Pod, found: &Found) -> Result<Environment, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut environment = Environment::new();
    for from in container.env_from.iter().flatten() {
        let Some((kind, name, optional)) = whole(from) else { continue };
        let prefix = from.prefix.as_deref().unwrap_or_default();
        match found.get(&Source { kind, namespace: namespace.to_owned(), name: name.clone() }) {
            Some(entries) => {
                environment.extend(entries.iter().map(|(key, value)| (format!("{prefix}{key}"), text(value))));
            }
            None if optional => {}
            None => return Err(not_found(kind, &name)),
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value(variable, pod, namespace, found, &environment)? {
            environment.insert(variable.name.clone(), value);
        }
    }
    Ok(environment)
}

fn value(
    variable: &EnvVar,
    pod: &Pod,
    namespace: &str,
    found: &Found,
    before: &Environment,
) -> Result<Option<String>, String> {
    if let Some(One { kind, name, key, optional }) = key(variable) {
        let source = Source { kind, namespace: namespace.to_owned(), name };
        return match found.get(&source).map(|entries| entries.get(&key)) {
            Some(Some(value)) => Ok(Some(text(value))),
            _ if optional => Ok(None),
            Some(None) => Err(format!("couldn't find key {key} in {kind:?} {namespace}/{}", source.name)),
            None => Err(not_found(kind, &source.name)),
        };
    }
    let field = variable.value_from.as_ref().and_then(|from| from.field_ref.as_ref());
    match (field, &variable.value_from) {
        (Some(field), _) => Ok(Some(super::fields::field(pod, &field.field_path).unwrap_or_default())),
        (None, Some(_)) => Ok(None),
        (None, None) => Ok(Some(expanded(variable.value.as_deref().unwrap_or_default(), before))),
    }
}

/// A whole Secret or `ConfigMap`: its kind, its name, and whether it may be missing.
fn whole(from: &EnvFromSource) -> Option<(Kind, String, bool)> {
    let secret = from.secret_ref.as_ref().map(|secret| (Kind::Secret, &secret.name, secret.optional));
    let map = from.config_map_ref.as_ref().map(|map| (Kind::ConfigMap, &map.name, map.optional));
    secret.or(map).map(|(kind, name, optional)| (kind, name.clone(), optional == Some(true)))
}

struct One {
    kind: Kind,
    name: String,
    key: String,
    optional: bool,
}

fn key(variable: &EnvVar) -> Option<One> {
    let from = variable.value_from.as_ref()?;
    let secret = from.secret_key_ref.as_ref().map(|key| (Kind::Secret, &key.name, &key.key, key.optional));
    let map = from.config_map_key_ref.as_ref().map(|key| (Kind::ConfigMap, &key.name, &key.key, key.optional));
    let (kind, name, key, optional) = secret.or(map)?;
    Some(One { kind, name: name.clone(), key: key.clone(), optional: optional == Some(true) })
}

/// The kubelet's words for an object that does not exist.
pub(crate) fn not_found(kind: Kind, name: &str) -> String {
    match kind {
        Kind::Secret => format!("secret \"{name}\" not found"),
        Kind::ConfigMap => format!("configmap \"{name}\" not found"),
    }
}

fn text(value: &Bytes) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// `$(NAME)` is the value of an earlier variable, `$$` a dollar; what names no earlier variable stays as it is.
fn expanded(value: &str, before: &Environment) -> String {
    let (mut done, mut rest) = (String::new(), value);
    while let Some((literal, from)) = rest.split_once('$') {
        done.push_str(literal);
        if let Some(after) = from.strip_prefix('$') {
            done.push('$');
            rest = after;
        } else if let Some((name, after)) = from.strip_prefix('(').and_then(|from| from.split_once(')')) {
            done.push_str(before.get(name).map_or(&format!("$({name})"), |value| value));
            rest = after;
        } else {
            done.push('$');
            rest = from;
        }
    }
    done + rest
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::cache::Entries;
    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web-0", "namespace": "shop", "labels": {"app": "web"}},
            "spec": {"nodeName": "node-0", "serviceAccountName": "web", "containers": []},
            "status": {"podIP": "10.244.0.7"},
        }))
        .unwrap()
    }

    fn object(kind: Kind, name: &str, data: &[(&str, &'static str)]) -> (Source, Arc<Entries>) {
        let entries = data.iter().map(|(key, value)| ((*key).to_owned(), Bytes::from(*value))).collect();
        (Source { kind, namespace: "shop".into(), name: name.into() }, Arc::new(entries))
    }

    fn container(spec: &Value) -> Container {
        let mut container = json!({"name": "app"});
        container.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(container).unwrap()
    }

    fn built(spec: &Value, found: &Found) -> Result<Vec<String>, String> {
        let environment = environment(&container(spec), &pod(), found)?;
        Ok(environment.iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    #[test]
    fn env_from_comes_first_and_env_wins() {
        let found = Found::from([
            object(Kind::Secret, "s", &[("A", "1"), ("B", "2")]),
            object(Kind::ConfigMap, "m", &[("A", "3")]),
        ]);
        let spec = json!({
            "envFrom": [{"secretRef": {"name": "s"}}, {"configMapRef": {"name": "m"}, "prefix": "M_"}],
            "env": [{"name": "B", "value": "over"}],
        });
        assert_eq!(built(&spec, &found).unwrap(), ["A=1", "B=over", "M_A=3"]);
    }

    #[test]
    fn keys_and_fields_are_read_by_reference() {
        let found =
            Found::from([object(Kind::Secret, "s", &[("k", "v")]), object(Kind::ConfigMap, "m", &[("k", "w")])]);
        let spec = json!({"env": [
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        ]});
        assert_eq!(built(&spec, &found).unwrap(), ["A=v", "B=w", "C=10.244.0.7", "D=web"]);
        let names: Vec<String> = sources(&container(&spec), "shop").into_iter().map(|source| source.name).collect();
        assert_eq!(names, ["s", "m"]);
    }

    #[test]
    fn what_is_missing_is_told_in_the_kubelets_words() {
        let found = Found::from([object(Kind::Secret, "s", &[("k", "v")]), object(Kind::ConfigMap, "m", &[])]);
        let secret = |name: &str, key: &str| json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}]});
        let map = |name: &str, key: &str| json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": name, "key": key}}}]});
        let missing = [
            (secret("s", "x"), "couldn't find key x in Secret shop/s"),
            (secret("t", "k"), "secret \"t\" not found"),
            (map("m", "x"), "couldn't find key x in ConfigMap shop/m"),
            (map("n", "x"), "configmap \"n\" not found"),
            (json!({"envFrom": [{"secretRef": {"name": "t"}}]}), "secret \"t\" not found"),
        ];
        for (spec, message) in missing {
            assert_eq!(built(&spec, &found).unwrap_err(), message);
        }
    }

    #[test]
    fn what_is_optional_may_be_missing() {
        let spec = json!({
            "envFrom": [{"secretRef": {"name": "t", "optional": true}}],
            "env": [
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "t", "key": "k", "optional": true}}},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "x", "optional": true}}},
            ],
        });
        assert_eq!(built(&spec, &Found::from([object(Kind::Secret, "s", &[])])).unwrap(), [""; 0]);
    }

    #[test]
    fn earlier_variables_are_expanded() {
        let variable = |name: &str, value: &str| json!({"name": name, "value": value});
        let spec = json!({"env": [
            variable("A", "1"),
            variable("B", "$(A)-$$(A)-$(LATER)-$A-100$"),
            variable("LATER", "x"),
        ]});
        assert_eq!(built(&spec, &Found::new()).unwrap(), ["A=1", "B=1-$(A)-$(LATER)-$A-100$", "LATER=x"]);
    }
}
