//! The examples: what the API server takes from them, the operator's types read without loss.

use std::{fs, path::Path};

use keywright::api::{EntraAppCredential, EntraTenant};
use kube::{api::PostParams, core::DynamicObject};
use libtest_mimic::Failed;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    manifests,
    town::{Town, insist, same},
};

pub async fn every_example_is_accepted_and_read_without_loss(town: Town) -> Result<(), Failed> {
    manifests::namespace(&town.admin(), "payments").await?;
    let mut read = 0;
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"))? {
        let path = file?.path();
        let documents: Vec<DynamicObject> = serde_saphyr::from_multiple(&fs::read_to_string(&path)?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        for object in documents {
            let dry = PostParams { dry_run: true, ..PostParams::default() };
            let answer = manifests::api(&town.admin(), &object)?.create(&dry, &object).await;
            let taken = answer.map_err(|error| format!("{}: {error}", path.display()))?;
            let kind = object.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
            let spec = taken.data["spec"].clone();
            let again = match kind.as_str() {
                "EntraTenant" => through::<EntraTenant>(&taken)?,
                _ => through::<EntraAppCredential>(&taken)?,
            };
            same(&path.display().to_string(), without_falsehoods(again), without_falsehoods(spec))?;
            read += 1;
        }
    }
    insist(read >= 8, format!("only {read} examples were found"))
}

/// The spec after having been read and written by our types.
fn through<K: Serialize + DeserializeOwned>(object: &DynamicObject) -> Result<Value, Failed> {
    let typed: K = serde_json::from_value(serde_json::to_value(object)?)?;
    Ok(normal(serde_json::to_value(typed)?["spec"].take()))
}

/// `false` and nothing are the same for `suspend`.
fn without_falsehoods(spec: Value) -> Value {
    let mut spec = normal(spec);
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|_, value| *value != Value::Bool(false));
    }
    spec
}

/// Durations and times in one spelling: 24h is 1d.
fn normal(value: Value) -> Value {
    match value {
        Value::String(text) => match text.parse::<keywright::api::Period>() {
            Ok(period) => Value::String(period.to_string()),
            Err(_) => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(normal).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, normal(value))).collect(),
        other => other,
    }
}
