//! The words of the Kubernetes API for a request: which verb it is, as RBAC and audit logs say it. Derived from
//! method, path and query alone, by the rules of the API server's own request parser.

/// The Kubernetes verb of a request; outside `/api` and `/apis` it is the method in lower case, as in RBAC.
pub(crate) fn verb(method: &str, path: &str, query: &str) -> String {
    let Some(parts) = resource(path) else { return method.to_ascii_lowercase() };
    let is_named = parts.len() > 1;
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

/// Resource, name, subresource of a path: `/api/v1/namespaces/a/pods/b/status` gives `[pods, b, status]`.
fn resource(path: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (["api", _, parts @ ..] | ["apis", _, _, parts @ ..]) = parts.as_slice() else { return None };
    let parts = match parts {
        [] => return None,
        // A namespace is itself a resource, and has these subresources.
        ["namespaces", _, "status" | "finalize"] | ["namespaces", _] => parts,
        ["namespaces", _, rest @ ..] => rest,
        other => other,
    };
    Some(parts.to_vec())
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
