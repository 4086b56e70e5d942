//! Graph's errors: one envelope for all (AZURE 1.1), and the words of each. Nothing here decides when one is due.

use hyper::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::azure::applications::Refusal;
use crate::azure::call::{self, Answer, with};
use crate::azure::certificates::Unsound;
use crate::azure::federated::Unfit;
use crate::azure::tokens::Refused;

/// An error.
#[derive(Clone, Debug)]
pub(super) struct Error {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Option<Value>,
    headers: Vec<(&'static str, String)>,
}

/// What identifies an answer, for support.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    pub(super) request: Uuid,
    pub(super) client: Uuid,
    pub(super) now: Timestamp,
}

impl Error {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: None, headers: vec![] }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_BadRequest", message)
    }

    pub(super) fn unsupported_query(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", message)
    }

    pub(super) fn no_such_segment(path: &str) -> Self {
        let message = format!("Resource not found for the segment '{path}'.");
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn not_found(name: &str) -> Self {
        let message = format!(
            "Resource '{name}' does not exist or one of its queried reference-property objects are not present."
        );
        Self::new(StatusCode::NOT_FOUND, "Request_ResourceNotFound", message)
    }

    pub(super) fn denied() -> Self {
        let message = "Insufficient privileges to complete the operation.";
        Self::new(StatusCode::FORBIDDEN, "Authorization_RequestDenied", message)
    }

    pub(super) fn not_let_in(refused: &Refused) -> Self {
        let message = match refused {
            Refused::Empty => "Access token is empty.".into(),
            Refused::Malformed => "IDX14100: JWT is not well formed, there are no dots (.).".into(),
            Refused::Signature => "Invalid Signature: the token was not issued by this authority.".to_owned(),
            Refused::Audience(_) => "Access token validation failure. Invalid audience.".into(),
            Refused::NotYet(_) => "Lifetime validation failed, the token is not valid yet.".into(),
            Refused::Expired(_) => "Lifetime validation failed, the token is expired.".into(),
        };
        let challenge = "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\"";
        let error = Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message);
        Self { headers: vec![("www-authenticate", challenge.into())], ..error }
    }

    /// AZURE 2: a scope, what was exceeded, and for how long to stay away.
    pub(super) fn throttled(scope: &str, what: &'static str, wait: SignedDuration) -> Self {
        let whole = wait.as_secs() + i64::from(wait.subsec_nanos() > 0);
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "Too many requests.");
        let headers = vec![
            ("retry-after", whole.max(1).to_string()),
            ("x-ms-throttle-scope", scope.to_owned()),
            ("x-ms-throttle-information", what.to_owned()),
            ("x-ms-throttle-limit-percentage", "1.0".to_owned()),
        ];
        Self { headers, ..error }
    }

    /// AZURE 1.7: reports have a limit of their own, and do not say for how long to stay away.
    pub(super) fn throttled_without_advice() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "Too many requests.")
    }

    /// AZURE 1.6: a delta token that is too old.
    pub(super) fn resync(fresh: String) -> Self {
        let message = "The sync state generation is not found; synchronize again from the start.";
        let error = Self::new(StatusCode::GONE, "syncStateNotFound", message);
        Self { headers: vec![("location", fresh)], ..error }
    }

    /// What a directory does not do. `name` is how the object was asked for.
    pub(super) fn refused(refusal: Refusal, name: &str) -> Self {
        match refusal {
            Refusal::NoSuchObject => Self::not_found(name),
            Refusal::NoSuchKey(key_id) => {
                Self::bad_request(format!("No password credential found with keyId '{key_id}'."))
            }
            Refusal::NoSuchFederated(name) => Self::not_found(&name),
            Refusal::Unfit(unfit) => Self::unfit(unfit),
            Refusal::Unsound(unsound) => Self::unsound(&unsound),
            Refusal::Concurrency => Self::new(
                StatusCode::CONFLICT,
                "Directory_ConcurrencyViolation",
                "Error due to concurrent requests being made to the tenant. Please wait briefly and retry.",
            ),
            Refusal::TooManyPasswords(count) => {
                let message = format!(
                    "Not allowed to add {count} passwords. You can only add a maximum of {} passwords.",
                    count - 1
                );
                let details = json!([{"code": "TooManyAppPasswords", "target": "passwordCredentials"}]);
                let error = Self::new(StatusCode::BAD_REQUEST, "TooManyAppPasswords", message);
                Self { details: Some(details), ..error }
            }
            Refusal::TooLarge => Self::new(
                StatusCode::BAD_REQUEST,
                "Directory_ResourceSizeExceeded",
                "The size of the object has exceeded its limit. Please reduce the number of values and retry your \
                 request.",
            ),
            Refusal::PasswordsBanned => Self::new(
                StatusCode::BAD_REQUEST,
                "CredentialTypeNotAllowedAsPerAppPolicy",
                "Credential type not allowed as per assigned policy.",
            ),
            Refusal::LifeTooLong => Self::new(
                StatusCode::BAD_REQUEST,
                "CredentialInvalidLifetimeAsPerAppPolicy",
                "Credential lifetime exceeds the max value allowed as per assigned policy.",
            ),
            Refusal::BadEnd => Self::bad_request("Password credential end date is invalid."),
        }
    }

    /// A list of certificates that cannot be as it was sent. The words of `Changed`, `End` and `NoKey` were seen in the
    /// field (Azure/azure-powershell#6784, azure-cli#11146, ansible-collections/azure#2127); the others are like them.
    fn unsound(unsound: &Unsound) -> Self {
        let (code, message, inner, target) = match unsound {
            Unsound::Changed(key_id) => {
                return Self::bad_request(format!(
                    "Update to existing credential with KeyId '{key_id}' is not allowed."
                ));
            }
            Unsound::Twice(key_id) => {
                return Self::bad_request(format!("Two credentials have the same KeyId '{key_id}'."));
            }
            Unsound::NoKey => {
                ("KeyCredentialsInvalidValue", "KeyValue cannot be null or empty.", "InvalidKeyValue", "key")
            }
            Unsound::Malformed => {
                ("KeyCredentialsInvalidValue", "Key credential value is invalid.", "InvalidKeyValue", "key")
            }
            Unsound::Start => (
                "KeyCredentialsInvalidStartDate",
                "Key credential start date is invalid.",
                "InvalidKeyStartDate",
                "startDateTime",
            ),
            Unsound::End => (
                "KeyCredentialsInvalidEndDate",
                "Key credential end date is invalid.",
                "InvalidKeyEndDate",
                "endDateTime",
            ),
        };
        let details = json!([{"code": inner, "message": message, "target": format!("keyCredentials.{target}")}]);
        Self { details: Some(details), ..Self::new(StatusCode::BAD_REQUEST, code, message) }
    }

    /// A federated credential that cannot be as it was sent. For "too many" no answer is on record.
    pub(super) fn unfit(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Name(name) => Self::bad_request(format!("Federated Identity Credential name '{name}' is invalid.")),
            Unfit::Empty => Self::bad_request("Federated identity credential has empty properties."),
            Unfit::TooLong(part) => {
                Self::bad_request(format!("The value of property '{part}' is longer than 600 characters."))
            }
            Unfit::Renamed => Self::bad_request("Property 'name' is read-only and cannot be set."),
            Unfit::HasExpression => {
                Self::bad_request("The properties 'subject' and 'claimsMatchingExpression' exclude each other.")
            }
            Unfit::TooMany => {
                Self::bad_request("The application has as many federated identity credentials as it can have: 20.")
            }
            Unfit::NameTaken(name) => Self::new(
                StatusCode::CONFLICT,
                "Request_MultipleObjectsWithSameKeyValue",
                format!("FederatedIdentityCredential with name {name} already exists."),
            ),
            // Seen in the field: Azure/azure-workload-identity#434.
            Unfit::IdentityTaken { issuer, subject } => Self::new(
                StatusCode::BAD_REQUEST,
                "InvalidFederatedIdentityCredentialValue",
                format!(
                    "The combination of issuer and subject must be unique for the application. Issuer {issuer} and \
                     Subject: {subject} already exist. paramName: FederatedIdentityCredential.Subject, paramValue: \
                     {subject}, objectType: Microsoft.Online.DirectoryServices.Application"
                ),
            ),
        }
    }

    pub(super) fn answer(self, ids: Ids) -> Answer {
        let mut error = json!({
            "code": self.code,
            "message": self.message,
            "innerError": {
                "date": ids.now.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
                "request-id": ids.request,
                "client-request-id": ids.client,
            },
        });
        if let Some(details) = self.details {
            error["details"] = details;
        }
        let answer = call::json(self.status, &json!({"error": error}));
        self.headers.iter().fold(answer, |answer, (name, value)| with(answer, name, value))
    }
}
