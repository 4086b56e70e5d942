//! Carrying out what concerns those who use a credential: seeing them, restarting them, and the last look at what they read
//! before an old credential goes. An arm each, as in `act`.

use secrecy::{ExposeSecret, SecretString};

use super::{act::Act, blast::Key, certificates::bundle};
use crate::{
    api::grant::CredentialKind,
    cluster::{self, Written, attend::Interest},
    entra::sign_in,
    facts::{Consumers, CopyId, Entry, Record, SeenBy, Sequence, TargetId, Trouble, WorkloadId, WorkloadSeen},
    plan::{Outcome, evidence},
    vault::Version,
};

impl Act<'_> {
    /// Workloads and pods as the API server lists them now.
    pub(super) async fn read_consumers(&self) -> Result<Outcome, Trouble> {
        let seen = SeenBy::List(self.hands.clock.now());
        let workloads = self.hands.workloads.list(self.namespace);
        let pods = cluster::pods::seen(&self.hands.client, self.namespace);
        let schedules = self.hands.workloads.schedules(self.namespace);
        let (workloads, pods, schedules) = futures::try_join!(workloads, pods, schedules)?;
        Ok(Outcome::Consumers(Consumers { seen, workloads, pods, schedules }))
    }

    /// Watch them; whatever changes there wakes the resource, until nobody asks for it any more.
    pub(super) fn watch_consumers(&self, secrets: &[String], workloads: &[WorkloadId], accounts: &[String]) -> Outcome {
        let interest = Interest {
            secrets: secrets.iter().cloned().collect(),
            workloads: workloads.iter().cloned().collect(),
            accounts: accounts.iter().cloned().collect(),
        };
        self.hands.attending.attend(&self.hands.attended, self.key(), interest);
        self.hands.attended.consumers(self.namespace).map_or(Outcome::Watching, Outcome::Consumers)
    }

    /// Give a workload the annotation of a credential, if that still is the one to have.
    pub(super) async fn roll(&self, workload: &WorkloadId, mark: &str) -> Result<Outcome, Trouble> {
        let all = self.seen.consumers.iter().flat_map(|consumers| &consumers.workloads);
        let Some(seen) = all.into_iter().find(|one: &&WorkloadSeen| one.id == *workload) else {
            return Ok(Outcome::Rolled(None));
        };
        let is_for_it = |record: &&Record| record.entry.rollout_mark().as_deref() == Some(mark);
        let record = self.seen.records.list.iter().find(is_for_it);
        if !matches!(record, Some(record) if self.is_still_so(record).await?) {
            return Ok(Outcome::Outpaced);
        }
        if self.is_late() {
            return Ok(Outcome::Expired);
        }
        let key = evidence::annotation(&self.key().1);
        let written = self.hands.workloads.roll(self.namespace, seen, &self.seen.owner, (&key, mark)).await?;
        Ok(match written {
            Written::Yes(after) => Outcome::Rolled(Some(Box::new(after))),
            Written::Outpaced => Outcome::Rolled(None), // the watch brings what has become of it
        })
    }

    fn key(&self) -> Key {
        (self.namespace.to_owned(), self.seen.resource.metadata.name.clone().unwrap_or_default())
    }

    /// Whether a copy is one of what a record keeps.
    pub(super) async fn read_copy(&self, copy: &CopyId, record: &Record) -> Result<Outcome, Trouble> {
        let held = self.hands.secrets.held(self.namespace, &copy.secret, &copy.key).await?;
        let value = self.hands.records.value(self.namespace, record).await?;
        let mut forms = vec![value.clone()];
        if record.entry.kind == CredentialKind::Certificate {
            forms.push(bundle(&record.entry, &value)?.key()); // by itself, as `tls.key` has it
        }
        let is_one = |held: SecretString| forms.iter().any(|form| form.expose_secret() == held.expose_secret());
        Ok(Outcome::Copied(held.is_some_and(is_one)))
    }

    /// Take one of the slots of the tenant.
    pub(super) fn take_slot(&self, most: usize) -> bool {
        self.hands.blast.take(self.spec.tenant_ref.name.as_str(), &self.key(), most)
    }

    /// Sign in with what a target holds, and not with what its record does.
    pub(super) async fn try_target(&self, record: &Record, target: &TargetId) -> Result<Outcome, Trouble> {
        let Some(scope) = self.scope else { return Ok(Outcome::Expired) };
        let key = self.signing_key(&record.entry, &self.carried(&record.entry, target).await?)?;
        let connection = self.connection().await?;
        let authority = connection.cloud.authority().into();
        let Entry { tenant, client_id, .. } = record.entry;
        let verdict = sign_in(self.hands.wire.fresh(), &authority, tenant, client_id, &key, scope).await;
        self.hands.metrics.proof(&verdict);
        Ok(Outcome::Verdict(verdict))
    }

    /// Disable every version of an entry of ours that carries an earlier credential.
    pub(super) async fn disable_versions(&self, target: &TargetId, before: Sequence) -> Result<Outcome, Trouble> {
        let TargetId::Vault(entry) = target else { return Ok(Outcome::Disabled) };
        let vaults = &self.connection().await?.vaults;
        let owner = &self.seen.owner;
        let earlier = |version: &Version| {
            version.enabled
                && version.tags.owner.as_ref() == Some(owner)
                && version.tags.sequence.is_some_and(|sequence| sequence < before)
        };
        for version in vaults.versions(entry).await?.into_iter().filter(earlier) {
            vaults.disable(entry, &version.id, owner).await?;
        }
        Ok(Outcome::Disabled)
    }
}
