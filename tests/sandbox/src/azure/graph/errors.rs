//! Graph's errors: one envelope for all (AZURE 1.1), and the words of each. Nothing here decides when one is due.

use hyper::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::azure::applications::Refusal;
use crate::azure::call::{self, Answer, with};
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
