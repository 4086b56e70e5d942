//! Vaults: what each is set to, who may do what in it, its secrets and certificates, how much it was asked lately, and its log. One lock
//! holds them all, so that each request sees and leaves them whole. Time is an argument, and there is no I/O.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::access::{Access, Grants, Network};
use super::asked::Collection;
use super::bounds;
use super::certificates::Imported;
use super::log::{SecretChange, SecretWhat};
use super::refusal::Refusal;
use super::secrets::{Secret, SecretEdit, SecretValue, Secrets, Version};
use crate::azure::dice::Dice;
use crate::azure::log::Actor;
use crate::azure::quotas::Limit;
use crate::azure::replicas::Lag;

/// AZURE 3: role changes take "several minutes".
const ROLE_LAG: Lag = Lag { least: SignedDuration::from_mins(1), most: SignedDuration::from_mins(5) };
/// AZURE 6: a deletion is in progress for some seconds.
const DELETION_LAG: Lag = Lag { least: SignedDuration::from_secs(5), most: SignedDuration::from_secs(20) };
/// AZURE 6: a recovered secret cannot be written to for some seconds.
const RECOVERY_LAG: Lag = Lag { least: SignedDuration::from_secs(5), most: SignedDuration::from_secs(30) };
/// What dice are thrown for here: the name of Key Vault among applications.
const DICE: Uuid = Uuid::from_u128(0xcfa8_b339_82a2_471a_a3c9_0fc0_be7a_4093);

/// How a vault is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultSettings {
    /// How it knows who may do what.
    pub access: Access,
    /// From where it can be reached.
    pub network: Network,
    /// Whether nobody can purge what is deleted.
    pub purge_protected: bool,
    /// For how many days what is deleted can be recovered: 7 to 90.
    pub recoverable_days: u8,
    /// How long names and values of tags may be: 512, as AZURE 6 has it, or 256, as older documents do.
    pub longest_tag: usize,
    /// How long role assignments take to become known.
    pub role_lag: Lag,
    /// How long a deletion takes.
    pub deletion_lag: Lag,
    /// How long a recovery takes: after the least of it the secret can be read, and later written to.
    pub recovery_lag: Lag,
    /// How many new versions there may be.
    pub creates: Limit,
    /// How many other requests there may be.
    pub others: Limit,
}

impl VaultSettings {
    fn scaled(scale: f64) -> Self {
        Self {
            access: Access::Roles,
            network: Network::Open,
            purge_protected: false,
            recoverable_days: 90,
            longest_tag: 512,
            role_lag: ROLE_LAG.scaled(scale),
            deletion_lag: DELETION_LAG.scaled(scale),
            recovery_lag: RECOVERY_LAG.scaled(scale),
            creates: Limit::new(300, SignedDuration::from_secs(10)),
            others: Limit::new(4_000, SignedDuration::from_secs(10)),
        }
    }

    /// What a secret's attributes call this.
    pub(super) const fn recovery_level(&self) -> &'static str {
        match (self.purge_protected, self.recoverable_days < 90) {
            (false, false) => "Recoverable+Purgeable",
            (false, true) => "CustomizedRecoverable+Purgeable",
            (true, false) => "Recoverable",
            (true, true) => "CustomizedRecoverable",
        }
    }
}

/// A vault.
#[derive(Debug)]
pub(crate) struct Vault {
    pub(super) name: String,
    pub(super) tenant: Uuid,
    pub(super) settings: VaultSettings,
    pub(super) grants: Grants,
    pub(super) secrets: Secrets,
    pub(super) log: Vec<SecretChange>,
    /// Every value with a private key that was ever stored.
    pub(super) private: Vec<SecretValue>,
    creates: Window,
    others: Window,
}

/// Who does something, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    pub(super) actor: Actor,
    pub(super) now: Timestamp,
}

impl Vault {
    fn new(name: String, tenant: Uuid, settings: VaultSettings) -> Self {
        Self {
            name,
            tenant,
            settings,
            grants: Grants::default(),
            secrets: Secrets::default(),
            log: vec![],
            private: vec![],
            creates: Window::default(),
            others: Window::default(),
        }
    }

    /// Counts a request, unless it is one too many (AZURE 2: requests that are refused so do not count).
    pub(super) fn admits(&mut self, creates: bool, now: Timestamp) -> bool {
        if creates {
            self.creates.admits(self.settings.creates, now)
        } else {
            self.others.admits(self.settings.others, now)
        }
    }

    /// Stores a new version.
    pub(super) fn put(
        &mut self,
        name: &str,
        value: String,
        edit: SecretEdit,
        by: By,
        dice: &mut Dice,
    ) -> Result<(&Secret, &Version), Refusal> {
        self.check(&edit)?;
        if !bounds::is_value(&value) {
            return Err(Refusal::BadProperty);
        }
        let id = dice.uuid().simple().to_string();
        let (secret, version) = self.secrets.put(name, id.clone(), value, edit, by.now)?;
        self.private.extend(version.value.has_private_key().then(|| version.value.clone()));
        let what = SecretWhat::Stored { version: id, fingerprint: version.fingerprint() };
        note(&mut self.log, &self.name, secret, what, by);
        Ok((secret, version))
    }

    /// Stores a new version of a certificate, with its secret and its key.
    pub(super) fn import(
        &mut self,
        name: &str,
        imported: Imported,
        edit: SecretEdit,
        by: By,
        dice: &mut Dice,
    ) -> Result<(&Secret, &Version), Refusal> {
        self.check(&edit)?;
        let id = dice.uuid().simple().to_string();
        let (secret, version) = self.secrets.import(name, id.clone(), imported, edit, by.now)?;
        self.private.extend(version.value.has_private_key().then(|| version.value.clone()));
        let what = SecretWhat::Stored { version: id, fingerprint: version.fingerprint() };
        note(&mut self.log, &self.name, secret, what, by);
        Ok((secret, version))
    }

    /// Changes what is written about a version.
    pub(super) fn edit(
        &mut self,
        of: Collection,
        name: &str,
        id: Option<&str>,
        edit: SecretEdit,
        by: By,
    ) -> Result<(&Secret, &Version), Refusal> {
        self.check(&edit)?;
        self.secrets.is_of(of, name, "update")?;
        let (secret, version) = self.secrets.edit(name, id, edit, by.now)?;
        let what = SecretWhat::Edited { version: version.id.clone(), enabled: version.enabled };
        note(&mut self.log, &self.name, secret, what, by);
        Ok((secret, version))
    }

    /// Deletes a secret with all its versions.
    pub(super) fn delete(&mut self, of: Collection, name: &str, by: By, dice: &mut Dice) -> Result<&Secret, Refusal> {
        self.secrets.is_of(of, name, "delete")?;
        let VaultSettings { deletion_lag: lag, recoverable_days, .. } = self.settings;
        let done = by.now + dice.between(lag.least, lag.most);
        let purge = by.now + SignedDuration::from_hours(24 * i64::from(recoverable_days));
        let secret = self.secrets.delete(name, done, purge, by.now)?;
        note(&mut self.log, &self.name, secret, SecretWhat::Deleted, by);
        Ok(secret)
    }

    /// Recovers a secret with all its versions.
    pub(super) fn recover(&mut self, of: Collection, name: &str, by: By, dice: &mut Dice) -> Result<&Secret, Refusal> {
        self.secrets.is_of(of, name, "recover")?;
        let Lag { least, most } = self.settings.recovery_lag;
        let (readable, writable) = (by.now + least, by.now + dice.between(least, most));
        let secret = self.secrets.recover(name, readable, writable, by.now)?;
        note(&mut self.log, &self.name, secret, SecretWhat::Recovered, by);
        Ok(secret)
    }

    /// Takes a deleted secret away for good.
    pub(super) fn purge(&mut self, of: Collection, name: &str, by: By) -> Result<(), Refusal> {
        self.secrets.is_of(of, name, "purge")?;
        if self.settings.purge_protected {
            return Err(Refusal::PurgeProtected);
        }
        let secret = self.secrets.purge(name, by.now)?;
        note(&mut self.log, &self.name, &secret, SecretWhat::Purged, by);
        Ok(())
    }

    fn check(&self, edit: &SecretEdit) -> Result<(), Refusal> {
        let content_type = edit.content_type.as_deref().is_none_or(bounds::is_content_type);
        let tags = edit.tags.as_ref().is_none_or(|tags| bounds::are_tags(tags, self.settings.longest_tag));
        if content_type && tags { Ok(()) } else { Err(Refusal::BadProperty) }
    }
}

fn note(log: &mut Vec<SecretChange>, vault: &str, secret: &Secret, what: SecretWhat, by: By) {
    let (vault, name) = (vault.to_owned(), secret.name.clone());
    log.push(SecretChange { time: by.now, vault, name, by: by.actor, what });
}

/// What was asked lately, the oldest first.
#[derive(Debug, Default)]
struct Window(VecDeque<Timestamp>);

impl Window {
    fn admits(&mut self, limit: Limit, now: Timestamp) -> bool {
        while self.0.front().is_some_and(|&time| time + limit.per <= now) {
            self.0.pop_front();
        }
        let admitted = u32::try_from(self.0.len()).is_ok_and(|count| count < limit.most);
        if admitted {
            self.0.push_back(now);
        }
        admitted
    }
}

/// All vaults.
#[derive(Debug)]
pub(crate) struct Vaults {
    state: Mutex<State>,
    /// The token endpoint for a custom cloud.
    pub(super) authority: String,
}

#[derive(Debug)]
pub(super) struct State {
    /// By their names in small letters.
    pub(super) vaults: BTreeMap<String, Vault>,
    pub(super) dice: Dice,
    settings: VaultSettings,
}

impl Vaults {
    pub(crate) fn new(scale: f64, seed: u64, authority: String) -> Self {
        let settings = VaultSettings::scaled(scale);
        let state = State { vaults: BTreeMap::new(), dice: Dice::of(seed, DICE), settings };
        Self { state: Mutex::new(state), authority }
    }

    /// Whether there is a vault of which this is the host.
    pub(crate) fn exists(&self, host: &str) -> bool {
        self.lock().vaults.contains_key(host.split('.').next().unwrap_or_default())
    }

    /// Every change leaves them whole, so a panic elsewhere does not spoil them.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds a vault; whether there was none of this name.
    pub(super) fn add(&mut self, name: &str, tenant: Uuid) -> bool {
        let name = name.to_ascii_lowercase();
        let is_free = !self.vaults.contains_key(&name);
        if is_free {
            self.vaults.insert(name.clone(), Vault::new(name, tenant, self.settings));
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: Collection = Collection::Secrets;
    const BY: By = By { actor: Actor::Administrator, now: Timestamp::UNIX_EPOCH };

    fn vault() -> Vault {
        Vault::new("kv-payments".into(), Uuid::nil(), VaultSettings::scaled(1.0))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// AZURE 2: 300 creates and 4,000 others in 10 seconds, per vault; what is refused does not count.
    #[test]
    fn a_vault_admits_so_much_and_forgets_what_it_refused() {
        let mut vault = vault();
        assert!((0..300).all(|_| vault.admits(true, at(0))));
        assert!((0..4_000).all(|_| vault.admits(false, at(1))), "others are counted apart");
        assert!(!vault.admits(false, at(2)));
        assert!((0..500).all(|_| !vault.admits(true, at(9))));
        assert!((0..300).all(|_| vault.admits(true, at(10))), "as if those 500 had never been");
    }

    /// AZURE 6: what does not fit changes nothing.
    #[test]
    fn what_does_not_fit_is_refused() {
        let (mut vault, mut dice) = (vault(), Dice::new(1));
        let tags = |length| Some(BTreeMap::from([("t".repeat(length), String::new())]));
        let tagged = |length| SecretEdit { tags: tags(length), ..SecretEdit::default() };
        vault.settings.longest_tag = 256;
        for (value, edit) in [
            ("v".repeat(25_601), SecretEdit::default()),
            ("v".into(), tagged(257)),
            ("v".into(), SecretEdit { content_type: Some("c".repeat(256)), ..SecretEdit::default() }),
        ] {
            assert_eq!(vault.put("a", value, edit, BY, &mut dice).err(), Some(Refusal::BadProperty));
        }
        assert!(vault.log.is_empty() && vault.secrets.everything().count() == 0);
        assert!(vault.put("a", "v".repeat(25_600), tagged(256), BY, &mut dice).is_ok());
    }

    /// AZURE 6: purge protection and the days that what is deleted can be recovered are told by the level.
    #[test]
    fn a_protected_vault_purges_nothing() {
        let (mut vault, mut dice) = (vault(), Dice::new(1));
        vault.settings.deletion_lag = Lag::NONE;
        assert_eq!(vault.settings.recovery_level(), "Recoverable+Purgeable");
        (vault.settings.purge_protected, vault.settings.recoverable_days) = (true, 7);
        assert_eq!(vault.settings.recovery_level(), "CustomizedRecoverable");
        vault.put("a", "v".into(), SecretEdit::default(), BY, &mut dice).unwrap();
        let deletion = vault.delete(SECRETS, "a", BY, &mut dice).unwrap().deletion().unwrap();
        assert_eq!(deletion.purge, at(7 * 24 * 60 * 60));
        assert_eq!(vault.purge(SECRETS, "a", BY), Err(Refusal::PurgeProtected));
    }

    /// Every change is in the log, with fingerprints, never with values.
    #[test]
    fn every_change_is_in_the_log() {
        let (mut vault, mut dice) = (vault(), Dice::new(1));
        (vault.settings.deletion_lag, vault.settings.recovery_lag) = (Lag::NONE, Lag::NONE);
        vault.put("a", "hidden".into(), SecretEdit::default(), BY, &mut dice).unwrap();
        let off = SecretEdit { enabled: Some(false), ..SecretEdit::default() };
        vault.edit(SECRETS, "a", None, off, BY).unwrap();
        vault.delete(SECRETS, "a", BY, &mut dice).unwrap();
        vault.recover(SECRETS, "a", BY, &mut dice).unwrap();
        vault.delete(SECRETS, "a", BY, &mut dice).unwrap();
        vault.purge(SECRETS, "a", BY).unwrap();
        let told = vault.log.iter().map(|change| serde_json::to_value(&change.what).unwrap());
        let told: Vec<String> = told.map(|what| what.to_string()).collect();
        let version = vault.log.iter().find_map(|change| match &change.what {
            SecretWhat::Stored { version, .. } => Some(version.clone()),
            _ => None,
        });
        let (version, fingerprint) = (version.unwrap(), crate::witness::Fingerprint::of("hidden"));
        assert_eq!(
            told,
            [
                format!(r#"{{"stored":{{"fingerprint":"{fingerprint}","version":"{version}"}}}}"#),
                format!(r#"{{"edited":{{"enabled":false,"version":"{version}"}}}}"#),
                r#""deleted""#.into(),
                r#""recovered""#.into(),
                r#""deleted""#.into(),
                r#""purged""#.into(),
            ]
        );
        assert!(!format!("{vault:?}").contains("hidden"));
    }
}
