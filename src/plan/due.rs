//! Whether another credential is due, and why. The order of the causes is the order in which they are asked; the first is
//! the one that people read.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Timing,
    certificate::source,
    migrate, removal,
    scene::{Ruling, Scene, after, before},
    step::Step,
};
use crate::{
    api::{KeyId, Reason, consumers::ExternalHolder, status::EffectivePolicy},
    facts::{Cause, Kept, Missing, Observation, Owner, Record},
};

/// So many reads must agree that a credential is gone.
const AGREEING_READS: u32 = 3;

/// So many sign-ins with it must be refused.
const REFUSALS: u32 = 8;

/// How long before it begins a rotation is announced to those who need the credential by hand.
const ANNOUNCED: Duration = Duration::from_hours(7 * 24);

/// By how much renewals are spread, in parts of `renewBefore`.
const JITTER: u32 = 10;

/// Why another credential is due now, if it is.
pub(super) fn cause(scene: &Scene<'_>) -> Option<Cause> {
    let Some((_, kept)) = current(scene) else {
        let changed = migrate::used(scene).next().is_some();
        return Some(if changed { Cause::KindChanged } else { Cause::FirstIssue });
    };
    let why = why(scene, kept);
    if source::name(scene).is_some() { source::cause(scene, kept, why) } else { why }
}

/// Why another one is due than what is published.
fn why(scene: &Scene<'_>, kept: &Kept) -> Option<Cause> {
    let spec = scene.request.spec;
    let issued_after = spec.rotation.as_ref().and_then(|rotation| rotation.issued_after.as_ref());
    if is_compromised(scene, kept.key_id) {
        Some(Cause::Compromised)
    } else if is_absent(scene, kept.key_id) {
        Some(Cause::KeyAbsent)
    } else if issued_after.is_some_and(|time| time.0 > kept.issued_at && time.0 <= scene.now) {
        Some(Cause::IssuedAfter)
    } else if has_expired(scene, kept) {
        Some(Cause::Expired)
    } else if is_short_lived(scene, kept) {
        Some(Cause::ShortLife)
    } else if renewal(scene, kept).is_some_and(|time| time <= scene.now) {
        Some(Cause::Renewal)
    } else {
        None
    }
}

/// When the next one is due, as far as can be said today.
pub(super) fn next(scene: &Scene<'_>) -> Option<Timestamp> {
    let (_, kept) = current(scene)?;
    let rotation = scene.request.spec.rotation.as_ref();
    let demanded = rotation.and_then(|rotation| rotation.issued_after.as_ref()).map(|time| time.0);
    [renewal(scene, kept), demanded.filter(|time| *time > kept.issued_at)].into_iter().flatten().min()
}

/// The next one, if it is time to tell those outside the cluster who need it by hand.
pub(super) fn announced(scene: &Scene<'_>) -> Option<Timestamp> {
    let next = next(scene).filter(|_| !outside(scene).is_empty())?;
    (scene.now >= before(next, ANNOUNCED)).then_some(next)
}

/// Whoever uses the credential outside the cluster.
pub(super) fn outside<'a>(scene: &Scene<'a>) -> &'a [ExternalHolder] {
    scene.request.spec.consumers.as_ref().map_or(&[], |declared| &declared.external)
}

/// Look again when the next one is due, or is to be announced.
pub(super) fn wake_in_time(scene: &Scene<'_>) -> Ruling {
    let Some(next) = next(scene).filter(|at| *at > scene.now) else { return Ruling::Pass };
    let told = Some(before(next, ANNOUNCED)).filter(|at| *at > scene.now && !outside(scene).is_empty());
    Ruling::wait(Reason::Idle, "the next rotation to be due", Some(told.unwrap_or(next)))
}

/// Whether nobody can sign in with what is published, or nobody should.
pub(super) fn is_dead(scene: &Scene<'_>) -> bool {
    current(scene).is_none_or(|(_, kept)| {
        is_compromised(scene, kept.key_id) || is_absent(scene, kept.key_id) || has_expired(scene, kept)
    })
}

/// Whether somebody cannot sign in with what they have, or should not: whatever helps must not wait.
pub(super) fn is_urgent(scene: &Scene<'_>) -> bool {
    let Some(record) = scene.published() else { return true };
    let replaces_a_dead_one = record.entry.proven_at.is_none()
        && matches!(record.entry.cause, Some(Cause::Compromised | Cause::KeyAbsent | Cause::Expired));
    let ends = |kept: &Kept| is_compromised(scene, kept.key_id) || has_expired(scene, kept);
    replaces_a_dead_one || is_dead(scene) || in_use(scene).any(ends)
}

/// Whether maintenance windows are not waited for.
pub(super) fn yields(scene: &Scene<'_>) -> bool {
    is_urgent(scene) || in_use(scene).any(|kept| is_short_lived(scene, kept))
}

/// What somebody may have: the published credential, and those before it that are still there.
fn in_use<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = &'a Kept> {
    scene.published().into_iter().chain(removal::replaced(scene)).filter_map(|record| record.entry.kept.as_ref())
}

/// A read that does not show what is published is followed by more, and by sign-ins, until it is certain.
pub(super) fn find_out_what_is_missing(scene: &Scene<'_>) -> Ruling {
    let Some((record, kept)) = current(scene) else { return Ruling::Pass };
    let timing = scene.timing;
    let Some(missing) = missing(scene.seen, kept.key_id) else {
        return begin_to_count(scene, kept);
    };
    if is_absent(scene, kept.key_id) || !scene.has_passed(kept.issued_at, timing.late_mint + timing.absence) {
        return Ruling::Pass;
    }
    let reads = after(missing.read_at, timing.absence / AGREEING_READS);
    let signs_in = missing.tried_at.map_or(scene.now, |at| after(at, timing.absence / REFUSALS));
    if missing.refusals < REFUSALS && scene.now >= signs_in {
        return scene.attempt(Step::SignIn { record: Box::new(record.clone()), key_id: kept.key_id });
    }
    if scene.now >= reads {
        return scene.attempt(Step::ReadApplication);
    }
    let until = if missing.refusals < REFUSALS { reads.min(signs_in) } else { reads };
    let what = format!(
        "certainty: the application does not show credential {} any more, which is published; it is replaced once sign-ins \
         with it are refused, too",
        kept.key_id
    );
    Ruling::wait(Reason::CredentialUnknown, what, Some(until))
}

/// The rounds through the tenant do not count: they only say that it is time to look.
fn begin_to_count(scene: &Scene<'_>, kept: &Kept) -> Ruling {
    let Some(looked) = &scene.seen.application else { return Ruling::Pass };
    let shown = looked.found.credentials.iter().any(|one| one.key_id == kept.key_id);
    let late = looked.at >= after(kept.issued_at, scene.timing.late_mint + scene.timing.absence);
    if shown || !late { Ruling::Pass } else { scene.attempt(Step::ReadApplication) }
}

/// Whether a person has said that somebody else may know a credential.
pub(super) fn is_compromised(scene: &Scene<'_>, key_id: KeyId) -> bool {
    let retirement = scene.request.spec.retirement.as_ref();
    retirement.is_some_and(|retirement| retirement.compromised_key_ids.contains(&key_id))
}

fn current<'a>(scene: &Scene<'a>) -> Option<(&'a Record, &'a Kept)> {
    let record = scene.published()?;
    Some((record, record.entry.kept.as_ref()?))
}

fn has_expired(scene: &Scene<'_>, kept: &Kept) -> bool {
    kept.expires_at.is_some_and(|end| end <= scene.now)
}

fn missing(seen: &Observation, key_id: KeyId) -> Option<&Missing> {
    seen.mine.missing.as_ref().filter(|missing| missing.key_id == key_id)
}

fn is_absent(scene: &Scene<'_>, key_id: KeyId) -> bool {
    missing(scene.seen, key_id).is_some_and(|missing| is_certain(missing, scene.timing))
}

/// Absence needs proof: reads lag behind writes.
fn is_certain(missing: &Missing, timing: &Timing) -> bool {
    let spread = missing.read_at >= after(missing.since, timing.absence);
    spread && missing.reads >= AGREEING_READS && missing.refusals >= REFUSALS
}

/// Whether what is left is needed to bring the next one to everybody.
fn is_short_lived(scene: &Scene<'_>, kept: &Kept) -> bool {
    let (policy, needed) = (scene.policy, needed(scene.policy));
    // A credential that never had that much is renewed when it is time, and not at once and for ever.
    let needed = policy.renew_before.map_or(needed, |before| needed.min(before.0 / 2));
    kept.expires_at.is_some_and(|end| after(scene.now, needed) >= end)
}

/// How long it may take to bring another one to everybody.
pub(super) fn needed(policy: &EffectivePolicy) -> Duration {
    2 * policy.rollout.timeout.0 + policy.min_overlap.0 + policy.verification.timeout.0
}

fn renewal(scene: &Scene<'_>, kept: &Kept) -> Option<Timestamp> {
    let before = scene.policy.renew_before?.0;
    let jitter = jitter(&scene.seen.owner, before / JITTER);
    Some(after(kept.expires_at?.saturating_sub(before).unwrap_or(Timestamp::MIN), jitter))
}

/// The same for an owner at any time, different for different owners.
fn jitter(owner: &Owner, most: Duration) -> Duration {
    let sum = owner.as_str().bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    most.mul_f64(f64::from(sum % 1000) / 1000.0)
}
