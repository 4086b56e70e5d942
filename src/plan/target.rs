//! What may be written over what: whose a target is decides, and what forbids it.

use super::{
    readable::{Request, whole_value},
    removal,
    scene::{Scene, Wait, after, declared},
};
use crate::{
    api::{
        Reason,
        publish::{SecretCreationPolicy, VaultCreationPolicy},
    },
    facts::{Application, Carried, Holder, Owner, TargetId, TargetState},
};

/// What a target carries, if it is ours.
pub(super) fn ours<'a>(state: &'a TargetState, owner: &Owner) -> Option<&'a Carried> {
    match state {
        TargetState::Present(carried) if carried.holder == Holder::Owned(owner.clone()) => Some(carried),
        _ => None,
    }
}

/// Whether some record knows the attempt that brought what a target carries.
pub(super) fn is_known(scene: &Scene<'_>, carried: &Carried) -> bool {
    carried.nonce.as_ref().is_none_or(|nonce| scene.records().any(|record| record.entry.knows(nonce)))
}

/// Whether what a target carries is there in Entra, has not expired, and nobody has said that it is to be forgotten.
pub(super) fn is_there(scene: &Scene<'_>, application: &Application, carried: &Carried) -> bool {
    let mut shown = application.credentials.iter().filter(|one| Some(one.key_id) == carried.key_id);
    shown.any(|one| !one.is_expired(scene.now) && !removal::is_acknowledged(scene, one.key_id))
}

/// Why a target with a credential of ours that no record knows is left as it is.
pub(super) fn not_ours_to_write(scene: &Scene<'_>, id: &TargetId) -> Wait {
    let waiting_for = format!(
        "{id} carries a credential of ours that no record knows, so it is not written over: is there a second operator \
         with the same clusterId? If not, delete what is there, or acknowledge the credential"
    );
    Wait { reason: Reason::SplitBrain, waiting_for, until: Some(after(scene.now, scene.timing.drift)) }
}

/// How a spec wants what exists at a target to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// Only what is ours, or nothing, is written over.
    Owner,
    /// Whatever is there is taken over.
    Adopt,
    /// Our keys are added to what is somebody else's.
    Merge,
}

/// Whether the published Secret, or an entry of a vault, may have been somebody's before it was ours.
pub(super) fn shares(request: &Request<'_>) -> bool {
    declared(request).iter().any(|id| claim(request, id) != Claim::Owner)
}

fn claim(request: &Request<'_>, id: &TargetId) -> Claim {
    let publish = request.spec.publish.as_ref();
    match id {
        TargetId::Secret(_) => {
            match publish.and_then(|publish| publish.secret.as_ref()).and_then(|secret| secret.creation_policy) {
                None | Some(SecretCreationPolicy::Owner) => Claim::Owner,
                Some(SecretCreationPolicy::Adopt) => Claim::Adopt,
                Some(SecretCreationPolicy::Merge) => Claim::Merge,
            }
        }
        TargetId::Vault(entry) => match entry.declared_in(request.spec).and_then(|one| one.creation_policy) {
            Some(VaultCreationPolicy::Adopt) => Claim::Adopt,
            None | Some(VaultCreationPolicy::Owner) => Claim::Owner,
        },
    }
}

/// Whether the value of a credential can be taken from a target, and not only what a template has made of it.
pub(super) fn has_the_value(request: &Request<'_>, id: &TargetId) -> bool {
    let TargetId::Vault(entry) = id else { return true };
    let template = entry.declared_in(request.spec).and_then(|one| one.template.as_ref());
    template.is_none_or(|template| {
        let bare = |text: &str| text.chars().filter(|one| !one.is_whitespace()).collect::<String>();
        bare(template.as_str()) == bare(whole_value(request.kind))
    })
}

/// What forbids to write a target as it is; a person has to do something about it.
pub(super) fn obstacle(scene: &Scene<'_>, id: &TargetId, state: &TargetState) -> Option<Wait> {
    let until = Some(after(scene.now, scene.timing.drift));
    let wait = |reason, waiting_for: String| Some(Wait { reason, waiting_for, until });
    let claim = claim(scene.request, id);
    let own = Holder::Owned(scene.seen.owner.clone());
    match state {
        TargetState::Absent if claim == Claim::Merge => wait(
            Reason::SecretMissing,
            format!("{id} does not exist, and creationPolicy Merge creates none: create it, or use Owner"),
        ),
        TargetState::Absent => None,
        TargetState::Troubled(trouble) => wait(trouble.reason, format!("{}: {}", trouble.message, trouble.remedy)),
        // Whose it is comes first: nobody is told to delete, or to declare the type of, what is not ours.
        TargetState::Present(carried) => match (&carried.holder, claim, id) {
            (holder, Claim::Owner, TargetId::Secret(_)) if *holder != own => wait(
                Reason::SecretNotOurs,
                format!(
                    "{id} exists and is not ours: choose another name, delete it, or set creationPolicy to Adopt or Merge"
                ),
            ),
            (holder, Claim::Owner, TargetId::Vault(_)) if *holder != own => wait(
                Reason::VaultEntryNotOurs,
                format!("{id} exists without our tags: choose another name, or set creationPolicy to Adopt"),
            ),
            _ => {
                let trouble = carried.obstacle.as_ref()?;
                wait(trouble.reason, format!("{}: {}", trouble.message, trouble.remedy))
            }
        },
    }
}
