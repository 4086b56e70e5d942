//! What secrets look like in JSON (AZURE 6): the bodies that are sent, those that are answered, and pages of lists. It
//! knows forms only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::bounds::PAGE;
use super::errors::Error;
use super::secrets::{Deletion, Secret, SecretEdit, Version};
use super::vaults::VaultSettings;
use crate::azure::call::Call;

/// What is sent to write a secret, or to change what is written about one. What only the service decides is ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Body {
    pub(super) value: Option<String>,
    content_type: Option<String>,
    tags: Option<std::collections::BTreeMap<String, String>>,
    attributes: Option<Attributes>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Attributes {
    pub(super) enabled: Option<bool>,
    nbf: Option<i64>,
    exp: Option<i64>,
}

impl Body {
    pub(super) fn of(call: &Call) -> Result<Self, Error> {
        serde_json::from_slice(&call.body).map_err(|_| Error::bad_property())
    }

    pub(super) fn edit(self) -> SecretEdit {
        let Attributes { enabled, nbf, exp } = self.attributes.unwrap_or_default();
        let (content_type, tags) = (self.content_type, self.tags);
        SecretEdit { content_type, tags, enabled, not_before: nbf, expires: exp }
    }
}

/// How the secrets of one vault are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    pub(super) origin: &'a str,
    pub(super) settings: &'a VaultSettings,
}

impl Shape<'_> {
    /// A version with its value.
    pub(super) fn whole(self, secret: &Secret, version: &Version) -> Value {
        let mut shown = self.version(secret, version);
        shown["value"] = version.value.tell().into();
        shown
    }

    /// A version without its value.
    pub(super) fn version(self, secret: &Secret, version: &Version) -> Value {
        let of = |kind: &str| format!("{}/{kind}/{}/{}", self.origin, secret.name, version.id);
        let mut shown = self.shown(&of("secrets"), version);
        if version.certificate.is_some() {
            shown["kid"] = of("keys").into();
        }
        shown
    }

    /// A secret as it is in a list: its latest version, and an ID without that.
    pub(super) fn listed(self, secret: &Secret) -> Option<Value> {
        Some(self.shown(&format!("{}/secrets/{}", self.origin, secret.name), secret.latest()?))
    }

    /// A deleted secret; lists of deleted ones leave the version out.
    pub(super) fn deleted(self, secret: &Secret, deletion: Deletion, in_list: bool) -> Option<Value> {
        let version = secret.latest()?;
        let mut shown = if in_list { self.listed(secret)? } else { self.version(secret, version) };
        shown["recoveryId"] = format!("{}/deletedsecrets/{}", self.origin, secret.name).into();
        shown["deletedDate"] = deletion.time.as_second().into();
        shown["scheduledPurgeDate"] = deletion.purge.as_second().into();
        Some(shown)
    }

    pub(super) fn shown(self, id: &str, version: &Version) -> Value {
        let second = Timestamp::as_second;
        let mut attributes = json!({
            "enabled": version.enabled,
            "created": second(version.created),
            "updated": second(version.updated),
            "recoveryLevel": self.settings.recovery_level(),
            "recoverableDays": self.settings.recoverable_days,
        });
        let times = [("nbf", version.not_before), ("exp", version.expires)];
        for (name, time) in times.into_iter().filter_map(|(name, time)| Some((name, time?))) {
            attributes[name] = time.into();
        }
        let mut shown = json!({"id": id, "attributes": attributes, "tags": version.tags});
        if let Some(content_type) = &version.content_type {
            shown["contentType"] = content_type.clone().into();
        }
        if version.certificate.is_some() {
            shown["managed"] = true.into();
        }
        shown
    }
}

/// A page of a list that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Page {
    size: usize,
    /// The key of what the page before ended with.
    pub(super) after: String,
}

impl Page {
    pub(super) fn of(call: &Call) -> Result<Self, Error> {
        let parameters = call.parameters();
        let size = match parameters.get("maxresults") {
            Some(size) => {
                size.parse().ok().filter(|size| (1..=PAGE).contains(size)).ok_or_else(Error::bad_page_size)?
            }
            None => PAGE,
        };
        let token = parameters.get("$skiptoken").map_or("", String::as_str);
        let after = URL_SAFE_NO_PAD.decode(token).ok().and_then(|token| String::from_utf8(token).ok());
        Ok(Self { size, after: after.ok_or_else(Error::bad_property)? })
    }

    /// The page, of items with their keys. A page that is full names a next one, which may turn out to be empty.
    pub(super) fn told(&self, call: &Call, items: impl Iterator<Item = (String, Value)>) -> Value {
        let (keys, items): (Vec<String>, Vec<Value>) = items.take(self.size).unzip();
        let last = keys.last().filter(|_| keys.len() == self.size);
        let next = last.map(|last| {
            let version = call.parameters().remove("api-version").unwrap_or_default();
            let (origin, path, token) = (&call.origin, &call.path, URL_SAFE_NO_PAD.encode(last));
            format!("{origin}{path}?api-version={version}&$skiptoken={token}&maxresults={}", self.size)
        });
        json!({"value": items, "nextLink": next})
    }
}
