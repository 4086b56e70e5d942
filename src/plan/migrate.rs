//! From one kind of credential to another. What is declared now is set up beside what there was, as if there had been
//! nothing; what there was stays as it is, and goes when everybody has what is declared now and nobody uses the former.
//!
//! The former kind is looked after by its own rules, which are asked about a scene in which it is still there. What somebody
//! else has made goes that way too, if the spec names it: secrets by hand are what most begin with.

use jiff::Timestamp;

use super::{
    Rule, Wait, ending, evidence, federated, forget, holders, issue, proof,
    readable::{self, Request},
    removable::Removable,
    removal,
    scene::{Ruling, Scene, after, unless_passed},
};
use crate::{
    api::{KeyId, Reason, grant::CredentialKind},
    facts::{Record, Stage},
};

/// The kinds that may have been there before.
const KINDS: [CredentialKind; 2] = [CredentialKind::ClientSecret, CredentialKind::Federated];

/// What is done about secrets where something else is declared now.
const SECRETS: [Rule; 9] = [
    issue::keep_what_is_held,
    removal::remove_what_was_lost,
    proof::give_everything_up,
    removal::look_for_what_may_have_been_minted,
    removal::remove_what_is_left_over,
    take_secrets_back,
    removal::remove_what_is_named,
    forget::forget_what_is_gone,
    forget::let_finalizers_go,
];

/// The rules for a kind that is not declared any more.
pub(super) const fn rules(former: CredentialKind) -> &'static [Rule] {
    match former {
        CredentialKind::Federated => &federated::FORMER_RULES,
        CredentialKind::ClientSecret | CredentialKind::Certificate => &SECRETS,
    }
}

/// What was asked for before, as far as anything of it is left.
pub(super) fn former<'a>(scene: &Scene<'a>) -> impl Iterator<Item = Request<'a>> + use<'a> {
    let (records, request) = (&scene.seen.records.list, *scene.request);
    let about = move |record: &&Record| {
        let entry = &record.entry;
        (entry.client_id, entry.tenant) == (request.spec.client_id, request.tenant.tenant_id)
    };
    let is_left = move |kind| records.iter().filter(about).any(|record| record.entry.kind == kind);
    let named =
        request.spec.retirement.as_ref().is_some_and(|retirement| {
            !retirement.foreign_key_ids.is_empty() || !retirement.compromised_key_ids.is_empty()
        });
    let former = move |kind: &CredentialKind| {
        *kind != request.kind && (is_left(*kind) || (named && *kind == CredentialKind::ClientSecret))
    };
    KINDS.into_iter().filter(former).map(move |kind| Request { kind, former: true, ..request })
}

/// What was used of former kinds, and is not gone.
pub(super) fn used<'a>(scene: &Scene<'a>) -> impl Iterator<Item = &'a Record> {
    let (client_id, tenant, kind) = (scene.request.spec.client_id, scene.request.tenant.tenant_id, scene.request.kind);
    scene.seen.records.list.iter().filter(move |record| {
        let entry = &record.entry;
        (entry.client_id, entry.tenant) == (client_id, tenant) && entry.kind != kind && entry.stage == Stage::Publishing
    })
}

/// What was published goes, one after the other, and then its records.
fn take_secrets_back(scene: &Scene<'_>) -> Ruling {
    ending::take_credentials_back(scene, Removable::Migrated)
}

/// Take back what there is of former kinds, for a resource that is going and takes its credentials with it.
pub(super) fn take_everything_back(scene: &Scene<'_>) -> Ruling {
    for request in former(scene) {
        let scene = Scene { request: &request, ..*scene };
        unless_passed!(match request.kind {
            CredentialKind::Federated => federated::take_back(&scene),
            CredentialKind::ClientSecret | CredentialKind::Certificate => {
                unless_passed!(issue::keep_what_is_held(&scene));
                unless_passed!(removal::remove_what_was_lost(&scene));
                ending::take_credentials_back(&scene, Removable::Revoked)
            }
        });
    }
    Ruling::Pass
}

/// Whether one of a former kind may go: what is declared now is with everybody for as long as they overlap, and nobody uses
/// the former any more.
pub(super) fn is_led_over(scene: &Scene<'_>) -> Ruling {
    let Some(kind) = readable::declared_kind(scene.request.spec) else { return Ruling::Pass };
    let request = Request { kind, former: false, ..*scene.request };
    let now = Scene { request: &request, ..*scene };
    let before = match scene.request.kind {
        CredentialKind::ClientSecret => "the former secret",
        CredentialKind::Certificate => "the former certificate",
        CredentialKind::Federated => "what was federated",
    };
    let since = match with_everybody(&now, before) {
        Ok(since) => since,
        Err(ruling) => return ruling,
    };
    let until = after(since, scene.policy.min_overlap.0);
    if scene.now < until {
        let what = format!("the overlap of {} to be over, in which {before} lives on", scene.policy.min_overlap);
        return Ruling::wait(Reason::Overlapping, what, Some(until));
    }
    if scene.request.kind != CredentialKind::Federated {
        unless_passed!(ending::nobody_uses_it(scene));
        unless_passed!(somebody_is_known(&now, before));
    }
    Ruling::Pass
}

/// Whether one that somebody else may know may go although not everybody has what is declared now.
pub(super) fn time_is_up(scene: &Scene<'_>, key_id: KeyId) -> Ruling {
    let Some(kind) = readable::declared_kind(scene.request.spec) else { return Ruling::Pass };
    let request = Request { kind, former: false, ..*scene.request };
    let now = Scene { request: &request, ..*scene };
    let Some(issue) = evidence::issue(&now) else {
        let what = format!("something in place of {key_id}, which is compromised");
        return Ruling::wait(Reason::Idle, what, None);
    };
    let deadline = after(issue.published_at, scene.policy.rollout.timeout.0);
    if scene.now >= deadline || with_everybody(&now, "a compromised secret").is_ok() {
        return Ruling::Pass;
    }
    let what =
        format!("everybody to have what is declared now, but not longer, before {key_id} goes, which is compromised");
    Ruling::wait(Reason::Retiring, what, Some(deadline))
}

/// Since when everybody who is known has what is declared now.
fn with_everybody(now: &Scene<'_>, before: &str) -> Result<Timestamp, Ruling> {
    if now.request.kind == CredentialKind::Federated {
        return federated::with_everybody(now, before);
    }
    now.published().and_then(|record| record.entry.proven_at).ok_or_else(|| {
        Ruling::wait(Reason::Retiring, format!("everybody to have the new credential, before {before} goes"), None)
    })
}

/// That nobody is seen with the former one says only something if somebody is seen with the new one.
fn somebody_is_known(now: &Scene<'_>, before: &str) -> Ruling {
    let consumers = match now.listed() {
        Ok(consumers) => consumers,
        Err(ruling) => return ruling,
    };
    let is_known = federated::signs_somebody_in(now, consumers)
        || evidence::issue(now).is_some_and(|issue| !holders::holders(now, issue, consumers).is_empty());
    if is_known || holders::are_none(now.request.spec.consumers.as_ref()) {
        return Ruling::Pass;
    }
    let what = format!(
        "somebody to be known who signs in by what is declared now: {before} is left to its own end, since who has it \
         cannot be told. Say with consumers.discovery: None that there is nobody"
    );
    Ruling::wait(Reason::ConsumersUnknown, what, Some(after(now.now, now.timing.consumers)))
}

/// Somebody still uses a former credential, which is about to end and will not be replaced: told before it breaks.
pub(super) fn about_to_break(scene: &Scene<'_>, waits: &[Wait]) -> Option<(Reason, String)> {
    let late = waits.iter().find(|wait| wait.reason == Reason::StillInUse)?;
    let end = used(scene).filter_map(|record| record.entry.kept.as_ref()?.expires_at).min()?;
    let notice = scene.policy.min_overlap.0 + scene.policy.rollout.timeout.0;
    (after(scene.now, notice) >= end).then(|| {
        let what = format!("{} (it ends at {end:.0}, and nothing takes its place)", late.waiting_for);
        (late.reason, what)
    })
}
