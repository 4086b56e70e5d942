//! From one kind of credential to another. What is declared now is set up beside what there was, as if there had been
//! nothing; what there was stays as it is, and goes when everybody has what is declared now and nobody uses the former.
//!
//! The former kind is looked after by its own rules, which are asked about a scene in which it is still there. What somebody
//! else has made goes that way too, if the spec names it: secrets by hand are what most begin with.

use jiff::Timestamp;

use super::{
    Rule, Wait,
    certificate::list,
    due, ending, evidence, federated, forget, former_key, holders, issue, proof,
    readable::{self, Request},
    removable::Removable,
    removal,
    scene::{Ruling, Scene, after, unless_passed},
    standing,
    step::Step,
};
use crate::{
    api::{KeyId, Reason, grant::CredentialKind},
    facts::{Record, Stage, TargetId, TargetState},
};

/// The kinds that may have been there before.
const KINDS: [CredentialKind; 3] =
    [CredentialKind::ClientSecret, CredentialKind::Certificate, CredentialKind::Federated];

/// What is done about secrets and certificates where something else is declared now.
const WITH_VALUES: [Rule; 11] = [
    issue::keep_what_is_held,
    list::watch_what_was_written,
    removal::remove_what_was_lost,
    ending::keep_the_evidence,
    proof::give_everything_up,
    removal::look_for_what_may_have_been_minted,
    removal::remove_what_is_left_over,
    take_credentials_back,
    removal::remove_what_is_named,
    forget::forget_what_is_gone,
    forget::let_finalizers_go,
];

/// The rules for a kind that is not declared any more.
pub(super) const fn rules(former: CredentialKind) -> &'static [Rule] {
    match former {
        CredentialKind::Federated => &federated::FORMER_RULES,
        CredentialKind::ClientSecret | CredentialKind::Certificate => &WITH_VALUES,
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
        *kind != request.kind && (is_left(*kind) || (named && *kind != CredentialKind::Federated))
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
fn take_credentials_back(scene: &Scene<'_>) -> Ruling {
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

/// What is declared now, seen from what was before.
fn now_declared<T>(scene: &Scene<'_>, look: impl FnOnce(&Scene<'_>) -> T) -> Option<T> {
    let kind = readable::declared_kind(scene.request.spec)?;
    let request = Request { kind, former: false, ..*scene.request };
    Some(look(&Scene { request: &request, ..*scene }))
}

/// A target that carries one of a former kind is not written over while anybody uses that: whoever started then would find
/// nothing to sign in with.
pub(super) fn may_be_written_over(scene: &Scene<'_>, state: &TargetState) -> Ruling {
    let TargetState::Present(carried) = state else { return Ruling::Pass };
    let has_it = |record: &&Record| record.entry.kept.as_ref().is_some_and(|kept| Some(kept.key_id) == carried.key_id);
    let Some(record) = used(scene).find(has_it) else { return Ruling::Pass };
    let Some(request) = former(scene).find(|request| request.kind == record.entry.kind) else { return Ruling::Pass };
    match ending::nobody_uses_it(&Scene { request: &request, ..*scene }) {
        Ruling::Wait(wait) => {
            let waiting_for = format!(
                "{}, which is still where the new one is to be published. Publish that under another name meanwhile \
                 (spec.publish.secret.name), and have its readers read it there",
                wait.waiting_for
            );
            Ruling::Wait(Wait { waiting_for, ..wait })
        }
        ruling => ruling,
    }
}

/// Where one of a former kind was published, and what is declared now has not taken its place. (It does so only when nobody
/// uses the former, and whoever reads it from then on is made anew until they have what is declared now.)
pub(super) fn still_carrying(scene: &Scene<'_>) -> Vec<TargetId> {
    let is_published = |now: &Scene<'_>| now.published().is_some_and(|record| record.entry.published_at.is_some());
    // (Where nothing takes its place, the key is taken out: `former_key` knows who has it.)
    let has_a_value = scene.request.spec.federated.is_none();
    let taken = if has_a_value && now_declared(scene, is_published) == Some(true) { scene.declared() } else { vec![] };
    let every = scene.records().flat_map(|record| &record.entry.published_to);
    every.filter(|target| !taken.contains(target)).cloned().collect()
}

/// Whether one of a former kind may go: what is declared now is with everybody, and nobody uses the former any more.
pub(super) fn is_led_over(scene: &Scene<'_>) -> Ruling {
    let former = former_name(scene);
    let has_successor = now_declared(scene, |now| match with_everybody(now, former) {
        Ok(_) => holders::confirmed_outside(now),
        Err(ruling) => ruling,
    });
    unless_passed!(has_successor.unwrap_or(Ruling::Pass));
    if scene.request.kind == CredentialKind::Federated {
        return Ruling::Pass; // who signs in by it is asked for there
    }
    unless_passed!(former_key::take_out(scene));
    unless_passed!(ending::nobody_uses_it(scene));
    now_declared(scene, |now| somebody_is_known(now, former)).unwrap_or(Ruling::Pass)
}

const fn former_name(scene: &Scene<'_>) -> &'static str {
    match scene.request.kind {
        CredentialKind::ClientSecret => "the former secret",
        CredentialKind::Certificate => "the former certificate",
        CredentialKind::Federated => "what was federated",
    }
}

/// Before one goes that may go, its record says that it is not used any more, and since when: whoever declares its kind again
/// begins anew then, and does not publish what is about to be dead. For as long as the overlap lasts somebody may come back
/// to it, such as by undoing a rollout.
pub(super) fn part_with(scene: &Scene<'_>, record: &Record, may_go: Ruling) -> Ruling {
    let compromised = record.entry.kept.as_ref().is_some_and(|kept| due::is_compromised(scene, kept.key_id));
    match (may_go, record.entry.retired_at) {
        (Ruling::Pass, None) => scene.retire(record),
        (Ruling::Pass, Some(since)) if !compromised => overlap_is_over(scene, since),
        (Ruling::Wait(wait), Some(_)) if matches!(wait.reason, Reason::StillInUse | Reason::StragglersRemain) => {
            let entry = Scene::rewritten(record, |entry| entry.retired_at = None);
            scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: record.finalized })
        }
        (ruling, _) => ruling,
    }
}

fn overlap_is_over(scene: &Scene<'_>, since: Timestamp) -> Ruling {
    let until = after(since, scene.policy.min_overlap.0);
    if scene.now >= until {
        return Ruling::Pass;
    }
    let what =
        format!("the overlap of {} to be over, in which {} lives on", scene.policy.min_overlap, former_name(scene));
    Ruling::wait(Reason::Overlapping, what, Some(until))
}

/// One that somebody else made, and that the spec names, goes when everybody has had what is declared now for the time of the
/// overlap. Who reads it can only be seen if it is known where it is.
pub(super) fn what_is_named_may_go(scene: &Scene<'_>, key_id: KeyId) -> Ruling {
    let recorded = scene.records().any(|one| one.entry.kept.as_ref().is_some_and(|kept| kept.key_id == key_id));
    let declared = scene.request.spec.consumers.as_ref();
    if !recorded && evidence::copies(scene).next().is_none() && !holders::are_none(declared) {
        let what = format!(
            "somebody to say who reads credential {key_id}: name the Secret with it in spec.consumers.syncedSecrets, or say \
             with consumers.discovery: None that there is nobody"
        );
        return Ruling::wait(Reason::ConsumersUnknown, what, None);
    }
    unless_passed!(is_led_over(scene));
    let since = now_declared(scene, |now| with_everybody(now, former_name(scene)));
    match since {
        Some(Ok(since)) => overlap_is_over(scene, since),
        _ => Ruling::Pass,
    }
}

/// Whether one that somebody else may know may go although not everybody has what is declared now: never before that is
/// known to work.
pub(super) fn time_is_up(scene: &Scene<'_>, key_id: KeyId) -> Ruling {
    now_declared(scene, |now| {
        if now.request.kind == CredentialKind::Federated {
            unless_passed!(federated::is_known_to_work(now, "the compromised secret"));
        }
        let Some(issue) = evidence::issue(now) else {
            let what = format!("something in place of {key_id}, which is compromised");
            return Ruling::wait(Reason::Idle, what, None);
        };
        let deadline = after(issue.published_at, scene.policy.rollout.timeout.0);
        if scene.now >= deadline {
            return Ruling::Pass;
        }
        if with_everybody(now, "the compromised secret").is_ok() {
            match former_key::take_out(scene) {
                Ruling::Wait(_) => {} // not longer than until then
                ruling => return ruling,
            }
        }
        let what = format!(
            "everybody to have what is declared now, but not longer, before {key_id} goes, which is compromised"
        );
        Ruling::wait(Reason::Retiring, what, Some(deadline))
    })
    .unwrap_or(Ruling::Pass)
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

/// A former credential may still be used, is about to end, and will not be replaced: told before it breaks.
pub(super) fn about_to_break(scene: &Scene<'_>, waits: &[Wait]) -> Option<(Reason, String)> {
    let ends = |record: &Record| record.entry.kept.as_ref()?.expires_at.filter(|_| record.entry.retired_at.is_none());
    let end = used(scene).filter_map(ends).filter(|end| *end > scene.now).min()?;
    let notice = scene.policy.min_overlap.0 + scene.policy.rollout.timeout.0;
    let late = waits.iter().find(|wait| standing::keeps_the_old_one(wait.reason));
    let (reason, what) = late.map_or((Reason::StillInUse, "the former credential to be used no more"), |wait| {
        (wait.reason, wait.waiting_for.as_str())
    });
    (after(scene.now, notice) >= end)
        .then(|| (reason, format!("{what} (it ends at {end:.0}, and nothing takes its place)")))
}
