//! Who may do what in a vault (AZURE 6): actions, the roles that are made of them, and grants that become known in time
//! (AZURE 3: role changes take minutes). It decides, and says nothing to whoever asks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::azure::dice::Dice;
use crate::azure::replicas::{Lag, Replicated};

/// How many parts of a vault learn of grants, each in its own time.
const REPLICAS: usize = 3;

/// What can be done to secrets, to certificates, and to the keys that come with those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Read a value.
    Get,
    /// Read everything but values.
    List,
    /// Write a new version.
    Set,
    /// Change what is written about a version.
    Update,
    /// Delete.
    Delete,
    /// Recover what was deleted.
    Recover,
    /// Take away for good what was deleted.
    Purge,
    /// Read a certificate, without its private key.
    GetCertificate,
    /// Read a list of certificates.
    ListCertificates,
    /// Write a new version of a certificate that was made elsewhere.
    ImportCertificate,
    /// Change what is written about a version of a certificate.
    UpdateCertificate,
    /// Delete a certificate, with its secret and its key.
    DeleteCertificate,
    /// Recover a certificate that was deleted.
    RecoverCertificate,
    /// Take a deleted certificate away for good.
    PurgeCertificate,
    /// Read the public half of a key.
    GetKey,
}

impl Action {
    /// Everything that can be done to secrets.
    pub const SECRETS: [Self; 7] =
        [Self::Get, Self::List, Self::Set, Self::Update, Self::Delete, Self::Recover, Self::Purge];
    /// Everything that can be done to certificates.
    pub const CERTIFICATES: [Self; 7] = [
        Self::GetCertificate,
        Self::ListCertificates,
        Self::ImportCertificate,
        Self::UpdateCertificate,
        Self::DeleteCertificate,
        Self::RecoverCertificate,
        Self::PurgeCertificate,
    ];

    /// How roles call it; whoever may read certificates may list them.
    pub(super) const fn data_action(self) -> &'static str {
        match self {
            Self::Get => "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            Self::List => "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
            Self::Set => "Microsoft.KeyVault/vaults/secrets/setSecret/action",
            Self::Update => "Microsoft.KeyVault/vaults/secrets/update/action",
            Self::Delete => "Microsoft.KeyVault/vaults/secrets/delete",
            Self::Recover => "Microsoft.KeyVault/vaults/secrets/recover/action",
            Self::Purge => "Microsoft.KeyVault/vaults/secrets/purge/action",
            Self::GetCertificate | Self::ListCertificates => "Microsoft.KeyVault/vaults/certificates/read",
            Self::ImportCertificate => "Microsoft.KeyVault/vaults/certificates/import/action",
            Self::UpdateCertificate => "Microsoft.KeyVault/vaults/certificates/update/action",
            Self::DeleteCertificate => "Microsoft.KeyVault/vaults/certificates/delete",
            Self::RecoverCertificate => "Microsoft.KeyVault/vaults/certificates/recover/action",
            Self::PurgeCertificate => "Microsoft.KeyVault/vaults/certificates/purge/action",
            Self::GetKey => "Microsoft.KeyVault/vaults/keys/read",
        }
    }

    /// How access policies call it.
    pub(super) const fn permission(self) -> &'static str {
        match self {
            Self::Get | Self::GetCertificate | Self::GetKey => "get",
            Self::List | Self::ListCertificates => "list",
            Self::Set | Self::Update => "set",
            Self::ImportCertificate => "import",
            Self::UpdateCertificate => "update",
            Self::Delete | Self::DeleteCertificate => "delete",
            Self::Recover | Self::RecoverCertificate => "recover",
            Self::Purge | Self::PurgeCertificate => "purge",
        }
    }
}

/// A role that Azure has for secrets and certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Key Vault Secrets Officer (b86a8fe4-44ce-4948-aee5-eccb2c155cd7): everything with secrets, and nothing with
    /// certificates.
    SecretsOfficer,
    /// Key Vault Secrets User (4633458b-17de-408a-b874-0445c86b69e6): reading secrets, those of certificates included.
    SecretsUser,
    /// Key Vault Certificates Officer (a4417e6f-fecd-4de8-b567-7b0420556985): everything with certificates, and nothing
    /// with their secrets.
    CertificatesOfficer,
    /// Key Vault Certificate User (db79e9a7-68ee-4b58-9aeb-b90e7c24fcba): reading certificates with all that is theirs.
    CertificateUser,
}

impl Role {
    /// What it allows.
    #[must_use]
    pub const fn actions(self) -> &'static [Action] {
        match self {
            Self::SecretsOfficer => &Action::SECRETS,
            Self::SecretsUser => &[Action::Get, Action::List],
            Self::CertificatesOfficer => &Action::CERTIFICATES,
            Self::CertificateUser => {
                &[Action::GetCertificate, Action::ListCertificates, Action::Get, Action::List, Action::GetKey]
            }
        }
    }
}

/// How a vault knows who may do what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Access {
    /// By role assignments.
    #[default]
    Roles,
    /// By the vault's own access policies, as older vaults do.
    Policies,
}

/// From where a vault can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Network {
    /// From anywhere.
    #[default]
    Open,
    /// From addresses that are not ours.
    Firewall,
    /// By private links only.
    Private,
}

/// What somebody may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The object ID of the service principal.
    pub principal: Uuid,
    /// What it may do.
    pub actions: Vec<Action>,
    /// To the secret of this name only, or to the certificate of this name, whichever the actions are about.
    pub secret: Option<String>,
}

impl Grant {
    /// A role, for the whole vault or for what has one name.
    #[must_use]
    pub fn role(principal: Uuid, role: Role, secret: Option<&str>) -> Self {
        Self { principal, actions: role.actions().to_vec(), secret: secret.map(str::to_owned) }
    }

    /// Whether it is about a secret; nothing means the vault as a whole.
    fn covers(&self, secret: Option<&str>) -> bool {
        match (&self.secret, secret) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(granted), Some(secret)) => granted.eq_ignore_ascii_case(secret),
        }
    }
}

/// The grants in a vault, and who has heard of which.
#[derive(Debug)]
pub(super) struct Grants {
    truth: Vec<Grant>,
    known: Replicated<Vec<Grant>>,
}

impl Default for Grants {
    fn default() -> Self {
        Self { truth: vec![], known: Replicated::unheard_of(REPLICAS) }
    }
}

impl Grants {
    pub(super) fn all(&self) -> &[Grant] {
        &self.truth
    }

    pub(super) fn add(&mut self, grant: Grant, lag: Lag, now: Timestamp, dice: &mut Dice) {
        self.truth.push(grant);
        self.known.change(self.truth.clone(), now, lag, dice);
    }

    /// Takes everything away that somebody was granted.
    pub(super) fn revoke(&mut self, principal: Uuid, lag: Lag, now: Timestamp, dice: &mut Dice) {
        self.truth.retain(|grant| grant.principal != principal);
        self.known.change(self.truth.clone(), now, lag, dice);
    }

    /// Whether somebody may do something to a secret, or to the vault as a whole, as far as is known where it is asked.
    pub(super) fn allow(
        &self,
        principal: Uuid,
        action: Action,
        secret: Option<&str>,
        now: Timestamp,
        dice: &mut Dice,
    ) -> bool {
        let known = self.known.any(now, dice).map(Vec::as_slice).unwrap_or_default();
        let mut of_them = known.iter().filter(|grant| grant.principal == principal && grant.covers(secret));
        of_them.any(|grant| grant.actions.contains(&action))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const PAYMENTS: Uuid = Uuid::from_u128(1);
    const MINUTES: Lag = Lag { least: SignedDuration::from_mins(1), most: SignedDuration::from_mins(5) };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    /// How many of 60 tries are allowed.
    fn allowed(grants: &Grants, action: Action, secret: Option<&str>, second: i64) -> usize {
        let mut dice = Dice::new(7);
        (0..60).filter(|_| grants.allow(PAYMENTS, action, secret, at(second), &mut dice)).count()
    }

    fn granted(role: Role, secret: Option<&str>, lag: Lag) -> Grants {
        let mut grants = Grants::default();
        grants.add(Grant::role(PAYMENTS, role, secret), lag, at(0), &mut Dice::new(1));
        grants
    }

    /// AZURE 6: Secrets Officer writes, Secrets User reads.
    #[test]
    fn roles_are_what_azure_says() {
        let officer = granted(Role::SecretsOfficer, None, Lag::NONE);
        assert!(Action::SECRETS.into_iter().all(|action| allowed(&officer, action, Some("a"), 0) == 60));
        let user = granted(Role::SecretsUser, None, Lag::NONE);
        let may = Action::SECRETS.into_iter().filter(|action| allowed(&user, *action, Some("a"), 0) > 0);
        assert_eq!(may.collect::<Vec<_>>(), [Action::Get, Action::List]);
        let mut dice = Dice::new(1);
        assert!(!user.allow(Uuid::from_u128(2), Action::Get, None, at(0), &mut dice), "somebody else");
    }

    /// Roles are about one of the three that a certificate is; Certificate User reads all of them.
    #[test]
    fn who_may_write_secrets_may_not_write_certificates_and_the_other_way_round() {
        let may = |role, action| allowed(&granted(role, None, Lag::NONE), action, Some("a"), 0) == 60;
        assert!(Action::CERTIFICATES.into_iter().all(|action| may(Role::CertificatesOfficer, action)));
        assert!(!Action::SECRETS.into_iter().any(|action| may(Role::CertificatesOfficer, action)));
        assert!(!Action::CERTIFICATES.into_iter().any(|action| may(Role::SecretsOfficer, action)));
        assert!(may(Role::CertificateUser, Action::Get) && may(Role::CertificateUser, Action::GetKey));
        assert!(!may(Role::CertificateUser, Action::ImportCertificate));
    }

    /// AZURE 6: a role can be scoped to one secret.
    #[test]
    fn a_role_for_one_secret_is_for_that_one() {
        let grants = granted(Role::SecretsOfficer, Some("payments-api"), Lag::NONE);
        assert_eq!(allowed(&grants, Action::Set, Some("Payments-API"), 0), 60);
        assert_eq!(allowed(&grants, Action::Set, Some("payments-api-2"), 0), 0);
        assert_eq!(allowed(&grants, Action::List, None, 0), 0, "the list of all is the vault's");
    }

    /// AZURE 3: role changes take minutes, and meanwhile some know and some do not; so do revocations.
    #[test]
    fn grants_and_revocations_become_known_in_time() {
        let mut grants = granted(Role::SecretsUser, None, MINUTES);
        let tried = |grants: &Grants, second| allowed(grants, Action::Get, Some("a"), second);
        assert_eq!((tried(&grants, 59), tried(&grants, 300)), (0, 60));
        assert!((60..300).any(|second| (1..60).contains(&tried(&grants, second))), "by turns");
        grants.revoke(PAYMENTS, MINUTES, at(1_000), &mut Dice::new(1));
        assert!(grants.all().is_empty());
        assert_eq!((tried(&grants, 1_059), tried(&grants, 1_300)), (60, 0));
    }
}
