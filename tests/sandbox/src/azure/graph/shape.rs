//! How Graph writes directory objects in JSON. Pure; a secret's value is in none of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::azure::applications::{Application, Password, Principal};
use crate::azure::certificates::Certificate;
use crate::azure::federated::Federated;

/// What an application may be asked for by `$select`.
pub(super) const APPLICATION: [&str; 27] = [
    "id",
    "appId",
    "displayName",
    "signInAudience",
    "createdDateTime",
    "deletedDateTime",
    "passwordCredentials",
    "keyCredentials",
    "isDisabled",
    "description",
    "notes",
    "tags",
    "identifierUris",
    "publisherDomain",
    "requiredResourceAccess",
    "appRoles",
    "info",
    "api",
    "web",
    "spa",
    "publicClient",
    "optionalClaims",
    "groupMembershipClaims",
    "serviceManagementReference",
    "isFallbackPublicClient",
    "uniqueName",
    "servicePrincipalLockConfiguration",
];

/// What of an application may be written by PATCH. Not the secrets: AZURE 1.2.
pub(super) const PATCHABLE: [&str; 17] = [
    "keyCredentials",
    "displayName",
    "signInAudience",
    "description",
    "notes",
    "tags",
    "identifierUris",
    "requiredResourceAccess",
    "appRoles",
    "info",
    "api",
    "web",
    "spa",
    "publicClient",
    "optionalClaims",
    "groupMembershipClaims",
    "serviceManagementReference",
];

/// What a service principal may be asked for by `$select`.
pub(super) const PRINCIPAL: [&str; 7] = [
    "id",
    "appId",
    "displayName",
    "appDisplayName",
    "accountEnabled",
    "servicePrincipalType",
    "appOwnerOrganizationId",
];

/// What a federated credential may be asked for by `$select`.
pub(super) const FEDERATED: [&str; 6] = ["id", "name", "issuer", "subject", "description", "audiences"];

/// A time as Entra writes it: in seven fractional digits, or none (AZURE 1.2).
pub(super) fn time(time: Timestamp) -> String {
    let format = if time.subsec_nanosecond() < 100 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S.%7fZ" };
    time.strftime(format).to_string()
}

/// An application.
pub(super) fn application(application: &Application) -> Value {
    let mut object: Map<String, Value> =
        APPLICATION.iter().map(|property| ((*property).to_owned(), Value::Null)).collect();
    for collection in ["tags", "identifierUris", "requiredResourceAccess", "appRoles"] {
        object.insert(collection.into(), json!([]));
    }
    object.extend(application.properties.clone());
    let passwords: Vec<Value> = application.passwords.iter().map(|one| password(one, None)).collect();
    object.extend([
        ("id".into(), json!(application.object_id)),
        ("appId".into(), json!(application.client_id)),
        ("displayName".into(), json!(application.display_name)),
        ("signInAudience".into(), json!(application.audience)),
        ("createdDateTime".into(), json!(time(application.created))),
        ("passwordCredentials".into(), passwords.into()),
        ("keyCredentials".into(), certificates(application, false)),
        ("isDisabled".into(), if application.disabled { json!(true) } else { Value::Null }),
    ]);
    Value::Object(object)
}

/// A secret; its value only where it has just been made.
pub(super) fn password(password: &Password, secret: Option<&str>) -> Value {
    json!({
        "customKeyIdentifier": null,
        "displayName": password.display_name,
        "endDateTime": time(password.end),
        "hint": password.hint(),
        "keyId": password.key_id,
        "secretText": secret,
        "startDateTime": time(password.start),
    })
}

/// The certificates of an application; with the certificates themselves only where they are asked for (AZURE 1.4).
pub(super) fn certificates(application: &Application, whole: bool) -> Value {
    let told = |one: &Certificate| {
        json!({
            "customKeyIdentifier": one.identifier,
            "displayName": one.display_name,
            "endDateTime": time(one.end),
            "key": whole.then(|| STANDARD.encode(one.x509.der())),
            "keyId": one.key_id,
            "startDateTime": time(one.start),
            "type": "AsymmetricX509Cert",
            "usage": "Verify",
        })
    };
    application.certificates.iter().map(told).collect()
}

/// A federated credential.
pub(super) fn federated(one: &Federated) -> Value {
    json!({
        "id": one.id,
        "name": one.name,
        "issuer": one.issuer,
        "subject": one.subject,
        "description": one.description,
        "audiences": [one.audience],
    })
}

/// A service principal.
pub(super) fn principal(principal: &Principal, tenant: uuid::Uuid) -> Value {
    json!({
        "id": principal.object_id,
        "appId": principal.client_id,
        "displayName": principal.display_name,
        "appDisplayName": principal.display_name,
        "accountEnabled": principal.enabled,
        "servicePrincipalType": "Application",
        "appOwnerOrganizationId": tenant,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AZURE 1.2: seven fractional digits.
    #[test]
    fn times_have_seven_digits_or_none() {
        let told = |text: &str| time(text.parse().unwrap());
        assert_eq!(told("2021-09-09T19:50:29.308638199Z"), "2021-09-09T19:50:29.3086381Z");
        assert_eq!(told("2021-09-09T19:50:29.3Z"), "2021-09-09T19:50:29.3000000Z");
        assert_eq!(told("2026-12-01T00:00:00Z"), "2026-12-01T00:00:00Z");
    }
}
