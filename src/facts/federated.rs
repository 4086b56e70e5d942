//! Federation: what Entra compares when a token of somebody else's is presented to it, the federated credentials of an
//! application, and the `ServiceAccount` whose tokens they are about.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Mark, Trouble, Verdict};
use crate::api::KeyId;

/// What Entra compares, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claims {
    /// Who issues the tokens (`iss`).
    pub issuer: String,
    /// Whom they are about (`sub`).
    pub subject: String,
    /// Whom they are for (`aud`).
    pub audience: String,
}

impl Claims {
    /// The claims of a `ServiceAccount`'s tokens.
    #[must_use]
    pub fn of_account(issuer: &str, namespace: &str, account: &str, audience: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            subject: format!("system:serviceaccount:{namespace}:{account}"),
            audience: audience.to_owned(),
        }
    }

    /// Whether they are others, and only because of upper and lower case. Entra took such for the same once.
    #[must_use]
    pub fn differs_only_in_case(&self, other: &Self) -> bool {
        let mut both = self.each().into_iter().zip(other.each());
        self != other && both.all(|((_, one), (_, two))| one.eq_ignore_ascii_case(two))
    }

    /// Each claim, by the name that it has in a token.
    #[must_use]
    pub fn each(&self) -> [(&'static str, &str); 3] {
        [("iss", &self.issuer), ("sub", &self.subject), ("aud", &self.audience)]
    }
}

impl fmt::Display for Claims {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { issuer, subject, audience } = self;
        write!(out, "{subject} of {issuer} for {audience}")
    }
}

/// A federated credential of an application, as Graph tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Federated {
    /// Its ID.
    pub id: KeyId,
    /// Its name, of which an application has each once.
    pub name: String,
    /// What it accepts; nothing if that is an expression instead of a subject, or not for exactly one audience.
    pub claims: Option<Claims>,
    /// What is written beside it, where our mark stands.
    pub description: Option<String>,
}

impl Federated {
    /// The mark that says which attempt of which resource made it, if one of us did.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        self.description.as_deref().and_then(Mark::in_name)
    }
}

impl Mark {
    /// The name of the federated credential that carries this mark: the mark in the letters that Entra allows there.
    /// Nothing else has it, so that a look by this name answers what a lost answer has left open.
    #[must_use]
    pub fn federated_name(&self) -> String {
        self.to_string().replace([':', '.'], "-")
    }
}

/// A `ServiceAccount` as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSeen {
    /// Its UID.
    pub uid: String,
    /// The application that its pods are to sign in as, by its annotation.
    pub client_id: Option<String>,
    /// And the tenant.
    pub tenant_id: Option<String>,
    /// Whether both annotations are written by us, on behalf of this resource.
    pub managed_by_us: bool,
}

/// How a token of a `ServiceAccount` fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange {
    /// Entra was asked with one, and this is what that has shown.
    Judged(Verdict),
    /// There is none, because the operator may not ask for tokens of this account.
    NotAllowed(Trouble),
    /// There is none, because there is no such account.
    NoAccount(Trouble),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::facts::{Nonce, Owner, Sequence};

    fn claims(issuer: &str, subject: &str) -> Claims {
        Claims { issuer: issuer.into(), subject: subject.into(), audience: "api://AzureADTokenExchange".into() }
    }

    #[test]
    fn what_differs_only_in_case_is_neither_the_same_nor_something_else() {
        let ours = claims("https://oidc.example/A/", "system:serviceaccount:payments:api");
        assert!(!ours.differs_only_in_case(&ours));
        assert!(ours.differs_only_in_case(&claims("https://oidc.example/a/", "system:serviceaccount:Payments:api")));
        assert!(!ours.differs_only_in_case(&claims("https://oidc.example/A", "system:serviceaccount:payments:api")));
        let audience = "api://azureadtokenexchange".to_owned();
        assert!(ours.differs_only_in_case(&Claims { audience, ..ours.clone() }));
    }

    #[test]
    fn an_account_has_the_subject_that_kubernetes_gives_it() {
        let of = Claims::of_account("https://oidc.example/", "payments", "api", "api://AzureADTokenExchange");
        assert_eq!(of, claims("https://oidc.example/", "system:serviceaccount:payments:api"));
    }

    #[test]
    fn the_mark_is_read_from_the_description() {
        let mark = Mark { owner: Owner::of("c", "n", "x"), sequence: Sequence(7), nonce: Nonce::of([7; 10]) };
        let described = |description: Option<String>| Federated {
            id: KeyId(uuid::Uuid::nil()),
            name: mark.federated_name(),
            claims: None,
            description,
        };
        assert_eq!(described(Some(mark.display_name("n", "x"))).mark(), Some(mark.clone()));
        assert_eq!(described(None).mark(), None, "a name alone is no mark");
    }

    proptest! {
        /// AZURE 1.5: 3 to 120 of these characters, the first a letter or a digit.
        #[test]
        fn a_name_has_the_form_that_entra_wants(sequence in 1_u32.., chance: [u8; 10], id in ".*") {
            let mark = Mark { owner: Owner::of(&id, "n", "x"), sequence: Sequence(sequence), nonce: Nonce::of(chance) };
            let name = mark.federated_name();
            prop_assert!((3..=120).contains(&name.len()));
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            prop_assert!(name.as_bytes()[0].is_ascii_alphanumeric());
        }
    }
}
