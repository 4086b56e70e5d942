//! Carrying out one step: an arm each, each arm one call of an adapter and one outcome. Nothing is decided here. If an arm
//! should need an `if` about the world, the observation lacks a fact.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{certificates::completed, connections::Connection, hands::Hands};
use crate::{
    api::{EntraAppCredentialSpec, KeyId, Reason, TenantId, grant::CredentialKind, values::Scope},
    certificate::Bundle,
    cluster::{Written, records::Keep, wanted::value_key},
    entra::{Minted, prove},
    facts::{
        Effect, Entry, Kept, Looked, Mark, Nonce, Observation, Record, Records, Service, Stage, TargetId, TargetState,
        TenantSeen, Trouble,
    },
    plan::{Outcome, Step},
    wire::InTime,
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

/// What kept a step from being carried out.
fn trouble(outcome: &Outcome) -> Option<&Trouble> {
    match outcome {
        Outcome::Failed(trouble) | Outcome::Target(Looked { found: TargetState::Troubled(trouble), .. }) => {
            Some(trouble)
        }
        _ => None,
    }
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
        let outcome = self.ended(step, values).await;
        if let (TenantSeen::Present(tenant), Some(trouble)) = (&self.seen.tenant, trouble(&outcome)) {
            self.hands.connections.heed(tenant, trouble);
        }
        outcome
    }

    async fn ended(&self, step: &Step, values: &mut Values) -> Outcome {
        let Hands { records, .. } = self.hands;
        match step {
            Step::ReadRecords => outcome(self.read_records().await),
            Step::ReadApplication => outcome(self.read_application().await),
            Step::ReadTarget { target, wanted } => {
                let record = wanted.and_then(|sequence| self.record(sequence));
                self.read_target(target, record, values).await
            }
            Step::WatchConsumers { secrets, workloads, accounts } => self.watch_consumers(secrets, workloads, accounts),
            Step::TakeSlot { most } => Outcome::Slot(self.take_slot(*most)),
            Step::ReadCopy { copy, record, .. } => outcome(self.read_copy(copy, record).await),
            Step::ReadUsage => outcome(self.read_usage().await),
            Step::Roll { workload, mark } => outcome(self.roll(workload, mark).await),
            Step::TryTarget { record, target, .. } => outcome(self.try_target(record, target).await),
            Step::DisableVersions { target, before } => outcome(self.disable_versions(target, *before).await),
            Step::ReadConsumers => outcome(self.read_consumers().await),
            Step::Open { entry } => swapped(records.open(self.namespace, entry).await),
            Step::TakeOver { record, entry } => swapped(records.write(self.namespace, record, entry, true).await),
            Step::Rehearse { record } => outcome(self.rehearse(record).await),
            Step::Mint { record, end } => outcome(self.mint(record, *end, values).await),
            Step::Make { record, from } => outcome(self.make(record, from, values).await),
            Step::ReadSource { name } => outcome(self.read_source(name).await),
            Step::ReadList { whole } => outcome(self.read_list(*whole).await),
            Step::WriteList { keep, add, drop } => outcome(self.write_list(keep, add.as_deref(), *drop, values).await),
            Step::Keep { record, entry } => self.keep(record, entry, values).await,
            Step::Settle { sequence, nonce } => outcome(self.settle(*sequence, nonce).await),
            Step::KeepFromTarget { record, entry, target } => outcome(self.keep_from(record, entry, target).await),
            Step::Rebuild { entry, target } => outcome(self.rebuild(entry, target).await),
            Step::Adopt { record, entry, from } => outcome(self.adopt(record.as_deref(), entry, from).await),
            Step::SignIn { record, .. } => outcome(self.sign_in(record, values).await),
            Step::Note { record, entry, finalized } => {
                swapped(records.write(self.namespace, record, entry, *finalized).await)
            }
            Step::Publish { record, target, over } => {
                outcome(self.publish(record, target, over.as_deref(), values).await)
            }
            Step::Remove { key_id, .. } => outcome(self.remove(*key_id).await),
            Step::Forget { record } => outcome(self.forget(record).await),
            Step::ReadIssuer => outcome(self.read_issuer().await),
            Step::ReadFederation => outcome(self.read_federation().await),
            Step::Establish { record } => outcome(self.establish(record).await),
            Step::Exchange { account, claims, .. } => outcome(self.exchange(account, claims).await),
            Step::ReadAccount { account } => outcome(self.read_account(account).await),
            Step::Annotate { account, told, over } => outcome(self.annotate(account, *told, over).await),
            Step::Withdraw { key_id, .. } => outcome(self.withdraw(*key_id).await),
            Step::Detain { detained } => outcome(self.detain(*detained).await),
            Step::Unpublish { target, over } => outcome(self.unpublish(target, over).await),
        }
    }

    /// Whether what was decided on is too old to begin.
    pub(super) fn is_late(&self) -> bool {
        self.until.is_some_and(|until| self.hands.clock.now() > until)
    }

    /// The same, to be asked once more when there is a token.
    pub(super) fn in_time(&self) -> InTime {
        let (clock, until) = (self.hands.clock.clone(), self.until);
        InTime::so_long_as(move || until.is_none_or(|until| clock.now() <= until))
    }

    pub(super) fn record(&self, sequence: crate::facts::Sequence) -> Option<&Record> {
        self.seen.records.list.iter().find(|record| record.entry.sequence == sequence)
    }

    pub(super) async fn connection(&self) -> Result<std::sync::Arc<Connection>, Trouble> {
        match &self.seen.tenant {
            TenantSeen::Present(tenant) => self.hands.connections.to(tenant).await,
            TenantSeen::Missing | TenantSeen::Undecodable(_) => Err(no_tenant(self.spec)),
        }
    }

    /// Which tenant it is.
    pub(super) fn tenant(&self) -> Result<TenantId, Trouble> {
        match &self.seen.tenant {
            TenantSeen::Present(tenant) => Ok(tenant.tenant_id),
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
        let found = connection.directory.application(self.spec.client_id).await?;
        Ok(Outcome::Application(Looked { at, found }))
    }

    async fn read_usage(&self) -> Result<Outcome, Trouble> {
        let at = self.hands.clock.now();
        let found = self.connection().await?.directory.usage(self.spec.client_id).await?;
        Ok(Outcome::Usage(Looked { at, found }))
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
        let minted = connection.directory.add_password(application.found.object_id, &name, end, self.in_time()).await?;
        values.insert(last.nonce.clone(), minted.value.clone());
        let Minted { key_id, start: issued_at, end, .. } = minted;
        Ok(Outcome::Minted(Kept { key_id, issued_at, expires_at: Some(end), thumbprint: None }))
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
    pub(super) async fn carried(&self, entry: &Entry, target: &TargetId) -> Result<SecretString, Trouble> {
        match target {
            TargetId::Secret(name) => {
                let key = value_key(entry.kind);
                let held = self.hands.secrets.held(self.namespace, name.as_str(), key).await?;
                held.ok_or_else(|| nothing_carried(target, key))
            }
            TargetId::Vault(entry) => self.connection().await?.vaults.value(entry).await,
        }
    }

    async fn keep_from(&self, record: &Record, entry: &Entry, target: &TargetId) -> Result<Outcome, Trouble> {
        let value = self.fitting(entry, target).await?;
        self.keep_in(record, &completed(entry, &value)?, &value).await
    }

    /// The value that a target carries, if it can be that of a record.
    async fn fitting(&self, entry: &Entry, target: &TargetId) -> Result<SecretString, Trouble> {
        let value = self.carried(entry, target).await?;
        if self.fits(entry, &value) { Ok(value) } else { Err(another_value(target)) }
    }

    /// Write the record of a credential that is there already: an open one first, so that the value is kept like any other.
    pub(super) async fn keep_anew(&self, entry: &Entry, value: &SecretString) -> Result<Outcome, Trouble> {
        let open = Entry { kept: None, ..entry.clone() };
        match self.hands.records.open(self.namespace, &open).await? {
            Written::Yes(record) => self.keep_in(&record, entry, value).await,
            Written::Outpaced => Ok(Outcome::Outpaced),
        }
    }

    pub(super) async fn keep_in(
        &self,
        record: &Record,
        entry: &Entry,
        value: &SecretString,
    ) -> Result<Outcome, Trouble> {
        Ok(match self.hands.records.keep(self.namespace, record, entry, value).await {
            Keep::Kept(record) => Outcome::Written(record),
            Keep::DefinitelyRefused(trouble) if trouble.code.as_deref() == Some("Conflict") => Outcome::Outpaced,
            Keep::DefinitelyRefused(trouble) | Keep::Unknown(trouble) => Outcome::Failed(trouble),
        })
    }

    /// Whether a value begins as Entra says that the secret of a record does, or is the certificate that it shows.
    pub(super) fn fits(&self, entry: &Entry, value: &SecretString) -> bool {
        let credentials = self.seen.application.iter().flat_map(|looked| &looked.found.credentials);
        let mut ours = credentials.filter(|one| entry.kept.as_ref().is_some_and(|kept| kept.key_id == one.key_id));
        let hint = ours.find_map(|one| one.hint.as_deref());
        match (entry.kind, hint) {
            (_, None) => true,
            (CredentialKind::Certificate, Some(hint)) => Bundle::of(value).is_ok_and(|bundle| bundle.sha1() == hint),
            (_, Some(hint)) => value.expose_secret().starts_with(hint),
        }
    }

    /// A record that was lost is written anew with the value that a target carries.
    async fn rebuild(&self, entry: &Entry, target: &TargetId) -> Result<Outcome, Trouble> {
        let value = self.fitting(entry, target).await?;
        self.keep_anew(&completed(entry, &value)?, &value).await
    }

    /// The value of a record: from memory if this process has minted it a moment ago, else from the record.
    pub(super) async fn value(&self, record: &Record, values: &Values) -> Result<SecretString, Trouble> {
        match record.entry.last_attempt().and_then(|last| values.get(&last.nonce)) {
            Some(value) => Ok(value.clone()),
            None => self.hands.records.value(self.namespace, record).await,
        }
    }

    async fn sign_in(&self, record: &Record, values: &Values) -> Result<Outcome, Trouble> {
        let Some(scope) = self.scope else { return Ok(Outcome::Expired) };
        let key = self.signing_key(&record.entry, &self.value(record, values).await?)?;
        let connection = self.connection().await?;
        let Entry { tenant, client_id, .. } = record.entry;
        let authority = connection.cloud.authority().into();
        let verdict = prove(&self.hands.wire, &authority, tenant, client_id, &key, scope).await;
        self.hands.metrics.proof(&verdict);
        Ok(Outcome::Verdict(verdict))
    }

    /// Whether a record is what it was, and no later one is being published: what was decided on may be some seconds old, and
    /// somebody else may have gone on meanwhile. Asked last before anything is written on the strength of a record.
    pub(super) async fn is_still_so(&self, record: &Record) -> Result<bool, Trouble> {
        let now = self.hands.records.list(self.namespace, &self.seen.owner).await?.records;
        let (claims, sequence) = (&record.entry.claims, record.entry.sequence);
        let takes_its_place = |entry: &Entry| entry.claims == *claims && entry.sequence > sequence;
        let is_later = |one: &Record| one.entry.stage == Stage::Publishing && takes_its_place(&one.entry);
        Ok(now.contains(record) && !now.iter().any(is_later))
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
        connection.directory.remove_password(object_id, key_id, self.in_time()).await?;
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

fn another_value(target: &TargetId) -> Trouble {
    let message = format!(
        "could not take the credential that {target} says it carries: its value is not the one that Entra shows"
    );
    let remedy = "Somebody has edited it. Delete the target, or put the right value back.";
    Trouble { effect: Effect::Refused, ..Trouble::unsent(Service::Kubernetes, Reason::Refused, message, remedy) }
}

fn nothing_carried(target: &TargetId, key: &str) -> Trouble {
    let message = format!("could not read the value that {target} carries: it has no key {key} any more");
    Trouble::unsent(Service::Kubernetes, Reason::Refused, message, "Keywright looks at the target again by itself.")
}
