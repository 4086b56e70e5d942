//! Whose doing a refusal was: a matter of what Azure's log says about the true cause, and of what was published when.

use std::fmt;

use uuid::Uuid;

use super::{Credential, Ledger};
use crate::azure::Cause;
use crate::witness::Refusal;

/// Whose doing a refusal was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Blame {
    /// The credential was removed before a successor was published.
    CarelessRemoval,
    /// The credential was removed when a successor had been published, but the container is older and still holds it.
    StaleContainer,
    /// The credential was published before every replica knew it.
    PublishedTooEarly,
    /// The credential has expired.
    Expired,
    /// What was presented is no credential of the application, or not to be presented like that.
    WrongValue,
    /// The weather of the scenario: a fault, noise, a limit, an administrator who blocks or deletes the application.
    Weather,
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CarelessRemoval => "careless removal",
            Self::StaleContainer => "environment of a container older than the removal",
            Self::PublishedTooEarly => "published before every replica knew it",
            Self::Expired => "expired",
            Self::WrongValue => "wrong value",
            Self::Weather => "weather of the scenario",
        })
    }
}

/// A refusal that a pod has seen, and whose doing it was.
#[derive(Clone, Debug)]
pub struct Attributed {
    /// The refusal.
    pub refusal: Refusal,
    /// Whose doing it was.
    pub blame: Blame,
    /// The true cause, if the refusal was Azure's own.
    pub cause: Option<Cause>,
    /// The credential that was presented, if it is one.
    pub key_id: Option<Uuid>,
}

impl Ledger {
    pub(super) fn attribute(&self, refusal: &Refusal) -> Attributed {
        let trace_id = refusal.trace_id.as_deref().and_then(|trace_id| Uuid::try_parse(trace_id).ok());
        let own = trace_id.and_then(|trace_id| self.refused.get(&trace_id));
        let cause = own.map(|refused| refused.cause);
        let fingerprint = refusal.what.fingerprint;
        // Of several that let the same in, one after the other, it was the last.
        let is_it = |one: &&Credential| one.fingerprint == fingerprint && one.minted <= refusal.time;
        let presented = self.credentials.iter().rfind(is_it);
        let blame = match cause {
            // Nothing that Azure has decided: a fault made the answer up, or there was none.
            None
            | Some(Cause::Noise | Cause::Throttled | Cause::Deleted | Cause::Blocked | Cause::IssuerUnreachable) => {
                Blame::Weather
            }
            Some(Cause::NotYetKnown | Cause::Remembered | Cause::NotYetValid) => Blame::PublishedTooEarly,
            Some(Cause::Expired) => Blame::Expired,
            Some(Cause::WrongValue | Cause::IdForValue | Cause::BadRequest) => Blame::WrongValue,
            Some(Cause::Removed) => presented.map_or(Blame::CarelessRemoval, |credential| self.removal(credential)),
        };
        Attributed { refusal: refusal.clone(), blame, cause, key_id: presented.map(|credential| credential.key_id) }
    }

    /// How careless a removal was: whether there was a successor that pods could have had.
    fn removal(&self, removed: &Credential) -> Blame {
        let Some((time, _)) = removed.removed else { return Blame::CarelessRemoval };
        let could_be_had = |successor: &Credential| {
            successor.client_id == removed.client_id
                && successor.minted > removed.minted
                && self.published_at(successor.fingerprint).is_some_and(|published| published <= time)
        };
        if self.credentials.iter().any(could_be_had) { Blame::StaleContainer } else { Blame::CarelessRemoval }
    }
}
