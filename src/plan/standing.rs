//! How a resource stands: whether a proven credential is published, what is on its way and how far it is.

use super::{
    Wait, due, ending, federated, migrate, publish, removal,
    scene::{Scene, after},
};
use crate::{
    api::{
        Reason,
        conditions::{READY, RECONCILING, ROLLED_OUT, ROTATING, STALLED, Says, Status},
        grant::CredentialKind,
    },
    facts::{Effect, TargetId, TargetState, Work},
};

/// How a resource stands.
pub(super) struct Standing {
    /// Whether a proven, unexpired credential is published for this generation.
    pub ready: bool,
    /// Why it is not, or how far what is on its way is.
    pub reason: Reason,
    /// The same for people.
    pub message: String,
    /// The stage of what is on its way, if anything is, and what it waits for.
    pub stage: Option<(Reason, String)>,
    /// Whether everybody who is known has what is published; none if nothing is.
    pub rolled_out: Option<bool>,
}

impl Standing {
    pub(super) fn of(scene: &Scene<'_>, waits: &[Wait]) -> Self {
        if ending::is_ending(scene.seen) {
            let (reason, message) = ending::said(waits);
            return Self {
                ready: false,
                reason,
                message: message.clone(),
                stage: Some((reason, message)),
                rolled_out: None,
            };
        }
        if scene.request.kind == CredentialKind::Federated {
            return federated::told::standing(scene, waits);
        }
        let stage = stage(scene, waits);
        let (reason, message) = match (waits.first(), &stage) {
            (Some(wait), _) => (wait.reason, wait.waiting_for.clone()),
            (None, Some((stage, _))) => (*stage, String::new()),
            (None, None) => (Reason::Idle, String::new()),
        };
        let (reason, message) = broken(scene, waits).unwrap_or((reason, message));
        let rolled_out = scene.published().map(|record| record.entry.proven_at.is_some());
        Self { ready: is_ready(scene, waits), reason, message, stage, rolled_out }
    }

    pub(super) fn says(&self, published: &str) -> Vec<Says> {
        let says = |type_, status, reason, message: &str| Says { type_, status, reason, message: message.to_owned() };
        let mut said = vec![if self.ready {
            says(READY, Status::True, Reason::Published, published)
        } else {
            says(READY, Status::False, self.reason, &sentence(&self.message))
        }];
        let (stage, waited_for) = match &self.stage {
            Some((stage, waited_for)) => (*stage, sentence(waited_for)),
            None => (Reason::Idle, "Nothing is on its way.".to_owned()),
        };
        let rotating = if self.stage.is_some() { Status::True } else { Status::False };
        said.push(says(ROTATING, rotating, stage, &waited_for));
        match self.rolled_out {
            Some(true) => {
                let everybody = "Everybody who is known to use the credential has it.";
                said.push(says(ROLLED_OUT, Status::True, Reason::RolledOut, everybody));
            }
            Some(false) => said.push(says(ROLLED_OUT, Status::False, stage, &waited_for)),
            None => {}
        }
        if !self.ready && self.reason.needs_a_person() {
            said.push(says(STALLED, Status::True, self.reason, &sentence(&self.message)));
        } else if !self.ready {
            said.push(says(RECONCILING, Status::True, self.reason, &sentence(&self.message)));
        }
        said
    }
}

fn sentence(waited_for: &str) -> String {
    if waited_for.is_empty() {
        "Working on it.".to_owned()
    } else {
        format!("Waiting for {}.", waited_for.trim_end_matches('.'))
    }
}

/// How far the credential is that is on its way, and what is waited for.
fn stage(scene: &Scene<'_>, waits: &[Wait]) -> Option<(Reason, String)> {
    let told = |belongs: fn(Reason) -> bool, otherwise| match waits.iter().find(|wait| belongs(wait.reason)) {
        Some(wait) => Some((wait.reason, wait.waiting_for.clone())),
        None => Some((otherwise, waits.first().map(|wait| wait.waiting_for.clone()).unwrap_or_default())),
    };
    match (scene.candidate(), scene.published()) {
        (Some(record), _) if record.entry.is_open() => told(keeps_from_publication, Reason::Minting),
        (Some(_), _) => told(keeps_from_publication, Reason::Proving),
        (None, None) => told(keeps_from_publication, Reason::Opening),
        (None, Some(record)) if record.entry.published_at.is_none() => told(keeps_from_publication, Reason::Publishing),
        (None, Some(record)) if record.entry.proven_at.is_none() => told(keeps_from_everybody, Reason::RollingOut),
        (None, Some(_)) if due::cause(scene).is_some() => told(keeps_from_publication, Reason::Opening),
        (None, Some(_)) if removal::replaced(scene).next().is_some() => {
            told(keeps_the_old_one, Reason::Retiring).filter(|(reason, _)| *reason != Reason::ConsumersUnknown)
        }
        (None, Some(_)) if migrate::used(scene).next().is_some() => told(keeps_the_old_one, Reason::Retiring),
        (None, Some(_)) => None,
    }
}

/// Whether what is waited for keeps a credential from being published.
pub(super) const fn keeps_from_publication(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Opening
            | Reason::Minting
            | Reason::Keeping
            | Reason::Proving
            | Reason::Maturing
            | Reason::Queued
            | Reason::TenantPaused
            | Reason::Publishing
    )
}

/// Whether what is waited for is somebody who does not have what is published yet.
const fn is_somebody(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::PodsEnding
            | Reason::CopyBehind
            | Reason::RolloutStalled
            | Reason::RolloutContested
            | Reason::WorkloadPaused
            | Reason::WorkloadWaits
            | Reason::StragglersRemain
            | Reason::NotConfirmed
            | Reason::RollingOut
    )
}

/// Whether what is waited for keeps a published credential from those who use it.
pub(super) const fn keeps_from_everybody(reason: Reason) -> bool {
    is_somebody(reason) || matches!(reason, Reason::Settling | Reason::Queued | Reason::TenantPaused)
}

/// Whether what is waited for keeps a replaced credential from going.
pub(super) const fn keeps_the_old_one(reason: Reason) -> bool {
    is_somebody(reason)
        || matches!(reason, Reason::Overlapping | Reason::Retiring | Reason::StillInUse | Reason::ConsumersUnknown)
}

/// Somebody still has the old credential, and it is about to end: told before it breaks, with the hour.
fn about_to_break(scene: &Scene<'_>, waits: &[Wait]) -> Option<(Reason, String)> {
    let late = waits.iter().find(|wait| keeps_from_everybody(wait.reason) && wait.reason != Reason::Settling)?;
    let ends = removal::replaced(scene).filter_map(|record| record.entry.kept.as_ref()?.expires_at);
    let ends = ends.filter(|end| *end > scene.now).min()?;
    let notice = scene.policy.min_overlap.0 + scene.policy.rollout.timeout.0;
    let near = after(scene.now, notice) >= ends;
    near.then(|| {
        (late.reason, format!("{} (what it has ends at {ends:.0}; it cannot sign in from then on)", late.waiting_for))
    })
}

/// Why somebody cannot sign in, or soon will not.
fn broken(scene: &Scene<'_>, waits: &[Wait]) -> Option<(Reason, String)> {
    dead(scene).or_else(|| about_to_break(scene, waits)).or_else(|| migrate::about_to_break(scene, waits))
}

/// Whether a proven, unexpired credential is at every target that this generation names.
fn is_ready(scene: &Scene<'_>, waits: &[Wait]) -> bool {
    let Some(record) = scene.published() else { return false };
    let Some(kept) = &record.entry.kept else { return false };
    let carries = |target: &TargetId| match scene.seen.targets.get(target).map(|looked| &looked.found) {
        Some(state @ (TargetState::Present(_) | TargetState::Absent)) => publish::carries(state, kept),
        Some(TargetState::Troubled(_)) | None => was_written(scene, target, record.entry.published_at.is_some()),
    };
    broken(scene, waits).is_none() && record.entry.published_at.is_some() && scene.declared().iter().all(carries)
}

/// Why nobody can sign in with what is published any more.
fn dead(scene: &Scene<'_>) -> Option<(Reason, String)> {
    let kept = scene.published()?.entry.kept.as_ref()?;
    if let Some(end) = kept.expires_at.filter(|end| *end <= scene.now) {
        return Some((
            Reason::CredentialExpired,
            format!("another credential: {} has expired at {end:.0}", kept.key_id),
        ));
    }
    let unread = scene.seen.mine.failing.get(&Work::Application).map(|failing| &failing.trouble);
    if let Some(trouble) = unread.filter(|trouble| trouble.reason == Reason::ApplicationNotFound) {
        return Some((trouble.reason, format!("the application: {}", trouble.message)));
    }
    let looked = scene.seen.application.as_ref()?;
    // A read of a moment after the mint may not show it yet.
    let late = looked.at >= after(kept.issued_at, scene.timing.late_mint + scene.timing.absence);
    let gone = late && !looked.found.credentials.iter().any(|one| one.key_id == kept.key_id);
    gone.then(|| {
        let what = format!("another credential: somebody has removed {} from the application", kept.key_id);
        (Reason::CredentialUnknown, what)
    })
}

/// A target that cannot be seen for a moment is believed to carry what was once written and read back there.
fn was_written(scene: &Scene<'_>, target: &TargetId, once: bool) -> bool {
    let work = [Work::Target(target.clone()), Work::Publishing(target.clone())];
    let mut failing = work.iter().filter_map(|work| scene.seen.mine.failing.get(work));
    once && failing.all(|failing| failing.trouble.effect != Effect::Refused)
}
