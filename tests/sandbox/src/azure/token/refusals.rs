//! The refusals of the token endpoint, in its own words (AZURE 4.2, 4.3). A constructor per code; nothing here decides
//! when one is due.

use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::azure::call::{self, Answer};
use crate::azure::federated::{Mismatch, Presented};

/// Where Entra sends people who meet a mismatch.
const ABOUT_FEDERATION: &str = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation";

/// Where Entra sends people whose certificate it does not take.
fn about_keys(client_id: Uuid) -> String {
    format!(
        "Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id \
         '{client_id}'. Review the documentation at https://docs.microsoft.com/en-us/graph/deployments to determine \
         the corresponding service endpoint and \
         https://docs.microsoft.com/en-us/graph/api/application-get?view=graph-rest-1.0&tabs=http to build a query \
         request URL, such as 'https://graph.microsoft.com/beta/applications/{client_id}'"
    )
}

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

    /// A thumbprint that cannot be read is not told (AZURE 5).
    pub(crate) fn certificate_not_registered(client_id: Uuid, thumbprint: Option<&str>) -> Self {
        let thumbprint = thumbprint.map(|text| format!(" Thumbprint of key used by client: '{text}',"));
        let text = format!(
            "The certificate with identifier used to sign the client assertion is not registered on application. \
             [Reason - The key was not found.,{} {}]",
            thumbprint.unwrap_or_default(),
            about_keys(client_id)
        );
        Self::invalid_client(700_027, text)
    }

    pub(crate) fn certificate_expired(client_id: Uuid, thumbprint: &str, start: Timestamp, end: Timestamp) -> Self {
        let told = |time: Timestamp| time.strftime("%m/%d/%Y %H:%M:%S").to_string();
        let text = format!(
            "Client assertion contains an invalid signature. [Reason - The key used is expired., Thumbprint of key \
             used by client: '{thumbprint}', Found key 'Start={}, End={}', {}]",
            told(start),
            told(end),
            about_keys(client_id)
        );
        Self::invalid_client(700_027, text)
    }

    pub(crate) fn certificate_not_valid_yet() -> Self {
        Self::invalid_client(1_000_502, "The provided certificate is not within its specified validity window.")
    }

    pub(crate) fn another_subject() -> Self {
        Self::invalid_client(50_048, "Subject must match Issuer claim in the client assertion.")
    }

    pub(crate) fn malformed_assertion() -> Self {
        Self::invalid_client(50_027, "JWT token is invalid or malformed.")
    }

    /// No federated credential lets this in.
    pub(crate) fn no_match(mismatch: Mismatch, presented: &Presented) -> Self {
        let Presented { issuer, subject, audiences } = presented;
        let audience = audiences.join(", ");
        let (code, what) = match mismatch {
            Mismatch::NoneKnown => {
                let text = format!(
                    "No matching federated identity record found for presented assertion. Assertion Issuer: \
                     '{issuer}'. Assertion Subject: '{subject}'. Assertion Audience: '{audience}'. {ABOUT_FEDERATION}"
                );
                return Self::invalid_client(70_021, text);
            }
            Mismatch::Issuer => (700_211, format!("issuer '{issuer}'")),
            Mismatch::Audience => (700_212, format!("audience '{audience}'")),
            Mismatch::Subject => (700_213, format!("subject '{subject}'")),
            Mismatch::SubjectCase => (7_002_138, format!("subject '{subject}'")),
        };
        let text = format!(
            "No matching federated identity record found for presented assertion {what}. Please note that matching is \
             done using a case-sensitive comparison. Check your federated identity credential Subject, Audience and \
             Issuer against the presented assertion. {ABOUT_FEDERATION}"
        );
        Self::invalid_client(code, text)
    }

    /// Seen in the field: Azure/azure-workload-identity#1232.
    pub(crate) fn key_not_published(key_id: &str, issuer: &str) -> Self {
        let text = format!(
            "The certificate with identifier {key_id} used to sign the federated credential could not be found in the \
             metadata of identity provider {issuer}. Please validate that your Identity Provider's metadata exposes \
             the key used to sign the incoming token."
        );
        Self::invalid_client(7_000_272, text)
    }

    pub(crate) fn bad_signature() -> Self {
        Self::invalid_client(50_012, "Client assertion contains an invalid signature.")
    }

    pub(crate) fn not_in_time(now: Timestamp, begin: Timestamp, end: Timestamp) -> Self {
        let told = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S.%7fZ").to_string();
        let text = format!(
            "Client assertion is not within its valid time range. Current time: {}, assertion valid from {}, expiry \
             time of assertion {}. Review the documentation at \
             https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials .",
            told(now),
            told(begin),
            told(end),
        );
        Self::invalid_client(700_024, text)
    }

    pub(crate) fn issuer_out_of_reach() -> Self {
        Self::bad_request(90_061, "invalid_request", "Request to External OIDC endpoint failed.")
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
