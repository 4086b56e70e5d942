//! Records of what is gone: each stays for as long as anything with its number may still show itself.

use jiff::Timestamp;

use super::{
    Next, Timing, Wait, ending,
    removal::{is_replaced, marked},
    scene::{Ruling, Scene, after},
    step::Step,
};
use crate::{
    api::Reason,
    facts::{Observation, Record, Stage, TargetId},
};

/// Records of credentials that are gone are deleted, when nothing with their number can show itself any more.
pub(super) fn forget_what_is_gone(scene: &Scene<'_>) -> Ruling {
    // Those before what is on its way to everybody are evidence that nothing was published before it.
    let above = scene.published().filter(|one| one.entry.proven_at.is_some()).map(|one| one.entry.sequence);
    let over = |record: &&Record| {
        let over = scene.seen.gone || scene.request.former || Some(record.entry.sequence) < above;
        record.entry.stage == Stage::Abandoned && over
    };
    let replaced =
        |record: &&Record| !scene.seen.gone && record.entry.stage == Stage::Publishing && is_replaced(scene, record);
    let Some(record) = scene.records().find(over).or_else(|| scene.records().find(replaced)) else {
        return Ruling::Pass;
    };
    let since = match record.entry.stage {
        Stage::Publishing => match record.entry.retired_at {
            Some(since) => since,
            None => return retire(scene, record),
        },
        Stage::Abandoned | Stage::Unpublished => record.entry.abandoned_at.unwrap_or(record.created_at),
    };
    let bound = after(since, scene.timing.mint_within + scene.timing.late_mint + scene.timing.absence);
    if scene.now < bound {
        return Ruling::wait(Reason::Idle, "a mint that may still show itself", Some(bound));
    }
    match &scene.seen.application {
        Some(looked) if looked.at >= bound => {}
        _ => return scene.attempt(Step::ReadApplication),
    }
    // Also what we have removed counts as long as it is shown: "not found" may have been lag.
    let mut shown = marked(scene).filter(|(_, mark)| mark.sequence == record.entry.sequence);
    if let Some((credential, _)) = shown.next() {
        return match scene.seen.mine.removed.get(&credential.key_id) {
            Some(_) => look_again(scene),
            None => Ruling::Pass, // it leaves through the gate first
        };
    }
    if record.finalized {
        let entry = Box::new(record.entry.clone());
        return scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: false });
    }
    scene.effect(Step::Forget { record: Box::new(record.clone()) })
}

/// Entra goes on showing for a while what was removed.
fn look_again(scene: &Scene<'_>) -> Ruling {
    let Some(looked) = &scene.seen.application else { return scene.attempt(Step::ReadApplication) };
    let next = after(looked.at, scene.timing.absence);
    if scene.now >= next {
        return scene.attempt(Step::ReadApplication);
    }
    Ruling::wait(Reason::Idle, "Entra to show no more what was removed", Some(next))
}

/// A replaced credential that is not shown any more is noted as retired, after its versions in vaults are disabled.
fn retire(scene: &Scene<'_>, record: &Record) -> Ruling {
    let Some(kept) = &record.entry.kept else { return Ruling::Pass };
    let Some(looked) = &scene.seen.application else { return Ruling::Pass };
    let removed = scene.seen.mine.removed.get(&kept.key_id);
    let shown = looked.found.credentials.iter().any(|one| one.key_id == kept.key_id);
    if shown || removed.is_some_and(|at| looked.at <= *at) {
        return match removed {
            Some(at) => {
                let until = after(*at, scene.timing.absence);
                if scene.now < until {
                    let what = format!("reads of the application to show that {} is gone", kept.key_id);
                    return Ruling::wait(Reason::Retiring, what, Some(until));
                }
                if looked.at < until { scene.attempt(Step::ReadApplication) } else { Ruling::Pass }
            }
            None => Ruling::Pass, // it leaves through the gate first
        };
    }
    // A look of soon after it was minted shows nothing.
    let late = after(kept.issued_at, scene.timing.late_mint + scene.timing.absence);
    if looked.at < late {
        if scene.now >= late {
            return scene.attempt(Step::ReadApplication);
        }
        let what = format!("reads of the application to show whether {} is gone", kept.key_id);
        return Ruling::wait(Reason::Retiring, what, Some(late));
    }
    let Some(published) = scene.published() else { return Ruling::Pass };
    let before = published.entry.sequence;
    for target in scene.declared() {
        let done = scene.seen.mine.disabled.get(&target).is_some_and(|done| *done >= before);
        if matches!(target, TargetId::Vault(_)) && !done {
            return scene.effect(Step::DisableVersions { target, before });
        }
    }
    scene.retire(record)
}

/// A finalizer keeps the evidence of a mint in flight from going with its namespace, but not for ever.
pub(super) fn let_finalizers_go(scene: &Scene<'_>) -> Ruling {
    let is_to_stay = |record: &Record| record.entry.stage == Stage::Publishing && ending::keeps_evidence(scene);
    let finalized = scene.records().filter(|record| record.finalized && !is_to_stay(record));
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
