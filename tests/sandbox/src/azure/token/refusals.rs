//! The refusals of the token endpoint, in its own words (AZURE 4.2, 4.3). A constructor per code; nothing here decides
//! when one is due.

use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::azure::call::{self, Answer};

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: u32,
    status: StatusCode,
    error: &'static str,
    text: String,
    claims: Option<String>,
}

/// What identifies an answer, for support.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    pub(crate) trace: Uuid,
    pub(crate) correlation: Uuid,
    pub(crate) now: Timestamp,
}

impl Refusal {
    fn new(code: u32, status: StatusCode, error: &'static str, text: impl Into<String>) -> Self {
        Self { code, status, error, text: text.into(), claims: None }
    }

    fn bad_request(code: u32, error: &'static str, text: impl Into<String>) -> Self {
        Self::new(code, StatusCode::BAD_REQUEST, error, text)
    }

    fn invalid_client(code: u32, text: impl Into<String>) -> Self {
        Self::new(code, StatusCode::UNAUTHORIZED, "invalid_client", text)
    }

    pub(crate) fn parameter_missing(name: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{name}'.");
        Self::bad_request(900_144, "invalid_request", text)
    }

    pub(crate) fn not_a_tenant(name: &str) -> Self {
        let text =
            format!("Specified tenant identifier '{name}' is neither a valid DNS name, nor a valid external domain.");
        Self::bad_request(900_023, "invalid_request", text)
    }

    pub(crate) fn no_tenant_named() -> Self {
        let text =
            "No tenant-identifying information found in either the request or implied by any provided credentials.";
        Self::bad_request(50_059, "invalid_request", text)
    }

    pub(crate) fn tenant_not_found(name: &str) -> Self {
        let text = format!(
            "Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into the \
             correct cloud. Check with your subscription administrator, this may happen if there are no active \
             subscriptions for the tenant."
        );
        Self::bad_request(90_002, "invalid_request", text)
    }

    /// The same, as `OpenID`'s metadata tell it: about the tenant, and not about the request.
    pub(crate) fn of_metadata(self) -> Self {
        if self.code == 90_002 { Self { error: "invalid_tenant", ..self } } else { self }
    }

    pub(crate) fn unknown_instance() -> Self {
        Self::bad_request(50_049, "invalid_instance", "Unknown or invalid instance.")
    }

    pub(crate) fn unsupported_grant(grant: &str) -> Self {
        let text = format!("The app requested an unsupported grant type '{grant}'.");
        Self::bad_request(70_003, "unsupported_grant_type", text)
    }

    pub(crate) fn not_a_client_id(client_id: &str) -> Self {
        let text = format!("{client_id} is not a valid application identifier.");
        Self::bad_request(700_038, "unauthorized_client", text)
    }

    pub(crate) fn application_not_found(client_id: Uuid, tenant: &str) -> Self {
        let text = format!(
            "Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if \
             the application has not been installed by the administrator of the tenant or consented to by any user in \
             the tenant. You may have sent your authentication request to the wrong tenant."
        );
        Self::bad_request(700_016, "unauthorized_client", text)
    }

    pub(crate) fn nothing_to_prove_it_with(version_1: bool) -> Self {
        if version_1 {
            let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
            return Self::invalid_client(7_000_218, text);
        }
        let text =
            "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.";
        Self::invalid_client(7_000_216, text)
    }

    pub(crate) fn wrong_secret(client_id: Uuid) -> Self {
        let text = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
             not the client secret ID, for a secret added to app '{client_id}'."
        );
        Self::invalid_client(7_000_215, text)
    }

    pub(crate) fn secret_expired(client_id: Uuid) -> Self {
        let text = format!(
            "The provided client secret keys for app '{client_id}' are expired. Visit the Azure portal to create new \
             keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added \
             security: https://aka.ms/certCreds."
        );
        Self::invalid_client(7_000_222, text)
    }

    pub(crate) fn certificate_not_registered() -> Self {
        let text = "The certificate with identifier used to sign the client assertion is not registered on \
                    application. [Reason - The key was not found.]";
        Self::invalid_client(700_027, text)
    }

    pub(crate) fn no_federated_identity() -> Self {
        Self::invalid_client(70_021, "No matching federated identity record found for presented assertion.")
    }

    pub(crate) fn no_service_principal(client_id: Uuid, tenant: Uuid) -> Self {
        let text = format!(
            "The client application {client_id} is missing service principal in the tenant {tenant}. See instructions \
             here: https://go.microsoft.com/fwlink/?linkid=2225119"
        );
        Self::invalid_client(7_000_229, text)
    }

    pub(crate) fn disabled(client_id: Uuid, name: &str) -> Self {
        Self::bad_request(7_000_112, "unauthorized_client", format!("Application '{client_id}'({name}) is disabled."))
    }

    pub(crate) fn several_scopes(scope: &str) -> Self {
        let text = format!(
            "The provided request must include a 'scope' input parameter. The provided value for the input parameter \
             'scope' is not valid. The scope {scope} is not valid."
        );
        Self::bad_request(70_011, "invalid_scope", text)
    }

    pub(crate) fn not_a_default_scope(scope: &str) -> Self {
        let text = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with \
             /.default suffixed to the resource identifier (application ID URI)."
        );
        Self::bad_request(1_002_012, "invalid_scope", text)
    }

    pub(crate) fn resource_not_found(resource: &str, tenant: &str) -> Self {
        let text = format!(
            "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if \
             the application has not been installed by the administrator of the tenant or consented to by any user in \
             the tenant. You might have sent your authentication request to the wrong tenant."
        );
        Self::bad_request(500_011, "invalid_resource", text)
    }

    /// The secret was right, and an administrator blocks the application all the same.
    pub(crate) fn blocked(policy: Uuid) -> Self {
        let text = "Access has been blocked by Conditional Access policies. The access policy does not allow token \
                    issuance.";
        let claims = json!({"access_token": {"capolids": {"essential": true, "values": [policy]}}});
        let refusal = Self::bad_request(53_003, "invalid_grant", text);
        Self { claims: Some(claims.to_string()), ..refusal }
    }

    pub(crate) fn throttled() -> Self {
        let text = "The request was throttled due to too many requests.";
        Self::new(90_055, StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", text)
    }

    /// The answer. Codes 700038 and 70003 come without `error_uri` (AZURE 4.3).
    pub(crate) fn answer(&self, ids: Ids, origin: &str) -> Answer {
        let Ids { trace, correlation, now } = ids;
        let code = self.code;
        let timestamp = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let description = format!(
            "AADSTS{code}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}",
            self.text
        );
        let mut body = json!({
            "error": self.error,
            "error_description": description,
            "error_codes": [code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
        });
        if !matches!(code, 700_038 | 70_003) {
            body["error_uri"] = Value::String(format!("{origin}/error?code={code}"));
        }
        if let Some(claims) = &self.claims {
            body["suberror"] = "message_only".into();
            body["claims"] = Value::String(claims.clone());
        }
        call::json(self.status, &body)
    }
}
