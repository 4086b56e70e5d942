//! The ledger: what must be true at the end of every scenario. It is made of Azure's own log and of what the pods have
//! seen, and tells what became of each credential, whose doing each refusal was, and what was promised and not kept. It
//! changes nothing, and knows the product only as an application that calls Graph.

mod blame;
mod certificates;
mod federated;
mod keys;
mod leaks;
mod mark;
mod story;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

pub use self::blame::{Attributed, Blame};
pub use self::leaks::{Form, Leak};
use crate::azure::{Actor, Change, RefusedSignIn, What};
use crate::witness::{Fingerprint, Testimonies};

/// What is known about one tenant at one moment.
#[derive(Clone, Debug)]
pub struct Ledger {
    credentials: Vec<Credential>,
    refused: BTreeMap<Uuid, RefusedSignIn>,
    calls: BTreeMap<(String, String), usize>,
    published: BTreeMap<Fingerprint, Timestamp>,
    keys: keys::Keys,
    held: Vec<Held>,
    seen: Vec<crate::witness::Refusal>,
    accepted: u64,
    allowed: BTreeSet<Uuid>,
    now: Timestamp,
}

/// What became of a credential.
#[derive(Clone)]
pub struct Credential {
    /// The application's client ID.
    pub client_id: Uuid,
    /// The credential's ID.
    pub key_id: Uuid,
    /// What it is.
    pub kind: Kind,
    /// Its name; of a federated one what is said of it, if anything is: there is its mark.
    pub name: String,
    /// What can be told of its value; of a federated one, [`Fingerprint::of_federated`], and of a certificate its own.
    pub fingerprint: Fingerprint,
    /// When it was minted.
    pub minted: Timestamp,
    /// By whom.
    pub by: Actor,
    /// When the last replica knew it.
    pub known: Timestamp,
    /// When it expires.
    pub end: Timestamp,
    /// When somebody else changed it through Graph for the first time, and who.
    pub edited: Option<(Timestamp, Actor)>,
    /// When it was removed, and by whom.
    pub removed: Option<(Timestamp, Actor)>,
    /// By what people call it, if it is a certificate: its thumbprint by SHA-1.
    pub thumbprint: Option<String>,
    value: Option<String>,
}

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A client secret.
    Secret,
    /// A certificate.
    Certificate,
    /// A federated credential.
    Federated,
}

/// Who held what, when: of a testimony, what is needed here.
#[derive(Clone, Debug)]
struct Held {
    pod: String,
    fingerprint: Fingerprint,
    from: Timestamp,
    until: Option<Timestamp>,
}

/// A removal while somebody still held the credential.
#[derive(Clone, Debug)]
pub struct EarlyRemoval {
    /// What was removed.
    pub credential: Credential,
    /// The pods that held it at that moment, as `namespace/name`.
    pub pods: Vec<String>,
}

/// The least number of valid credentials that an application had, once it had one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Least {
    /// So many.
    pub count: usize,
    /// At this moment for the first time.
    pub since: Timestamp,
}

/// What can be wrong at the end of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Offence {
    /// A credential was minted through Graph, and neither published nor removed.
    Orphan,
    /// A credential of somebody else was removed through Graph.
    ForeignRemoved,
    /// A credential of somebody else was changed through Graph.
    ForeignEdited,
    /// A credential was removed while a pod held it.
    RemovedWhileHeld,
    /// At some moment an application had no credential that every replica knew.
    NoneValid,
    /// A pod was refused.
    Refused(Blame),
}

/// What the ledger says in the end.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Every credential that there was.
    pub credentials: Vec<Credential>,
    /// Those that were minted through Graph, and neither published nor removed.
    pub orphans: Vec<Credential>,
    /// Those of somebody else that were removed through Graph.
    pub foreign_removed: Vec<Credential>,
    /// Those of somebody else that were changed through Graph.
    pub foreign_edited: Vec<Credential>,
    /// Those that were removed while a pod held them.
    pub early_removals: Vec<EarlyRemoval>,
    /// The least number of valid credentials, by the application's client ID.
    pub least_valid: BTreeMap<Uuid, Least>,
    /// Every refusal that a pod has seen, and whose doing it was.
    pub refusals: Vec<Attributed>,
    /// How many sign-ins of pods were accepted.
    pub accepted: u64,
    /// How often each service was asked to do what, over all tenants.
    pub calls: BTreeMap<(String, String), usize>,
}

impl Ledger {
    /// Opens the ledger of one tenant.
    pub(crate) fn new(
        log: &[Change],
        refused: Vec<RefusedSignIn>,
        calls: BTreeMap<(String, String), usize>,
        tenants_names: &BTreeSet<String>,
        seen: &Testimonies,
        now: Timestamp,
    ) -> Self {
        // Pods of other scenarios may testify as well.
        let is_ours = |tenant: &String| tenants_names.contains(&tenant.to_ascii_lowercase());
        let holdings = seen.holdings.iter().filter(|holding| is_ours(&holding.what.tenant));
        let held = holdings.clone().map(|holding| Held {
            pod: format!("{}/{}", holding.who.namespace, holding.who.pod),
            fingerprint: holding.what.fingerprint,
            from: holding.from,
            until: holding.until,
        });
        let refusals = seen.refusals.iter().filter(|refusal| is_ours(&refusal.what.tenant));
        Self {
            credentials: secrets(log)
                .chain(certificates::credentials(log))
                .chain(federated::credentials(log))
                .collect(),
            refused: refused.into_iter().map(|refused| (refused.trace_id, refused)).collect(),
            calls,
            published: BTreeMap::new(),
            keys: keys::Keys::default(),
            held: held.collect(),
            seen: refusals.cloned().collect(),
            accepted: holdings.map(|holding| holding.accepted).sum(),
            allowed: BTreeSet::new(),
            now,
        }
    }

    /// Tells that a credential was published at a time: written to where somebody may take it from. What a pod has held
    /// was published without saying.
    #[must_use]
    pub fn published(mut self, fingerprint: Fingerprint, since: Timestamp) -> Self {
        let known = self.published.entry(fingerprint).or_insert(since);
        *known = since.min(*known);
        self
    }

    /// Tells of a text with private keys and their certificates in PEM, which are searched for from now on: Azure knows
    /// of no key of a certificate.
    #[must_use]
    pub fn knowing_keys_in(mut self, text: &str) -> Self {
        self.keys.learn(text);
        self
    }

    /// Tells that a credential of somebody else was to be removed.
    #[must_use]
    pub fn allowing(mut self, foreign: Uuid) -> Self {
        self.allowed.insert(foreign);
        self
    }

    /// When a credential was published, as far as is known.
    fn published_at(&self, fingerprint: Fingerprint) -> Option<Timestamp> {
        let held = self.held.iter().filter(|held| held.fingerprint == fingerprint).map(|held| held.from).min();
        self.published.get(&fingerprint).copied().into_iter().chain(held).min()
    }

    fn holders_at(&self, fingerprint: Fingerprint, time: Timestamp) -> Vec<String> {
        let held_it = |held: &&Held| {
            held.fingerprint == fingerprint && held.from <= time && held.until.is_none_or(|until| time < until)
        };
        let pods: BTreeSet<String> = self.held.iter().filter(held_it).map(|held| held.pod.clone()).collect();
        pods.into_iter().collect()
    }

    /// The least number of credentials that every replica knew, that had not expired and were not removed. A federated
    /// one, and a certificate of others, counts only once somebody could be let in by it.
    fn least_valid(&self) -> BTreeMap<Uuid, Least> {
        let known = |credential: &Credential| {
            if credential.kind != Kind::Federated && !certificates::is_foreign(credential) {
                return credential.known;
            }
            let published = self.published_at(credential.fingerprint);
            published.map_or(Timestamp::MAX, |published| published.max(credential.known))
        };
        let gone = |credential: &Credential| {
            let removed = credential.removed.map_or(Timestamp::MAX, |(time, _)| time);
            removed.min(credential.end)
        };
        let valid = self.credentials.iter().map(|one| (one.client_id, known(one), gone(one)));
        let valid: Vec<(Uuid, Timestamp, Timestamp)> = valid.collect();
        let moments = valid.iter().flat_map(|&(client_id, known, gone)| [(known, client_id), (gone, client_id)]);
        let moments: BTreeSet<(Timestamp, Uuid)> = moments.filter(|(time, _)| *time <= self.now).collect();
        let mut least: BTreeMap<Uuid, Least> = BTreeMap::new();
        for (since, client_id) in moments {
            let is_valid =
                |of: Uuid, known: Timestamp, gone: Timestamp| of == client_id && known <= since && since < gone;
            let count = valid.iter().filter(|&&(of, known, gone)| is_valid(of, known, gone)).count();
            match least.get_mut(&client_id) {
                // Before the first there is nothing to lose.
                None if count > 0 => _ = least.insert(client_id, Least { count, since }),
                Some(known) if count < known.count => *known = Least { count, since },
                _ => {}
            }
        }
        least
    }

    /// What it says.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let credentials = || self.credentials.iter();
        let is_orphan = |credential: &&Credential| {
            credential.by != Actor::Administrator
                && credential.removed.is_none()
                && credential.end > self.now
                && self.published_at(credential.fingerprint).is_none()
                // Others write these, too, and whether anybody uses that is not ours to ask.
                && match credential.kind {
                    Kind::Secret => true,
                    Kind::Certificate => !certificates::is_foreign(credential),
                    Kind::Federated => mark::is_mark(&credential.name),
                }
        };
        let is_foreign_removed = |credential: &&Credential| {
            let by_other = |(_, by): (Timestamp, Actor)| {
                by != Actor::Administrator && (by != credential.by || certificates::is_foreign(credential))
            };
            credential.removed.is_some_and(by_other) && !self.allowed.contains(&credential.key_id)
        };
        let is_foreign_edited =
            |credential: &&Credential| credential.edited.is_some() && !self.allowed.contains(&credential.key_id);
        let early = |credential: &Credential| {
            let (time, _) = credential.removed.filter(|(time, _)| *time < credential.end)?;
            let stays = |other: &Credential| {
                other.fingerprint == credential.fingerprint
                    && other.minted <= time
                    && time < other.end
                    && other.removed.is_none_or(|(removed, _)| time < removed)
            };
            // The same certificate may be there under another ID.
            if self.credentials.iter().any(stays) {
                return None;
            }
            let pods = self.holders_at(credential.fingerprint, time);
            (!pods.is_empty()).then(|| EarlyRemoval { credential: credential.clone(), pods })
        };
        Verdict {
            credentials: self.credentials.clone(),
            orphans: credentials().filter(is_orphan).cloned().collect(),
            foreign_removed: credentials().filter(is_foreign_removed).cloned().collect(),
            foreign_edited: credentials().filter(is_foreign_edited).cloned().collect(),
            early_removals: credentials().filter_map(early).collect(),
            least_valid: self.least_valid(),
            refusals: self.seen.iter().map(|refusal| self.attribute(refusal)).collect(),
            accepted: self.accepted,
            calls: self.calls.clone(),
        }
    }

    /// Fails with the whole story if anything is wrong, weather aside.
    pub fn assert_clean(&self) -> anyhow::Result<()> {
        self.expect(&[])
    }

    /// Fails with the whole story if anything is wrong but what is expected, or if that is not: for scenarios whose
    /// point it is.
    pub fn expect(&self, expected: &[Offence]) -> anyhow::Result<()> {
        let verdict = self.verdict();
        let (found, expected) = (verdict.offences(), expected.iter().copied().collect::<BTreeSet<_>>());
        let (odd, missing): (Vec<_>, Vec<_>) =
            (found.difference(&expected).collect(), expected.difference(&found).collect());
        anyhow::ensure!(
            odd.is_empty() && missing.is_empty(),
            "the ledger is not as it has to be: unexpected are {odd:?}, missing {missing:?}\n{verdict}"
        );
        Ok(())
    }
}

impl Verdict {
    /// What is wrong, weather aside.
    #[must_use]
    pub fn offences(&self) -> BTreeSet<Offence> {
        let found = [
            (!self.orphans.is_empty()).then_some(Offence::Orphan),
            (!self.foreign_removed.is_empty()).then_some(Offence::ForeignRemoved),
            (!self.foreign_edited.is_empty()).then_some(Offence::ForeignEdited),
            (!self.early_removals.is_empty()).then_some(Offence::RemovedWhileHeld),
            self.least_valid.values().any(|least| least.count == 0).then_some(Offence::NoneValid),
        ];
        let refused = self.refusals.iter().map(|refusal| refusal.blame).filter(|blame| *blame != Blame::Weather);
        found.into_iter().flatten().chain(refused.map(Offence::Refused)).collect()
    }
}

/// What became of every secret that was minted.
fn secrets(log: &[Change]) -> impl Iterator<Item = Credential> {
    let minted = |change: &Change| {
        let What::Minted(password) = &change.what else { return None };
        let later = log.iter().filter(|later| later.client_id == change.client_id);
        let removal = later.clone().find(|later| match later.what {
            What::Removed(key_id) => key_id == password.key_id,
            What::Deleted => later.time > change.time,
            _ => false,
        });
        // Whoever edits a credential may have moved its end.
        let mut edited = later.filter_map(|later| match &later.what {
            What::Edited(edited) if edited.key_id == password.key_id => Some(edited),
            _ => None,
        });
        let last = edited.next_back().unwrap_or(password);
        Some(Credential {
            client_id: change.client_id,
            key_id: password.key_id,
            kind: Kind::Secret,
            name: last.display_name.clone().unwrap_or_default(),
            fingerprint: password.fingerprint,
            minted: change.time,
            by: change.by,
            known: change.settled.max(password.start),
            end: last.end,
            edited: None,
            removed: removal.map(|removal| (removal.time, removal.by)),
            thumbprint: None,
            value: Some(password.value.clone()),
        })
    };
    log.iter().filter_map(minted)
}
