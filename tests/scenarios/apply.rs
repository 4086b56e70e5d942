//! Server-side apply: two field managers, for example a team's Git and a policy tool, share every list that is a map.

use kube::{
    Api,
    api::{Patch, PatchParams},
    core::DynamicObject,
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    manifests::{self, CLIENT, OTHER},
    town::{Town, insist, same},
};

const VAULT: &str = "https://kv-payments.vault.azure.net";

/// Each list: the kind, where the list is, and one entry for each of the two.
fn lists() -> Vec<(&'static str, &'static str, Value, Value)> {
    let vault = |name: &str| json!({"vaultUrl": VAULT, "name": name});
    let grant = |name: &str| json!({"name": name, "namespaces": {"names": ["a"]}, "clientIds": [CLIENT], "kinds": ["ClientSecret"]});
    let identity = |name: &str| json!({"name": name, "serviceAccount": {"name": name}});
    let workload = |kind: &str| json!({"kind": kind, "name": "worker"});
    let holder = |name: &str| json!({"name": name, "confirm": "Manual"});
    let copy = |key: &str| json!({"name": "copy", "key": key});
    let credential = "EntraAppCredential";
    vec![
        (credential, "/publish/keyVaults", vault("a"), vault("b")),
        (credential, "/federated/identities", identity("a"), identity("b")),
        (credential, "/consumers/workloads", workload("Deployment"), workload("DaemonSet")),
        (credential, "/consumers/syncedSecrets", copy("a"), copy("b")),
        (credential, "/consumers/external", holder("a"), holder("b")),
        (credential, "/retirement/foreignKeyIds", json!(CLIENT), json!(OTHER)),
        (credential, "/retirement/compromisedKeyIds", json!(CLIENT), json!(OTHER)),
        ("EntraTenant", "/grants", grant("a"), grant("b")),
        (
            "EntraTenant",
            "/grants/a/keyVaults",
            json!({"url": VAULT}),
            json!({"url": "https://kv-other.vault.azure.net"}),
        ),
        ("EntraTenant", "/grants/a/clientIds", json!(OTHER), json!("22222222-2222-3333-4444-555555555555")),
    ]
}

/// Every list of a spec that is a map, as the definitions have it: `/grants/a/keyVaults` is one in each grant.
fn maps() -> Result<Vec<(String, String)>, Failed> {
    fn gather(kind: &str, pointer: &str, schema: &Value, into: &mut Vec<(String, String)>) {
        if schema["x-kubernetes-list-type"] == "map" {
            into.push((kind.to_owned(), pointer.to_owned()));
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            gather(kind, &format!("{pointer}/{name}"), field, into);
        }
        if schema["items"].is_object() {
            gather(kind, &format!("{pointer}/a"), &schema["items"], into);
        }
    }
    let mut maps = Vec::new();
    for definition in keywright::cli::crds::definitions() {
        let kind = definition.spec.names.kind.clone();
        let schema = serde_json::to_value(definition)?;
        let spec = schema.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").ok_or("no schema")?;
        gather(&kind, "", spec, &mut maps);
    }
    Ok(maps)
}

pub async fn two_field_managers_share_every_list(town: Town) -> Result<(), Failed> {
    for (kind, pointer) in maps()? {
        let shared = lists().iter().any(|list| (list.0, list.1) == (kind.as_str(), pointer.as_str()));
        insist(shared, format!("{kind} {pointer} is a map, and nobody shares it here"))?;
    }
    manifests::namespace(&town.admin(), "sharing").await?;
    for (number, (kind, pointer, ours, theirs)) in lists().into_iter().enumerate() {
        let name = format!("sharing-{number}");
        let object = |entries: &[&Value]| {
            let named = json!({"metadata": {"name": name}});
            // Only one kind of credential.
            let kindless = json!({"spec": {"clientSecret": null}});
            let other = if pointer.starts_with("/federated") { kindless } else { json!({}) };
            manifests::smallest(kind, "sharing", &[&named, &other, &listing(pointer, entries)])
        };
        let api = manifests::api(&town.admin(), &object(&[&ours])?)?;
        apply(&api, &name, "git", &object(&[&ours])?).await?;
        apply(&api, &name, "policy", &object(&[&theirs])?).await?;
        let both = apply(&api, &name, "git", &object(&[&ours])?).await?;
        same(&format!("{kind} {pointer}"), entries(&both, pointer), sorted([ours.clone(), theirs.clone()]))?;
        // What one of them takes back goes; the other's stays.
        let one = apply(&api, &name, "git", &object(&[])?).await?;
        same(&format!("{kind} {pointer}, taken back"), entries(&one, pointer), sorted([theirs.clone()]))?;
    }
    Ok(())
}

async fn apply(
    api: &Api<DynamicObject>,
    name: &str,
    manager: &str,
    object: &DynamicObject,
) -> Result<DynamicObject, Failed> {
    Ok(api.patch(name, &PatchParams::apply(manager), &Patch::Apply(object)).await?)
}

/// A patch that sets the list at `pointer`; one below `/grants/a` stands in a grant that both apply alike.
fn listing(pointer: &str, entries: &[&Value]) -> Value {
    if let Some(field) = pointer.strip_prefix("/grants/a/") {
        let mut grant = json!({
            "name": "a", "namespaces": {"names": ["a"]}, "clientIds": [CLIENT], "kinds": ["ClientSecret"],
            field: entries,
        });
        if field == "clientIds" {
            grant[field] = std::iter::once(json!(CLIENT)).chain(entries.iter().copied().cloned()).collect();
        }
        return json!({"spec": {"grants": [grant]}});
    }
    let fields = pointer.trim_start_matches('/').split('/');
    let spec = fields.rev().fold(json!(entries), |inner, field| json!({ field: inner }));
    json!({ "spec": spec })
}

/// What the list at `pointer` has beside what both apply, in order.
fn entries(object: &DynamicObject, pointer: &str) -> Vec<String> {
    let pointer = format!("/spec{}", pointer.replace("/grants/a/", "/grants/0/"));
    let list = object.data.pointer(&pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    sorted(list.into_iter().filter(|entry| !pointer.ends_with("clientIds") || *entry != json!(CLIENT)))
}

fn sorted(entries: impl IntoIterator<Item = Value>) -> Vec<String> {
    let mut entries: Vec<String> = entries.into_iter().map(|entry| entry.to_string()).collect();
    entries.sort();
    entries
}
