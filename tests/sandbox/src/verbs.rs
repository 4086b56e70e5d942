//! The words of the Kubernetes API for a request: which verb it is, on what, as RBAC and audit logs say it. Derived from
//! method, path and query alone, by the rules of the API server's own request parser.

/// What a path below `/api` and `/apis` is about.
pub(crate) struct Subject<'a> {
    /// The API group; empty is the core.
    pub(crate) group: &'a str,
    /// The namespace, for what is in one.
    pub(crate) namespace: Option<&'a str>,
    /// The resource, its name if it has one, and its subresource if it has one.
    pub(crate) resource: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) subresource: Option<&'a str>,
}

/// The Kubernetes verb of a request; outside `/api` and `/apis` it is the method in lower case, as in RBAC.
pub(crate) fn verb(method: &str, path: &str, query: &str) -> String {
    let Some(subject) = subject(path) else { return method.to_ascii_lowercase() };
    let is_named = subject.name.is_some();
    let verb = match method {
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if is_named => "delete",
        "DELETE" => "deletecollection",
        "GET" | "HEAD" if watches(query) => "watch",
        "GET" | "HEAD" if is_named => "get",
        "GET" | "HEAD" => "list",
        other => return other.to_ascii_lowercase(),
    };
    verb.to_owned()
}

/// What a path is about: `/api/v1/namespaces/a/pods/b/status` is about the status of pod b in namespace a.
pub(crate) fn subject(path: &str) -> Option<Subject<'_>> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, parts) = match parts.as_slice() {
        ["api", _, parts @ ..] => ("", parts),
        ["apis", group, _, parts @ ..] => (*group, parts),
        _ => return None,
    };
    let (namespace, parts) = match parts {
        // A namespace is itself a resource, and has these subresources.
        ["namespaces", _, "status" | "finalize"] | ["namespaces", _] => (None, parts),
        ["namespaces", namespace, rest @ ..] => (Some(*namespace), rest),
        other => (None, other),
    };
    let [resource, rest @ ..] = parts else { return None };
    Some(Subject { group, namespace, resource, name: rest.first().copied(), subresource: rest.get(1).copied() })
}

fn watches(query: &str) -> bool {
    query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1" | "watch"))
}

#[cfg(test)]
mod tests {
    use super::verb;

    #[test]
    fn verbs_are_those_of_rbac() {
        for (method, path, query, expected) in [
            ("GET", "/api/v1/namespaces/a/secrets", "limit=500", "list"),
            ("GET", "/api/v1/namespaces/a/secrets", "allowWatchBookmarks=true&watch=true", "watch"),
            ("GET", "/api/v1/namespaces/a/secrets", "watch=false", "list"),
            ("GET", "/api/v1/namespaces/a/secrets/b", "", "get"),
            ("GET", "/api/v1/namespaces", "", "list"),
            ("GET", "/api/v1/namespaces/a", "", "get"),
            ("PUT", "/api/v1/namespaces/a/finalize", "", "update"),
            ("GET", "/apis/apps/v1/deployments", "", "list"),
            ("POST", "/api/v1/namespaces/a/serviceaccounts/b/token", "", "create"),
            ("PATCH", "/apis/keywright.dev/v1alpha1/namespaces/a/entraappcredentials/b/status", "", "patch"),
            ("DELETE", "/api/v1/namespaces/a/secrets/b", "", "delete"),
            ("DELETE", "/api/v1/namespaces/a/secrets", "", "deletecollection"),
            ("GET", "/apis/apps/v1", "", "get"),
            ("GET", "/readyz", "", "get"),
        ] {
            assert_eq!(verb(method, path, query), expected, "{method} {path}?{query}");
        }
    }
}
