//! `keywright crds`: the definitions of both kinds as YAML, from the types in `api`.

use std::{fs, io, path::Path, path::PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::api::{EntraAppCredential, EntraTenant};

/// Why the definitions could not be written, or are not current.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A definition has no YAML form.
    #[error("could not write the definition {name} as YAML")]
    Render {
        /// The definition.
        name: String,
        /// What the YAML writer said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file could not be written.
    #[error("could not write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what the types say.
    #[error("{} is not what the types in src/api say: run `make crds` and commit the result", path.display())]
    Stale {
        /// The file.
        path: PathBuf,
    },
}

/// The definitions of both kinds.
#[must_use]
pub fn definitions() -> [CustomResourceDefinition; 2] {
    [EntraAppCredential::crd(), EntraTenant::crd()]
}

/// Both definitions as one YAML stream.
pub fn stream() -> Result<String, Error> {
    let documents: Result<Vec<_>, _> = definitions().iter().map(|one| render(one).map(|(_, yaml)| yaml)).collect();
    Ok(documents?.join("---\n"))
}

/// Write a file for each definition into a folder.
pub fn write(folder: &Path) -> Result<(), Error> {
    for definition in definitions() {
        let (file, yaml) = render(&definition)?;
        let path = folder.join(file);
        fs::write(&path, yaml).map_err(|source| Error::Write { path, source })?;
    }
    Ok(())
}

/// Check that the files in a folder are what [`write()`] would write.
pub fn check(folder: &Path) -> Result<(), Error> {
    for definition in definitions() {
        let (file, yaml) = render(&definition)?;
        let path = folder.join(file);
        if fs::read_to_string(&path).ok() != Some(yaml) {
            return Err(Error::Stale { path });
        }
    }
    Ok(())
}

/// The name of a definition's file, and its content.
fn render(definition: &CustomResourceDefinition) -> Result<(String, String), Error> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Render {
        name: definition.spec.names.plural.clone(),
        source,
    };
    // By way of a value, whose maps are sorted: the file changes only where the types do.
    let mut value = serde_json::to_value(definition).map_err(|error| failed(error.into()))?;
    refuse_null(&mut value);
    let yaml = serde_saphyr::to_string(&value).map_err(|error| failed(error.into()))?;
    let file = format!("{}.yaml", definition.spec.names.plural);
    Ok((file, format!("# Made by `make crds` from src/api. Do not edit.\n{yaml}")))
}

/// Take back that optional fields may be null. The API server then drops a null before it looks at defaults and rules,
/// so that `clientSecret: null` (what a Helm template makes of a missing value) means the same as no `clientSecret`.
fn refuse_null(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("nullable") == Some(&Value::Bool(true)) {
                fields.remove("nullable");
            }
            fields.values_mut().for_each(refuse_null);
        }
        Value::Array(items) => items.iter_mut().for_each(refuse_null),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each definition's file name, and the schema of its spec as it is written.
    fn specs() -> Vec<(String, Value)> {
        let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
        let spec = |definition: &CustomResourceDefinition| {
            let (file, yaml) = render(definition).unwrap();
            let written: Value = serde_saphyr::from_str(&yaml).unwrap();
            (file, written.pointer(schema).unwrap().clone())
        };
        definitions().iter().map(spec).collect()
    }

    /// Calls `visit` with every schema below this one, and where it is.
    fn walk(at: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
        visit(at, schema);
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            walk(&format!("{at}.{name}"), field, visit);
        }
        for (suffix, part) in [("[]", &schema["items"]), ("{}", &schema["additionalProperties"])] {
            if part.is_object() {
                walk(&format!("{at}{suffix}"), part, visit);
            }
        }
    }

    fn those(wanting: fn(&str, &Value) -> bool) -> Vec<String> {
        let mut found = Vec::new();
        for (_, spec) in specs() {
            walk("spec", &spec, &mut |at, schema| {
                if wanting(at, schema) {
                    found.push(at.to_owned());
                }
            });
        }
        found
    }

    #[test]
    fn every_list_map_and_string_has_a_bound() {
        let unbounded = those(|_, schema| match schema["type"].as_str() {
            Some("string") => ["maxLength", "enum", "format"].iter().all(|bound| schema[bound].is_null()),
            Some("array") => schema["maxItems"].is_null(),
            Some("object") => schema["additionalProperties"].is_object() && schema["maxProperties"].is_null(),
            _ => false,
        });
        assert_eq!(unbounded, [""; 0]);
    }

    #[test]
    fn every_field_is_described() {
        let undescribed = those(|at, schema| !at.ends_with(['}', ']']) && schema["description"].is_null());
        assert_eq!(undescribed, [""; 0]);
    }

    #[test]
    fn nothing_may_be_null() {
        assert_eq!(those(|_, schema| !schema["nullable"].is_null()), [""; 0]);
    }

    #[test]
    fn a_definition_fits_into_an_annotation_of_kubectl() {
        for definition in definitions() {
            let (file, yaml) = render(&definition).unwrap();
            assert!(yaml.len() < 256 * 1024, "{file} has {} bytes", yaml.len());
        }
    }
}
