//! What must be so before an old credential goes, a function for each. Everything is looked at once more, from reads of a
//! moment ago.

use jiff::Timestamp;

use super::{
    evidence::{self, Issue},
    holders, publish, removal, rollout,
    scene::{Ruling, Scene, after, unless_passed},
    step::Step,
    target, usage,
};
use crate::{
    api::{KeyId, Reason},
    facts::{TargetId, Verdict},
};

/// Whether a credential may go because everybody has ours.
pub(super) fn everybody_has_ours(scene: &Scene<'_>, key_id: KeyId) -> Ruling {
    let Some(issue) = evidence::issue(scene) else {
        return Ruling::wait(Reason::Idle, format!("a credential to be published, before {key_id} goes"), None);
    };
    let Some(proven_at) = issue.record.entry.proven_at else {
        return Ruling::wait(Reason::Idle, format!("everybody to have ours, before {key_id} goes"), None);
    };
    unless_passed!(overlap_is_over(scene, key_id, proven_at));
    unless_passed!(every_target_has_it(scene, issue));
    unless_passed!(every_holder_has_it(scene, issue, key_id));
    unless_passed!(removal::no_write_is_under_way(scene, key_id, issue.published_at));
    unless_passed!(removal::nothing_carries(scene, key_id));
    unless_passed!(usage::nobody_uses(scene, issue, key_id));
    every_target_signs_in(scene, issue)
}

/// Whether one that somebody else may know may go although not everybody has its successor: a place that is not declared
/// any more may carry it to the end.
pub(super) fn time_is_up(scene: &Scene<'_>, key_id: KeyId) -> Ruling {
    let Some(issue) = evidence::issue(scene).filter(|issue| issue.kept.key_id != key_id) else {
        return Ruling::wait(Reason::Idle, format!("a credential in place of {key_id}, which is compromised"), None);
    };
    unless_passed!(every_target_has_it(scene, issue));
    unless_passed!(every_target_signs_in(scene, issue));
    let deadline = after(issue.published_at, scene.policy.rollout.timeout.0);
    if issue.record.entry.proven_at.is_some() || scene.now >= deadline {
        return Ruling::Pass;
    }
    let what = format!("everybody to have its successor, but not longer, before {key_id} goes, which is compromised");
    Ruling::wait(Reason::Retiring, what, Some(deadline))
}

fn overlap_is_over(scene: &Scene<'_>, key_id: KeyId, proven_at: Timestamp) -> Ruling {
    let until = after(proven_at, scene.policy.min_overlap.0);
    if scene.now >= until {
        return Ruling::Pass;
    }
    let what = format!("the overlap of {} to be over, in which {key_id} lives on", scene.policy.min_overlap);
    Ruling::wait(Reason::Overlapping, what, Some(until))
}

fn every_target_has_it(scene: &Scene<'_>, issue: Issue<'_>) -> Ruling {
    for id in scene.declared() {
        match scene.target(&id, Some(issue.record.entry.sequence)) {
            Ok(state) if publish::carries(state, issue.kept) => {}
            Ok(_) => return Ruling::wait(Reason::Publishing, format!("{id} to carry {}", issue.kept.key_id), None),
            Err(ruling) => return ruling,
        }
    }
    Ruling::Pass
}

/// Everybody who is known has it. Nobody known is not the same as nobody.
fn every_holder_has_it(scene: &Scene<'_>, issue: Issue<'_>, key_id: KeyId) -> Ruling {
    let consumers = match scene.listed() {
        Ok(consumers) => consumers,
        Err(ruling) => return ruling,
    };
    unless_passed!(rollout::look_at_copies(scene, issue));
    let holders = holders::holders(scene, issue, consumers);
    unless_passed!(usage::look(scene, issue, &holders));
    if let Some(wait) = rollout::first_pending(&holders) {
        let until = after(scene.now, scene.timing.drift);
        return Ruling::wait(wait.reason, wait.waiting_for, Some(wait.until.map_or(until, |at| at.min(until))));
    }
    if !holders.is_empty() || holders::are_none(scene.request.spec.consumers.as_ref()) {
        return Ruling::Pass;
    }
    let what = format!(
        "somebody to be known who uses the credential: {key_id} is left to its own end, since who has it cannot be told. \
         Name them in spec.consumers, or say with discovery: None that there are none"
    );
    Ruling::wait(Reason::ConsumersUnknown, what, Some(after(scene.now, scene.timing.consumers)))
}

/// What each target holds signs in, and not only what its record does.
fn every_target_signs_in(scene: &Scene<'_>, issue: Issue<'_>) -> Ruling {
    // Where a template has made something of the value, it was compared with what the template makes of it.
    for id in scene.declared().iter().filter(|id| target::has_the_value(scene.request, id)) {
        unless_passed!(signs_in(scene, issue, id));
    }
    Ruling::Pass
}

fn signs_in(scene: &Scene<'_>, issue: Issue<'_>, id: &TargetId) -> Ruling {
    let key_id = issue.kept.key_id;
    let tried = scene.seen.mine.tried.get(id).filter(|tried| tried.key_id == key_id);
    match tried {
        Some(tried) if scene.is_fresh(tried.at) => match &tried.verdict {
            Verdict::Accepted => Ruling::Pass,
            Verdict::Blocked(trouble)
            | Verdict::Refused(trouble)
            | Verdict::Misasked(trouble)
            | Verdict::Unheard(trouble) => {
                let what = format!("a sign-in with what {id} holds: {}: {}", trouble.message, trouble.remedy);
                let until = after(tried.at, scene.timing.fresh + scene.timing.margin);
                Ruling::wait(trouble.reason, what, Some(until))
            }
        },
        _ => {
            let record = Box::new(issue.record.clone());
            scene.attempt(Step::TryTarget { record, target: id.clone(), key_id })
        }
    }
}
