//! The table itself, class by class. What stands beside a code in Microsoft's documents, or was seen by many, is said;
//! what is not known is not claimed.

use super::{
    Class::{self, Blocked, Expired, Misasked, Ours, Throttled, Unavailable, Unknown, Wrong},
    Code,
};
use crate::api::Reason;

const fn row(
    numbers: &'static [u32],
    class: Class,
    reason: Reason,
    meaning: &'static str,
    remedy: &'static str,
) -> Code {
    Code { numbers, class, reason, meaning, remedy }
}

/// Every code that has a meaning here.
pub const CODES: &[Code] = &[
    row(
        &[7_000_215, 70_002],
        Wrong,
        Reason::CredentialUnknown,
        "The client secret is not one of this application: a wrong value, the ID of the secret instead of its value, one \
         that has been removed, or one so new that not every server knows it",
        "For some minutes after it was made, wait. Otherwise see in the application's \"Certificates & secrets\" whether \
         the key ID is still there, and that its value, not its ID, is used, URL-encoded in the request",
    ),
    row(
        &[50_012],
        Wrong,
        Reason::CredentialUnknown,
        "The signed assertion does not hold: its certificate, its chain or its signature is not one the application has",
        "Compare the thumbprint of the certificate that signs with those on the application",
    ),
    row(
        &[700_027],
        Wrong,
        Reason::CredentialUnknown,
        "The certificate that signed is not on the application, or has expired, or is so new that not every server knows it",
        "For some minutes after it was added, wait. Otherwise compare its thumbprint with those on the application",
    ),
    row(
        &[700_030],
        Wrong,
        Reason::CredentialUnknown,
        "The subject of the certificate is not allowed for the application, or the certificate is of another cloud",
        "Use a certificate that is registered on the application itself, in this cloud",
    ),
    row(
        &[7_000_214, 7_000_277],
        Wrong,
        Reason::CredentialUnknown,
        "The certificate has been revoked",
        "Issue another certificate, and add it to the application",
    ),
    row(
        &[7_000_274],
        Wrong,
        Reason::CredentialUnknown,
        "The assertion's signature does not hold, or its certificate is not within its validity",
        "Compare the certificate that signs, and its dates, with those on the application",
    ),
    row(
        &[70_021, 700_021],
        Wrong,
        Reason::CredentialUnknown,
        "No federated credential of the application matches the token, or one is so new that not every server knows it",
        "For some minutes after it was made, wait: asking too early can make it last longer. Otherwise compare issuer, \
         subject and audience with the token's, byte for byte",
    ),
    row(
        &[700_211],
        Wrong,
        Reason::CredentialUnknown,
        "No federated credential of the application has the token's issuer",
        "Compare the issuer with the one in the cluster's discovery document, byte for byte, a trailing slash included",
    ),
    row(
        &[700_212, 7_002_121],
        Wrong,
        Reason::CredentialUnknown,
        "No federated credential of the application has the token's audience",
        "Set the audience to the cloud's own, which is api://AzureADTokenExchange in the public cloud",
    ),
    row(
        &[700_213],
        Wrong,
        Reason::CredentialUnknown,
        "No federated credential of the application has the token's subject; upper and lower case are told apart",
        "For some minutes after it was made, wait. Otherwise the subject must be \
         system:serviceaccount:<namespace>:<name>, as it is spelled in the cluster",
    ),
    row(
        &[7_002_138],
        Wrong,
        Reason::CredentialUnknown,
        "A federated credential of the application has the token's subject, but with other upper and lower case",
        "Add a federated credential with the subject as the token spells it, and remove the other one",
    ),
    row(
        &[7_000_226, 7_002_131],
        Wrong,
        Reason::CredentialUnknown,
        "The application has no federated credential, or none with an expression that the token meets",
        "For some minutes after it was made, wait. Otherwise add a federated credential for the token's issuer and subject",
    ),
    row(
        &[7_002_241, 700_233, 700_234, 700_235, 700_237],
        Wrong,
        Reason::CredentialUnknown,
        "A federated credential has an expression that cannot be read, or that its issuer may not use",
        "Replace the expression by the exact subject: tokens of a Kubernetes cluster are matched by nothing else",
    ),
    row(
        &[700_222, 700_227, 700_229],
        Wrong,
        Reason::CredentialUnknown,
        "A token of this kind, such as one that Entra itself has issued, is not accepted for federation",
        "Federate with the issuer of the cluster, and sign in with a ServiceAccount's token",
    ),
    row(
        &[7_000_222],
        Expired,
        Reason::CredentialExpired,
        "The client secret has expired",
        "Nothing is to be saved: it must be replaced. If it was to be replaced earlier, see why that rotation waits",
    ),
    row(
        &[1_000_502],
        Expired,
        Reason::CredentialExpired,
        "The certificate is not within its validity",
        "If it is over, it must be replaced. If it is yet to begin, compare the clocks",
    ),
    row(
        &[53_003, 530_032, 50_131],
        Blocked,
        Reason::SignInBlocked,
        "The credential was accepted, and a policy (Conditional Access) blocks the sign-in",
        "Let the policy's owner exclude the application, or allow the address that the cluster's requests come from",
    ),
    row(
        &[700_016, 700_011],
        Misasked,
        Reason::ApplicationNotFound,
        "The tenant has no application with this client ID, or has it only just",
        "Compare clientId (not the object ID) and tenantId with the application's overview page",
    ),
    row(
        &[7_000_229],
        Misasked,
        Reason::NoServicePrincipal,
        "The application has no service principal in the tenant, or has it only just",
        "Create its enterprise application: az ad sp create --id <client ID>",
    ),
    row(
        &[70_001, 7_000_112],
        Misasked,
        Reason::ApplicationDisabled,
        "The application is disabled",
        "Enable it, or its enterprise application (\"Enabled for users to sign in\"), or delete the resource that names it",
    ),
    row(
        &[1_000_031],
        Misasked,
        Reason::Refused,
        "The application cannot be accessed now",
        "See in the portal whether it is disabled or being deleted",
    ),
    row(
        &[700_025],
        Misasked,
        Reason::Refused,
        "The application is a public client, which must not send a secret",
        "In its \"Authentication\" page, give it a Web platform and turn off \"Allow public client flows\"",
    ),
    row(
        &[90_002],
        Misasked,
        Reason::Refused,
        "There is no such tenant in this cloud",
        "Compare tenantId and cloud of the EntraTenant with the tenant's overview page",
    ),
    row(
        &[900_023, 50_059, 50_128],
        Misasked,
        Reason::Refused,
        "The tenant is not named in a form that Entra knows",
        "Set tenantId of the EntraTenant to the tenant's GUID",
    ),
    row(
        &[90_038, 900_432, 900_382, 900_439],
        Misasked,
        Reason::Refused,
        "The tenant lives in another cloud than the one that was asked",
        "Set cloud of the EntraTenant to the tenant's: it is immutable, so the EntraTenant is created anew",
    ),
    row(
        &[500_011, 50_001, 650_052, 70_011, 1_002_012, 700_022],
        Misasked,
        Reason::ScopeInvalid,
        "The scope that a token was asked for names nothing in this tenant, or more than one thing",
        "Set verification.scope to <resource>/.default of a service that the tenant has, or leave it out",
    ),
    row(
        &[700_024],
        Ours,
        Reason::Refused,
        "The assertion is not within its validity: a clock is wrong, or a token was kept for too long",
        "Compare the clocks of the cluster's machines with the time of the answer",
    ),
    row(
        &[50_027, 50_048, 500_131, 500_133],
        Ours,
        Reason::InternalError,
        "The assertion that we sent is not as it must be",
        "Report this: what we send was never meant to be refused so",
    ),
    row(
        &[7_000_216, 7_000_218, 900_144, 70_003, 700_038, 50_034],
        Ours,
        Reason::InternalError,
        "The request that we sent is not as it must be: something is missing in it, or is of the wrong form",
        "See that the Secret which is read is not empty and clientId is a GUID. If so, report this",
    ),
    row(
        &[50_196, 90_055],
        Throttled,
        Reason::Throttled,
        "Entra has been asked too often",
        "Nothing: it is asked again when the time is over. If it lasts, see who else signs in as this application in a loop",
    ),
    row(
        &[90_033, 90_024, 90_006, 90_012, 90_090, 50_033, 50_000],
        Unavailable,
        Reason::Unreachable,
        "Entra is in trouble at the moment",
        "Nothing: it is asked again. If it lasts, see https://status.cloud.microsoft",
    ),
    row(
        &[90_061, 900_612, 50_166],
        Unavailable,
        Reason::Unreachable,
        "Entra could not fetch the discovery document or the keys of the token's issuer",
        "If it lasts: the cluster's issuer must answer on the public internet, with a certificate that everybody trusts",
    ),
    row(
        &[7_000_272],
        Unavailable,
        Reason::Unreachable,
        "The key that signed the token is not among those that its issuer publishes, or is so new that Entra has yet to fetch it",
        "After the cluster's signing key has changed, wait. Otherwise see that the issuer's published keys (JWKS) have the \
         API server's",
    ),
];

/// HTTP 429, with whatever in it.
pub(super) const WAIT: Code = row(
    &[],
    Throttled,
    Reason::Throttled,
    "Entra has been asked too often",
    "Nothing: it is asked again when the time is over",
);

/// HTTP 5xx or 408, with whatever in it.
pub(super) const IN_TROUBLE: Code = row(
    &[],
    Unavailable,
    Reason::Unreachable,
    "Entra, or something on the way to it, is in trouble at the moment",
    "Nothing: it is asked again. If it lasts, see https://status.cloud.microsoft, and the proxy if there is one",
);

/// `invalid_client` without any code.
pub(super) const CLIENT_REFUSED: Code = row(
    &[],
    Wrong,
    Reason::CredentialUnknown,
    "The application could not be authenticated with this credential",
    "Compare the key ID with those on the application",
);

/// `unauthorized_client` without any code.
pub(super) const CLIENT_NOT_ALLOWED: Code = row(
    &[],
    Misasked,
    Reason::Refused,
    "The application may not sign in like this",
    "Compare clientId and tenantId with the application's overview page",
);

/// `invalid_scope`, `invalid_resource` or `invalid_target` without any code.
pub(super) const SCOPE_REFUSED: Code = row(
    &[],
    Misasked,
    Reason::ScopeInvalid,
    "The scope that a token was asked for is not accepted",
    "Set verification.scope to <resource>/.default of a service that the tenant has, or leave it out",
);

/// `invalid_request` or `unsupported_grant_type` without any code.
pub(super) const REQUEST_REFUSED: Code = row(
    &[],
    Ours,
    Reason::InternalError,
    "The request that we sent is not as it must be",
    "Report this: what we send was never meant to be refused so",
);

/// Any other code or word.
pub(super) const NO_WORD_FOR: Code = row(
    &[],
    Unknown,
    Reason::Refused,
    "Entra refused for a reason that this version has no word for, so nothing is concluded from it",
    "Look the code up at https://login.microsoftonline.com/error, and report that it is missing here",
);

/// No answer of Entra's at all.
pub(super) const NOT_ENTRA: Code = row(
    &[],
    Unknown,
    Reason::Unintelligible,
    "What answered does not speak like Entra",
    "See whether a proxy or a firewall answers in its place, and allow the cluster to reach the cloud's sign-in host",
);
