//! How Graph writes applications with their secrets and certificates in JSON (AZURE 1.2, 1.4), as far as they are read. Pure.

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use uuid::Uuid;

use crate::{
    api::{ClientId, KeyId, grant::CredentialKind},
    facts::{Application, Credential, ObjectId, certificate::shown_thumbprint},
};

/// What of each application is asked for, where it is all of them.
pub(super) const SELECT: &str = "$select=id,appId,signInAudience,passwordCredentials,keyCredentials";

/// How many secrets Entra allows where personal accounts may sign in.
const MOST_SECRETS_OF_PERSONAL: usize = 2;

/// An application, or what a delta tells of one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    id: Uuid,
    app_id: Option<ClientId>,
    sign_in_audience: Option<String>,
    password_credentials: Option<Vec<Password>>,
    key_credentials: Option<Vec<Certificate>>,
    #[serde(rename = "@removed")]
    removed: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Password {
    key_id: KeyId,
    display_name: Option<String>,
    hint: Option<String>,
    start_date_time: Option<Timestamp>,
    end_date_time: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Certificate {
    key_id: KeyId,
    display_name: Option<String>,
    custom_key_identifier: Option<String>,
    start_date_time: Option<Timestamp>,
    end_date_time: Option<Timestamp>,
}

impl Told {
    /// Whether it is told that the application is gone.
    pub(super) fn is_removed(&self) -> bool {
        self.removed.is_some()
    }

    /// The same, with credentials that are not told taken for none.
    pub(super) fn with_none_if_none_are_told(self) -> Self {
        Self {
            password_credentials: Some(self.password_credentials.unwrap_or_default()),
            key_credentials: Some(self.key_credentials.unwrap_or_default()),
            ..self
        }
    }

    /// The application, if everything about it was told.
    pub(super) fn whole(self) -> Option<(ClientId, Application)> {
        let (client_id, audience) = (self.app_id?, self.sign_in_audience?);
        let (passwords, certificates) = (self.password_credentials?, self.key_credentials?);
        let personal = matches!(audience.as_str(), "AzureADandPersonalMicrosoftAccount" | "PersonalMicrosoftAccount");
        let application = Application {
            object_id: ObjectId(self.id),
            most_secrets: personal.then_some(MOST_SECRETS_OF_PERSONAL),
            credentials: passwords
                .into_iter()
                .map(Credential::from)
                .chain(certificates.into_iter().map(Credential::from))
                .collect(),
        };
        Some((client_id, application))
    }
}

impl From<Password> for Credential {
    fn from(password: Password) -> Self {
        Self {
            key_id: password.key_id,
            kind: CredentialKind::ClientSecret,
            display_name: password.display_name,
            hint: password.hint,
            start: password.start_date_time,
            end: password.end_date_time,
        }
    }
}

impl From<Certificate> for Credential {
    fn from(certificate: Certificate) -> Self {
        Self {
            key_id: certificate.key_id,
            kind: CredentialKind::Certificate,
            display_name: certificate.display_name,
            hint: certificate.custom_key_identifier.as_deref().and_then(shown_thumbprint),
            start: certificate.start_date_time,
            end: certificate.end_date_time,
        }
    }
}

/// The only answer that has a value in it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Added {
    pub(super) key_id: KeyId,
    secret_text: Option<String>,
    pub(super) start_date_time: Option<Timestamp>,
    pub(super) end_date_time: Option<Timestamp>,
}

impl Added {
    /// The value, if there is one.
    pub(super) fn value(&mut self) -> Option<SecretString> {
        self.secret_text.take().filter(|value| !value.is_empty()).map(SecretString::from)
    }
}

/// What a new secret is to be like.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Add<'a> {
    pub(super) password_credential: New<'a>,
}

/// The same, inside.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct New<'a> {
    pub(super) display_name: &'a str,
    end_date_time: String,
}

impl<'a> New<'a> {
    /// Whole seconds: Entra's clock has fewer digits than ours, and may refuse more.
    pub(super) fn until(display_name: &'a str, end: Timestamp) -> Self {
        Self { display_name, end_date_time: end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() }
    }
}

/// The secret that is to go.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Remove {
    pub(super) key_id: KeyId,
}

/// A page of a collection; entries are read one by one, so that an odd one does not hide the others.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) value: Vec<serde_json::Value>,
    #[serde(rename = "@odata.nextLink")]
    pub(super) next: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    pub(super) delta: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(audience: &str) -> Application {
        let told: Told = serde_json::from_value(json!({
            "@odata.context": "…",
            "id": "8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f",
            "appId": "00000000-0000-0000-0000-000000000007",
            "signInAudience": audience,
            "passwordCredentials": [{
                "customKeyIdentifier": null, "displayName": null, "hint": "abc", "secretText": null,
                "keyId": "00000000-0000-0000-0000-000000000009",
                "startDateTime": "2019-09-09T19:50:29.3086381Z", "endDateTime": "2021-09-09T19:50:29.3086381Z",
            }],
            "keyCredentials": [{
                "customKeyIdentifier": "52ED9B50A1B2C3D4E5F60718293A4B5C6D7E8F90", "displayName": "CN=web", "key": null,
                "keyId": "00000000-0000-0000-0000-00000000000a", "type": "AsymmetricX509Cert", "usage": "Verify",
                "startDateTime": "2023-01-12T09:31:26Z", "endDateTime": "2024-01-11T15:31:26Z",
            }],
        }))
        .unwrap();
        told.whole().unwrap().1
    }

    /// AZURE 1.2: seven fractional digits, a hint, no value.
    #[test]
    fn an_application_is_read_as_graph_writes_it() {
        let read = told("AzureADMyOrg");
        assert_eq!((read.most_secrets, read.credentials.len()), (None, 2));
        let secret = &read.credentials[0];
        assert_eq!((secret.hint.as_deref(), secret.kind), (Some("abc"), CredentialKind::ClientSecret));
        assert_eq!(secret.end, Some("2021-09-09T19:50:29.3086381Z".parse().unwrap()));
        let certificate = &read.credentials[1];
        let thumbprint = "52ed9b50a1b2c3d4e5f60718293a4b5c6d7e8f90";
        assert_eq!((certificate.hint.as_deref(), certificate.kind), (Some(thumbprint), CredentialKind::Certificate));
    }

    /// AZURE 1.2: two secrets where personal accounts sign in.
    #[test]
    fn an_application_for_personal_accounts_has_room_for_two() {
        assert_eq!(told("AzureADandPersonalMicrosoftAccount").most_secrets, Some(2));
        assert_eq!(told("PersonalMicrosoftAccount").most_secrets, Some(2));
    }

    #[test]
    fn what_is_told_in_part_is_not_taken_for_the_whole() {
        let part: Told = serde_json::from_value(json!({"id": Uuid::nil(), "appId": Uuid::nil()})).unwrap();
        assert!(part.whole().is_none());
    }

    #[test]
    fn an_end_has_whole_seconds() {
        let new = New::until("kw1:…", "2026-12-01T00:00:00.123456789Z".parse().unwrap());
        let sent = serde_json::to_value(Add { password_credential: new }).unwrap();
        assert_eq!(
            sent,
            json!({"passwordCredential": {"displayName": "kw1:…", "endDateTime": "2026-12-01T00:00:00Z"}})
        );
    }
}
