//! Secrets as the API server holds them, with values that no log shows, and how they are asked for.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Resource, core::Request};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::{Deserialize, Deserializer, de};

use crate::{api::GROUP, facts::Owner};

/// Requests about the Secrets of a namespace.
pub(super) fn secrets(namespace: &str) -> Request {
    Request::new(Secret::url_path(&(), Some(namespace)))
}

/// The name by which the writes of a resource are known: one each, so that two do not take away each other's fields.
pub(super) fn manager(owner: &Owner) -> String {
    format!("keywright/{owner}")
}

/// The annotations of ours among those of an object.
pub(super) fn ours(annotations: Option<&BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let ours = annotations.into_iter().flatten().filter(|(key, _)| is_ours(key));
    ours.map(|(key, text)| (key.clone(), text.clone())).collect()
}

/// Whether a label or an annotation of this name is ours.
pub(super) fn is_ours(key: &str) -> bool {
    key.strip_prefix(GROUP).is_some_and(|rest| rest.starts_with('/'))
}

/// An object as it is sent.
pub(super) fn bytes(object: &serde_json::Value) -> Vec<u8> {
    object.to_string().into_bytes()
}

/// A Secret.
#[derive(Debug, Deserialize)]
pub(super) struct Stored {
    pub metadata: ObjectMeta,
    /// The API server gives every Secret one.
    #[serde(rename = "type", default)]
    pub type_: String,
    #[serde(default)]
    pub immutable: Option<bool>,
    #[serde(default)]
    pub data: BTreeMap<String, Value>,
}

/// A value in a Secret's data.
#[derive(Debug)]
pub(super) struct Value(SecretSlice<u8>);

impl Stored {
    /// Its name, for a sentence.
    pub(super) fn name(&self) -> String {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        format!("Secret {}/{}", part(&self.metadata.namespace), part(&self.metadata.name))
    }

    /// A label.
    pub(super) fn label(&self, key: &str) -> Option<&str> {
        Some(self.metadata.labels.as_ref()?.get(key)?.as_str())
    }

    /// An annotation.
    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        Some(self.metadata.annotations.as_ref()?.get(key)?.as_str())
    }

    /// The value of a key, if it is text.
    pub(super) fn text(&self, key: &str) -> Option<SecretString> {
        let bytes = self.data.get(key)?.0.expose_secret();
        std::str::from_utf8(bytes).ok().map(SecretString::from)
    }
}

impl Value {
    /// Whether it is this text.
    pub(super) fn is(&self, text: &SecretString) -> bool {
        self.0.expose_secret() == text.expose_secret().as_bytes()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Coded;

        impl de::Visitor<'_> for Coded {
            type Value = Value;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("base64")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
                // The error of the library would repeat a byte.
                let bytes = BASE64_STANDARD.decode(text).map_err(|_| E::custom("a value that is not base64"))?;
                Ok(Value(bytes.into()))
            }

            /// A key without a value has an empty one.
            fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
                Ok(Value(Vec::new().into()))
            }
        }

        deserializer.deserialize_any(Coded)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_read_and_never_shown() {
        let stored: Stored = serde_json::from_value(json!({
            "metadata": {"labels": {"a": "b"}}, "type": "Opaque", "data": {"key": "czNjcmV0", "none": null, "bytes": "/w=="},
        }))
        .unwrap();
        assert_eq!(stored.text("key").unwrap().expose_secret(), "s3cret");
        assert_eq!(stored.text("none").unwrap().expose_secret(), "");
        assert!(stored.text("bytes").is_none() && stored.text("other").is_none());
        assert!(stored.data["key"].is(&"s3cret".into()) && !stored.data["key"].is(&"s3cre".into()));
        let shown = format!("{stored:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("czNjcmV0") && !shown.contains("115"), "{shown}");
    }
}
