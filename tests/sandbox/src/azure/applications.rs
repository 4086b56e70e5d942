//! Applications, their credentials and their service principals, as a directory keeps them. Values and rules of one
//! application; what replicas know of it, and who may change it, is decided by others.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::certificates::{Certificate, Unsound};
use super::dice::Dice;
use super::federated::Unfit;
use crate::witness::Fingerprint;

/// AZURE 1.2: about so many entries in all collections of an application.
const MOST_ENTRIES: usize = 1_000;
/// AZURE 1.2: so many secrets, if personal accounts may sign in to it.
const MOST_PERSONAL: usize = 2;
/// AZURE 1.2: how long a secret lives if nobody says so; 730 days are two years to Entra.
const DEFAULT_LIFE: SignedDuration = SignedDuration::from_hours(730 * 24);

/// Whose accounts an application is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Audience {
    /// Those of its own tenant.
    #[default]
    #[serde(rename = "AzureADMyOrg")]
    MyOrg,
    /// Those of any tenant.
    #[serde(rename = "AzureADMultipleOrgs")]
    MultipleOrgs,
    /// Those of any tenant, and personal ones.
    #[serde(rename = "AzureADandPersonalMicrosoftAccount")]
    OrgsAndPersonal,
    /// Personal ones.
    #[serde(rename = "PersonalMicrosoftAccount")]
    PersonalOnly,
}

impl Audience {
    /// Whether personal accounts are among them, which has narrower limits.
    #[must_use]
    pub const fn is_personal(self) -> bool {
        matches!(self, Self::OrgsAndPersonal | Self::PersonalOnly)
    }
}

/// An application.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// The object ID, which only Graph uses.
    pub object_id: Uuid,
    /// The application (client) ID.
    pub client_id: Uuid,
    /// Its name.
    pub display_name: String,
    /// Whose accounts it is for.
    pub audience: Audience,
    /// When it was registered.
    pub created: Timestamp,
    /// The object IDs of the service principals that own it.
    pub owners: Vec<Uuid>,
    /// Its secrets.
    pub passwords: Vec<Password>,
    /// Its certificates, in the order in which they were written.
    pub certificates: Vec<Certificate>,
    /// Whether it was disabled.
    pub disabled: bool,
    /// Whatever else was written to it: `description`, `notes`, `tags`, …
    pub properties: Map<String, Value>,
}

/// A client secret.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Password {
    /// Its ID.
    pub key_id: Uuid,
    /// Its name.
    pub display_name: Option<String>,
    /// From when on it is good.
    pub start: Timestamp,
    /// Until when.
    pub end: Timestamp,
    /// The value. (Entra keeps what it needs to recognise it; the ledger searches for it.)
    #[serde(skip)]
    pub value: String,
    /// What is told of the value.
    #[serde(serialize_with = "in_digits")]
    pub fingerprint: Fingerprint,
}

/// What somebody wants of a new secret.
#[derive(Clone, Debug, Default)]
pub struct NewPassword {
    /// Its name.
    pub display_name: Option<String>,
    /// From when on it is good; by default from now on.
    pub start: Option<Timestamp>,
    /// Until when; by default for two years.
    pub end: Option<Timestamp>,
}

/// A service principal: what an application is in a tenant.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Principal {
    /// Its object ID.
    pub object_id: Uuid,
    /// The application's client ID.
    pub client_id: Uuid,
    /// Its name.
    pub display_name: String,
    /// Whether it may sign in at all.
    pub enabled: bool,
    /// Whether Conditional Access blocks it.
    pub blocked: bool,
    /// The application permissions in Graph that it was granted: `Application.ReadWrite.OwnedBy`, …
    pub roles: Vec<String>,
}

/// What a tenant forbids about new credentials (AZURE 1.8). What exists already is left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// No new secrets at all.
    pub passwords_banned: bool,
    /// The longest life of a new secret.
    pub longest_life: Option<SignedDuration>,
    /// The longest life of a new certificate.
    pub longest_certificate_life: Option<SignedDuration>,
}

/// Why a directory does not do what it is asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such object, or the replica has not heard of it.
    NoSuchObject,
    /// There is no such secret, or the replica has not heard of it.
    NoSuchKey(Uuid),
    /// There is no federated credential that is called so, or the replica has not heard of it.
    NoSuchFederated(String),
    /// A federated credential cannot be like this.
    Unfit(Unfit),
    /// A list of certificates cannot be like this.
    Unsound(Unsound),
    /// Somebody else writes to the same application, or has just done so.
    Concurrency,
    /// So many secrets are more than an application for personal accounts may have.
    TooManyPasswords(usize),
    /// The application has too many entries.
    TooLarge,
    /// A policy bans secrets.
    PasswordsBanned,
    /// A policy allows no credential of this life.
    LifeTooLong,
    /// A secret would end before it begins, or has ended already.
    BadEnd,
}

/// A fingerprint in JSON.
pub(super) fn in_digits<S: Serializer>(fingerprint: &Fingerprint, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(fingerprint)
}

impl Password {
    /// The first three characters of the value (AZURE 1.2).
    #[must_use]
    pub fn hint(&self) -> &str {
        self.value.get(..3).unwrap_or_default()
    }

    /// Whether it is good at a time.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.start <= now && now < self.end
    }
}

impl Application {
    /// Makes a secret, if the limits and the tenant's policies allow it. It is not added yet.
    pub(crate) fn new_password(
        &self,
        wanted: NewPassword,
        policies: Policies,
        now: Timestamp,
        dice: &mut Dice,
    ) -> Result<Password, Refusal> {
        let start = wanted.start.unwrap_or(now);
        let end = wanted.end.unwrap_or(start + DEFAULT_LIFE);
        if policies.passwords_banned {
            return Err(Refusal::PasswordsBanned);
        }
        if policies.longest_life.is_some_and(|longest| end.duration_since(start) > longest) {
            return Err(Refusal::LifeTooLong);
        }
        if end <= start || end <= now {
            return Err(Refusal::BadEnd);
        }
        let count = self.passwords.len() + 1;
        if self.audience.is_personal() && count > MOST_PERSONAL {
            return Err(Refusal::TooManyPasswords(count));
        }
        if self.entries() >= MOST_ENTRIES {
            return Err(Refusal::TooLarge);
        }
        let value = dice.secret();
        let fingerprint = Fingerprint::of(&value);
        Ok(Password { key_id: dice.uuid(), display_name: wanted.display_name, start, end, value, fingerprint })
    }

    /// Whether it has more entries than it can have.
    pub(crate) fn is_too_large(&self) -> bool {
        self.entries() > MOST_ENTRIES
    }

    /// How many entries all its collections have.
    fn entries(&self) -> usize {
        let collections = self.properties.values().filter_map(Value::as_array).map(Vec::len).sum::<usize>();
        self.passwords.len() + self.certificates.len() + self.owners.len() + collections
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn application(audience: Audience, passwords: usize) -> Application {
        let mut application = Application {
            object_id: Uuid::from_u128(1),
            client_id: Uuid::from_u128(2),
            display_name: "payments".into(),
            audience,
            created: noon(),
            owners: vec![],
            passwords: vec![],
            certificates: vec![],
            disabled: false,
            properties: Map::new(),
        };
        for _ in 0..passwords {
            let password = add(&application, NewPassword::default(), Policies::default()).unwrap();
            application.passwords.push(password);
        }
        application
    }

    fn add(application: &Application, wanted: NewPassword, policies: Policies) -> Result<Password, Refusal> {
        application.new_password(wanted, policies, noon(), &mut Dice::new(1))
    }

    fn for_days(days: i64) -> NewPassword {
        NewPassword { end: Some(noon() + SignedDuration::from_hours(24 * days)), ..NewPassword::default() }
    }

    /// AZURE 1.2: start is now and the end two years later, the hint the first three characters.
    #[test]
    fn a_secret_has_defaults_and_a_hint() {
        let password = add(&application(Audience::MyOrg, 0), NewPassword::default(), Policies::default()).unwrap();
        assert_eq!((password.start, password.end.to_string().as_str()), (noon(), "2028-11-20T12:00:00Z"));
        assert_eq!(password.hint(), &password.value[..3]);
        assert_eq!(password.fingerprint, Fingerprint::of(&password.value));
    }

    /// AZURE 1.2: two secrets where personal accounts sign in, no limit but the size elsewhere.
    #[test]
    fn applications_for_personal_accounts_have_two_secrets() {
        let third = add(&application(Audience::OrgsAndPersonal, 2), NewPassword::default(), Policies::default());
        assert_eq!(third.unwrap_err(), Refusal::TooManyPasswords(3));
        let policies = Policies::default();
        assert!(add(&application(Audience::MultipleOrgs, 2), NewPassword::default(), policies).is_ok());
        let full = application(Audience::MyOrg, MOST_ENTRIES);
        assert_eq!(add(&full, NewPassword::default(), policies).unwrap_err(), Refusal::TooLarge);
    }

    /// AZURE 1.8: policies speak when a secret is added.
    #[test]
    fn policies_forbid_new_secrets_or_long_ones() {
        let application = application(Audience::MyOrg, 1);
        let banned = Policies { passwords_banned: true, ..Policies::default() };
        assert_eq!(add(&application, for_days(1), banned).unwrap_err(), Refusal::PasswordsBanned);
        let short = Policies { longest_life: Some(SignedDuration::from_hours(24 * 90)), ..Policies::default() };
        assert!(add(&application, for_days(90), short).is_ok());
        assert_eq!(add(&application, for_days(91), short).unwrap_err(), Refusal::LifeTooLong);
        assert_eq!(add(&application, for_days(0), Policies::default()).unwrap_err(), Refusal::BadEnd);
    }
}
