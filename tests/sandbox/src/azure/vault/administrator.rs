//! What a person with a portal does to vaults: create them, grant, set firewalls; put, disable, delete, recover and
//! purge secrets and certificates by hand; and what only a sandbox's master does: look at everything. Over HTTP, each route is a method
//! of [`Azure`]. It answers no request of a client.

use std::collections::BTreeMap;

use anyhow::Context;
use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::asked::Collection;
use super::bounds;
use super::certificates::Imported;
use super::refusal::Refusal;
use super::secrets::SecretEdit;
use super::vaults::{By, State, Vault};
use super::{Access, Action, Grant, Network, Role, SecretChange, VaultSettings};
use crate::azure::Azure;
use crate::azure::dice::Dice;
use crate::azure::log::Actor;
use crate::azure::replicas::Lag;

impl Azure {
    /// Creates a vault in a tenant. It is open, and nobody may do anything in it.
    pub fn seed_vault(&self, tenant: Uuid, name: &str) -> anyhow::Result<()> {
        anyhow::ensure!(
            bounds::is_vault_name(name),
            "no vault can be called {name:?}: 3 to 24 letters, digits and dashes"
        );
        self.in_tenant(tenant, |_| ())?;
        anyhow::ensure!(
            self.0.room.vaults.lock().add(name, tenant),
            "there is a vault {name} already: choose another name"
        );
        Ok(())
    }

    /// Changes how a vault is set: its firewall, its limits, how slow it is.
    pub fn edit_vault(&self, vault: &str, edit: impl FnOnce(&mut VaultSettings)) -> anyhow::Result<()> {
        self.in_vault(vault, |vault, _| edit(&mut vault.settings))
    }

    /// Grants something in a vault; it becomes known in time.
    pub fn grant(&self, vault: &str, grant: Grant) -> anyhow::Result<()> {
        self.in_vault(vault, |vault, dice| {
            let lag = role_lag(vault);
            vault.grants.add(grant, lag, Timestamp::now(), dice);
        })
    }

    /// Grants something in a vault that is known of old.
    pub fn seed_grant(&self, vault: &str, grant: Grant) -> anyhow::Result<()> {
        self.in_vault(vault, |vault, dice| vault.grants.add(grant, Lag::NONE, Timestamp::now(), dice))
    }

    /// Takes away whatever a service principal was granted in a vault; that becomes known in time.
    pub fn revoke(&self, vault: &str, principal: Uuid) -> anyhow::Result<()> {
        self.in_vault(vault, |vault, dice| {
            let lag = role_lag(vault);
            vault.grants.revoke(principal, lag, Timestamp::now(), dice);
        })
    }

    /// Puts a secret into a vault by hand. The answer is its version.
    pub fn put_secret(&self, vault: &str, name: &str, value: &str, edit: SecretEdit) -> anyhow::Result<String> {
        self.by_hand(Collection::Secrets, "put", vault, name, |vault, by, dice| {
            vault.put(name, value.to_owned(), edit, by, dice).map(|(_, version)| version.id.clone())
        })
    }

    /// Changes what is written about a version of a secret by hand, by default the latest: disables it, edits tags.
    pub fn edit_secret(&self, vault: &str, name: &str, version: Option<&str>, edit: SecretEdit) -> anyhow::Result<()> {
        self.edit(Collection::Secrets, (vault, name), version, edit)
    }

    /// Deletes a secret by hand, which takes a while.
    pub fn delete_secret(&self, vault: &str, name: &str) -> anyhow::Result<()> {
        self.delete(Collection::Secrets, vault, name)
    }

    /// Recovers a deleted secret by hand, which takes a while.
    pub fn recover_secret(&self, vault: &str, name: &str) -> anyhow::Result<()> {
        self.recover(Collection::Secrets, vault, name)
    }

    /// Purges a deleted secret by hand.
    pub fn purge_secret(&self, vault: &str, name: &str) -> anyhow::Result<()> {
        self.purge(Collection::Secrets, vault, name)
    }

    /// Imports a certificate with its key, in PEM, by hand. The answer is its version.
    pub fn import_certificate(&self, vault: &str, name: &str, pem: &str, edit: SecretEdit) -> anyhow::Result<String> {
        self.by_hand(Collection::Certificates, "import", vault, name, |vault, by, dice| {
            let (imported, edit) = Imported::by_hand(pem, edit, by.now)?;
            vault.import(name, imported, edit, by, dice).map(|(_, version)| version.id.clone())
        })
    }

    /// Changes what is written about a version of a certificate by hand, by default the latest.
    pub fn edit_certificate(
        &self,
        vault: &str,
        name: &str,
        version: Option<&str>,
        edit: SecretEdit,
    ) -> anyhow::Result<()> {
        self.edit(Collection::Certificates, (vault, name), version, edit)
    }

    /// Deletes a certificate by hand, with its secret and its key, which takes a while.
    pub fn delete_certificate(&self, vault: &str, name: &str) -> anyhow::Result<()> {
        self.delete(Collection::Certificates, vault, name)
    }

    /// Recovers a deleted certificate by hand, which takes a while.
    pub fn recover_certificate(&self, vault: &str, name: &str) -> anyhow::Result<()> {
        self.recover(Collection::Certificates, vault, name)
    }

    /// Purges a deleted certificate by hand.
    pub fn purge_certificate(&self, vault: &str, name: &str) -> anyhow::Result<()> {
        self.purge(Collection::Certificates, vault, name)
    }

    fn edit(
        &self,
        of: Collection,
        (vault, name): (&str, &str),
        version: Option<&str>,
        edit: SecretEdit,
    ) -> anyhow::Result<()> {
        self.by_hand(of, "edit", vault, name, |vault, by, _| vault.edit(of, name, version, edit, by).map(drop))
    }

    fn delete(&self, of: Collection, vault: &str, name: &str) -> anyhow::Result<()> {
        self.by_hand(of, "delete", vault, name, |vault, by, dice| vault.delete(of, name, by, dice).map(drop))
    }

    fn recover(&self, of: Collection, vault: &str, name: &str) -> anyhow::Result<()> {
        self.by_hand(of, "recover", vault, name, |vault, by, dice| vault.recover(of, name, by, dice).map(drop))
    }

    fn purge(&self, of: Collection, vault: &str, name: &str) -> anyhow::Result<()> {
        self.by_hand(of, "purge", vault, name, |vault, by, _| vault.purge(of, name, by))
    }

    /// Every text with a private key that was ever stored in the vaults of a tenant.
    pub(in crate::azure) fn stored_keys(&self, tenant: Uuid) -> Vec<String> {
        let state = self.0.room.vaults.lock();
        let of_tenant = state.vaults.values().filter(|vault| vault.tenant == tenant);
        of_tenant.flat_map(|vault| vault.private.iter().map(|value| value.tell().to_owned())).collect()
    }

    /// Every change of a secret in the vaults of a tenant, each vault's in its order.
    #[must_use]
    pub fn secret_changes(&self, tenant: Uuid) -> Vec<SecretChange> {
        let state = self.0.room.vaults.lock();
        let of_tenant = state.vaults.values().filter(|vault| vault.tenant == tenant);
        of_tenant.flat_map(|vault| vault.log.clone()).collect()
    }

    /// Everything that is so in all vaults, without the values of secrets.
    #[must_use]
    pub fn inspect_vaults(&self) -> Value {
        self.0.room.vaults.lock().vaults.values().map(|vault| json!(vault.told())).collect()
    }

    fn in_vault<T>(&self, name: &str, act: impl FnOnce(&mut Vault, &mut Dice) -> T) -> anyhow::Result<T> {
        let mut state = self.0.room.vaults.lock();
        let State { vaults, dice, .. } = &mut *state;
        let vault = vaults.get_mut(&name.to_ascii_lowercase());
        let vault = vault.with_context(|| format!("there is no vault {name} in the sandbox: seed it first"))?;
        Ok(act(vault, dice))
    }

    fn by_hand<T>(
        &self,
        of: Collection,
        verb: &str,
        vault: &str,
        name: &str,
        act: impl FnOnce(&mut Vault, By, &mut Dice) -> Result<T, Refusal>,
    ) -> anyhow::Result<T> {
        let one = of.one().to_ascii_lowercase();
        anyhow::ensure!(bounds::is_name(name), "no {one} can be called {name:?}: 1 to 127 letters, digits and dashes");
        let by = By { actor: Actor::Administrator, now: Timestamp::now() };
        let done = self.in_vault(vault, |vault, dice| act(vault, by, dice))?;
        done.map_err(|refusal| anyhow::anyhow!("could not {verb} {one} {name} of vault {vault}: {refusal:?}"))
    }
}

/// Access policies are the vault's own, so that it knows of them at once.
const fn role_lag(vault: &Vault) -> Lag {
    match vault.settings.access {
        Access::Roles => vault.settings.role_lag,
        Access::Policies => Lag::NONE,
    }
}

/// A vault to create.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VaultSpec {
    tenant: Uuid,
    name: String,
}

/// What shall be changed about a vault; times are in milliseconds.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct SettingsSpec {
    access: Option<Access>,
    network: Option<Network>,
    purge_protected: Option<bool>,
    recoverable_days: Option<u8>,
    longest_tag: Option<usize>,
    role_lag: Option<[i64; 2]>,
    deletion_lag: Option<[i64; 2]>,
    recovery_lag: Option<[i64; 2]>,
    most_creates: Option<u32>,
    most_others: Option<u32>,
}

/// What shall be granted: a role, or single actions.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GrantSpec {
    principal: Uuid,
    role: Option<Role>,
    #[serde(default)]
    actions: Vec<Action>,
    secret: Option<String>,
    /// It becomes known in time; without, it is known of old.
    #[serde(default)]
    lagging: bool,
}

/// What a secret shall be like.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct SecretSpec {
    value: Option<String>,
    version: Option<String>,
    content_type: Option<String>,
    tags: Option<BTreeMap<String, String>>,
    enabled: Option<bool>,
}

/// What is answered to a request to the administrator about vaults, `segments` being what follows `/vaults`; nothing if
/// there is no such route.
pub(in crate::azure) fn act(
    azure: &Azure,
    method: &str,
    segments: &[&str],
    body: &Bytes,
) -> anyhow::Result<Option<Value>> {
    match (method, segments) {
        ("GET", []) => return Ok(Some(azure.inspect_vaults())),
        ("POST", []) => {
            let VaultSpec { tenant, name } = read(body)?;
            azure.seed_vault(tenant, &name)?;
        }
        ("PATCH", [vault]) => {
            let spec: SettingsSpec = read(body)?;
            azure.edit_vault(vault, |settings| spec.apply(settings))?;
        }
        ("POST", [vault, "grants"]) => add_grant(azure, vault, read(body)?)?,
        ("DELETE", [vault, "grants", principal]) => {
            let id = Uuid::try_parse(principal).with_context(|| format!("{principal:?} is no ID of a principal"))?;
            azure.revoke(vault, id)?;
        }
        (_, [vault, of @ ("secrets" | "certificates"), name, rest @ ..]) => {
            let of = if *of == "secrets" { Collection::Secrets } else { Collection::Certificates };
            return change(azure, of, method, (vault, name), rest, read(body)?);
        }
        _ => return Ok(None),
    }
    Ok(Some(json!({})))
}

fn add_grant(azure: &Azure, vault: &str, spec: GrantSpec) -> anyhow::Result<()> {
    let GrantSpec { principal, role, mut actions, secret, lagging } = spec;
    actions.extend(role.map(Role::actions).unwrap_or_default());
    let grant = Grant { principal, actions, secret };
    if lagging { azure.grant(vault, grant) } else { azure.seed_grant(vault, grant) }
}

fn change(
    azure: &Azure,
    of: Collection,
    method: &str,
    (vault, name): (&str, &str),
    rest: &[&str],
    spec: SecretSpec,
) -> anyhow::Result<Option<Value>> {
    let SecretSpec { value, version, content_type, tags, enabled } = spec;
    let edit = SecretEdit { content_type, tags, enabled, ..SecretEdit::default() };
    match (method, rest) {
        ("PUT", []) => {
            let value = value.context("a secret is put, and a certificate imported, with a value, which is missing")?;
            let version = match of {
                Collection::Certificates => azure.import_certificate(vault, name, &value, edit)?,
                _ => azure.put_secret(vault, name, &value, edit)?,
            };
            return Ok(Some(json!({"version": version})));
        }
        ("PATCH", []) => azure.edit(of, (vault, name), version.as_deref(), edit)?,
        ("DELETE", []) => azure.delete(of, vault, name)?,
        ("POST", ["recover"]) => azure.recover(of, vault, name)?,
        ("POST", ["purge"]) => azure.purge(of, vault, name)?,
        _ => return Ok(None),
    }
    Ok(Some(json!({})))
}

impl SettingsSpec {
    fn apply(self, settings: &mut VaultSettings) {
        let millis = SignedDuration::from_millis;
        let lag = |spec: Option<[i64; 2]>, old| {
            spec.map_or(old, |[least, most]| Lag { least: millis(least), most: millis(most) })
        };
        settings.access = self.access.unwrap_or(settings.access);
        settings.network = self.network.unwrap_or(settings.network);
        settings.purge_protected = self.purge_protected.unwrap_or(settings.purge_protected);
        settings.recoverable_days = self.recoverable_days.unwrap_or(settings.recoverable_days);
        settings.longest_tag = self.longest_tag.unwrap_or(settings.longest_tag);
        settings.role_lag = lag(self.role_lag, settings.role_lag);
        settings.deletion_lag = lag(self.deletion_lag, settings.deletion_lag);
        settings.recovery_lag = lag(self.recovery_lag, settings.recovery_lag);
        settings.creates.most = self.most_creates.unwrap_or(settings.creates.most);
        settings.others.most = self.most_others.unwrap_or(settings.others.most);
    }
}

/// What was sent; nothing is an empty object.
fn read<T: DeserializeOwned>(body: &Bytes) -> anyhow::Result<T> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).context("could not read what was sent to the administrator about a vault")
}
