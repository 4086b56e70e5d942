//! How a resource stands: whether a proven credential is published, what is on its way and how far it is.

use super::{
    Wait, publish,
    scene::{Scene, after},
};
use crate::{
    api::{
        Reason,
        conditions::{READY, RECONCILING, ROTATING, STALLED, Says, Status},
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
    /// The stage of what is on its way, if anything is.
    pub stage: Option<Reason>,
}

impl Standing {
    pub(super) fn of(scene: &Scene<'_>, waits: &[Wait]) -> Self {
        let stage = stage(scene, waits);
        let (reason, message) = match (waits.first(), stage) {
            (Some(wait), _) => (wait.reason, wait.waiting_for.clone()),
            (None, Some(stage)) => (stage, String::new()),
            (None, None) => (Reason::Idle, String::new()),
        };
        let (reason, message) = dead(scene).unwrap_or((reason, message));
        Self { ready: is_ready(scene), reason, message, stage }
    }

    pub(super) fn says(&self, published: &str) -> Vec<Says> {
        let says = |type_, status, reason, message: &str| Says { type_, status, reason, message: message.to_owned() };
        let mut said = vec![if self.ready {
            says(READY, Status::True, Reason::Published, published)
        } else {
            says(READY, Status::False, self.reason, &self.sentence())
        }];
        said.push(match self.stage {
            Some(stage) => says(ROTATING, Status::True, stage, &self.sentence()),
            None => says(ROTATING, Status::False, Reason::Idle, "Nothing is on its way."),
        });
        if !self.ready && self.reason.needs_a_person() {
            said.push(says(STALLED, Status::True, self.reason, &self.sentence()));
        } else if !self.ready {
            said.push(says(RECONCILING, Status::True, self.reason, &self.sentence()));
        }
        said
    }

    fn sentence(&self) -> String {
        if self.message.is_empty() {
            "Working on it.".to_owned()
        } else {
            format!("Waiting for {}.", self.message.trim_end_matches('.'))
        }
    }
}

/// How far the credential is that is on its way.
fn stage(scene: &Scene<'_>, waits: &[Wait]) -> Option<Reason> {
    const STAGES: [Reason; 6] =
        [Reason::Opening, Reason::Minting, Reason::Keeping, Reason::Proving, Reason::Maturing, Reason::Publishing];
    let told = waits.iter().map(|wait| wait.reason).find(|reason| STAGES.contains(reason));
    match (scene.candidate(), scene.published()) {
        (Some(record), _) if record.entry.is_open() => Some(told.unwrap_or(Reason::Minting)),
        (Some(_), _) => Some(told.unwrap_or(Reason::Proving)),
        (None, Some(record)) => record.entry.published_at.is_none().then_some(Reason::Publishing),
        (None, None) => Some(Reason::Opening),
    }
}

/// Whether a proven, unexpired credential is at every target that this generation names.
fn is_ready(scene: &Scene<'_>) -> bool {
    let Some(record) = scene.published() else { return false };
    let Some(kept) = &record.entry.kept else { return false };
    let carries = |target: &TargetId| match scene.seen.targets.get(target).map(|looked| &looked.found) {
        Some(state @ (TargetState::Present(_) | TargetState::Absent)) => publish::carries(state, kept),
        Some(TargetState::Troubled(_)) | None => was_written(scene, target, record.entry.published_at.is_some()),
    };
    dead(scene).is_none() && record.entry.published_at.is_some() && scene.declared().iter().all(carries)
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
    let failing = scene.seen.mine.failing.get(&Work::Target(target.clone()));
    once && failing.is_none_or(|failing| failing.trouble.effect != Effect::Refused)
}
