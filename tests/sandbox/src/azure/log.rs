//! The log of a directory: every change, by whom, and when the last replica knew it; every sign-in that was refused, and
//! why truly. It is what the ledger reads. Nothing here decides.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::applications::Password;
use super::certificates::Certificate;
use super::federated::Federated;
use crate::witness::Fingerprint;

/// Who changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// A person with a portal.
    Administrator,
    /// An application, by its client ID, through Graph.
    Application(Uuid),
}

/// A change of an application.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// When it was made.
    pub time: Timestamp,
    /// When the last replica knew it that sign-ins are checked by.
    pub settled: Timestamp,
    /// The application's object ID.
    pub object_id: Uuid,
    /// Its client ID.
    pub client_id: Uuid,
    /// Who made it.
    pub by: Actor,
    /// What was done.
    pub what: What,
}

/// What was done to an application.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    /// It was registered.
    Registered,
    /// It got this secret.
    Minted(Password),
    /// It got this certificate.
    Certified(Certificate),
    /// It lost the secret, the certificate or the federated credential of this ID.
    Removed(Uuid),
    /// A secret of it was changed, and is like this now.
    Edited(Password),
    /// It got this federated credential.
    Federated(Federated),
    /// A federated credential of it was changed, and is like this now.
    FederatedEdited(Federated),
    /// Something else about it was changed.
    Patched,
    /// It was deleted.
    Deleted,
}

/// A sign-in that was refused.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedSignIn {
    /// When.
    pub time: Timestamp,
    /// The trace ID of the answer.
    pub trace_id: Uuid,
    /// The tenant, if there is such a one.
    pub tenant: Option<Uuid>,
    /// The client ID that was given, if it is one.
    pub client_id: Option<Uuid>,
    /// What can be told of the secret that was given.
    #[serde(skip)]
    pub fingerprint: Option<Fingerprint>,
    /// The AADSTS code of the answer; none if it had none.
    pub code: Option<u32>,
    /// Why it was refused in truth.
    pub cause: Cause,
}

/// Why a sign-in is refused in truth, which the code does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// The replica that was asked had not learned of the secret, or of the application, yet.
    NotYetKnown,
    /// The replica that was asked knows the federated credential by now, but remembers that it did not.
    Remembered,
    /// The issuer of a federated assertion is out of reach, or publishes nothing of use.
    IssuerUnreachable,
    /// The secret was removed.
    Removed,
    /// The secret has expired.
    Expired,
    /// The secret is not good yet.
    NotYetValid,
    /// The ID of a secret was given instead of its value.
    IdForValue,
    /// No such secret was ever issued for this application.
    WrongValue,
    /// Background noise of the service.
    Noise,
    /// A limit was exceeded.
    Throttled,
    /// The application was deleted.
    Deleted,
    /// An administrator blocks it: disabled, without service principal, or by Conditional Access.
    Blocked,
    /// The request is not as it has to be.
    BadRequest,
}
