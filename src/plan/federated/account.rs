//! As whom pods sign in: the annotations of their `ServiceAccount`, which the workload identity webhook reads when a pod is
//! made. They are written when Entra accepts the tokens, not before: a pod that asks early prolongs the refusal.

use jiff::Timestamp;

use super::identity::Identity;
use crate::{
    api::{
        Reason,
        kinds::{AnnotationPolicy, FederatedServiceAccount},
    },
    facts::{AccountSeen, Looked, Record},
    plan::{
        ending,
        scene::{Ruling, Scene, after, unless_passed},
        step::Step,
    },
};

/// See to it that the pods of an identity sign in as the application, and note that they do from now on.
pub(super) fn see_to_it(scene: &Scene<'_>, identity: &Identity<'_>, record: &Record) -> Ruling {
    if let Some(account) = identity.account {
        unless_passed!(annotated(scene, account));
    }
    if record.entry.published_at.is_some() {
        return Ruling::Pass;
    }
    // Its pods are restarted from here on: what the account said a while ago would not do.
    if let Some(account) = identity.account
        && let Err(ruling) = looked(scene, account.name.as_str())
    {
        return ruling;
    }
    let entry = Scene::rewritten(record, |entry| entry.published_at = Some(scene.now));
    scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: ending::keeps_evidence(scene) })
}

fn annotated(scene: &Scene<'_>, account: &FederatedServiceAccount) -> Ruling {
    let name = account.name.as_str();
    let Some(Looked { at, found }) = scene.seen.federation.accounts.get(name) else { return look(scene, name) };
    // No watch tells when somebody writes there.
    let next = after(*at, if found.is_some() { scene.timing.drift } else { scene.timing.fresh });
    if scene.now >= next {
        return look(scene, name);
    }
    let Some(seen) = found else {
        return is_missing(name, next);
    };
    let lacks = lacks(scene, seen);
    match account.annotations.unwrap_or(AnnotationPolicy::Manage) {
        _ if lacks.is_empty() => Ruling::Pass,
        AnnotationPolicy::Manage if scene.is_fresh(*at) => {
            scene.effect(Step::Annotate { account: name.to_owned(), told: true, over: Box::new(seen.clone()) })
        }
        AnnotationPolicy::Manage => look(scene, name),
        AnnotationPolicy::Ignore => {
            let namespace = scene.request.namespace;
            let what = format!(
                "the annotations of serviceaccount/{name}, which Git has to write: kubectl -n {namespace} annotate --overwrite \
                 serviceaccount {name} {}",
                lacks.join(" ")
            );
            Ruling::wait(Reason::AccountNotAnnotated, what, Some(next))
        }
    }
}

/// Take back what an account was told, so that no more pods sign in by it. What Git or somebody else says stays.
pub(super) fn tell_no_more(scene: &Scene<'_>, account: &str) -> Ruling {
    match looked(scene, account) {
        Ok(Some(seen)) if seen.managed_by_us => {
            scene.effect(Step::Annotate { account: account.to_owned(), told: false, over: Box::new(seen.clone()) })
        }
        Ok(_) => Ruling::Pass,
        Err(ruling) => ruling,
    }
}

/// An account as it was a moment ago.
pub(super) fn looked<'a>(scene: &Scene<'a>, account: &str) -> Result<Option<&'a AccountSeen>, Ruling> {
    match scene.seen.federation.accounts.get(account) {
        Some(Looked { at, found }) if scene.is_fresh(*at) => Ok(found.as_ref()),
        _ => Err(look(scene, account)),
    }
}

/// None is ever created.
pub(super) fn is_missing(account: &str, again: Timestamp) -> Ruling {
    let what = format!("serviceaccount/{account}, which there is not: create it, or name the one that the pods run as");
    Ruling::wait(Reason::AccountMissing, what, Some(again))
}

fn look(scene: &Scene<'_>, account: &str) -> Ruling {
    scene.attempt(Step::ReadAccount { account: account.to_owned() })
}

/// The annotations that are to be there and are not. The webhook has a tenant of its own where none is named.
fn lacks(scene: &Scene<'_>, seen: &AccountSeen) -> Vec<String> {
    let (client, tenant) = (scene.request.spec.client_id.to_string(), scene.request.tenant.tenant_id.to_string());
    let wanted = [("client-id", client, &seen.client_id), ("tenant-id", tenant, &seen.tenant_id)];
    let lacking = wanted.into_iter().filter(|(_, wanted, there)| there.as_ref() != Some(wanted));
    lacking.map(|(key, wanted, _)| format!("azure.workload.identity/{key}={wanted}")).collect()
}
