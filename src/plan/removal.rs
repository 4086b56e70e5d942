//! The one gate through which credentials leave. Removing needs positive evidence: what cannot be told apart is
//! reported, never removed.

use jiff::Timestamp;

use super::{
    adopt,
    certificate::list,
    due, ending,
    federated::coordinates,
    gate, migrate,
    removable::Removable,
    scene::{Ruling, Scene, after, before, unless_passed},
    step::Step,
};
use crate::{
    api::{GROUP, KeyId, Reason, grant::CredentialKind, rotation::Retirement},
    facts::{Credential, Fate, Mark, PodSeen, Reading, Record, Stage, TargetId, TargetState},
};

/// What a credential with our mark is, as far as the records tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is in use, on its way, or may be in the hands of somebody who is about to keep it.
    Needed,
    /// It may leave, if the gate lets it.
    Leaving(Removable),
    /// No record knows it.
    Unknown,
    /// The same, and a person has said that it is to be forgotten.
    Forgotten,
}

/// What this process minted and lost goes at once: nobody else can have its value.
pub(super) fn remove_what_was_lost(scene: &Scene<'_>) -> Ruling {
    for own in &scene.seen.mine.attempts {
        match &own.fate {
            Fate::Lost { key_id } if !scene.seen.mine.removed.contains_key(key_id) => {
                return scene.attempt(Step::Remove { key_id: *key_id, because: Removable::Lost });
            }
            _ => {}
        }
    }
    Ruling::Pass
}

/// A mint whose answer was lost may show itself late: look for it until it could not arrive any more.
pub(super) fn look_for_what_may_have_been_minted(scene: &Scene<'_>) -> Ruling {
    let timing = scene.timing;
    let mut next = None;
    for own in &scene.seen.mine.attempts {
        let Fate::Unknown { sent_at } = own.fate else { continue };
        let last_look = after(sent_at, timing.late_mint + timing.absence);
        let looked_at = scene.seen.application.as_ref().map(|looked| looked.at);
        for milestone in [after(sent_at, timing.quiet_start), after(sent_at, timing.absence), last_look] {
            if looked_at.is_some_and(|at| at >= milestone) {
                continue;
            }
            if scene.now >= milestone {
                return scene.attempt(Step::ReadApplication);
            }
            next = [next, Some(milestone)].into_iter().flatten().min();
        }
    }
    next.map_or(Ruling::Pass, |until| {
        Ruling::wait(Reason::Idle, "a mint whose answer was lost to show itself", Some(until))
    })
}

/// What is left over on the application leaves, one at a time.
pub(super) fn remove_what_is_left_over(scene: &Scene<'_>) -> Ruling {
    let mut waiting = Ruling::Pass;
    let unsure = unknown(scene).next().is_some();
    for (credential, mark) in marked(scene) {
        let Standing::Leaving(because) = standing(scene, credential, &mark) else { continue };
        if gone_a_while(scene, credential.key_id)
            || (unsure && because != Removable::Expired && because != Removable::Lost)
        {
            continue;
        }
        match gate(scene, credential.key_id, Some(&mark), because) {
            // Decided on what the application is now: a mark that nobody knows may have come since.
            Ruling::Pass => match scene.application() {
                Ok(_) => return take_away(scene, credential.key_id, because),
                Err(ruling) => return ruling,
            },
            step @ Ruling::Do(_) => return step,
            Ruling::Wait(wait) => waiting = if waiting == Ruling::Pass { Ruling::Wait(wait) } else { waiting },
        }
    }
    waiting
}

/// Credentials of others leave if the spec names them now, which the tenant has allowed: those that somebody else may know
/// at once, the others when everybody has ours. One with a mark, of whomever, is never taken for one of these.
pub(super) fn remove_what_is_named(scene: &Scene<'_>) -> Ruling {
    if unknown(scene).next().is_some() {
        return Ruling::Pass; // whoever else there is may know what these are for
    }
    let retirement = scene.request.spec.retirement.as_ref();
    let named =
        |list: fn(&Retirement) -> &Vec<KeyId>, key_id| retirement.is_some_and(|one| list(one).contains(&key_id));
    let credentials = scene.seen.application.iter().flat_map(|looked| &looked.found.credentials);
    let foreign = credentials.filter(|one| one.mark().is_none() && one.kind == scene.request.kind);
    let mut waiting = Ruling::Pass;
    for key_id in foreign.map(|one| one.key_id).filter(|key_id| !gone_a_while(scene, *key_id)) {
        let because = match key_id {
            _ if is_current(scene, key_id) && !scene.request.former => continue,
            _ if named(|one| &one.compromised_key_ids, key_id) => Removable::Compromised,
            _ if named(|one| &one.foreign_key_ids, key_id) => Removable::Foreign,
            _ if adopt::may_go(scene, key_id) && is_replaced_one(scene, key_id) => Removable::Adopted,
            _ => continue,
        };
        let may_go = match because {
            Removable::Compromised if !is_replaced_one(scene, key_id) => Ruling::Pass,
            _ => gate(scene, key_id, None, because),
        };
        match may_go {
            Ruling::Pass => match scene.application() {
                Ok(_) => return take_away(scene, key_id, because),
                Err(ruling) => return ruling,
            },
            step @ Ruling::Do(_) => return step,
            wait @ Ruling::Wait(_) => waiting = if waiting == Ruling::Pass { wait } else { waiting },
        }
    }
    waiting
}

/// Take a credential off the application: a certificate by writing those that stay.
pub(super) fn take_away(scene: &Scene<'_>, key_id: KeyId, because: Removable) -> Ruling {
    let mut all = scene.seen.application.iter().flat_map(|looked| &looked.found.credentials);
    match all.find(|one| one.key_id == key_id).map(|one| one.kind) {
        Some(CredentialKind::Certificate) => list::without(scene, key_id, because),
        _ => scene.effect(Step::Remove { key_id, because }),
    }
}

/// Whether a credential is the one that is published, or on its way.
fn is_current(scene: &Scene<'_>, key_id: KeyId) -> bool {
    let current = [scene.published(), scene.candidate()];
    current.into_iter().flatten().any(|record| record.entry.kept.as_ref().is_some_and(|kept| kept.key_id == key_id))
}

/// Whether a credential was published before, and another one is now.
fn is_replaced_one(scene: &Scene<'_>, key_id: KeyId) -> bool {
    let is_it = |record: &Record| record.entry.kept.as_ref().is_some_and(|kept| kept.key_id == key_id);
    replaced(scene).any(is_it) || (scene.request.former && scene.published().is_some_and(is_it))
}

/// What a person may do about a credential that no record knows.
pub(super) fn advice(scene: &Scene<'_>, key_id: KeyId, mark: &Mark) -> String {
    let why = match scene.record(mark.sequence) {
        Some(_) => {
            "SplitBrain: its record does not know the attempt that made it; is there a second operator with the same clusterId?"
        }
        None => "UnknownCredential: there is no record of it; it may be in use",
    };
    let (name, namespace) = (scene.request.name, scene.request.namespace);
    // An annotation has one value: what was acknowledged before must be in it too.
    let shown = marked(scene).map(|(credential, _)| credential.key_id);
    let acknowledged = shown.filter(|shown| is_acknowledged(scene, *shown)).map(|shown| shown.to_string());
    let all: Vec<String> = acknowledged.chain([key_id.to_string()]).collect();
    format!(
        "{why}. Remove it in Entra, or acknowledge it: kubectl annotate eac {name} -n {namespace} --overwrite \
         {GROUP}/forget={}",
        all.join(",")
    )
}

/// Credentials with our mark that no record knows, and that nobody has acknowledged.
pub(super) fn unknown<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (&'a Credential, Mark)> {
    marked(scene).filter(|(credential, mark)| standing(scene, credential, mark) == Standing::Unknown)
}

pub(super) fn marked<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (&'a Credential, Mark)> {
    let credentials = scene.seen.application.iter().flat_map(|looked| &looked.found.credentials);
    credentials
        .filter_map(|credential| Some((credential, credential.mark()?)))
        .filter(|(_, mark)| mark.owner == scene.seen.owner)
}

fn standing(scene: &Scene<'_>, credential: &Credential, mark: &Mark) -> Standing {
    if credential.kind != scene.request.kind && is_known_elsewhere(scene, credential, mark) {
        return Standing::Needed; // it is for the rules of its own kind
    }
    let record = scene.record(mark.sequence);
    let kept =
        record.and_then(|record| record.entry.kept.as_ref()).is_some_and(|kept| kept.key_id == credential.key_id);
    let own = scene.own_attempt(mark.sequence, &mark.nonce);
    match record {
        _ if credential.is_expired(scene.now) && !kept => Standing::Leaving(Removable::Expired),
        Some(record) if kept => match record.entry.stage {
            Stage::Abandoned => Standing::Leaving(Removable::Abandoned),
            Stage::Publishing if is_replaced(scene, record) => match credential {
                // Entra's clock decides until when whoever still has it signs in, and it may be behind ours.
                one if one.is_expired(before(scene.now, scene.timing.drift)) => Standing::Leaving(Removable::Expired),
                // Who uses it, and who was to confirm outside, went with the resource: what was published stays.
                _ if scene.seen.gone => Standing::Needed,
                one if due::is_compromised(scene, one.key_id) => Standing::Leaving(Removable::Compromised),
                _ => Standing::Leaving(Removable::Replaced),
            },
            Stage::Unpublished | Stage::Publishing => Standing::Needed,
        },
        _ if own.is_some_and(|own| matches!(own.fate, Fate::Unknown { .. }) && !is_last(record, mark)) => {
            Standing::Leaving(Removable::Lost)
        }
        _ if own.is_some_and(|own| matches!(own.fate, Fate::Held { .. } | Fate::Lost { .. })) => Standing::Needed,
        Some(record) if record.entry.knows(&mark.nonce) => {
            if record.entry.is_open() && record.entry.stage == Stage::Unpublished && is_last(Some(record), mark) {
                Standing::Needed // whoever announced it may be about to keep it
            } else {
                Standing::Leaving(Removable::Fenced)
            }
        }
        _ if is_acknowledged(scene, credential.key_id) => Standing::Forgotten,
        _ => Standing::Unknown,
    }
}

/// Whether a record of another kind than this scene is about knows a credential.
fn is_known_elsewhere(scene: &Scene<'_>, credential: &Credential, mark: &Mark) -> bool {
    let (client_id, tenant) = (scene.request.spec.client_id, scene.request.tenant.tenant_id);
    scene.seen.records.list.iter().map(|record| &record.entry).any(|entry| {
        (entry.client_id, entry.tenant, entry.kind) == (client_id, tenant, credential.kind)
            && entry.sequence == mark.sequence
            && entry.knows(&mark.nonce)
    })
}

/// Credentials that were published before and are not known to be gone.
pub(super) fn replaced<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = &'a Record> {
    let publishing = scene.records().filter(|record| record.entry.stage == Stage::Publishing);
    publishing.filter(|record| record.entry.retired_at.is_none() && is_replaced(scene, record))
}

/// Whether another one counts as published in the place of this one.
pub(super) fn is_replaced(scene: &Scene<'_>, record: &Record) -> bool {
    scene.published().is_some_and(|published| published.entry.sequence > record.entry.sequence)
}

/// Whether a mark is of the attempt that may still keep what it brings.
fn is_last(record: Option<&Record>, mark: &Mark) -> bool {
    record.is_some_and(|record| {
        record.entry.is_open() && record.entry.last_attempt().is_some_and(|last| last.nonce == mark.nonce)
    })
}

/// Whether a person has said that a credential is to be forgotten.
pub(super) fn is_acknowledged(scene: &Scene<'_>, key_id: KeyId) -> bool {
    let annotations = scene.seen.resource.metadata.annotations.as_ref();
    let said = annotations.and_then(|all| all.get(&format!("{GROUP}/forget")));
    said.is_some_and(|said| said.split([',', ' ']).any(|one| one == key_id.to_string()))
}

/// Reads go on showing for a while what was removed.
pub(super) fn gone_a_while(scene: &Scene<'_>, key_id: KeyId) -> bool {
    let removed = scene.seen.mine.removed.get(&key_id);
    removed.is_some_and(|at| !scene.has_passed(*at, scene.timing.absence + scene.timing.late_mint))
}

/// Whether a credential may leave now. What is asked first is cheap; a wait names who is in the way.
pub(super) fn gate(scene: &Scene<'_>, key_id: KeyId, mark: Option<&Mark>, because: Removable) -> Ruling {
    match because {
        Removable::Lost | Removable::Expired => Ruling::Pass,
        Removable::Revoked => ending::nobody_uses_it(scene),
        Removable::Migrated if due::is_compromised(scene, key_id) => migrate::time_is_up(scene, key_id),
        Removable::Compromised if scene.request.former => migrate::time_is_up(scene, key_id),
        Removable::Migrated => migrate::is_led_over(scene),
        Removable::Replaced | Removable::Foreign | Removable::Adopted if scene.request.former => {
            migrate::what_is_named_may_go(scene, key_id)
        }
        // (Only what is federated is undeclared, and that has a gate of its own, which knows no values.)
        Removable::Replaced | Removable::Foreign | Removable::Adopted | Removable::Undeclared => {
            gate::everybody_has_ours(scene, key_id)
        }
        Removable::Compromised => gate::time_is_up(scene, key_id),
        Removable::Abandoned => {
            let kept = |one: &&Record| one.entry.kept.as_ref().is_some_and(|kept| kept.key_id == key_id);
            let since = scene.records().find(kept).and_then(|record| record.entry.abandoned_at).unwrap_or(scene.now);
            unless_passed!(no_write_is_under_way(scene, key_id, since));
            unless_passed!(nothing_carries(scene, key_id));
            no_pod_may_hold_it(scene, since)
        }
        Removable::Fenced => {
            let published_at = scene.published().and_then(|record| record.entry.published_at);
            if published_at.is_none() && !scene.seen.gone && !scene.request.former {
                let what =
                    format!("a credential to be published, before {key_id} of an attempt that was overtaken goes");
                return Ruling::wait(Reason::Idle, what, None);
            }
            let since = mark.map_or(scene.now, |mark| fenced_at(scene, mark));
            unless_passed!(no_write_is_under_way(scene, key_id, published_at.map_or(since, |at| at.max(since))));
            unless_passed!(nothing_carries(scene, key_id));
            no_pod_may_hold_it(scene, since)
        }
    }
}

/// Whatever was sent before it was given up, or before its successor was published, has landed. (A write to a vault that
/// was not answered may land minutes later, and nothing there compares it with anything.)
pub(super) fn no_write_is_under_way(scene: &Scene<'_>, key_id: KeyId, since: Timestamp) -> Ruling {
    let until = after(since, scene.timing.late_mint + scene.timing.margin);
    if scene.now >= until {
        return Ruling::Pass;
    }
    Ruling::wait(Reason::Idle, format!("whatever was sent for credential {key_id} to have landed"), Some(until))
}

/// No target carries this credential, by reads of a moment ago.
pub(super) fn nothing_carries(scene: &Scene<'_>, key_id: KeyId) -> Ruling {
    match carrier(scene, key_id) {
        Ok(None) => Ruling::Pass,
        Ok(Some(id)) => {
            let renewed = scene.declared().contains(&id);
            let alone =
                if renewed { "" } else { "; nothing new is published there, so delete it when nobody reads it" };
            Ruling::wait(Reason::Idle, format!("{id} to carry another credential than {key_id}{alone}"), None)
        }
        Err(ruling) => ruling,
    }
}

/// A target that carries this credential, by reads of a moment ago, or why that cannot be said.
pub(super) fn carrier(scene: &Scene<'_>, key_id: KeyId) -> Result<Option<TargetId>, Ruling> {
    for id in scene.every_target() {
        let wanted = coordinates::to_be_carried(scene, &id).or_else(|| scene.published());
        match scene.target(&id, wanted.map(|record| record.entry.sequence))? {
            TargetState::Present(carried) if carried.key_id == Some(key_id) => return Ok(Some(id)),
            // Nobody reads what is deleted, and what is not declared any more is not written there again.
            TargetState::Troubled(trouble)
                if trouble.reason == Reason::VaultEntryDeleted && !scene.declared().contains(&id) => {}
            TargetState::Troubled(trouble) => {
                return Err(Ruling::wait(trouble.reason, format!("a look at {id}: {}", trouble.message), None));
            }
            TargetState::Present(_) | TargetState::Absent => {}
        }
    }
    Ok(None)
}

/// Every pod that reads what we publish has started so long after the attempt was fenced that no node's copy had what it may
/// have brought. `issue` waits as long before it publishes, so pods that waited for the Secret are not in the way. (An etcd that was restored from between mint and keep makes a key look fenced that pods do hold.)
fn no_pod_may_hold_it(scene: &Scene<'_>, fenced_at: Timestamp) -> Ruling {
    let consumers = match scene.listed() {
        Ok(consumers) => consumers,
        Err(ruling) => return ruling,
    };
    let every = scene.every_target();
    let published = |reading: &Reading| {
        every.iter().any(|target| matches!(target, TargetId::Secret(one) if one.0 == reading.secret))
    };
    let fenced_at = scene.forgotten(fenced_at);
    // News of a start come later than the start, but not by much.
    let untold = !scene.has_passed(fenced_at, scene.timing.late_mint);
    let holds = |pod: &&PodSeen| match pod.started_at {
        Some(at) => at <= fenced_at,
        None => untold && pod.created_at <= fenced_at,
    };
    let holder = consumers.pods.iter().find(|pod| holds(pod) && pod.reads.iter().any(published));
    holder.map_or(Ruling::Pass, |pod| {
        let until = Some(after(scene.now, scene.timing.drift));
        Ruling::wait(Reason::Idle, format!("pod/{}, which may hold what was there before", pod.name), until)
    })
}

/// When an attempt was fenced: by the next one, or by giving its record up.
fn fenced_at(scene: &Scene<'_>, mark: &Mark) -> Timestamp {
    let Some(record) = scene.record(mark.sequence) else { return scene.now };
    let mut later = record.entry.attempts.iter().skip_while(|attempt| attempt.nonce != mark.nonce).skip(1);
    later.next().map(|attempt| attempt.at).or(record.entry.abandoned_at).unwrap_or(scene.now)
}

/// What the rounds through the tenant do not show any more is read by itself.
pub(super) fn look_now_and_then(scene: &Scene<'_>) -> Ruling {
    let Some(looked) = scene.seen.application.as_ref().filter(|_| scene.published().is_some()) else {
        return Ruling::Pass; // the first round will show it
    };
    // A look begins with what the last round has shown, and may act on that for a while.
    let next = after(looked.at, 2 * scene.timing.drift + scene.timing.fresh);
    if scene.now >= next {
        return scene.attempt(Step::ReadApplication);
    }
    Ruling::wait(Reason::Idle, "the next look at the application", Some(next))
}
