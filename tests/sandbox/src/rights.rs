//! Rights in the words of RBAC: which of them roles give, which of them requests need, and what is left over on either
//! side. Pure: it reads manifests and entries of a journal, and asks nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Context;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde::de::DeserializeOwned;

use crate::journal::Entry;
use crate::verbs;

/// One verb on one resource, somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The namespace; none is the whole cluster, and what is in no namespace.
    pub namespace: Option<String>,
    /// The API group; empty is the core.
    pub group: String,
    /// The resource, with its subresource: `entratenants/status`.
    pub resource: String,
    /// The verb.
    pub verb: String,
    /// The only object that it is about; none is all of them, or one that has no name yet.
    pub name: Option<String>,
}

impl Right {
    /// What a request to the API server needs, if it is about a resource.
    #[must_use]
    pub fn needed_by(entry: &Entry) -> Option<Self> {
        let subject = verbs::subject(&entry.path)?;
        let named = subject.name.map(str::to_owned).or_else(|| selected(&entry.query));
        let resource = subject.subresource.map(|sub| format!("{}/{sub}", subject.resource));
        Some(Self {
            namespace: subject.namespace.map(str::to_owned),
            group: subject.group.to_owned(),
            resource: resource.unwrap_or_else(|| subject.resource.to_owned()),
            verb: entry.verb.clone(),
            name: named,
        })
    }

    /// What the roles among these objects give to those whom they are bound to.
    pub fn given_by(objects: &[DynamicObject]) -> anyhow::Result<BTreeSet<Self>> {
        let role = |object: &DynamicObject| (kind(object).to_owned(), object.namespace(), object.name_any());
        let roles: BTreeMap<_, _> = objects.iter().map(|object| (role(object), object)).collect();
        let mut given = BTreeSet::new();
        for binding in objects.iter().filter(|object| kind(object).ends_with("RoleBinding")) {
            let (kind, name): (String, String) = (read(binding, "/roleRef/kind")?, read(binding, "/roleRef/name")?);
            let namespace = binding.namespace().filter(|_| kind == "Role");
            let bound =
                roles.get(&(kind, namespace, name)).with_context(|| format!("{} binds no role", binding.name_any()))?;
            for rule in read::<Vec<PolicyRule>>(bound, "/rules")? {
                given.extend(each(&rule, binding.namespace().as_deref()));
            }
        }
        Ok(given)
    }

    /// Whether this one, given, is enough for that one, needed.
    #[must_use]
    pub fn is_enough_for(&self, needed: &Self) -> bool {
        let kind = |right: &Self| (right.group.clone(), right.resource.clone(), right.verb.clone());
        let here = self.namespace.is_none() || self.namespace == needed.namespace;
        let this = self.name.is_none() || self.name == needed.name;
        kind(self) == kind(needed) && here && this
    }

    /// The same where a namespace is called something else.
    #[must_use]
    pub fn renamed(mut self, namespace: &str, called: &str) -> Self {
        let rename = |text: &mut String| {
            if text == namespace {
                called.clone_into(text);
            }
        };
        self.namespace.iter_mut().for_each(rename);
        if self.resource == "namespaces" {
            self.name.iter_mut().for_each(rename);
        }
        self
    }
}

/// A rule taken apart.
fn each(rule: &PolicyRule, namespace: Option<&str>) -> Vec<Right> {
    let names: Vec<Option<String>> = match rule.resource_names.as_deref().unwrap_or_default() {
        [] => vec![None],
        names => names.iter().cloned().map(Some).collect(),
    };
    let mut rights = vec![];
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            for verb in &rule.verbs {
                rights.extend(names.iter().map(|name| Right {
                    namespace: namespace.map(str::to_owned),
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                    name: name.clone(),
                }));
            }
        }
    }
    rights
}

/// The one object that a list or a watch is limited to, which RBAC takes for its name.
fn selected(query: &str) -> Option<String> {
    let selector = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "fieldSelector")?.1;
    selector.split(',').find_map(|field| field.strip_prefix("metadata.name=")).map(str::to_owned)
}

fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| &types.kind)
}

fn read<T: DeserializeOwned>(object: &DynamicObject, pointer: &str) -> anyhow::Result<T> {
    let found = object.data.pointer(pointer).with_context(|| format!("{} has no {pointer}", object.name_any()))?;
    Ok(T::deserialize(found)?)
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        self.name.iter().try_for_each(|name| write!(f, " {name}"))?;
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => write!(f, " in the cluster"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, Request};

    fn needed(verb: &str, path: &str, query: &str) -> Right {
        let journal = Journal::default();
        let request = Request { verb: verb.into(), path: path.into(), query: query.into(), ..Request::default() };
        drop(journal.open(&request, None));
        Right::needed_by(&journal.entries()[0]).unwrap()
    }

    const ROLES: &str = r"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: all}
rules:
- {apiGroups: [''], resources: [namespaces], resourceNames: [a, b], verbs: [get, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: all}
roleRef: {kind: ClusterRole, name: all}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: here, namespace: a}
rules:
- {apiGroups: [keywright.dev], resources: [entratenants/status], verbs: [update]}
- {apiGroups: [''], resources: [secrets], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: here, namespace: a}
roleRef: {kind: Role, name: here}
";

    #[test]
    fn roles_are_taken_apart_to_the_verb_and_the_name() {
        let given = Right::given_by(&serde_saphyr::from_multiple(ROLES).unwrap()).unwrap();
        let given: Vec<String> = given.iter().map(ToString::to_string).collect();
        assert_eq!(
            given,
            [
                "get namespaces a in the cluster",
                "get namespaces b in the cluster",
                "watch namespaces a in the cluster",
                "watch namespaces b in the cluster",
                "create secrets in a",
                "update entratenants/status.keywright.dev in a",
            ]
        );
    }

    #[test]
    fn a_right_is_enough_for_what_it_names_and_nothing_else() {
        let given = Right::given_by(&serde_saphyr::from_multiple(ROLES).unwrap()).unwrap();
        let may = |needed: &Right| given.iter().any(|given| given.is_enough_for(needed));
        assert!(may(&needed("get", "/api/v1/namespaces/a", "")));
        assert!(!may(&needed("get", "/api/v1/namespaces/c", "")));
        assert!(may(&needed("watch", "/api/v1/namespaces", "watch=true&fieldSelector=metadata.name%3Db")));
        assert!(!may(&needed("watch", "/api/v1/namespaces", "watch=true")), "all of them");
        assert!(may(&needed("create", "/api/v1/namespaces/a/secrets", "")));
        assert!(!may(&needed("create", "/api/v1/namespaces/b/secrets", "")));
        assert!(!may(&needed("get", "/api/v1/namespaces/a/secrets/x", "")));
        assert!(may(&needed("update", "/apis/keywright.dev/v1alpha1/namespaces/a/entratenants/x/status", "")));
        assert!(!may(&needed("update", "/apis/keywright.dev/v1alpha1/namespaces/a/entratenants/x", "")));
    }

    #[test]
    fn what_is_about_no_resource_needs_no_right() {
        let journal = Journal::default();
        drop(journal.open(&Request { path: "/version".into(), ..Request::default() }, None));
        assert_eq!(Right::needed_by(&journal.entries()[0]), None);
    }

    #[test]
    fn a_namespace_is_renamed_where_it_stands_and_where_it_is_meant() {
        let about = needed("get", "/api/v1/namespaces/a", "").renamed("a", "the watched one");
        assert_eq!(about.to_string(), "get namespaces the watched one in the cluster");
        let inside = needed("get", "/api/v1/namespaces/a/secrets/a", "").renamed("a", "the watched one");
        assert_eq!(inside.to_string(), "get secrets a in the watched one");
    }
}
