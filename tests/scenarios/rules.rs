//! Every rule of the two kinds, as the real API server answers: one manifest that it refuses, with the message, and its
//! neighbour that it accepts. A rule without a refused manifest here fails the last test.

use std::collections::BTreeSet;

use keywright::cli::crds;
use kube::{Client, api::PostParams, core::DynamicObject};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    manifests::{self, CLIENT, OTHER, merged},
    town::Town,
};

/// One rule.
struct Rule {
    /// What it says, as a sentence.
    says: &'static str,
    kind: &'static str,
    /// What is there before, for a rule about changes.
    before: Option<Value>,
    /// What the API server refuses, as a merge patch over the smallest manifest.
    refused: Value,
    /// What it answers.
    message: &'static str,
    /// What it accepts.
    accepted: Value,
}

fn credential(says: &'static str, refused: Value, message: &'static str, accepted: Value) -> Rule {
    Rule { says, kind: "EntraAppCredential", before: None, refused, message, accepted }
}

fn tenant(says: &'static str, refused: Value, message: &'static str, accepted: Value) -> Rule {
    Rule { says, kind: "EntraTenant", before: None, refused, message, accepted }
}

impl Rule {
    fn after(self, before: Value) -> Self {
        Self { before: Some(before), ..self }
    }
}

const VAULT: &str = "https://kv-payments.vault.azure.net";
const GITHUB: &str = "https://token.actions.githubusercontent.com";

fn spec(patch: Value) -> Value {
    json!({ "spec": patch })
}

fn publishing(secret: Value) -> Value {
    spec(json!({"publish": {"secret": secret}}))
}

fn vaults(entries: Value) -> Value {
    spec(json!({"publish": {"keyVaults": entries}}))
}

fn federated(identities: Value) -> Value {
    spec(json!({"clientSecret": null, "federated": {"identities": identities}}))
}

fn certificate(certificate: Value) -> Value {
    spec(json!({"clientSecret": null, "certificate": certificate}))
}

fn outside(name: &str, subject: &str) -> Value {
    json!({"name": name, "external": {"issuer": GITHUB, "subject": subject}})
}

fn account(name: &str, account: &str) -> Value {
    json!({"name": name, "serviceAccount": {"name": account}})
}

fn grant(patch: Value) -> Value {
    let smallest = json!({
        "name": "payments", "namespaces": {"names": ["payments"]}, "clientIds": [CLIENT], "kinds": ["ClientSecret"],
    });
    spec(json!({"grants": [merged(smallest, &patch)]}))
}

fn selecting(selector: Value) -> Value {
    grant(json!({"namespaces": {"names": null, "selector": selector}}))
}

fn rules() -> Vec<Rule> {
    [
        about_kinds(),
        about_policy(),
        about_publication(),
        about_people(),
        about_changes(),
        about_tenants(),
        about_grants(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn about_kinds() -> Vec<Rule> {
    vec![
        credential(
            "there is a kind of credential",
            spec(json!({"clientSecret": null})),
            "exactly one of clientSecret, certificate and federated, for example clientSecret: {}; found none",
            json!({}),
        ),
        credential(
            "there is only one kind of credential",
            spec(json!({"certificate": {"generate": {}}})),
            "found 2",
            certificate(json!({"generate": {}})),
        ),
        credential(
            "three kinds are counted as three",
            spec(json!({"certificate": {"generate": {}}, "federated": {"identities": [account("a", "a")]}})),
            "found 3",
            federated(json!([account("a", "a")])),
        ),
        credential(
            "a null kind is no kind",
            spec(json!({"clientSecret": null, "certificate": null})),
            "found none",
            spec(json!({"certificate": null})),
        ),
        credential(
            "a client ID is a GUID in lower case",
            spec(json!({"clientId": "8F3C2C1E-0B6A-4D5E-9C1F-2A7B3C4D5E6F"})),
            "must be a GUID in lower case, for example",
            spec(json!({"clientId": "8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f"})),
        ),
        credential(
            "a certificate is generated or given",
            certificate(json!({"generate": {}, "secretRef": {"name": "payments-tls"}})),
            "exactly one of generate and secretRef, for example",
            certificate(json!({"secretRef": {"name": "payments-tls"}})),
        ),
        credential(
            "an RSA key has a size that Entra takes",
            certificate(json!({"generate": {"privateKey": {"size": 1024}}})),
            "privateKey.size must be 2048, 3072 or 4096, for example",
            certificate(json!({"generate": {"privateKey": {"size": 4096}}})),
        ),
        credential(
            "a source is never what is published",
            certificate(json!({"secretRef": {"name": "payments-api"}})),
            "secretRef must not name the Secret that is published",
            merged(certificate(json!({"secretRef": {"name": "payments-api"}})), &publishing(json!({"name": "other"}))),
        ),
        credential(
            "a source is never what is published under another name",
            merged(certificate(json!({"secretRef": {"name": "tls"}})), &publishing(json!({"name": "tls"}))),
            "secretRef must not name the Secret that is published",
            merged(
                certificate(json!({"secretRef": {"name": "tls"}})),
                &vaults(json!([{"vaultUrl": VAULT, "name": "a"}])),
            ),
        ),
        credential(
            "an identity is a ServiceAccount or external",
            federated(json!([merged(account("a", "a"), &outside("a", "s"))])),
            "exactly one of serviceAccount and external, for example",
            federated(json!([account("a", "a"), outside("b", "s")])),
        ),
        credential(
            "an issuer has a subject once",
            federated(json!([outside("a", "same"), outside("b", "same")])),
            "must not repeat an issuer with the same subject",
            federated(json!([outside("a", "one"), outside("b", "two")])),
        ),
        credential(
            "a ServiceAccount is federated once",
            federated(json!([account("a", "same"), account("b", "same")])),
            "must not repeat a serviceAccount",
            federated(json!([account("a", "one"), account("b", "two")])),
        ),
        credential(
            "an issuer is an https URL",
            federated(json!([{"name": "a", "external": {"issuer": "http://issuer.example", "subject": "s"}}])),
            "must be an https URL, for example",
            federated(json!([{"name": "a", "external": {"issuer": "https://issuer.example/", "subject": "s"}}])),
        ),
        credential(
            "a subject is not blank",
            federated(json!([outside("a", " ")])),
            "must not be blank",
            federated(json!([outside("a", "s")])),
        ),
        credential(
            "an identity has a plain name",
            federated(json!([account("Api", "a")])),
            "must be a name of lower-case letters, digits and '-'",
            federated(json!([account("api", "a")])),
        ),
        credential(
            "a ServiceAccount has a Kubernetes name",
            federated(json!([account("a", "Payments")])),
            "must be a Kubernetes name",
            federated(json!([account("a", "payments.api")])),
        ),
        credential(
            "a name fits into annotations",
            json!({"metadata": {"name": "a".repeat(64)}}),
            "metadata.name must have at most 63 characters",
            json!({"metadata": {"name": "a".repeat(63)}}),
        ),
    ]
}

fn about_policy() -> Vec<Rule> {
    vec![
        credential(
            "a duration has its units",
            spec(json!({"clientSecret": {"validity": "90"}})),
            "must be a duration of days, hours, minutes and seconds in this order, for example 90d, 36h or 1d12h",
            spec(json!({"clientSecret": {"validity": "2160h0m0s"}})),
        ),
        credential(
            "a secret is renewed within its validity",
            spec(json!({"clientSecret": {"validity": "30d"}, "rotation": {"renewBefore": "720h"}})),
            "renewBefore must be shorter than spec.clientSecret.validity, for example",
            spec(json!({"clientSecret": {"validity": "30d"}, "rotation": {"renewBefore": "29d23h"}})),
        ),
        credential(
            "a certificate is renewed within its validity",
            merged(
                certificate(json!({"generate": {"validity": "1d12h"}})),
                &spec(json!({"rotation": {"renewBefore": "36h"}})),
            ),
            "renewBefore must be shorter than spec.certificate.generate.validity, for example",
            merged(
                certificate(json!({"generate": {"validity": "1d12h"}})),
                &spec(json!({"rotation": {"renewBefore": "1d"}})),
            ),
        ),
        credential(
            "only what Keywright renews has a time of renewal",
            merged(federated(json!([account("a", "a")])), &spec(json!({"rotation": {"renewBefore": "1d"}}))),
            "renewBefore applies only to what Keywright itself renews",
            merged(
                federated(json!([account("a", "a")])),
                &spec(json!({"rotation": {"issuedAfter": "2026-11-21T00:00:00Z"}})),
            ),
        ),
        credential(
            "an overlap ends before the old one expires",
            spec(json!({"rotation": {"renewBefore": "1d"}, "retirement": {"minOverlap": "24h"}})),
            "minOverlap must be shorter than spec.rotation.renewBefore",
            spec(json!({"rotation": {"renewBefore": "1d"}, "retirement": {"minOverlap": "23h"}})),
        ),
        credential(
            "a proof fits into its time",
            spec(json!({"verification": {"interval": "15m", "timeout": "15m"}})),
            "interval must be shorter than spec.verification.timeout",
            spec(json!({"verification": {"interval": "5s", "timeout": "15m"}})),
        ),
        credential(
            "a scope is one of client credentials",
            spec(json!({"verification": {"scope": "https://graph.microsoft.com/User.Read"}})),
            "must be a scope that ends in /.default, for example",
            spec(json!({"verification": {"scope": "https://graph.microsoft.com/.default"}})),
        ),
        credential(
            "a schedule has five fields",
            spec(json!({"rotation": {"windows": [{"schedule": "@daily", "duration": "1h"}]}})),
            "must be a schedule of five fields",
            spec(json!({"rotation": {"windows": [{"schedule": "0 2 * * 1-5", "duration": "1h"}]}})),
        ),
        credential(
            "a time zone is IANA's",
            spec(
                json!({"rotation": {"windows": [{"schedule": "0 2 * * *", "duration": "1h", "timeZone": "Berlin, DE"}]}}),
            ),
            "must be an IANA time zone, for example Europe/Berlin",
            spec(
                json!({"rotation": {"windows": [{"schedule": "0 2 * * *", "duration": "1h", "timeZone": "Europe/Berlin"}]}}),
            ),
        ),
        credential(
            "a credential is foreign or compromised, not both",
            spec(json!({"retirement": {"foreignKeyIds": [OTHER], "compromisedKeyIds": [OTHER]}})),
            "foreignKeyIds and compromisedKeyIds must not share a key ID",
            spec(json!({"retirement": {"foreignKeyIds": [OTHER], "compromisedKeyIds": [CLIENT]}})),
        ),
        credential(
            "what is adopted comes from one place",
            spec(json!({"adopt": {"keyId": OTHER, "valueFrom": {}}})),
            "exactly one of secretKeyRef and keyVaultRef, for example",
            spec(json!({"adopt": {"keyId": OTHER, "valueFrom": {"secretKeyRef": {"name": "old", "key": "password"}}}})),
        ),
        credential(
            "what has no value is not adopted",
            merged(
                federated(json!([account("a", "a")])),
                &spec(json!({"adopt": {"keyId": OTHER, "valueFrom": {"secretKeyRef": {"name": "old", "key": "k"}}}})),
            ),
            "spec.adopt takes over a value, and federated credentials have none",
            federated(json!([account("a", "a")])),
        ),
    ]
}

fn about_publication() -> Vec<Rule> {
    let data = |key: &str| publishing(json!({"template": {"data": {key: "{{ clientSecret }}"}}}));
    let label = |key: &str, value: &str| publishing(json!({"template": {"metadata": {"labels": {key: value}}}}));
    vec![
        credential(
            "publishing lists something",
            spec(json!({"publish": {"keyVaults": []}})),
            "publish must list a secret or at least one of keyVaults",
            publishing(json!({})),
        ),
        credential(
            "a vault's URL has no trailing slash",
            vaults(json!([{"vaultUrl": format!("{VAULT}/"), "name": "a"}])),
            "must be the URL of a Key Vault in lower case and without a trailing slash, for example",
            vaults(json!([{"vaultUrl": VAULT, "name": "a"}])),
        ),
        credential(
            "a vault's entry has a name in lower case",
            vaults(json!([{"vaultUrl": VAULT, "name": "Payments"}])),
            "must be the name of a Key Vault object: lower-case letters, digits and '-'",
            vaults(json!([{"vaultUrl": VAULT, "name": "payments"}])),
        ),
        credential(
            "only a certificate is imported as one",
            vaults(json!([{"vaultUrl": VAULT, "name": "a", "objectType": "Certificate"}])),
            "objectType can be Certificate only with spec.certificate",
            merged(
                certificate(json!({"generate": {}})),
                &vaults(json!([{"vaultUrl": VAULT, "name": "a", "objectType": "Certificate"}])),
            ),
        ),
        credential(
            "a template writes keys that a Secret can have",
            data("app settings"),
            "has a key that a Secret cannot have",
            data("app_settings.json"),
        ),
        credential(
            "a template leaves the coherent keys alone",
            data("AZURE_CLIENT_ID"),
            "must not set the keys that Keywright itself keeps together",
            data("CLIENT_ID"),
        ),
        credential(
            "a template is not blank",
            publishing(json!({"template": {"data": {"a": " "}}})),
            "must not be blank",
            data("a"),
        ),
        credential(
            "labels of GitOps tools are reserved",
            label("argocd.argoproj.io/instance", "payments"),
            "by which GitOps tools claim an object",
            label("team", "payments"),
        ),
        credential(
            "our own annotations are reserved",
            publishing(json!({"template": {"metadata": {"annotations": {"keywright.dev/key-id": "x"}}}})),
            "must not set what belongs to Keywright",
            publishing(json!({"template": {"metadata": {"annotations": {"contoso.com/keywright": "x"}}}})),
        ),
        credential(
            "metadata has keys that Kubernetes takes",
            label("team name", "payments"),
            "metadata has a key that Kubernetes refuses",
            label("contoso.com/team_name", "payments"),
        ),
        credential(
            "a label has a value that Kubernetes takes",
            label("team", "payments team"),
            "labels has a value that Kubernetes refuses",
            label("team", ""),
        ),
        credential(
            "a Secret's type has no meaning to others",
            publishing(json!({"template": {"type": "kubernetes.io/service-account-token"}})),
            "must not be a type that Keywright or Kubernetes itself gives a meaning to",
            publishing(json!({"template": {"type": "contoso.com/entra"}})),
        ),
    ]
}

fn about_people() -> Vec<Rule> {
    let holder = |holder: Value| spec(json!({"consumers": {"external": [holder]}}));
    let retiring = spec(json!({"retirement": {"foreignKeyIds": [OTHER]}}));
    vec![
        credential(
            "a period goes with After and only with it",
            holder(json!({"name": "batch", "confirm": "After"})),
            "after goes with confirm: After and only with it, for example",
            holder(json!({"name": "batch", "confirm": "After", "after": "7d"})),
        ),
        credential(
            "a period without After is refused too",
            holder(json!({"name": "sso", "confirm": "Manual", "after": "7d"})),
            "after goes with confirm: After and only with it",
            holder(json!({"name": "sso", "confirm": "Manual"})),
        ),
        credential(
            "where only outsiders sign in, somebody confirms before foreign credentials go",
            merged(federated(json!([outside("github", "s")])), &retiring),
            "with external identities only needs a holder in spec.consumers.external that confirms",
            merged(federated(json!([outside("github", "s"), account("api", "api")])), &retiring),
        ),
        credential(
            "a copy is in a key that a Secret can have",
            spec(json!({"consumers": {"syncedSecrets": [{"name": "copy", "key": "client secret"}]}})),
            "must be a key of a Secret",
            spec(json!({"consumers": {"syncedSecrets": [{"name": "copy", "key": "client-secret"}]}})),
        ),
    ]
}

fn about_changes() -> Vec<Rule> {
    let typed = |type_: &str| publishing(json!({"template": {"type": type_}}));
    vec![
        credential(
            "a tenant is not changed",
            spec(json!({"tenantRef": {"name": "other"}})),
            "spec.tenantRef cannot change, because an application lives in one tenant: create a second resource",
            spec(json!({"tenantRef": {"name": "default"}})),
        )
        .after(json!({})),
        credential(
            "an application is not changed",
            spec(json!({"clientId": OTHER})),
            "spec.clientId cannot change, because what was minted belongs to one application: create a second resource",
            spec(json!({"suspend": true})),
        )
        .after(json!({})),
        credential(
            "a Secret's type is not changed",
            typed("contoso.com/entra"),
            "template.type cannot change, because Kubernetes fixes the type of a Secret when it is created",
            merged(typed("contoso.com/entra"), &publishing(json!({"name": "payments-api-2"}))),
        )
        .after(json!({})),
        tenant(
            "a tenant's ID is not changed",
            spec(json!({"tenantId": OTHER})),
            "spec.tenantId cannot change, because resources refer to this tenant by name: create another EntraTenant",
            spec(json!({"suspend": true})),
        )
        .after(json!({})),
        tenant(
            "a tenant's cloud is not changed",
            spec(json!({"cloud": "China"})),
            "spec.cloud cannot change, because a tenant lives in one cloud: create another EntraTenant",
            spec(json!({"cloud": "Public"})),
        )
        .after(json!({})),
    ]
}

fn about_tenants() -> Vec<Rule> {
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

fn about_grants() -> Vec<Rule> {
    vec![
        tenant(
            "a grant names namespaces or selects them",
            grant(json!({"namespaces": {"selector": {"matchLabels": {"team": "pay"}}}})),
            "namespaces must have exactly one of names and selector",
            selecting(json!({"matchLabels": {"team": "pay"}})),
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

/// Everything the API server does with a rule, all of it dry but for what must be there before.
pub async fn every_rule_refuses_one_and_accepts_its_neighbour(town: Town) -> Result<(), Failed> {
    let client = town.admin();
    let namespace = manifests::namespace(&client, "rules").await?;
    let mut wrong = Vec::new();
    let mut answers = Vec::new();
    for rule in rules() {
        match refusal_and_acceptance(&client, &namespace, &rule).await? {
            (Some(answer), None) if answer.contains(rule.message) => answers.push(answer),
            (Some(answer), None) => wrong.push(format!("{}: the answer is {answer}", rule.says)),
            (None, _) => wrong.push(format!("{}: was not refused", rule.says)),
            (_, Some(answer)) => wrong.push(format!("{}: the neighbour was refused: {answer}", rule.says)),
        }
    }
    for message in messages()? {
        if !answers.iter().any(|answer| answer.contains(&message)) {
            wrong.push(format!("nothing here is refused by the rule that says: {message}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// What the API server answers to the refused and to the accepted manifest, where it refuses them.
async fn refusal_and_acceptance(
    client: &Client,
    namespace: &str,
    rule: &Rule,
) -> Result<(Option<String>, Option<String>), Failed> {
    let Some(before) = &rule.before else {
        let ask = |patch: Value| async move {
            let object = manifests::smallest(rule.kind, namespace, &[&patch])?;
            let created = manifests::api(client, &object)?.create(&dry(), &object).await;
            refused(created)
        };
        return Ok((ask(rule.refused.clone()).await?, ask(rule.accepted.clone()).await?));
    };
    let object = manifests::smallest(rule.kind, namespace, &[before])?;
    let name = object.metadata.name.clone().unwrap_or_default();
    let api = manifests::api(client, &object)?;
    let there = serde_json::to_value(api.create(&PostParams::default(), &object).await?)?;
    let ask = |patch: Value| {
        let changed = merged(there.clone(), &patch);
        let (api, name) = (api.clone(), name.clone());
        async move { refused(api.replace(&name, &dry(), &serde_json::from_value(changed)?).await) }
    };
    let answers = (ask(rule.refused.clone()).await?, ask(rule.accepted.clone()).await?);
    api.delete(&name, &kube::api::DeleteParams::default()).await?;
    Ok(answers)
}

fn dry() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

/// The message of a refusal by the rules; any other error is one.
fn refused(answer: kube::Result<DynamicObject>) -> Result<Option<String>, Failed> {
    match answer {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.code == 422 => Ok(Some(status.message.clone())),
        Err(error) => Err(error.into()),
    }
}

/// What the rules of both definitions say.
fn messages() -> Result<BTreeSet<String>, Failed> {
    fn gather(schema: &Value, into: &mut BTreeSet<String>) {
        if let Some(rules) = schema.get("x-kubernetes-validations").and_then(Value::as_array) {
            into.extend(
                rules.iter().filter_map(|rule| rule.get("message")).filter_map(Value::as_str).map(str::to_owned),
            );
        }
        match schema {
            Value::Object(fields) => fields.values().for_each(|field| gather(field, into)),
            Value::Array(items) => items.iter().for_each(|item| gather(item, into)),
            _ => {}
        }
    }
    let mut messages = BTreeSet::new();
    for definition in crds::definitions() {
        gather(&serde_json::to_value(definition)?, &mut messages);
    }
    Ok(messages)
}
