//! Key Vault's errors: one envelope for all (AZURE 6), and the words of each. Nothing here decides when one is due.

use hyper::StatusCode;
use serde_json::json;

use super::access::Action;
use super::asked::Collection;
use super::bounds;
use super::refusal::Refusal;
use crate::azure::call::{self, Answer, with};
use crate::azure::tokens::{Caller, Refused};

/// Where a vault's callers come from, to itself; of an address that belongs to nobody.
const CLIENT_ADDRESS: &str = "203.0.113.7";
/// Where all vaults are.
pub(super) const LOCATION: &str = "westeurope";

/// An error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Error {
    status: StatusCode,
    code: &'static str,
    message: String,
    inner: Option<&'static str>,
    challenge: Option<String>,
}

/// Who is refused, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whom<'a> {
    pub(super) caller: &'a Caller,
    pub(super) vault: &'a str,
}

impl Whom<'_> {
    fn called(self) -> String {
        let Caller { client_id, object_id, tenant, .. } = self.caller;
        format!("appid={client_id};oid={object_id};iss=https://sts.windows.net/{tenant}/")
    }

    fn place(self) -> String {
        format!("{};location={LOCATION}", self.vault)
    }
}

impl Error {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), inner: None, challenge: None }
    }

    fn within(self, inner: &'static str) -> Self {
        Self { inner: Some(inner), ..self }
    }

    pub(super) fn bad_parameter(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadParameter", message)
    }

    pub(super) fn bad_property() -> Self {
        Self::bad_parameter("Property  has invalid value\r\n")
    }

    pub(super) fn no_version() -> Self {
        Self::bad_parameter("api-version must be specified")
    }

    pub(super) fn unknown_version(version: &str) -> Self {
        let latest = bounds::VERSIONS.last().copied().unwrap_or_default();
        Self::bad_parameter(format!(
            "The specified version ({version}) is not recognized. Consider using the latest supported version \
             ({latest})."
        ))
    }

    pub(super) fn no_such_operation(method: &str, path: &str) -> Self {
        let operation = path.trim_matches('/').rsplit('/').next().unwrap_or_default();
        Self::bad_parameter(format!("Method {method} does not allow operation '{operation}'"))
    }

    pub(super) fn bad_page_size() -> Self {
        Self::bad_parameter(format!("maxresults has to be between 1 and {}", bounds::PAGE))
    }

    /// AZURE 2: 429, in the words of the service; it says not for how long.
    pub(super) fn throttled() -> Self {
        let message = "Request was not processed because too many requests were received. Reason: \
                       VaultRequestTypeLimitReached";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "Throttled", message)
    }

    fn unauthorized(message: impl Into<String>, challenge: String) -> Self {
        let error = Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", message);
        Self { challenge: Some(challenge), ..error }
    }

    pub(super) fn not_let_in(refused: &Refused, resource: &str, challenge: String) -> Self {
        let message = match refused {
            Refused::Empty => "AKV10000: Request is missing a Bearer or PoP token.".to_owned(),
            Refused::Malformed => "AKV10001: Unable to parse the JWT token.".into(),
            Refused::Signature => "AKV10046: Unable to resolve the key used for signature validation.".into(),
            Refused::Audience(found) => {
                format!("AKV10022: Invalid audience. Expected {resource}, found: {found}.")
            }
            Refused::NotYet(_) => "[TokenNotYetValid] Error validating token.".into(),
            Refused::Expired(_) => "[TokenExpired] Error validating token: 'S2S12086'.".into(),
        };
        Self::unauthorized(message, challenge)
    }

    pub(super) fn of_another_tenant(expected: uuid::Uuid, found: uuid::Uuid, challenge: String) -> Self {
        let issuer = "https://sts.windows.net";
        let message =
            format!("AKV10032: Invalid issuer. Expected one of {issuer}/{expected}/, found {issuer}/{found}/.");
        Self::unauthorized(message, challenge)
    }

    fn forbidden(message: impl Into<String>, inner: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).within(inner)
    }

    pub(super) fn by_role(whom: Whom<'_>, action: Action, of: Collection, name: Option<&str>) -> Self {
        let resource = name.map(|name| format!("/{}/{name}", of.name())).unwrap_or_default();
        let message = format!(
            "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role \
             definitions were changed recently, please observe propagation time.\r\nCaller: {}\r\nAction: \
             '{}'\r\nResource: \
             '/subscriptions/{}/resourcegroups/sandbox/providers/microsoft.keyvault/vaults/{}{resource}'\r\n\
             Assignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \
             \r\nVault: {}\r\n",
            whom.called(),
            action.data_action(),
            whom.caller.tenant,
            whom.vault,
            whom.place()
        );
        Self::forbidden(message, "ForbiddenByRbac")
    }

    /// Of the two inner codes that are seen for the same thing, `older` is the one of older days.
    pub(super) fn by_policy(whom: Whom<'_>, action: Action, of: Collection, older: bool) -> Self {
        let message = format!(
            "The user, group or application '{}' does not have {} {} permission on key vault '{}'. For help \
             resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287",
            whom.called(),
            of.name(),
            action.permission(),
            whom.place()
        );
        Self::forbidden(message, if older { "AccessDenied" } else { "ForbiddenByPolicy" })
    }

    pub(super) fn by_firewall(whom: Whom<'_>) -> Self {
        let message = format!(
            "Client address is not authorized and caller is not a trusted service.\r\nClient address: \
             {CLIENT_ADDRESS}\r\nCaller: {}\r\nVault: {}",
            whom.called(),
            whom.place()
        );
        Self::forbidden(message, "ForbiddenByFirewall")
    }

    pub(super) fn by_connection(whom: Whom<'_>) -> Self {
        let message = format!(
            "Connection is not an approved private link and caller was ignored because bypass is not set to \
             'AzureServices' and PublicNetworkAccess is set to 'Disabled'.\r\nVault: {}",
            whom.place()
        );
        Self::forbidden(message, "ForbiddenByConnection")
    }

    pub(super) fn answer(self) -> Answer {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(inner) = self.inner {
            error["innererror"] = json!({"code": inner});
        }
        let answer = call::json(self.status, &json!({"error": error}));
        let challenge = self.challenge.into_iter();
        challenge.fold(answer, |answer, challenge| with(answer, "www-authenticate", &challenge))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::about(Collection::Secrets, refusal)
    }
}

impl Error {
    /// A refusal in the words that there are for one of a collection.
    pub(super) fn about(of: Collection, refusal: Refusal) -> Self {
        let one = of.one();
        let small = one.to_ascii_lowercase();
        let conflict = |message: String| Self::new(StatusCode::CONFLICT, "Conflict", message);
        let not_found = |message: String| Self::new(StatusCode::NOT_FOUND, of.not_found(), message);
        match refusal {
            Refusal::BadName(name) => Self::bad_parameter(format!("The request URI contains an invalid name: {name}")),
            Refusal::BadProperty => Self::bad_property(),
            Refusal::NotFound(name) => not_found(format!(
                "A {small} with (name/id) {name} was not found in this key vault. If you recently deleted this {small} \
                 you may be able to recover it using the correct recovery command. For help resolving this issue, \
                 please see https://go.microsoft.com/fwlink/?linkid=2125182"
            )),
            Refusal::NotDeleted(name) => not_found(format!("Deleted {one} not found: {name}")),
            Refusal::Disabled => {
                Self::forbidden("Operation get is not allowed on a disabled secret.", "SecretDisabled")
            }
            Refusal::BeingDeleted(name) => {
                conflict(format!("{one} {name} is currently being deleted and cannot be re-created; retry later."))
                    .within("ObjectIsBeingDeleted")
            }
            Refusal::DeletedButRecoverable(name) => conflict(format!(
                "{one} {name} is currently in a deleted but recoverable state, and its name cannot be reused; in \
                 this state, the {small} can only be recovered or purged."
            ))
            .within("ObjectIsDeletedButRecoverable"),
            Refusal::BeingRecovered(name) => {
                conflict(format!("{one} {name} is currently being recovered and cannot be re-created; retry later."))
                    .within("ObjectIsBeingRecovered")
            }
            Refusal::PurgeProtected => {
                let message = "Operation \"purge\" is not enabled for this vault.";
                Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
            }
            Refusal::Managed(operation) => Self::forbidden(
                format!(
                    "Operation \"{operation}\" is not allowed on this secret, since it is associated with a \
                     certificate. Perform the operation on the corresponding certificate. For more information refer \
                     to https://docs.microsoft.com/en-us/azure/key-vault/certificates/about-certificates\
                     #composition-of-a-certificate"
                ),
                "SecretManagedByKeyVault",
            ),
            Refusal::TakenBySecret(name) => conflict(format!(
                "A certificate with name {name} cannot be created: there is a secret with the same name in this key \
                 vault."
            )),
            Refusal::OfSecret(refusal) => Self::about(Collection::Secrets, *refusal),
            Refusal::BadPem => Self::bad_parameter(
                "The specified PEM X.509 certificate content is in an unexpected format. Please check if certificate \
                 is in valid PEM format.",
            ),
            Refusal::BadPfx => Self::bad_parameter(
                "The specified PKCS#12 X.509 certificate content can not be read. Please check if certificate is in \
                 valid PKCS#12 format.",
            ),
            Refusal::ExpiredCertificate => {
                Self::bad_parameter("The specified X.509 certificate has expired and cannot be imported.")
            }
        }
    }
}

impl Collection {
    const fn not_found(self) -> &'static str {
        match self {
            Self::Secrets => "SecretNotFound",
            Self::Certificates => "CertificateNotFound",
            Self::Keys => "KeyNotFound",
        }
    }
}
