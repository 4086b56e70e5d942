//! An application's certificates are written whole or not at all, and nothing says whether somebody else has written between
//! our look and our write. So what is written rests on reads that agree; afterwards is looked until reads agree again, and
//! what our own write has overwritten is put back: what others had added unseen, and ours if others have dropped it.
//!
//! (The story: of two who read, add one and write, the one who writes last drops what the other has added. Graph has no
//! precondition for this, and its reads lag.)

use std::time::Duration;

use jiff::Timestamp;

use super::super::{
    proof,
    removable::Removable,
    scene::{Ruling, Scene, after, before, unless_passed},
    step::Step,
    timing::doubling,
};
use crate::{
    api::{KeyId, Reason},
    facts::{Fate, Kept, ListSeen, ListedKey, Record},
};

/// So many reads in a row must show the same.
const AGREEING: usize = 3;

/// So many reads are made in the time after a write in which servers hear of it.
const MANY: u32 = 40;

/// So often one of ours is added again before a person is asked who keeps dropping it.
const TRIES: u32 = 3;

/// Whether reads agree, over so long a time. Those of long ago say nothing.
fn agree(scene: &Scene<'_>, row: &[Timestamp], span: Duration) -> bool {
    let Some(last) = row.last() else { return false };
    let from = before(*last, 4 * span + scene.timing.fresh);
    let lately: Vec<_> = row.iter().filter(|at| **at >= from).collect();
    lately.len() >= AGREEING && lately.first().is_some_and(|first| **first <= before(*last, span))
}

/// The list as reads that agree have shown it until a moment ago; else the next of them.
fn agreed<'a>(scene: &Scene<'a>, span: Duration, reason: Reason) -> Result<&'a ListSeen, Ruling> {
    let read = |whole| scene.attempt(Step::ReadList { whole });
    let Some(list) = &scene.seen.mine.list else { return Err(read(false)) };
    let Some(read_at) = list.row.last() else { return Err(read(false)) };
    if agree(scene, &list.row, span) {
        return if scene.is_fresh(*read_at) { Ok(list) } else { Err(read(false)) };
    }
    let next = after(*read_at, pause(scene, list, span));
    if scene.now >= next {
        return Err(read(has_an_unknown_stranger(scene, list)));
    }
    Err(Ruling::wait(reason, "reads of the application's certificates to agree", Some(next)))
}

/// Soon after a write they are many: what it has overwritten unseen shows itself here and there for some seconds.
fn pause(scene: &Scene<'_>, list: &ListSeen, span: Duration) -> Duration {
    let recent = list.written.as_ref().is_some_and(|written| !scene.has_passed(written.at, scene.timing.agree));
    if recent { scene.timing.agree / MANY } else { span / 2 }
}

/// Whether somebody's certificate has shown itself that our write may have overwritten, and not the certificate itself.
fn has_an_unknown_stranger(scene: &Scene<'_>, list: &ListSeen) -> bool {
    let mut strangers = list.written.iter().flat_map(|written| &written.strangers);
    strangers.any(|(key, seen_at)| !key.is_whole() && !scene.has_passed(*seen_at, scene.timing.agree))
}

/// Over which time reads must agree before the list is written: longer if this process has written it a while ago.
fn span(scene: &Scene<'_>) -> Duration {
    let written = scene.seen.mine.list.as_ref().and_then(|list| list.written.as_ref());
    let recent = written.is_some_and(|written| !scene.has_passed(written.at, 2 * scene.timing.absence));
    if recent { scene.timing.absence } else { scene.timing.agree }
}

fn shows(list: &ListSeen, key_id: KeyId) -> bool {
    list.last.iter().any(|one| one.key_id == key_id)
}

/// Add a kept certificate to the application, unless it is there. It waits for nothing that the proof could go on without.
pub(in crate::plan) fn enlist(scene: &Scene<'_>, record: &Record, kept: &Kept) -> Ruling {
    if !super::is_about_them(scene) || record.entry.adopted.is_some() {
        return Ruling::Pass;
    }
    let is_shown = scene.seen.application.iter().flat_map(|one| &one.found.credentials);
    if is_shown.into_iter().any(|one| one.key_id == kept.key_id) {
        return Ruling::Pass;
    }
    if !was_made_here(scene, record) {
        return if_it_is_there(scene, record, kept);
    }
    let times = match scene.seen.mine.list.as_ref().and_then(|list| list.written.as_ref()) {
        Some(written) if written.added.is_some_and(|(added, _)| added == kept.key_id) => {
            if !scene.has_passed(written.at, scene.timing.absence) {
                return Ruling::Pass; // reads lag
            }
            written.added.map_or(0, |(_, times)| times)
        }
        _ => 0,
    };
    let list = match agreed(scene, span(scene), Reason::Minting) {
        Ok(list) => list,
        Err(ruling) => return ruling,
    };
    if shows(list, kept.key_id) {
        return Ruling::Pass;
    }
    unless_passed!(nobody_keeps_dropping_it(scene, kept, times));
    write(scene, list, Some(record), None)
}

/// A record gives no authority by itself: anybody who may create Secrets could write one, with a certificate of their own.
fn was_made_here(scene: &Scene<'_>, record: &Record) -> bool {
    record.entry.attempts.iter().any(|attempt| {
        scene.own_attempt(record.entry.sequence, &attempt.nonce).is_some_and(|own| own.fate == Fate::Kept)
    })
}

/// Another process has made it. If that has not added it, another one is made: it costs nothing.
fn if_it_is_there(scene: &Scene<'_>, record: &Record, kept: &Kept) -> Ruling {
    let timing = scene.timing;
    let arrived = after(kept.issued_at, timing.mint_within + timing.late_mint);
    match agreed(scene, timing.absence, Reason::Minting) {
        Ok(list) if shows(list, kept.key_id) => Ruling::Pass,
        Ok(_) if scene.now < arrived => {
            let what = "what another process may have sent to have arrived";
            Ruling::wait(Reason::Minting, what, Some(arrived))
        }
        Ok(_) => proof::give_up(scene, record, None),
        Err(ruling) => ruling,
    }
}

fn nobody_keeps_dropping_it(scene: &Scene<'_>, kept: &Kept, times: u32) -> Ruling {
    let last = scene.seen.mine.list.as_ref().and_then(|list| list.written.as_ref()).map(|written| written.at);
    let Some(last) = last.filter(|_| times >= TRIES) else { return Ruling::Pass };
    let until = after(last, doubling(scene.timing.mint_again, times - TRIES + 1));
    if scene.now >= until {
        return Ruling::Pass;
    }
    let what = format!(
        "whoever else writes the certificates of application {} to stop: certificate {} was added {times} times, and was \
         dropped each time by somebody who writes the whole list (Terraform, a script)",
        scene.request.spec.client_id, kept.key_id
    );
    Ruling::wait(Reason::CertificatesContested, what, Some(until))
}

/// From when on Entra may know it.
pub(in crate::plan) fn added_at(scene: &Scene<'_>, kept: &Kept) -> Timestamp {
    let written = scene.seen.mine.list.as_ref().and_then(|list| list.written.as_ref());
    let added = written.filter(|written| written.added.is_some_and(|(key_id, _)| key_id == kept.key_id));
    added.map_or(kept.issued_at, |written| written.at.max(kept.issued_at))
}

/// Before it is published, it is certain that nobody has dropped it meanwhile.
pub(in crate::plan) fn holds(scene: &Scene<'_>, record: &Record, kept: &Kept) -> Ruling {
    if !super::is_about_them(scene) || record.entry.adopted.is_some() {
        return Ruling::Pass;
    }
    match agreed(scene, scene.timing.absence, Reason::Proving) {
        Ok(list) if shows(list, kept.key_id) => Ruling::Pass,
        Ok(_) => enlist(scene, record, kept),
        Err(ruling) => ruling,
    }
}

/// Take a certificate off the application.
pub(in crate::plan) fn without(scene: &Scene<'_>, key_id: KeyId, because: Removable) -> Ruling {
    match agreed(scene, span(scene), Reason::Retiring) {
        Ok(list) if shows(list, key_id) => write(scene, list, None, Some((key_id, because))),
        Ok(_) => Ruling::Pass,
        Err(ruling) => ruling,
    }
}

/// After a write it is looked until reads agree, and what was lost by it is put back.
pub(in crate::plan) fn watch_what_was_written(scene: &Scene<'_>) -> Ruling {
    let Some(list) = &scene.seen.mine.list else { return Ruling::Pass };
    if list.written.is_none() {
        return Ruling::Pass;
    }
    if agree(scene, &list.row, scene.timing.absence) && lost(scene, list).next().is_none() {
        return Ruling::Pass;
    }
    match agreed(scene, scene.timing.absence, Reason::Idle) {
        Ok(list) => write(scene, list, None, None),
        Err(ruling) => ruling,
    }
}

/// What others had added, which reads have shown after our write, and show no more: it was there before, unseen by us, and
/// servers that had heard of it have heard of our write since.
fn lost<'a>(scene: &'a Scene<'_>, list: &'a ListSeen) -> impl Iterator<Item = &'a ListedKey> {
    let written = list.written.iter();
    let strangers = written.flat_map(|written| written.strangers.iter().map(move |one| (written.at, one)));
    strangers
        .filter(|(written_at, (_, seen_at))| *seen_at <= after(*written_at, scene.timing.absence))
        .map(|(_, (key, _))| key)
        .filter(|key| key.is_whole()) // without it, it cannot be put back
        .filter(|key| !shows(list, key.key_id) && !scene.seen.mine.removed.contains_key(&key.key_id))
}

fn write(scene: &Scene<'_>, list: &ListSeen, added: Option<&Record>, dropped: Option<(KeyId, Removable)>) -> Ruling {
    let stays = |one: &&ListedKey| dropped.is_none_or(|(key_id, _)| key_id != one.key_id);
    let keep = list.last.iter().filter(stays).chain(lost(scene, list)).cloned().collect();
    scene.effect(Step::WriteList { keep, add: added.map(|record| Box::new(record.clone())), drop: dropped })
}
