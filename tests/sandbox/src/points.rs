//! Where a run can be hit: the points that another run touched, so that one can be killed, cut or refused at each of
//! them in turn. What differs from run to run (namespaces, names, IDs) is a `*`, and the k-th request counts, so that a
//! point of one run is found again in the next. It only reads journals.

use std::collections::HashMap;

use uuid::Uuid;

use crate::azure::{GRAPH, TOKEN, VAULT};
use crate::faults::{Point, Rule};
use crate::journal::Entry;
use crate::node::USER_AGENT;
use crate::proxy::KUBERNETES;

/// What changes something, in the words of the services.
const CHANGES: [&str; 15] = [
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "addPassword",
    "removePassword",
    "patchApplication",
    "createFederated",
    "patchFederated",
    "deleteFederated",
    "setSecret",
    "updateSecret",
    "deleteSecret",
    "recoverDeletedSecret",
];

/// The points that were touched, in the order in which they first were: each request is a point of its own. What pods
/// ask does not count, and is spared by the points.
#[must_use]
pub fn touched(entries: &[Entry]) -> Vec<Point> {
    let mut counts: HashMap<(&str, &str, String), usize> = HashMap::new();
    let of_services = entries.iter().filter(|entry| entry.user_agent != USER_AGENT);
    let points = of_services.filter_map(|entry| {
        let path = pattern(&entry.service, &entry.path)?;
        let k = counts.entry((&entry.service, &entry.verb, path.clone())).or_default();
        *k += 1;
        Some(Rule::at(&entry.service, &entry.verb, &path).sparing(USER_AGENT).nth(*k))
    });
    points.collect()
}

/// Whether something changes at a point, if it is carried out.
#[must_use]
pub fn changes_something(point: &Point) -> bool {
    CHANGES.contains(&point.verb())
}

/// A path of any run like this one; none for what is no service.
fn pattern(service: &str, path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let pattern = match service {
        KUBERNETES => of_kubernetes(segments),
        TOKEN | GRAPH => segments.into_iter().map(without_ids).collect(),
        VAULT => of_a_vault(segments),
        _ => return None,
    };
    let end = if path.len() > 1 && path.ends_with('/') { "/" } else { "" }; // a client may write it, and a rule must match it
    Some(format!("/{}{end}", pattern.join("/")))
}

/// Of `/api/v1/namespaces/a/pods/b/status` the names of the namespace and of the pod are left out.
fn of_kubernetes(segments: Vec<&str>) -> Vec<String> {
    let group = if segments.first() == Some(&"apis") { 3 } else { 2 };
    let is_inside = segments.get(group) == Some(&"namespaces") && segments.len() > group + 2;
    let is_subresource = matches!(segments.get(group + 2), Some(&"status" | &"finalize"));
    let is_name = |place: usize| place == group + 1 || is_inside && !is_subresource && place == group + 3;
    let star = |(place, segment): (usize, &str)| if is_name(place) { "*".to_owned() } else { segment.to_owned() };
    segments.into_iter().enumerate().map(star).collect()
}

/// Of `/kv/secrets/a/versions` the names of the vault and of the secret are left out.
fn of_a_vault(segments: Vec<&str>) -> Vec<String> {
    let star = |(place, segment): (usize, &str)| match (place, segment) {
        (1, _) | (3, "versions" | "recover") => segment.to_owned(),
        _ => "*".to_owned(),
    };
    segments.into_iter().enumerate().map(star).collect()
}

/// A segment without the IDs that it has.
fn without_ids(segment: &str) -> String {
    let id = |start: usize| segment.get(start..start + 36).filter(|text| Uuid::try_parse(text).is_ok());
    match (0..segment.len()).find(|&start| id(start).is_some()) {
        Some(start) => format!("{}*{}", &segment[..start], without_ids(&segment[start + 36..])),
        None => segment.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Faults;
    use crate::journal::{Journal, Request};

    const ID: &str = "8f3c2c1e-0000-4000-8000-000000000001";

    #[test]
    fn what_differs_from_run_to_run_is_left_out() {
        for (service, path, expected) in [
            (KUBERNETES, "/api/v1/namespaces/shop/secrets".to_owned(), "/api/v1/namespaces/*/secrets"),
            (KUBERNETES, "/api/v1/namespaces/shop/secrets/kw-x-1".into(), "/api/v1/namespaces/*/secrets/*"),
            (KUBERNETES, "/api/v1/namespaces/shop".into(), "/api/v1/namespaces/*"),
            (KUBERNETES, "/api/v1/namespaces/shop/status".into(), "/api/v1/namespaces/*/status"),
            (
                KUBERNETES,
                "/apis/apps/v1/namespaces/a/deployments/b/scale".into(),
                "/apis/apps/v1/namespaces/*/deployments/*/scale",
            ),
            (
                KUBERNETES,
                "/apis/keywright.dev/v1alpha1/entratenants/b/status".into(),
                "/apis/keywright.dev/v1alpha1/entratenants/*/status",
            ),
            (TOKEN, format!("/{ID}/oauth2/v2.0/token"), "/*/oauth2/v2.0/token"),
            (
                GRAPH,
                format!("/v1.0/applications(appId='{ID}')/addPassword"),
                "/v1.0/applications(appId='*')/addPassword",
            ),
            (GRAPH, "/v1.0/applications/delta".into(), "/v1.0/applications/delta"),
            (VAULT, "/kv-a/secrets/payments/0123456789abcdef0123456789abcdef".into(), "/*/secrets/*/*"),
            (VAULT, "/kv-a/secrets/payments/".into(), "/*/secrets/*/"),
            (VAULT, "/kv-a/secrets/payments/versions".into(), "/*/secrets/*/versions"),
            (VAULT, "/kv-a/deletedsecrets/payments/recover".into(), "/*/deletedsecrets/*/recover"),
        ] {
            assert_eq!(pattern(service, &path).as_deref(), Some(expected), "{path}");
        }
        assert_eq!(pattern("connect", "example.com:443"), None);
    }

    #[test]
    fn each_request_of_one_run_is_a_point_of_the_next() {
        let asked = |service: &str, verb: &str, path: &str, user_agent: &str| Request {
            service: service.into(),
            verb: verb.into(),
            path: path.into(),
            user_agent: user_agent.into(),
            ..Request::default()
        };
        let run = |namespace: &str| {
            [
                asked(KUBERNETES, "update", &format!("/api/v1/namespaces/{namespace}/secrets/a"), "us"),
                asked(TOKEN, "signIn", &format!("/{ID}/oauth2/v2.0/token"), USER_AGENT),
                asked(KUBERNETES, "update", &format!("/api/v1/namespaces/{namespace}/secrets/b"), "us"),
                asked(TOKEN, "signIn", &format!("/{ID}/oauth2/v2.0/token"), "us"),
            ]
        };
        let journal = Journal::default();
        for request in run("one") {
            journal.open(&request, None).answered(200);
        }
        let points = touched(&journal.entries());
        assert_eq!(points.iter().map(changes_something).collect::<Vec<_>>(), [true, true, false]);
        for (point, hit) in points.into_iter().zip([0, 2, 3]) {
            let faults = Faults::default();
            faults.add(point.hang());
            let hits: Vec<usize> = run("two")
                .iter()
                .enumerate()
                .filter_map(|(place, request)| faults.decide(request).map(|_| place))
                .collect();
            assert_eq!(hits, [hit]);
        }
    }
}
