//! Whether Microsoft's own report shows that nobody signs in with an old credential any more, for holders outside that
//! confirm by it. The report is about the credentials of an application, not about anybody who uses them, and is behind by
//! nobody knows how much. So what it proves is this alone: with the old one nobody has signed in for long enough, as of a
//! moment that the report certainly knows, since it shows a sign-in with the new one after that moment. What the report does
//! not show is never taken for evidence.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use super::{
    evidence::Issue,
    holders::{self, Holder},
    migrate, removal,
    scene::{Ruling, Scene, after},
    step::Step,
};
use crate::{
    api::{
        KeyId, Reason,
        consumers::{Confirmation, ExternalHolder},
        grant::CredentialKind,
        tenant::Cloud,
    },
    facts::{Kept, Work},
};

/// What a holder that confirms by the report still waits for, and when that may be otherwise.
pub(super) type Open = (String, Option<Timestamp>);

/// What is still to be shown of whoever may hold an old credential; nothing if nobody uses any.
pub(super) fn unshown(scene: &Scene<'_>, issue: Issue<'_>, holder: &ExternalHolder) -> Option<Open> {
    let how = holders::how_to_confirm(scene, holder.name.as_str(), issue.kept.key_id)?;
    if let Some(why) = untold(scene) {
        return Some((format!("{why}. Confirm it by hand: {how}"), None));
    }
    let open = unused(scene, issue, holder, &old(scene))?;
    Some((format!("{open}. Or confirm it by hand: {how}"), Some(next_read(scene))))
}

/// A look at the last moment, at one that is about to go: what the report has shown may be long ago.
pub(super) fn nobody_uses(scene: &Scene<'_>, issue: Issue<'_>, key_id: KeyId) -> Ruling {
    for holder in unconfirmed(scene, issue) {
        if let Some(why) = untold(scene) {
            return Ruling::wait(Reason::NotConfirmed, format!("external/{}: {why}", holder.name), None);
        }
        if is_to_be_read(scene)
            && let step @ Ruling::Do(_) = scene.attempt(Step::ReadUsage)
        {
            return step;
        }
        let recent = scene.seen.mine.usage.as_ref().filter(|_| !is_to_be_read(scene));
        let open = match recent {
            Some(_) => unused(scene, issue, holder, &BTreeSet::from([key_id])),
            None => Some(unread(scene)),
        };
        if let Some(open) = open {
            let what = format!("external/{}: {open}, before {key_id} goes", holder.name);
            return Ruling::wait(Reason::NotConfirmed, what, Some(next_read(scene)));
        }
    }
    Ruling::Pass
}

/// Read the report, if nothing but confirmations is waited for, one of which it may be, and it was not read for a while.
pub(super) fn look(scene: &Scene<'_>, issue: Issue<'_>, holders: &[Holder<'_>]) -> Ruling {
    let mut pending = holders.iter().filter_map(|holder| holder.pending.as_ref());
    let asked = unconfirmed(scene, issue).next().is_some() && untold(scene).is_none() && !old(scene).is_empty();
    if !asked || !is_to_be_read(scene) || pending.any(|one| one.reason != Reason::NotConfirmed) {
        return Ruling::Pass;
    }
    match scene.attempt(Step::ReadUsage) {
        step @ Ruling::Do(_) => step,
        // Whoever waits for the report says why it could not be read, and what else there is to do.
        Ruling::Wait(_) | Ruling::Pass => Ruling::Pass,
    }
}

/// Those that confirm by the report, and for whom nobody has said it.
fn unconfirmed<'a>(scene: &Scene<'a>, issue: Issue<'a>) -> impl Iterator<Item = &'a ExternalHolder> {
    let declared = scene.request.spec.consumers.iter().flat_map(|declared| &declared.external);
    let by_report = declared.filter(|one| one.confirm == Confirmation::SignInReport);
    by_report.filter(move |one| holders::how_to_confirm(scene, one.name.as_str(), issue.kept.key_id).is_some())
}

/// Why the report cannot tell, whatever it says.
fn untold(scene: &Scene<'_>) -> Option<&'static str> {
    match scene.request.tenant.cloud {
        Cloud::USGovernment | Cloud::USGovernmentDoD | Cloud::China => {
            return Some("Microsoft has the sign-in report in its public cloud only");
        }
        Cloud::Public | Cloud::Custom => {}
    }
    let kinds = migrate::used(scene).map(|record| record.entry.kind).chain([scene.request.kind]);
    if kinds.into_iter().any(|kind| kind == CredentialKind::Federated) {
        return Some("the sign-in report does not tell of federated credentials");
    }
    migrate::used(scene).next().map(|_| "the sign-in report is not asked while one kind takes the place of another")
}

/// What somebody may still sign in with: credentials that were replaced, and those of others that are to go.
fn old(scene: &Scene<'_>) -> BTreeSet<KeyId> {
    let lives = |kept: &&Kept| kept.expires_at.is_none_or(|end| end > scene.now);
    let replaced = removal::replaced(scene).filter_map(|record| record.entry.kept.as_ref());
    let named = scene.request.spec.retirement.iter().flat_map(|retirement| &retirement.foreign_key_ids);
    let shown = scene.seen.application.iter().flat_map(|looked| &looked.found.credentials);
    let there: BTreeSet<KeyId> = shown.map(|one| one.key_id).collect();
    let foreign = named.copied().filter(|key_id| there.contains(key_id));
    replaced.filter(lives).map(|kept| kept.key_id).chain(foreign).collect()
}

/// How long nobody may have used what is to go. Lines of the report may be behind each other: not less than it is read in.
fn quiet(scene: &Scene<'_>, holder: &ExternalHolder) -> Duration {
    holder.after.unwrap_or(scene.policy.min_overlap).0.max(scene.timing.usage.1)
}

/// What is missing for certainty that nobody uses any of these.
fn unused(scene: &Scene<'_>, issue: Issue<'_>, holder: &ExternalHolder, old: &BTreeSet<KeyId>) -> Option<String> {
    if old.is_empty() {
        return None; // there is nothing that somebody could still use
    }
    let failing = scene.seen.mine.failing.contains_key(&Work::Reporting);
    let Some(looked) = scene.seen.mine.usage.as_ref().filter(|_| !failing) else { return Some(unread(scene)) };
    let (usage, new, read_at) = (&looked.found, issue.kept.key_id, looked.at);
    let Some(known_until) = usage.last(new) else {
        return Some(format!(
            "the sign-in report shows no sign-in with {new}, which is published, so nobody knows how far behind it is (read \
             at {read_at:.0})"
        ));
    };
    old.iter().find_map(|key_id| {
        let Some(used_at) = usage.last(*key_id) else {
            return Some(format!(
                "the sign-in report has no line about {key_id}, which proves nothing (read at {read_at:.0})"
            ));
        };
        let until = after(used_at.max(issue.published_at), quiet(scene, holder));
        (known_until <= until).then(|| {
            format!(
                "the sign-in report is to show a sign-in with {new} after {until:.0}, and none with {key_id} until then; it \
                 shows one with {new} at {known_until:.0}, and one with {key_id} at {used_at:.0} (read at {read_at:.0})"
            )
        })
    })
}

/// Why there is no report to look at.
fn unread(scene: &Scene<'_>) -> String {
    match scene.seen.mine.failing.get(&Work::Reporting) {
        Some(failing) => {
            let trouble = &failing.trouble;
            format!("{} {}", trouble.message, trouble.remedy.trim_end_matches('.'))
        }
        None => "the sign-in report is to be read, when nobody else is waited for".to_owned(),
    }
}

/// Whether the report was not read for so long that it may say something else.
fn is_to_be_read(scene: &Scene<'_>) -> bool {
    let read_at = scene.seen.mine.usage.as_ref().map(|looked| looked.at);
    read_at.is_none_or(|at| scene.has_passed(at, scene.timing.usage.1))
}

/// When it is read again.
fn next_read(scene: &Scene<'_>) -> Timestamp {
    let held_off = scene.held_off(&Work::Reporting).and_then(|wait| wait.until);
    let read_at = scene.seen.mine.usage.as_ref().map_or(scene.now, |looked| looked.at);
    held_off.unwrap_or_else(|| after(read_at, scene.timing.usage.1))
}
