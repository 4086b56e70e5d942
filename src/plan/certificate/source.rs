//! The Secret that a certificate is taken from, which cert-manager or anybody else keeps. Whatever it has is looked at before
//! anything is done with it; when it has another certificate than what is published, that is a rotation.

use super::super::{
    due, policy,
    scene::{Ruling, Scene, after},
    step::Step,
};
use crate::{
    api::{Reason, values::ObjectName},
    facts::{Cause, Kept, Looked, Record, Source, Stage, Thumbprint},
};

/// Its name, if a certificate is to be taken from one.
pub(in crate::plan) fn name<'a>(scene: &Scene<'a>) -> Option<&'a ObjectName> {
    scene.request.spec.certificate.as_ref()?.secret_ref.as_ref().map(|reference| &reference.name)
}

/// What it has, as of not long ago.
fn seen<'a>(scene: &Scene<'a>) -> Result<&'a Source, Ruling> {
    match &scene.seen.source {
        Some(Looked { at, found }) if !scene.has_passed(*at, scene.timing.drift) => Ok(found),
        _ => Err(look(scene)),
    }
}

fn look(scene: &Scene<'_>) -> Ruling {
    name(scene).map_or(Ruling::Pass, |name| scene.attempt(Step::ReadSource { name: name.clone() }))
}

/// The certificate that it has, if that can be used; else what it waits for.
pub(in crate::plan) fn usable<'a>(scene: &Scene<'a>) -> Result<&'a Thumbprint, Ruling> {
    let Some(name) = name(scene) else { return Err(Ruling::Pass) };
    let again = Some(after(scene.now, scene.timing.drift));
    let unsuited = |why: String| {
        let what = format!("secret/{name} to have a certificate that can be used: {why}");
        Err(Ruling::wait(Reason::SourceUnsuited, what, again))
    };
    match seen(scene)? {
        Source::Absent => {
            let what = format!(
                "secret/{name}, from which spec.certificate.secretRef takes the certificate: create it, or have cert-manager \
                 create it"
            );
            Err(Ruling::wait(Reason::SourceMissing, what, again))
        }
        Source::Unsuited(trouble) => unsuited(format!("{}: {}", trouble.message, trouble.remedy)),
        Source::Fit { begins, .. } if *begins > scene.now => {
            let what = format!("secret/{name}: its certificate is valid from {begins:.0} on");
            Err(Ruling::wait(Reason::SourceUnsuited, what, Some(*begins)))
        }
        Source::Fit { ends, .. } if *ends <= scene.now => {
            unsuited(format!("this one has expired at {ends:.0}. Have it renewed"))
        }
        Source::Fit { ends, .. } if after(scene.now, due::needed(scene.policy)) >= *ends => {
            unsuited(format!("this one ends at {ends:.0}, before everybody could have it. Have it renewed"))
        }
        Source::Fit { begins, ends, .. } if *ends > after(*begins, policy::max_validity(scene.request.tenant).0) => {
            let (most, tenant) = (policy::max_validity(scene.request.tenant), scene.request.tenant_name);
            unsuited(format!(
                "this one lives longer than EntraTenant {tenant} allows (spec.limits.maxValidity, {most}). Ask for a shorter \
                 duration where it is made"
            ))
        }
        Source::Fit { thumbprint, .. } => match in_use(scene, thumbprint) {
            Some(record) => unsuited(format!(
                "it has gone back to the one that was published as credential {}, which is on its way out",
                record.entry.sequence
            )),
            None => Ok(thumbprint),
        },
    }
}

/// The record of an earlier credential that was made of this certificate and is not gone.
fn in_use<'a>(scene: &Scene<'a>, thumbprint: &Thumbprint) -> Option<&'a Record> {
    let current = scene.published().map(|record| record.entry.sequence);
    scene.records().find(|record| {
        let entry = &record.entry;
        let is_it = entry.kept.as_ref().is_some_and(|kept| kept.thumbprint.as_ref() == Some(thumbprint));
        is_it && entry.stage == Stage::Publishing && entry.retired_at.is_none() && Some(entry.sequence) != current
    })
}

/// Why another one is due, where `why` is why one would be if it were made here. There is nothing to be taken but what the
/// Secret has: the same again only helps if it is gone from the application.
pub(in crate::plan) fn cause(scene: &Scene<'_>, kept: &Kept, why: Option<Cause>) -> Option<Cause> {
    let other = usable(scene).is_ok_and(|thumbprint| Some(thumbprint) != kept.thumbprint.as_ref());
    if other { why.or(Some(Cause::SourceRenewed)) } else { why.filter(|why| *why == Cause::KeyAbsent) }
}

/// Look at it now and then, and say what is wrong with it before that matters.
pub(in crate::plan) fn look_now_and_then(scene: &Scene<'_>) -> Ruling {
    if name(scene).is_none() {
        return Ruling::Pass;
    }
    match usable(scene) {
        Err(Ruling::Wait(wait)) if scene.published().is_some() => {
            Ruling::wait(Reason::Idle, wait.waiting_for, wait.until)
        }
        Err(ruling) => ruling,
        Ok(_) => {
            let next = scene.seen.source.as_ref().map(|looked| after(looked.at, scene.timing.drift));
            Ruling::wait(Reason::Idle, "another certificate in the Secret that it is taken from", next)
        }
    }
}
