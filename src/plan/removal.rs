//! The one gate through which credentials leave. Removing needs positive evidence: what cannot be told apart is
//! reported, never removed.

use jiff::Timestamp;

use super::{
    Next, Timing, Wait,
    scene::{Ruling, Scene, after, unless_passed},
    step::{Removable, Step},
};
use crate::{
    api::{GROUP, KeyId, Reason},
    facts::{Credential, Fate, Mark, Observation, PodSeen, Record, Stage, TargetId, TargetState},
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
        match gate(scene, credential.key_id, &mark, because) {
            // Decided on what the application is now: a mark that nobody knows may have come since.
            Ruling::Pass => match scene.application() {
                Ok(_) => return scene.effect(Step::Remove { key_id: credential.key_id, because }),
                Err(ruling) => return ruling,
            },
            step @ Ruling::Do(_) => return step,
            Ruling::Wait(wait) => waiting = if waiting == Ruling::Pass { Ruling::Wait(wait) } else { waiting },
        }
    }
    waiting
}

/// What a person may do about a credential that no record knows.
pub(super) fn advice(scene: &Scene<'_>, key_id: KeyId, mark: &Mark) -> String {
    let why = match scene.record(mark.sequence) {
        Some(_) => {
            "SplitBrain: its record does not know the attempt that made it; is there a second operator with the same clusterId?"
        }
        None => "UnknownCredential: there is no record of it; it may be in use",
    };
    let name = scene.request.name;
    format!("{why}. Remove it in Entra, or acknowledge it: kubectl annotate eac {name} {GROUP}/forget={key_id}")
}

/// Credentials with our mark that no record knows, and that nobody has acknowledged.
pub(super) fn unknown<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (&'a Credential, Mark)> {
    marked(scene).filter(|(credential, mark)| standing(scene, credential, mark) == Standing::Unknown)
}

fn marked<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (&'a Credential, Mark)> {
    let credentials = scene.seen.application.iter().flat_map(|looked| &looked.found.credentials);
    credentials
        .filter_map(|credential| Some((credential, credential.mark()?)))
        .filter(|(_, mark)| mark.owner == scene.seen.owner)
}

fn standing(scene: &Scene<'_>, credential: &Credential, mark: &Mark) -> Standing {
    let record = scene.record(mark.sequence);
    let kept =
        record.and_then(|record| record.entry.kept.as_ref()).is_some_and(|kept| kept.key_id == credential.key_id);
    let own = scene.own_attempt(mark.sequence, &mark.nonce);
    match record {
        _ if credential.is_expired(scene.now) && !kept => Standing::Leaving(Removable::Expired),
        Some(record) if kept => match record.entry.stage {
            Stage::Abandoned => Standing::Leaving(Removable::Abandoned),
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
fn gone_a_while(scene: &Scene<'_>, key_id: KeyId) -> bool {
    let removed = scene.seen.mine.removed.get(&key_id);
    removed.is_some_and(|at| !scene.has_passed(*at, scene.timing.absence + scene.timing.late_mint))
}

/// Whether a credential may leave now. What is asked first is cheap; a wait names who is in the way.
fn gate(scene: &Scene<'_>, key_id: KeyId, mark: &Mark, because: Removable) -> Ruling {
    match because {
        Removable::Lost | Removable::Expired => Ruling::Pass,
        Removable::Abandoned => {
            let kept = |one: &&Record| one.entry.kept.as_ref().is_some_and(|kept| kept.key_id == key_id);
            let since = scene.records().find(kept).and_then(|record| record.entry.abandoned_at).unwrap_or(scene.now);
            unless_passed!(no_write_is_under_way(scene, key_id, since));
            unless_passed!(nothing_carries(scene, key_id));
            no_pod_may_hold_it(scene, since)
        }
        Removable::Fenced => {
            let published_at = scene.published().and_then(|record| record.entry.published_at);
            if published_at.is_none() && !scene.seen.gone {
                let what =
                    format!("a credential to be published, before {key_id} of an attempt that was overtaken goes");
                return Ruling::wait(Reason::Idle, what, None);
            }
            let since = fenced_at(scene, mark);
            unless_passed!(no_write_is_under_way(scene, key_id, published_at.map_or(since, |at| at.max(since))));
            unless_passed!(nothing_carries(scene, key_id));
            no_pod_may_hold_it(scene, since)
        }
    }
}

/// Whatever was sent before it was given up, or before its successor was published, has landed. (A write to a vault that
/// was not answered may land minutes later, and nothing there compares it with anything.)
fn no_write_is_under_way(scene: &Scene<'_>, key_id: KeyId, since: Timestamp) -> Ruling {
    let until = after(since, scene.timing.late_mint + scene.timing.margin);
    if scene.now >= until {
        return Ruling::Pass;
    }
    Ruling::wait(Reason::Idle, format!("whatever was sent for credential {key_id} to have landed"), Some(until))
}

/// No target carries this credential, by reads of a moment ago.
pub(super) fn nothing_carries(scene: &Scene<'_>, key_id: KeyId) -> Ruling {
    for id in scene.every_target() {
        let wanted = scene.published().map(|record| record.entry.sequence);
        let state = match scene.target(&id, wanted) {
            Ok(state) => state,
            Err(ruling) => return ruling,
        };
        match state {
            TargetState::Present(carried) if carried.key_id == Some(key_id) => {
                return Ruling::wait(Reason::Idle, format!("{id} to carry another credential than {key_id}"), None);
            }
            TargetState::Troubled(trouble) => {
                return Ruling::wait(trouble.reason, format!("a look at {id}: {}", trouble.message), None);
            }
            TargetState::Present(_) | TargetState::Absent => {}
        }
    }
    Ruling::Pass
}

/// Every pod that reads what we publish has started so long after the attempt was fenced that no node's copy had what it may
/// have brought. `issue` waits as long before it publishes, so pods that waited for the Secret are not in the way. (An etcd that was restored from between mint and keep makes a key look fenced that pods do hold.)
fn no_pod_may_hold_it(scene: &Scene<'_>, fenced_at: Timestamp) -> Ruling {
    let pods = match &scene.seen.pods {
        Some(looked) if scene.is_fresh(looked.at) => &looked.found,
        _ => return scene.attempt(Step::ReadPods),
    };
    let every = scene.every_target();
    let published =
        |name: &String| every.iter().any(|target| matches!(target, TargetId::Secret(one) if one.0 == *name));
    let fenced_at = after(fenced_at, scene.timing.settle + scene.timing.margin);
    // News of a start come later than the start, but not by much.
    let untold = !scene.has_passed(fenced_at, scene.timing.late_mint);
    let holds = |pod: &&PodSeen| match pod.started_at {
        Some(at) => at <= fenced_at,
        None => untold && pod.created_at <= fenced_at,
    };
    let holder = pods.iter().find(|pod| holds(pod) && pod.reads.iter().any(published));
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

/// Records of credentials that are gone are deleted, when nothing with their number can show itself any more.
pub(super) fn forget_what_is_gone(scene: &Scene<'_>) -> Ruling {
    let above = scene.published().map(|record| record.entry.sequence);
    let over = |record: &&Record| {
        record.entry.stage == Stage::Abandoned && (scene.seen.gone || Some(record.entry.sequence) < above)
    };
    let Some(record) = scene.records().find(over) else { return Ruling::Pass };
    let since = record.entry.abandoned_at.unwrap_or(record.created_at);
    let bound = after(since, scene.timing.mint_within + scene.timing.late_mint + scene.timing.absence);
    if scene.now < bound {
        return Ruling::wait(Reason::Idle, "a mint that may still show itself", Some(bound));
    }
    match &scene.seen.application {
        Some(looked) if looked.at >= bound => {}
        _ => return scene.attempt(Step::ReadApplication),
    }
    // Also what we have removed counts as long as it is shown: "not found" may have been lag.
    let shown = marked(scene).any(|(_, mark)| mark.sequence == record.entry.sequence);
    if shown {
        return Ruling::Pass; // it leaves through the gate first
    }
    if record.finalized {
        let entry = Box::new(record.entry.clone());
        return scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: false });
    }
    scene.effect(Step::Forget { record: Box::new(record.clone()) })
}

/// A finalizer keeps the evidence of a mint in flight from going with its namespace, but not for ever.
pub(super) fn let_finalizers_go(scene: &Scene<'_>) -> Ruling {
    let finalized = scene.records().filter(|record| record.finalized);
    let Some(record) = finalized.min_by_key(|record| record.created_at) else { return Ruling::Pass };
    let bound = after(record.created_at, scene.timing.finalizer);
    if scene.now < bound {
        return Ruling::wait(Reason::Idle, "a mint in flight", Some(bound));
    }
    let entry = Box::new(record.entry.clone());
    scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: false })
}

/// A resource that is gone together with its tenant: nobody can sign in for it any more, but its namespace may go.
pub(super) fn without_a_tenant(seen: &Observation, timing: &Timing, now: Timestamp) -> Next {
    let finalized = seen.records.list.iter().filter(|record| seen.gone && record.finalized);
    let Some(record) = finalized.min_by_key(|record| record.created_at) else { return Next::Wait(vec![]) };
    let bound = after(record.created_at, timing.finalizer);
    if now < bound {
        let waiting_for = "a mint in flight".to_owned();
        return Next::Wait(vec![Wait { reason: Reason::Idle, waiting_for, until: Some(bound) }]);
    }
    let entry = Box::new(record.entry.clone());
    Next::Do(Step::Note { record: Box::new(record.clone()), entry, finalized: false })
}

/// What the rounds through the tenant do not show any more is read by itself.
pub(super) fn look_now_and_then(scene: &Scene<'_>) -> Ruling {
    let Some(looked) = scene.seen.application.as_ref().filter(|_| scene.published().is_some()) else {
        return Ruling::Pass; // the first round will show it
    };
    let next = after(looked.at, 2 * scene.timing.drift);
    if scene.now >= next {
        return scene.attempt(Step::ReadApplication);
    }
    Ruling::wait(Reason::Idle, "the next look at the application", Some(next))
}
