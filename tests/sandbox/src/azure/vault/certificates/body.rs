//! The bodies that are sent about certificates. What only the service decides is ignored.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::imported::PEM;
use crate::azure::call::Call;
use crate::azure::vault::errors::Error;
use crate::azure::vault::secrets::SecretEdit;
use crate::azure::x509::X509;

/// What is sent to import a certificate, or to change what is written about one.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Body {
    pub(super) value: Option<String>,
    pub(super) policy: Option<Policy>,
    pub(super) preserve_cert_order: Option<bool>,
    attributes: Option<Attributes>,
    tags: Option<BTreeMap<String, String>>,
}

/// The parts of a policy that decide something here.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Policy {
    pub(super) key_props: Option<KeyProperties>,
    pub(super) secret_props: Option<SecretProperties>,
    pub(super) issuer: Option<Issuer>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyProperties {
    pub(super) exportable: Option<bool>,
    pub(super) kty: Option<String>,
    pub(super) key_size: Option<usize>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SecretProperties {
    pub(super) content_type: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Issuer {
    pub(super) name: Option<String>,
}

/// The times of a certificate are its own, whatever is sent.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Attributes {
    enabled: Option<bool>,
}

impl Body {
    pub(super) fn of(call: &Call) -> Result<Self, Error> {
        read(&call.body)
    }

    /// What the portal sends for PEM.
    pub(super) fn by_hand(pem: &str, edit: SecretEdit) -> Self {
        let secret_props = Some(SecretProperties { content_type: Some(PEM.to_owned()) });
        let policy = Some(Policy { secret_props, ..Policy::default() });
        let SecretEdit { tags, enabled, .. } = edit;
        Self { value: Some(pem.to_owned()), policy, attributes: Some(Attributes { enabled }), tags, ..Self::default() }
    }

    /// What is written about a version that is imported: the attributes of its secret are those of the certificate.
    pub(super) fn about(self, x509: &X509) -> SecretEdit {
        let times = (Some(x509.begin().as_second()), Some(x509.end().as_second()));
        let edit = SecretEdit { content_type: Some(PEM.to_owned()), ..self.edit() };
        SecretEdit { not_before: times.0, expires: times.1, ..edit }
    }

    /// What is changed about a version that is there.
    pub(super) fn edit(self) -> SecretEdit {
        let enabled = self.attributes.and_then(|attributes| attributes.enabled);
        SecretEdit { tags: self.tags, enabled, ..SecretEdit::default() }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|_| Error::bad_property())
}
