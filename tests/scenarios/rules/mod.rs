//! Every rule of the two kinds, as the real API server answers: one manifest that it refuses, with the message, and its
//! neighbour that it accepts. A rule without a refused manifest here fails the last test.

use std::collections::BTreeSet;

use keywright::cli::crds;
use kube::{Client, api::PostParams, core::DynamicObject};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    manifests::{self, CLIENT, merged},
    town::Town,
};

mod kinds;
mod places;
mod tenants;

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
        kinds::about_kinds(),
        kinds::about_identities(),
        kinds::about_policy(),
        places::about_publication(),
        places::about_people(),
        places::about_changes(),
        tenants::about_tenants(),
        tenants::about_grants(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Everything the API server does with a rule, all of it dry but for what must be there before.
pub async fn every_rule_refuses_one_and_accepts_its_neighbour(town: Town) -> Result<(), Failed> {
    let client = town.admin();
    let namespace = manifests::namespace(&client, "rules").await?;
    let mut wrong = Vec::new();
    let mut answers = Vec::new();
    for rule in rules() {
        match refusal_and_acceptance(&client, &namespace, &rule).await? {
            (Some(answer), None) if answer.contains("evaluating rule") => {
                wrong.push(format!("{}: a rule failed instead of answering: {answer}", rule.says));
            }
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
