//! Carrying out one step: an arm each, each arm one call of an adapter and one outcome. Nothing is decided here. If an arm
//! should need an `if` about the world, the observation lacks a fact.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{connections::Connection, hands::Hands};
use crate::{
    api::{EntraAppCredentialSpec, KeyId, Reason, values::Scope},
    cluster::{
        self, Written,
        records::Keep,
        wanted::{Issued, Wanted},
    },
    entra::sign_in,
    facts::{
        Effect, Entry, Kept, Looked, Mark, Nonce, Observation, Record, Records, Service, TargetId, TargetState,
        TenantSeen, Trouble,
    },
    plan::{Outcome, Step},
    vault::Projection,
};

/// Values that were minted and are not yet published, by the attempt that brought them.
pub(super) type Values = BTreeMap<Nonce, SecretString>;

/// One step of one resource.
pub(super) struct Act<'a> {
    pub hands: &'a Hands,
    pub seen: &'a Observation,
    pub spec: &'a EntraAppCredentialSpec,
    pub namespace: &'a str,
    pub scope: Option<&'a Scope>,
    pub until: Option<Timestamp>,
}

/// What did not succeed is an outcome like any other.
fn outcome(ended: Result<Outcome, Trouble>) -> Outcome {
    ended.unwrap_or_else(Outcome::Failed)
}

/// What became of a compare-and-swap.
fn swapped(written: Result<Written<Record>, Trouble>) -> Outcome {
    outcome(written.map(|written| match written {
        Written::Yes(record) => Outcome::Written(Box::new(record)),
        Written::Outpaced => Outcome::Outpaced,
    }))
}

impl Act<'_> {
    /// Carry a step out.
    pub(super) async fn carry_out(&self, step: &Step, values: &mut Values) -> Outcome {
        let Hands { records, .. } = self.hands;
        match step {
            Step::ReadRecords => outcome(self.read_records().await),
            Step::ReadApplication => outcome(self.read_application().await),
            Step::ReadTarget { target, wanted } => {
                let record = wanted.and_then(|sequence| self.record(sequence));
                self.read_target(target, record).await
            }
            Step::ReadPods => outcome(self.read_pods().await),
            Step::Open { entry } => swapped(records.open(self.namespace, entry).await),
            Step::TakeOver { record, entry } => swapped(records.write(self.namespace, record, entry, true).await),
            Step::Rehearse { record } => outcome(self.rehearse(record).await),
            Step::Mint { record, end } => outcome(self.mint(record, *end, values).await),
            Step::Keep { record, entry } => self.keep(record, entry, values).await,
            Step::Settle { sequence, nonce } => outcome(self.settle(*sequence, nonce).await),
            Step::KeepFromTarget { record, entry, target } => outcome(self.keep_from(record, entry, target).await),
            Step::Rebuild { entry, target } => outcome(self.rebuild(entry, target).await),
            Step::SignIn { record, .. } => outcome(self.sign_in(record, values).await),
            Step::Note { record, entry, finalized } => {
                swapped(records.write(self.namespace, record, entry, *finalized).await)
            }
            Step::Publish { record, target, over } => outcome(self.publish(record, target, over.as_deref()).await),
            Step::Remove { key_id, .. } => outcome(self.remove(*key_id).await),
            Step::Forget { record } => outcome(self.forget(record).await),
        }
    }

    /// Whether what was decided on is too old to begin.
    fn is_late(&self) -> bool {
        self.until.is_some_and(|until| self.hands.clock.now() > until)
    }

    fn record(&self, sequence: crate::facts::Sequence) -> Option<&Record> {
        self.seen.records.list.iter().find(|record| record.entry.sequence == sequence)
    }

    async fn connection(&self) -> Result<std::sync::Arc<Connection>, Trouble> {
        match &self.seen.tenant {
            TenantSeen::Present(tenant) => self.hands.connections.to(tenant).await,
            TenantSeen::Missing | TenantSeen::Undecodable(_) => Err(no_tenant(self.spec)),
        }
    }

    async fn read_records(&self) -> Result<Outcome, Trouble> {
        let listed = self.hands.records.list(self.namespace, &self.seen.owner).await?;
        let forged = listed.forged.into_iter().map(|(name, why)| (name, why.to_string())).collect();
        Ok(Outcome::Records(Records { list: listed.records, forged, listed_at: Some(listed.at) }))
    }

    async fn read_application(&self) -> Result<Outcome, Trouble> {
        let at = self.hands.clock.now();
        let connection = self.connection().await?;
        let found =
            self.hands.connections.watched(&connection, connection.directory.application(self.spec.client_id).await)?;
        Ok(Outcome::Application(Looked { at, found }))
    }

    async fn read_pods(&self) -> Result<Outcome, Trouble> {
        let at = self.hands.clock.now();
        let found = cluster::pods::seen(&self.hands.client, self.namespace).await?;
        Ok(Outcome::Pods(Looked { at, found }))
    }

    async fn rehearse(&self, record: &Record) -> Result<Outcome, Trouble> {
        Ok(match self.hands.records.rehearse(self.namespace, record, &record.entry).await? {
            Written::Yes(()) => Outcome::Rehearsed,
            Written::Outpaced => Outcome::Outpaced,
        })
    }

    async fn mint(&self, record: &Record, end: Timestamp, values: &mut Values) -> Result<Outcome, Trouble> {
        let (Some(application), Some(last)) = (&self.seen.application, record.entry.last_attempt()) else {
            return Ok(Outcome::Expired);
        };
        let connection = self.connection().await?;
        let _turn = self.hands.turns.take(record.entry.client_id)?;
        if self.is_late() {
            return Ok(Outcome::Expired);
        }
        let mark =
            Mark { owner: record.entry.owner.clone(), sequence: record.entry.sequence, nonce: last.nonce.clone() };
        let name = mark.display_name(self.namespace, &record.entry.resource);
        let sent = connection.directory.add_password(application.found.object_id, &name, end).await;
        let minted = self.hands.connections.watched(&connection, sent)?;
        values.insert(last.nonce.clone(), minted.value);
        Ok(Outcome::Minted(Kept { key_id: minted.key_id, issued_at: minted.start, expires_at: Some(minted.end) }))
    }

    async fn keep(&self, record: &Record, entry: &Entry, values: &Values) -> Outcome {
        let Some(value) = record.entry.last_attempt().and_then(|last| values.get(&last.nonce)) else {
            return Outcome::Lost;
        };
        match self.hands.records.keep(self.namespace, record, entry, value).await {
            Keep::Kept(record) => Outcome::Written(record),
            // Refused for this version of the record: whether it is still ours to keep in is found out by reading it.
            Keep::DefinitelyRefused(trouble) if trouble.code.as_deref() == Some("Conflict") => Outcome::Outpaced,
            Keep::DefinitelyRefused(trouble) | Keep::Unknown(trouble) => Outcome::Failed(trouble),
        }
    }

    async fn settle(&self, sequence: crate::facts::Sequence, nonce: &Nonce) -> Result<Outcome, Trouble> {
        let name = crate::facts::record::name_of(&self.seen.owner, sequence);
        let ours = |record: &Record| record.entry.last_attempt().is_some_and(|last| last.nonce == *nonce);
        Ok(match self.hands.records.get(self.namespace, &name).await? {
            Some(record) if ours(&record) => Outcome::Written(Box::new(record)),
            Some(_) | None => Outcome::Lost,
        })
    }

    /// The value that a target carries.
    async fn carried(&self, target: &TargetId) -> Result<SecretString, Trouble> {
        match target {
            TargetId::Secret(name) => {
                let held = self.hands.secrets.held(self.namespace, name.as_str(), "AZURE_CLIENT_SECRET").await?;
                held.ok_or_else(|| nothing_carried(target))
            }
            TargetId::Vault { url, name } => self.connection().await?.vaults.value(url, name).await,
        }
    }

    async fn keep_from(&self, record: &Record, entry: &Entry, target: &TargetId) -> Result<Outcome, Trouble> {
        let value = self.carried(target).await?;
        if !self.fits(entry, &value) {
            return Err(another_value(target));
        }
        Ok(match self.hands.records.keep(self.namespace, record, entry, &value).await {
            Keep::Kept(record) => Outcome::Written(record),
            Keep::DefinitelyRefused(trouble) if trouble.code.as_deref() == Some("Conflict") => Outcome::Outpaced,
            Keep::DefinitelyRefused(trouble) | Keep::Unknown(trouble) => Outcome::Failed(trouble),
        })
    }

    /// Whether a value begins as Entra says that the secret of a record does.
    fn fits(&self, entry: &Entry, value: &SecretString) -> bool {
        let credentials = self.seen.application.iter().flat_map(|looked| &looked.found.credentials);
        let mut ours = credentials.filter(|one| entry.kept.as_ref().is_some_and(|kept| kept.key_id == one.key_id));
        let hint = ours.find_map(|one| one.hint.as_deref());
        hint.is_none_or(|hint| value.expose_secret().starts_with(hint))
    }

    /// A record that was lost is written as an open one first; the value that the target carries is then kept in it.
    async fn rebuild(&self, entry: &Entry, target: &TargetId) -> Result<Outcome, Trouble> {
        let open = Entry { kept: None, ..entry.clone() };
        match self.hands.records.open(self.namespace, &open).await? {
            Written::Yes(record) => self.keep_from(&record, entry, target).await,
            Written::Outpaced => Ok(Outcome::Outpaced),
        }
    }

    /// The value of a record, for a proof: from memory if this process has minted it a moment ago, else from the record.
    async fn value(&self, record: &Record, values: &Values) -> Result<SecretString, Trouble> {
        match record.entry.last_attempt().and_then(|last| values.get(&last.nonce)) {
            Some(value) => Ok(value.clone()),
            None => self.hands.records.value(self.namespace, record).await,
        }
    }

    async fn sign_in(&self, record: &Record, values: &Values) -> Result<Outcome, Trouble> {
        let Some(scope) = self.scope else { return Ok(Outcome::Expired) };
        let value = self.value(record, values).await?;
        let connection = self.connection().await?;
        let Entry { tenant, client_id, .. } = record.entry;
        let authority = connection.cloud.authority().into();
        let verdict = sign_in(self.hands.wire.fresh(), &authority, tenant, client_id, &value, scope);
        let verdict = verdict.await;
        self.hands.metrics.proof(&verdict);
        Ok(Outcome::Verdict(verdict))
    }

    async fn read_target(&self, target: &TargetId, record: Option<&Record>) -> Outcome {
        let at = self.hands.clock.now();
        let found = match self.look_at(target, record).await {
            Ok(state) => state,
            Err(trouble) => TargetState::Troubled(trouble),
        };
        Outcome::Target(Looked { at, found })
    }

    async fn look_at(&self, target: &TargetId, record: Option<&Record>) -> Result<TargetState, Trouble> {
        match (target, record) {
            (TargetId::Secret(name), None) => Ok(self.hands.secrets.look(self.namespace, name.as_str()).await),
            (TargetId::Secret(name), Some(record)) => {
                let wanted = self.wanted(name.as_str(), record).await?;
                Ok(self.hands.secrets.read(self.namespace, &wanted).await)
            }
            (TargetId::Vault { url, name }, None) => Ok(self.connection().await?.vaults.read(url, name, None).await),
            (TargetId::Vault { url, name }, Some(record)) => {
                let connection = self.connection().await?;
                let projection = self.projection(&connection, target, record).await?;
                Ok(connection.vaults.read(url, name, Some(&projection)).await)
            }
        }
    }

    /// What a Secret is to be. One under a name that is not declared any more is only looked at.
    async fn wanted(&self, name: &str, record: &Record) -> Result<Wanted, Trouble> {
        let value = self.hands.records.value(self.namespace, record).await?;
        let connection = self.connection().await?;
        let issued = Issued { entry: &record.entry, value: &value, authority_host: connection.cloud.authority() };
        let declared = self.spec.publish.as_ref().and_then(|publish| publish.secret.as_ref());
        let mut wanted = Wanted::new(declared, &issued).map_err(|why| unpublishable(&why))?;
        name.clone_into(&mut wanted.name);
        Ok(wanted)
    }

    async fn projection(
        &self,
        connection: &Connection,
        target: &TargetId,
        record: &Record,
    ) -> Result<Projection, Trouble> {
        let value = self.hands.records.value(self.namespace, record).await?;
        super::project::vault_entry(self.spec, target, &record.entry, &value, connection.cloud.authority())
            .map_err(|why| unpublishable(&why))
    }

    async fn publish(
        &self,
        record: &Record,
        target: &TargetId,
        over: Option<&crate::facts::Carried>,
    ) -> Result<Outcome, Trouble> {
        let found = match target {
            TargetId::Secret(name) => {
                let wanted = self.wanted(name.as_str(), record).await?;
                if self.is_late() {
                    return Ok(Outcome::Expired);
                }
                match self.hands.secrets.write(self.namespace, &wanted, over).await? {
                    Written::Yes(carried) => carried,
                    Written::Outpaced => return Ok(Outcome::Overtaken),
                }
            }
            TargetId::Vault { url, name } => {
                let connection = self.connection().await?;
                let projection = self.projection(&connection, target, record).await?;
                if self.is_late() {
                    return Ok(Outcome::Expired);
                }
                connection.vaults.write(url, name, &projection).await?
            }
        };
        Ok(Outcome::Target(Looked { at: self.hands.clock.now(), found: TargetState::Present(found) }))
    }

    async fn remove(&self, key_id: KeyId) -> Result<Outcome, Trouble> {
        let connection = self.connection().await?;
        let client_id = self.spec.client_id;
        let object_id = match &self.seen.application {
            Some(looked) => looked.found.object_id,
            None => connection.directory.application(client_id).await?.object_id,
        };
        let _turn = self.hands.turns.take(client_id)?;
        if self.is_late() {
            return Ok(Outcome::Expired);
        }
        let sent = connection.directory.remove_password(object_id, key_id).await;
        self.hands.connections.watched(&connection, sent)?;
        Ok(Outcome::Removed)
    }

    async fn forget(&self, record: &Record) -> Result<Outcome, Trouble> {
        Ok(match self.hands.records.delete(self.namespace, record).await? {
            Written::Yes(()) => Outcome::Forgotten,
            Written::Outpaced => Outcome::Outpaced,
        })
    }
}

fn no_tenant(spec: &EntraAppCredentialSpec) -> Trouble {
    let message = format!("could not work on application {}: its EntraTenant is not there", spec.client_id);
    Trouble::unsent(Service::Kubernetes, Reason::TenantNotFound, message, "Create the EntraTenant again.")
}

fn unpublishable(why: &dyn std::fmt::Display) -> Trouble {
    Trouble::unsent(
        Service::Kubernetes,
        Reason::InvalidTemplate,
        format!("could not make what is to be published: {why}"),
        "Correct the template.",
    )
}

fn another_value(target: &TargetId) -> Trouble {
    let message =
        format!("could not take the secret that {target} says it carries: its value begins otherwise than Entra says");
    let remedy = "Somebody has edited it. Delete the target, or put the right value back.";
    Trouble { effect: Effect::Refused, ..Trouble::unsent(Service::Kubernetes, Reason::Refused, message, remedy) }
}

fn nothing_carried(target: &TargetId) -> Trouble {
    let message = format!("could not read the value that {target} carries: it has no key AZURE_CLIENT_SECRET any more");
    Trouble::unsent(Service::Kubernetes, Reason::Refused, message, "Keywright looks at the target again by itself.")
}
