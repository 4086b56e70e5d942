//! What people read of federated identities. Only a report.

use super::{
    coordinates,
    identity::{Identity, known},
    marked,
    proof::{Means, means},
    record, withdraw,
};
use crate::{
    api::{
        Reason,
        status::{CredentialStatus, IdentityStatus, Line},
    },
    facts::{Record, Stage, Verdict},
    plan::{
        Wait, migrate, removal,
        scene::Scene,
        standing::{self, Standing},
        told::{MOST_RETIRING, credential, shortened, steady},
    },
};

/// Each identity, in the order of the spec.
pub(in crate::plan) fn identities(scene: &Scene<'_>, before: &[IdentityStatus]) -> Vec<IdentityStatus> {
    let one = |identity: Identity<'_>| {
        let record = record(scene, &identity.claims);
        let old = before.iter().find(|one| one.name == identity.name).map(|one| Line(one.proof.clone()));
        IdentityStatus {
            name: identity.name.to_owned(),
            proof: steady(old.as_ref(), &proof(scene, &identity, record)).0,
            id: record.and_then(|record| record.entry.kept.as_ref()).map(|kept| kept.key_id.to_string()),
            issuer: identity.claims.issuer,
            subject: identity.claims.subject,
        }
    };
    known(scene).into_iter().map(one).collect()
}

fn proof(scene: &Scene<'_>, identity: &Identity<'_>, record: Option<&Record>) -> String {
    let Some((entry, kept)) = record.and_then(|record| Some((&record.entry, record.entry.kept.as_ref()?))) else {
        return "It is to be added to the application.".to_owned();
    };
    match (entry.verified_at, means(scene, identity)) {
        (Some(_), _) => "Proven".to_owned(),
        (None, Means::IssuerOnly(why)) => format!("IssuerOnly: {why}"),
        (None, Means::Tokens(_)) => match scene.seen.mine.exchanges.get(&kept.key_id).map(|proof| &proof.last) {
            Some(Verdict::Blocked(trouble) | Verdict::Refused(trouble) | Verdict::Misasked(trouble)) => {
                format!("Entra does not take its tokens yet: {}: {}", trouble.message, trouble.remedy)
            }
            _ => "It is being proven.".to_owned(),
        },
    }
}

/// What `Ready` says when it is.
pub(in crate::plan) fn in_use(scene: &Scene<'_>) -> String {
    let named: Vec<String> = known(scene).iter().map(|identity| told(scene, identity)).collect();
    format!("Application {} accepts {}.{}", scene.request.spec.client_id, named.join(", "), coordinates::said(scene))
}

fn told(scene: &Scene<'_>, identity: &Identity<'_>) -> String {
    let proven = record(scene, &identity.claims).is_some_and(|record| record.entry.verified_at.is_some());
    let proven = if proven { "" } else { " (not proven, since its tokens are not to be had)" };
    format!("identity {}{proven}", identity.name)
}

/// What leaves, and what nobody knows.
pub(in crate::plan) fn retiring(scene: &Scene<'_>, waits: &[Wait]) -> Vec<CredentialStatus> {
    let wanted = known(scene);
    let told =
        marked(scene).filter(|(one, _)| !scene.seen.mine.removed.contains_key(&one.id)).filter_map(|(one, mark)| {
            let line = match withdraw::standing(scene, &wanted, one, &mark) {
                withdraw::Standing::Needed => return None,
                withdraw::Standing::Leaving(_) => {
                    let wait = waits.iter().find(|wait| wait.waiting_for.contains(&one.id.to_string()));
                    wait.map(|wait| wait.waiting_for.clone())
                }
                withdraw::Standing::Unknown => Some(removal::advice(scene, one.id, &mark)),
            };
            let waiting_for = line.map(|line| Line(shortened(&line))).into_iter().collect();
            let of_record = scene.record(mark.sequence).map(credential);
            let unknown = || CredentialStatus {
                sequence: mark.sequence.0.into(),
                key_id: Some(one.id),
                thumbprint: None,
                issued_at: None,
                expires_at: None,
                published_at: None,
                waiting_for: vec![],
            };
            Some(CredentialStatus { waiting_for, ..of_record.unwrap_or_else(unknown) })
        });
    told.take(MOST_RETIRING).collect()
}

/// How a resource stands that has federated identities: ready when each of them is in use.
pub(in crate::plan) fn standing(scene: &Scene<'_>, waits: &[Wait]) -> Standing {
    let identities = known(scene);
    let records: Vec<Option<&Record>> = identities.iter().map(|one| record(scene, &one.claims)).collect();
    let in_use = |record: Option<&Record>| record.is_some_and(|record| record.entry.published_at.is_some());
    let all_in_use = !records.is_empty() && records.iter().copied().all(in_use);
    let keeps_out = waits.iter().find(|wait| keeps_pods_out(wait.reason));
    let keeps_out = keeps_out.map(|wait| (wait.reason, wait.waiting_for.clone()));
    let unpublished = if all_in_use { coordinates::lacking(scene) } else { None };
    let broken = keeps_out.or_else(|| migrate::about_to_break(scene, waits)).or(unpublished);
    let ready = all_in_use && broken.is_none();
    let stage = stage(scene, waits, &records, all_in_use);
    let first = || waits.first().map(|wait| (wait.reason, wait.waiting_for.clone()));
    let (reason, message) = match (broken.or_else(first), &stage) {
        (Some(said), _) => said,
        (None, Some((stage, _))) => (*stage, String::new()),
        (None, None) => (Reason::Idle, String::new()),
    };
    let everybody = |record: Option<&Record>| record.is_some_and(|record| record.entry.proven_at.is_some());
    Standing {
        ready,
        reason,
        message,
        stage,
        rolled_out: records.iter().copied().any(in_use).then(|| records.iter().copied().all(everybody)),
    }
}

/// Whether what is waited for keeps pods from signing in.
const fn keeps_pods_out(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::AccountMissing | Reason::AccountNotAnnotated | Reason::AccountContested | Reason::CredentialUnknown
    )
}

/// How far things are that are on their way.
fn stage(scene: &Scene<'_>, waits: &[Wait], records: &[Option<&Record>], all_in_use: bool) -> Option<(Reason, String)> {
    let told = |belongs: fn(Reason) -> bool, otherwise| match waits.iter().find(|wait| belongs(wait.reason)) {
        Some(wait) => (wait.reason, wait.waiting_for.clone()),
        None => (otherwise, waits.first().map(|wait| wait.waiting_for.clone()).unwrap_or_default()),
    };
    if !all_in_use {
        let unproven =
            records.iter().flatten().any(|one| one.entry.stage == Stage::Unpublished && !one.entry.is_open());
        let otherwise = if unproven { Reason::Proving } else { Reason::Opening };
        return Some(told(standing::keeps_from_publication, otherwise));
    }
    if records.iter().flatten().any(|record| record.entry.proven_at.is_none()) {
        return Some(told(standing::keeps_from_everybody, Reason::RollingOut));
    }
    let leaving = waits.iter().find(|wait| standing::keeps_the_old_one(wait.reason));
    let leaving = leaving.map(|wait| (wait.reason, wait.waiting_for.clone()));
    leaving.or_else(|| migrate::used(scene).next().map(|_| (Reason::Retiring, String::new())))
}
