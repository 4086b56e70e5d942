//! What certificates, and the keys that come with them, look like in JSON (AZURE 6). It knows forms only.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::imported::{Imported, PEM, RsaKey};
use crate::azure::vault::secrets::{Deletion, Secret, Version};
use crate::azure::vault::shape::Shape;

/// How the certificates of one vault are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Certificates<'a>(pub(super) Shape<'a>);

impl Certificates<'_> {
    /// A version with all that is known of it, but for its private key.
    pub(super) fn whole(self, secret: &Secret, version: &Version) -> Option<Value> {
        let imported = version.certificate.as_deref()?;
        let of = |kind: &str| format!("{}/{kind}/{}/{}", self.0.origin, secret.name, version.id);
        let mut shown = self.item(&of("certificates"), version)?;
        shown["kid"] = of("keys").into();
        shown["sid"] = of("secrets").into();
        shown["cer"] = STANDARD.encode(imported.x509.der()).into();
        shown["policy"] = self.policy(secret, version, imported);
        if imported.keeps_order {
            shown["preserveCertOrder"] = true.into();
        }
        Some(shown)
    }

    /// A version as it is in a list.
    pub(super) fn version(self, secret: &Secret, version: &Version) -> Option<Value> {
        self.item(&format!("{}/certificates/{}/{}", self.0.origin, secret.name, version.id), version)
    }

    /// A certificate as it is in a list: its latest version, and an ID without that.
    pub(super) fn listed(self, secret: &Secret) -> Option<Value> {
        self.item(&format!("{}/certificates/{}", self.0.origin, secret.name), secret.latest()?)
    }

    /// A deleted certificate; lists of deleted ones tell less.
    pub(super) fn deleted(self, secret: &Secret, deletion: Deletion, in_list: bool) -> Option<Value> {
        let mut shown = if in_list { self.listed(secret)? } else { self.whole(secret, secret.latest()?)? };
        shown["recoveryId"] = format!("{}/deletedcertificates/{}", self.0.origin, secret.name).into();
        shown["deletedDate"] = deletion.time.as_second().into();
        shown["scheduledPurgeDate"] = deletion.purge.as_second().into();
        Some(shown)
    }

    /// The key of a version, of which only the public half is told.
    pub(super) fn key(self, secret: &Secret, version: &Version) -> Option<Value> {
        let Imported { key: RsaKey { modulus, exponent }, .. } = version.certificate.as_deref()?;
        let kid = format!("{}/keys/{}/{}", self.0.origin, secret.name, version.id);
        let mut shown = self.0.shown(&kid, version);
        let key = json!({
            "kid": kid,
            "kty": "RSA",
            "key_ops": ["sign", "verify", "wrapKey", "unwrapKey", "encrypt", "decrypt"],
            "n": URL_SAFE_NO_PAD.encode(modulus),
            "e": URL_SAFE_NO_PAD.encode(exponent),
        });
        let (attributes, tags) = (shown["attributes"].take(), shown["tags"].take());
        Some(json!({"key": key, "attributes": attributes, "tags": tags, "managed": true}))
    }

    fn item(self, id: &str, version: &Version) -> Option<Value> {
        let thumbprint = version.certificate.as_deref()?.x509.thumbprint_in_base64();
        let shown = self.0.shown(id, version);
        Some(json!({"id": id, "x5t": thumbprint, "attributes": shown["attributes"], "tags": shown["tags"]}))
    }

    fn policy(self, secret: &Secret, version: &Version, imported: &Imported) -> Value {
        let Imported { key, subject, months, is_exportable, issuer, .. } = imported;
        json!({
            "id": format!("{}/certificates/{}/policy", self.0.origin, secret.name),
            "key_props": {"exportable": is_exportable, "kty": "RSA", "key_size": key.bits(), "reuse_key": false},
            "secret_props": {"contentType": PEM},
            "x509_props": {"subject": subject, "ekus": [], "key_usage": [], "validity_months": months},
            "lifetime_actions": [
                {"trigger": {"lifetime_percentage": 80}, "action": {"action_type": "EmailContacts"}},
            ],
            "issuer": {"name": issuer},
            "attributes": {
                "enabled": true,
                "created": version.created.as_second(),
                "updated": version.updated.as_second(),
            },
        })
    }
}
