//! From nothing to a kept credential: open, mint, keep. Every step leaves behind what the next one, in this
//! process or in another, needs to tell what has happened.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    adopt, attempts, blast,
    certificate::{self, list, source},
    due, proof,
    scene::{Ruling, Scene, after, unless_passed},
    step::Step,
    target,
    timing::doubling,
};
use crate::{
    api::{Reason, grant::CredentialKind},
    facts::{
        Application, Attempt, Cause, Credential, Entry, Fate, Kept, Mark, OwnAttempt, Record, Sequence, TargetId,
        TargetState, Work,
    },
};

/// A value that is in memory only is the first thing to care for: it exists nowhere else.
pub(super) fn keep_what_is_held(scene: &Scene<'_>) -> Ruling {
    let held = scene.seen.mine.attempts.iter().find_map(|own| match &own.fate {
        Fate::Held { kept, unsettled, .. } => Some((own, kept, *unsettled)),
        _ => None,
    });
    let Some((own, kept, unsettled)) = held else { return Ruling::Pass };
    let ours = scene.record(own.sequence).filter(|record| {
        record.entry.is_open() && record.entry.last_attempt().is_some_and(|last| last.nonce == own.nonce)
    });
    match ours {
        _ if !unsettled && scene.seen.records.listed_at.is_none() => scene.attempt(Step::ReadRecords),
        // Not `effect`: the write compares the record with what it was, however long ago that was seen.
        Some(record) if !unsettled => {
            let entry = Scene::rewritten(record, |entry| entry.kept = Some(kept.clone()));
            scene.attempt(Step::Keep { record: Box::new(record.clone()), entry })
        }
        _ => scene.attempt(Step::Settle { sequence: own.sequence, nonce: own.nonce.clone() }),
    }
}

/// A credential that is on its way goes on; where there is none, and another is due, one is begun.
pub(super) fn bring_on_its_way(scene: &Scene<'_>) -> Ruling {
    match scene.candidate() {
        // Its Secret goes with its finalizer, and that is dropped when it is published: nothing would be left to publish from.
        Some(record) if record.deleting => proof::give_up(scene, record, record.entry.kept.as_ref()),
        Some(record) => match &record.entry.kept {
            None => mint(scene, record),
            Some(kept) => {
                unless_passed!(list::enlist(scene, record, kept));
                proof::prove(scene, record, kept)
            }
        },
        None => {
            unless_passed!(rebuild_what_is_ahead(scene));
            match due::cause(scene) {
                Some(cause) => open(scene, cause),
                None => due::find_out_what_is_missing(scene),
            }
        }
    }
}

/// A target that carries a later credential than any record speaks of: its record was lost, and is written anew.
fn rebuild_what_is_ahead(scene: &Scene<'_>) -> Ruling {
    let Some(published) = scene.published() else { return Ruling::Pass };
    let is_ahead = |state: &TargetState| {
        let sequence = target::ours(state, &scene.seen.owner).and_then(|carried| carried.sequence);
        sequence.is_some_and(|one| one > published.entry.sequence && scene.record(one).is_none())
    };
    if !scene.seen.targets.values().any(|looked| is_ahead(&looked.found)) {
        return Ruling::Pass;
    }
    let application = match scene.application() {
        Ok(application) => application,
        Err(ruling) => return ruling,
    };
    let targets = match looked_at(scene) {
        Ok(targets) => targets,
        Err(ruling) => return ruling,
    };
    match carried(scene, application, &targets).filter(|(_, entry)| entry.sequence > published.entry.sequence) {
        Some((target, entry)) => scene.effect(Step::Rebuild { entry: Box::new(entry), target }),
        None => Ruling::Pass,
    }
}

/// Begin: a record before anything else. What could refuse the credential later is looked at before.
fn open(scene: &Scene<'_>, cause: Cause) -> Ruling {
    unless_passed!(may_mint(scene));
    unless_passed!(blast::brake_is_off(scene));
    if let Some(last) = scene.given_up().max_by_key(|record| record.entry.abandoned_at) {
        let times = u32::try_from(scene.given_up().count()).unwrap_or(u32::MAX);
        let since = last.entry.abandoned_at.unwrap_or(last.created_at);
        let until = after(since, doubling(scene.timing.mint_again, times));
        if scene.now < until {
            let (reason, why) = if last.deleting {
                (Reason::Opening, "somebody deleted its record before it was published")
            } else {
                (Reason::NotProven, "it could not be proven in time")
            };
            let what = format!("the end of a pause: {times} in a row came to nothing, the last since {why}");
            return Ruling::wait(reason, what, Some(until));
        }
    }
    let application = match scene.application() {
        Ok(application) => application,
        Err(ruling) => return ruling,
    };
    let targets = match looked_at(scene) {
        Ok(targets) => targets,
        Err(ruling) => return ruling,
    };
    if let Some((target, entry)) = carried(scene, application, &targets) {
        return scene.effect(Step::Rebuild { entry: Box::new(entry), target });
    }
    let sequence = next_sequence(scene, application, &targets);
    let first = scene.new_attempt();
    if matches!(cause, Cause::FirstIssue | Cause::KindChanged) && scene.records().next().is_none() {
        unless_passed!(adopt::adopt(scene, application, entry(scene, sequence, first.clone())));
    }
    unless_passed!(room(scene, application));
    unless_passed!(somewhere(scene, application, &targets));
    scene.effect(Step::Open { entry: Box::new(Entry { cause: Some(cause), ..entry(scene, sequence, first) }) })
}

/// What a new record says.
fn entry(scene: &Scene<'_>, sequence: Sequence, first: Attempt) -> Entry {
    let request = scene.request;
    let about = (request.tenant.tenant_id, request.spec.client_id, request.kind);
    let replaces = scene.published().and_then(|record| record.entry.kept.as_ref()).map(|kept| kept.key_id);
    Entry { replaces, ..Entry::opened(scene.seen.owner.clone(), request.name, about, sequence, first) }
}

/// One more than anything that was ever numbered, wherever a number is left.
fn next_sequence(scene: &Scene<'_>, application: &Application, targets: &[(TargetId, &TargetState)]) -> Sequence {
    let marks =
        application.credentials.iter().filter_map(Credential::mark).filter(|mark| mark.owner == scene.seen.owner);
    let carried = targets.iter().filter_map(|(_, state)| target::ours(state, &scene.seen.owner)?.sequence);
    let own = scene.seen.mine.attempts.iter().map(|own| own.sequence);
    scene.next_sequence(marks.map(|mark| mark.sequence).chain(carried).chain(own))
}

/// Every declared target, looked at a moment ago. It is compared with what is published, if anything is: what was compared
/// with nothing looks as if it had to be repaired.
fn looked_at<'a>(scene: &Scene<'a>) -> Result<Vec<(TargetId, &'a TargetState)>, Ruling> {
    let mut looked = Vec::new();
    let mut failed = None;
    let wanted = scene.published().map(|record| record.entry.sequence);
    for id in scene.declared() {
        match scene.target(&id, wanted) {
            Ok(state) => looked.push((id, state)),
            Err(Ruling::Wait(wait)) => failed = Some(Ruling::Wait(wait)),
            Err(ruling) => return Err(ruling),
        }
    }
    // One target that cannot be seen does not hold back the others; if none can, nothing can be published.
    match failed {
        Some(ruling) if looked.is_empty() => Err(ruling),
        _ => Ok(looked),
    }
}

/// A credential of ours that a target still carries although its record is gone: the record is written anew from it.
/// Whether it signs in is then proven like that of any other.
fn carried(
    scene: &Scene<'_>,
    application: &Application,
    targets: &[(TargetId, &TargetState)],
) -> Option<(TargetId, Entry)> {
    let of_target = |(id, state): &(TargetId, &TargetState)| {
        let carried = target::ours(state, &scene.seen.owner).filter(|_| target::has_the_value(scene.request, id))?;
        let mark = Mark { owner: scene.seen.owner.clone(), sequence: carried.sequence?, nonce: carried.nonce.clone()? };
        let found = application.credentials.iter().find(|one| Some(one.key_id) == carried.key_id)?;
        let known = found.mark().as_ref() == Some(&mark) && !found.is_expired(scene.now);
        let kept = Kept {
            key_id: found.key_id,
            issued_at: found.start.unwrap_or(scene.now),
            expires_at: found.end,
            thumbprint: None,
        };
        let rebuilt = Attempt { nonce: mark.nonce, ..scene.new_attempt() };
        let taken = scene.record(mark.sequence).is_some();
        let published_to = vec![id.clone()];
        let rebuilt = || Entry { kept: Some(kept), published_to, ..entry(scene, mark.sequence, rebuilt) };
        (known && !taken).then(|| (id.clone(), rebuilt()))
    };
    // Of those with the same, the first, which is the Secret: to read what a vault holds may take a right of its own.
    targets.iter().rev().filter_map(of_target).max_by_key(|(_, entry)| entry.sequence)
}

/// Whether Entra has room for one more: it is never made by removing somebody else's.
fn room(scene: &Scene<'_>, application: &Application) -> Ruling {
    let count = application.credentials.iter().filter(|one| one.kind == CredentialKind::ClientSecret).count();
    match application.most_secrets {
        Some(most) if count >= most && scene.request.kind == CredentialKind::ClientSecret => Ruling::wait(
            Reason::TooManyCredentials,
            format!(
                "application {} may have {most} secrets, since personal accounts may sign in, and has {count}: remove one that \
                 is not used",
                scene.request.spec.client_id
            ),
            Some(after(scene.now, scene.timing.drift)),
        ),
        _ => Ruling::Pass,
    }
}

/// Whether there is any target that could be written: a credential that can be published nowhere is not minted.
fn somewhere(scene: &Scene<'_>, application: &Application, targets: &[(TargetId, &TargetState)]) -> Ruling {
    let alien = |id: &TargetId, state: &TargetState| {
        let carried = target::ours(state, &scene.seen.owner).filter(|_| target::has_the_value(scene.request, id))?;
        let alien = !target::is_known(scene, carried) && target::is_there(scene, application, carried);
        alien.then(|| target::not_ours_to_write(scene, id))
    };
    let mut obstacle = None;
    for (id, state) in targets {
        match target::obstacle(scene, id, state).or_else(|| alien(id, state)) {
            None => return Ruling::Pass,
            found => obstacle = obstacle.or(found),
        }
    }
    obstacle.map_or(Ruling::Pass, Ruling::Wait)
}

/// What forbids minting whatever else may be so.
fn may_mint(scene: &Scene<'_>) -> Ruling {
    if scene.seen.namespace.terminating {
        let what = "the namespace is being deleted, so nothing is minted in it";
        return Ruling::wait(Reason::NamespaceTerminating, what, None);
    }
    if source::name(scene).is_some()
        && let Err(ruling) = source::usable(scene)
    {
        return ruling;
    }
    match scene.held_off(&Work::Minting) {
        Some(wait) => Ruling::Wait(wait),
        None => Ruling::Pass,
    }
}

/// An open record: mint, or find out who is minting.
fn mint(scene: &Scene<'_>, record: &Record) -> Ruling {
    if record.entry.adopted.is_some() {
        return adopt::go_on(scene, record); // nothing is minted for it
    }
    let Some(last) = record.entry.last_attempt() else { return Ruling::Pass };
    let Some(own) = scene.own_attempt(record.entry.sequence, &last.nonce) else {
        return somebody_elses(scene, record, last);
    };
    let in_time = !scene.has_passed(own.begun_at, scene.timing.mint_within);
    match &own.fate {
        Fate::Announced if in_time => {
            unless_passed!(may_mint(scene));
            scene.attempt(Step::Rehearse { record: Box::new(record.clone()) })
        }
        Fate::Rehearsed if in_time && certificate::is_about_them(scene) => certificate::make(scene, record),
        Fate::Rehearsed if in_time => {
            unless_passed!(may_mint(scene));
            // A policy that allows just this lifetime counts from Entra's clock, which may be ahead of ours.
            let validity = scene.policy.validity.map_or(Duration::ZERO, |validity| validity.0);
            let end = after(scene.now, validity.saturating_sub(Duration::from_mins(1).min(validity / 100)));
            scene.effect(Step::Mint { record: Box::new(record.clone()), end })
        }
        Fate::Held { .. } => Ruling::Pass,
        Fate::Announced | Fate::Rehearsed if scene.now < dropped_until(scene, own) => {
            let what = "the next try: the API server took longer to answer than a mint may wait after it is announced (is an \
                        admission webhook slow?)";
            Ruling::wait(Reason::Opening, what, Some(dropped_until(scene, own)))
        }
        Fate::Kept if scene.seen.records.listed_at.is_none() => scene.attempt(Step::ReadRecords),
        // A record that is open although something was kept in it went back with etcd.
        Fate::Announced | Fate::Rehearsed | Fate::Nothing | Fate::Unknown { .. } | Fate::Kept | Fate::Lost { .. } => {
            take_over(scene, record)
        }
    }
}

/// Attempts that were dropped because announcing and rehearsing took too long are made again with growing pauses.
fn dropped_until(scene: &Scene<'_>, own: &OwnAttempt) -> Timestamp {
    let dropped =
        |one: &&OwnAttempt| one.sequence == own.sequence && matches!(one.fate, Fate::Announced | Fate::Rehearsed);
    let times = u32::try_from(scene.seen.mine.attempts.iter().filter(dropped).count()).unwrap_or(u32::MAX);
    after(own.begun_at, scene.timing.mint_within + doubling(scene.timing.again, times))
}

/// Whoever announced the last attempt may be about to mint, unless it is so old that it must not any more.
fn somebody_elses(scene: &Scene<'_>, record: &Record, last: &Attempt) -> Ruling {
    let until = after(last.at, scene.timing.takeover + scene.timing.margin);
    if scene.now < until {
        let what = format!(
            "{} has announced a mint at {:.0}; if it does not keep it, this process will",
            last.holder, last.at
        );
        return Ruling::wait(Reason::Minting, what, Some(until));
    }
    take_over(scene, record)
}

/// A new attempt at an open record. It fences those before it, so whatever they bring is nobody's.
fn take_over(scene: &Scene<'_>, record: &Record) -> Ruling {
    unless_passed!(may_mint(scene));
    let application = match scene.application() {
        Ok(application) => application,
        Err(ruling) => return ruling,
    };
    let targets = match looked_at(scene) {
        Ok(targets) => targets,
        Err(ruling) => return ruling,
    };
    if let Some((target, kept, nonce)) = already_there(scene, record, application, &targets) {
        let entry = Scene::rewritten(record, |entry| {
            entry.kept = Some(kept);
            entry.published_to = vec![target.clone()];
            entry.attempts.retain(|attempt| attempt.nonce != nonce);
            entry.attempts.push(Attempt { nonce, ..scene.new_attempt() });
        });
        return scene.effect(Step::KeepFromTarget { record: Box::new(record.clone()), entry, target });
    }
    let ahead = carried(scene, application, &targets).filter(|(_, entry)| entry.sequence > record.entry.sequence);
    if let Some((target, entry)) = ahead {
        return scene.effect(Step::Rebuild { entry: Box::new(entry), target });
    }
    unless_passed!(room(scene, application));
    unless_passed!(somewhere(scene, application, &targets));
    let mut entry = Scene::rewritten(record, |entry| {
        entry.attempts.retain(|attempt| !attempts::is_over(scene, &targets, record, attempt));
    });
    unless_passed!(attempts::room(scene, record, entry.attempts.len()));
    entry.attempts.push(scene.new_attempt());
    scene.effect(Step::TakeOver { record: Box::new(record.clone()), entry })
}

/// A target that bears a nonce of this open record: etcd went back to between mint and keep.
fn already_there(
    scene: &Scene<'_>,
    record: &Record,
    application: &Application,
    targets: &[(TargetId, &TargetState)],
) -> Option<(TargetId, Kept, crate::facts::Nonce)> {
    targets.iter().find_map(|(id, state)| {
        let carried = target::ours(state, &scene.seen.owner).filter(|_| target::has_the_value(scene.request, id))?;
        let nonce = carried.nonce.clone().filter(|nonce| record.entry.knows(nonce))?;
        let found = application.credentials.iter().find(|one| Some(one.key_id) == carried.key_id)?;
        let known = found.mark().is_some_and(|mark| mark.nonce == nonce && mark.owner == scene.seen.owner);
        let kept = Kept {
            key_id: found.key_id,
            issued_at: found.start.unwrap_or(scene.now),
            expires_at: found.end,
            thumbprint: None,
        };
        known.then(|| (id.clone(), kept, nonce))
    })
}
