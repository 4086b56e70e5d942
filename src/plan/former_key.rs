//! The key of a former secret, in a Secret that says from now on only where to sign in, and as what. It stays until whoever
//! reads the Secret has a token to sign in with; then it is taken out, and whoever reads the Secret is restarted once more.
//! When nobody has the key any more, the former secret goes like any other.
//!
//! That it is to be taken out is in its record before the Secret is written. From then on the record was published when the
//! Secret was rid of the key, and is with everybody when everybody is.

use super::{
    blast,
    evidence::{self, Evidence},
    federated::{coordinates, identity},
    publish,
    readable::{self, Request},
    rollout,
    scene::{Ruling, Scene, after, unless_passed},
    step::Step,
};
use crate::{
    api::{KeyId, Reason, grant::CredentialKind, publish::SecretCreationPolicy},
    facts::{
        Consumers, Hindrance, Identity, Reading, Record, Stage, TargetId, TargetState,
        target::{PATH_KEY, PUBLIC_KEYS},
    },
};

/// The keys that are of a credential, whatever else is in a Secret.
const CREDENTIAL_KEYS: [&str; 5] = ["AZURE_CLIENT_SECRET", PATH_KEY, "tls.crt", "tls.key", "credential.pem"];

/// What was published last before what is federated.
fn last<'a>(scene: &Scene<'a>) -> Option<&'a Record> {
    every_former(scene).max_by_key(|record| record.entry.sequence)
}

/// The same, unless it is retired.
fn former<'a>(scene: &Scene<'a>) -> Option<&'a Record> {
    last(scene).filter(|record| record.entry.retired_at.is_none())
}

fn every_former<'a>(scene: &Scene<'a>) -> impl Iterator<Item = &'a Record> + use<'a> {
    let (client_id, tenant) = (scene.request.spec.client_id, scene.request.tenant.tenant_id);
    scene.seen.records.list.iter().filter(move |record| {
        let entry = &record.entry;
        (entry.client_id, entry.tenant) == (client_id, tenant)
            && entry.kind != CredentialKind::Federated
            && entry.stage == Stage::Publishing
    })
}

/// The former secret whose key is still to be in this Secret.
pub(super) fn stays_in<'a>(scene: &Scene<'a>, id: &TargetId) -> Option<&'a Record> {
    former(scene).filter(|record| record.entry.taken_out_at.is_none() && record.entry.published_to.contains(id))
}

/// Whether a Secret has the key of a former secret that is still there.
pub(super) fn is_carried_by(scene: &Scene<'_>, state: &TargetState) -> bool {
    let kept = former(scene).and_then(|record| record.entry.kept.as_ref());
    kept.is_some_and(|kept| publish::carries(state, kept))
}

/// Whether the key of a former secret may be written once more, where somebody has deleted or edited it.
pub(super) fn may_be_written(scene: &Scene<'_>, record: &Record) -> Ruling {
    let Some(kept) = &record.entry.kept else { return Ruling::Pass };
    unless_passed!(publish::authentic(scene, record, kept));
    publish::not_removed(scene, kept)
}

/// A key that was taken out and is in the Secret again may have been read: whatever was known of who has it begins anew.
pub(super) fn is_there_again(scene: &Scene<'_>, key_id: KeyId) -> Ruling {
    let is_it = |record: &&Record| {
        let entry = &record.entry;
        entry.taken_out_at.is_some()
            && entry.published_at.is_some()
            && entry.kept.as_ref().is_some_and(|kept| kept.key_id == key_id)
    };
    let Some(record) = every_former(scene).find(is_it) else { return Ruling::Pass };
    let entry = Scene::rewritten(record, |entry| {
        (entry.published_at, entry.proven_at, entry.retired_at) = (None, None, None);
        entry.again = entry.again.saturating_add(1);
    });
    scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: record.finalized })
}

/// Take the key out of the Secret that is declared, if it is there, and see to it that nobody has it any more.
pub(super) fn take_out(scene: &Scene<'_>) -> Ruling {
    let Some(id) = coordinates::declared(scene) else { return Ruling::Pass };
    let Some(record) = former(scene).filter(|record| record.entry.published_to.contains(&id)) else {
        return Ruling::Pass;
    };
    let entry = &record.entry;
    match (entry.taken_out_at, entry.published_at, entry.proven_at) {
        (None, ..) => {
            unless_passed!(nobody_needs_it(scene, &id));
            unless_passed!(blast::brake_is_off(scene));
            unless_passed!(rollout::window(scene, "the former key to be taken out of what is published"));
            begin(scene, record)
        }
        (Some(_), None, _) => is_out(scene, record, &id),
        (Some(_), Some(_), None) => {
            unless_passed!(everybody_can_start(scene, &id));
            rollout::bring_to_everybody(scene)
        }
        (Some(_), Some(_), Some(_)) => Ruling::Pass,
    }
}

/// From here on the Secret is to be without it, and without whatever was there before. (What was proven was proven of a Secret
/// that had it.)
fn begin(scene: &Scene<'_>, last: &Record) -> Ruling {
    let mut earlier = every_former(scene).filter(|one| one.entry.sequence < last.entry.sequence);
    let record = earlier.find(|one| (one.entry.taken_out_at, one.entry.retired_at) == (None, None)).unwrap_or(last);
    let entry = Scene::rewritten(record, |entry| {
        entry.taken_out_at = Some(scene.now);
        (entry.verified_at, entry.published_at, entry.proven_at) = (None, None, None);
    });
    scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: record.finalized })
}

/// Note when the Secret is rid of it; `coordinates` writes it.
fn is_out(scene: &Scene<'_>, record: &Record, id: &TargetId) -> Ruling {
    let wanted = coordinates::to_be_carried(scene, id).map(|record| record.entry.sequence);
    match scene.target(id, wanted) {
        Ok(state) if coordinates::carries(state) => {
            let entry = Scene::rewritten(record, |entry| entry.published_at = Some(scene.now));
            scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: record.finalized })
        }
        Ok(_) => Ruling::wait(Reason::Retiring, format!("{id} to be rid of the former key"), None),
        Err(ruling) => ruling,
    }
}

/// What is known of who is rid of the key, when the Secret is.
pub(super) fn who_is_rid<'s, 'a>(scene: &'s Scene<'a>) -> Option<Evidence<'s, 'a>> {
    coordinates::declared(scene)?;
    let record = last(scene).filter(|record| scene.request.former && record.entry.taken_out_at.is_some())?;
    Some(Evidence::of(scene, evidence::issue_of(scene, record)?))
}

/// Whether everybody who reads the Secret can do without the key.
fn nobody_needs_it(scene: &Scene<'_>, id: &TargetId) -> Ruling {
    let readers = Readers::of(scene);
    match rollout::in_the_way(scene, Reason::Retiring, |seen| readers.in_the_way(seen)) {
        Ok(Some((who, until))) => {
            Ruling::wait(Reason::StillInUse, format!("{who}, before the former key is taken out of {id}"), until)
        }
        Ok(None) => Ruling::Pass,
        Err(ruling) => ruling,
    }
}

/// Nobody is restarted into a failure: whoever needs the key by now would not start.
fn everybody_can_start(scene: &Scene<'_>, id: &TargetId) -> Ruling {
    let consumers = match rollout::watched(scene, Reason::RollingOut) {
        Ok(consumers) => consumers,
        Err(ruling) => return ruling,
    };
    let readers = Readers::of(scene);
    let mut workloads = consumers.workloads.iter();
    let who = workloads.find_map(|one| readers.to_be_rid(&one.id.to_string(), &one.reads));
    who.map_or(Ruling::Pass, |who| {
        let until = after(scene.now, scene.timing.drift);
        Ruling::wait(
            Reason::StillInUse,
            format!("{who}, before it is restarted without the former key of {id}"),
            Some(until),
        )
    })
}

/// Who reads a Secret whose key is to go.
struct Readers<'a> {
    /// The Secret.
    secret: &'a str,
    /// The keys that stay in it.
    staying: Vec<&'a str>,
    /// Whether it is somebody else's, too, who may have keys of their own in it.
    shared: bool,
    /// The copies that other tools make of the key.
    copies: Vec<String>,
    /// The accounts whose pods sign in by a token.
    accounts: Vec<&'a str>,
    request: &'a Request<'a>,
}

impl<'a> Readers<'a> {
    fn of(scene: &Scene<'a>) -> Self {
        let spec = scene.request.spec;
        let declared = spec.publish.as_ref().and_then(|publish| publish.secret.as_ref());
        let made = declared.and_then(|secret| secret.template.as_ref()).into_iter().flat_map(|one| one.data.keys());
        Self {
            secret: readable::secret_name(spec, scene.request.name).unwrap_or_default(),
            staying: PUBLIC_KEYS.into_iter().chain(made.map(String::as_str)).collect(),
            shared: declared.and_then(|secret| secret.creation_policy) == Some(SecretCreationPolicy::Merge),
            copies: evidence::declared_copies(spec).map(|copy| copy.secret).collect(),
            accounts: identity::accounts(spec).map(|account| account.name.as_str()).collect(),
            request: scene.request,
        }
    }

    /// Somebody who cannot do without the key, and what has to happen.
    fn in_the_way(&self, seen: &Consumers) -> Option<String> {
        let workloads = seen.workloads.iter().filter(|one| one.hindrance != Some(Hindrance::Deleting));
        let workloads = workloads.map(|one| (one.id.to_string(), &one.reads, &one.identity));
        let schedules = seen.schedules.iter().map(|one| (one.name.clone(), &one.reads, &one.identity));
        let lasting = workloads.chain(schedules).find_map(|(name, reads, identity)| self.to_do(&name, reads, identity));
        lasting.or_else(|| seen.pods.iter().find_map(|pod| self.to_end(&pod.name, &pod.reads, &pod.identity)))
    }

    /// What is to be changed about something that makes pods.
    fn to_do(&self, name: &str, reads: &[Reading], identity: &Identity) -> Option<String> {
        let secret = self.secret;
        self.to_be_rid(name, reads).or_else(|| {
            if let Some(copy) = self.copy(reads) {
                return Some(format!("{name} to be rid of secret/{copy}, which is a copy"));
            }
            let will = self.accounts.contains(&identity.account.as_str()) && (identity.asks || self.is_told(identity));
            (self.reads_it(reads) && !will).then(|| {
                format!(
                    "{name} to ask for a token (label azure.workload.identity/use: \"true\", serviceAccountName: {}), or to be \
                     rid of secret/{secret}",
                    self.accounts.join(" or ")
                )
            })
        })
    }

    /// Something whose pods could not start without the key.
    fn to_be_rid(&self, name: &str, reads: &[Reading]) -> Option<String> {
        let (key, secret) = (self.needed(reads)?, self.secret);
        Some(format!(
            "{name} to be rid of key {key} of secret/{secret}, or to say that it is optional (its pods could not start without it)"
        ))
    }

    fn to_end(&self, name: &str, reads: &[Reading], identity: &Identity) -> Option<String> {
        if let Some(key) = self.needed(reads) {
            return Some(format!("pod/{name} to end, which needs key {key} of secret/{}", self.secret));
        }
        if let Some(copy) = self.copy(reads) {
            return Some(format!("pod/{name} to end, which reads secret/{copy}, a copy"));
        }
        let does = self.accounts.contains(&identity.account.as_str()) && self.is_told(identity);
        let why = match &identity.signs_in_as {
            None => "has no token",
            Some(_) => "was not told to sign in as this application",
        };
        (self.reads_it(reads) && !does)
            .then(|| format!("pod/{name} to end or to be made anew, which reads secret/{} and {why}", self.secret))
    }

    fn reads_it(&self, reads: &[Reading]) -> bool {
        reads.iter().any(|one| one.secret == self.secret && one.may_be_secret())
    }

    fn copy<'r>(&self, reads: &'r [Reading]) -> Option<&'r str> {
        reads.iter().map(|one| one.secret.as_str()).find(|one| self.copies.iter().any(|copy| copy == one))
    }

    /// A key that goes, and without which a pod cannot start.
    fn needed<'r>(&self, reads: &'r [Reading]) -> Option<&'r str> {
        let goes = |key: &str| !self.staying.contains(&key) && (!self.shared || CREDENTIAL_KEYS.contains(&key));
        let needed = reads.iter().filter(|one| one.secret == self.secret && one.needs_it);
        needed.filter_map(|one| one.key.as_deref()).find(|key| goes(key))
    }

    fn is_told(&self, identity: &Identity) -> bool {
        identity::signs_in(self.request, identity)
    }
}
