//! The rules about tenants and what they grant.

use serde_json::json;

use super::{GITHUB, Rule, VAULT, grant, selecting, spec, tenant};

pub(super) fn about_tenants() -> Vec<Rule> {
    let endpoints = json!({
        "authorityHost": "https://login.example", "graphUrl": "https://graph.example", "keyVaultSuffix": "vault.example",
        "federatedAudience": "api://AzureADTokenExchange",
    });
    vec![
        tenant(
            "endpoints go with a custom cloud and only with it",
            spec(json!({"endpoints": endpoints})),
            "spec.endpoints goes with cloud: Custom and only with it",
            spec(json!({"cloud": "Custom", "endpoints": endpoints})),
        ),
        tenant(
            "the operator signs in one way",
            spec(json!({"identity": {"workloadIdentity": {}, "managedIdentity": {}}})),
            "spec.identity must have exactly one of workloadIdentity, managedIdentity, clientSecret and certificate",
            spec(json!({"identity": {"managedIdentity": {}}})),
        ),
        tenant(
            "a default renewal is within the default validity",
            spec(json!({"defaults": {"validity": "30d", "renewBefore": "30d"}})),
            "spec.defaults.renewBefore must be shorter than spec.defaults.validity",
            spec(json!({"defaults": {"validity": "30d", "renewBefore": "29d"}})),
        ),
        tenant(
            "a default overlap is within the default renewal",
            spec(json!({"defaults": {"renewBefore": "10d", "minOverlap": "240h"}})),
            "spec.defaults.minOverlap must be shorter than spec.defaults.renewBefore",
            spec(json!({"defaults": {"renewBefore": "10d", "minOverlap": "24h"}})),
        ),
    ]
}

pub(super) fn about_grants() -> Vec<Rule> {
    vec![
        tenant(
            "a grant names namespaces or selects them",
            grant(json!({"namespaces": {"selector": {"matchLabels": {"team": "pay"}}}})),
            "namespaces must have exactly one of names and selector",
            selecting(json!({"matchLabels": {"team": "pay"}})),
        ),
        tenant(
            "a grant has a plain name",
            grant(json!({"name": "Payments"})),
            "must be a name of lower-case letters, digits and '-', at most 63 of them, for example github",
            grant(json!({"name": "payments"})),
        ),
        tenant(
            "a grant does not select everything",
            selecting(json!({})),
            "selector must not be empty, because it would select every namespace",
            selecting(json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]})),
        ),
        tenant(
            "a grant does not select everything by an empty list",
            selecting(json!({"matchLabels": {}, "matchExpressions": []})),
            "selector must not be empty, because it would select every namespace",
            selecting(json!({"matchLabels": {"team": "pay"}, "matchExpressions": []})),
        ),
        tenant(
            "values go with In and NotIn and only with them",
            selecting(json!({"matchExpressions": [{"key": "team", "operator": "In"}]})),
            "values goes with In and NotIn and only with them",
            selecting(json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["pay"]}]})),
        ),
        tenant(
            "a pattern for Secrets is more than a star",
            grant(json!({"secretNames": ["**"]})),
            "must be a name or a pattern with more to it than '*', for example payments-*",
            grant(json!({"secretNames": ["payments-*"]})),
        ),
        tenant(
            "a pattern for vault entries is more than a star",
            grant(json!({"keyVaults": [{"url": VAULT, "names": ["*"]}]})),
            "must be a name or a pattern with more to it than '*', for example payments-*",
            grant(json!({"keyVaults": [{"url": VAULT, "names": ["payments-*"]}]})),
        ),
        tenant(
            "a pattern for subjects is more than a star",
            grant(json!({"federation": {"externalIssuers": [GITHUB], "externalSubjects": ["*"]}})),
            "must be a subject or a pattern with more to it than '*'",
            grant(json!({"federation": {"externalIssuers": [GITHUB], "externalSubjects": ["repo:contoso/*"]}})),
        ),
        tenant(
            "issuers go with subjects",
            grant(json!({"federation": {"externalIssuers": [GITHUB]}})),
            "federation must have externalIssuers and externalSubjects together",
            grant(json!({"federation": {"externalIssuers": [GITHUB], "externalSubjects": ["repo:contoso/*"]}})),
        ),
    ]
}
