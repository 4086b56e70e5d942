//! Federated credentials: nothing to keep, nothing that expires. Each identity that the spec names has a record and a
//! federated credential of its own, which is created and never rewritten: an identity whose claims have changed gets another
//! one beside the old. One of the same claims that somebody else has made will do.
//!
//! Reading order: [`identity`] (whose tokens are to be accepted), `set_up` (the record and the credential), `proof`
//! (whether Entra takes a token), `account` (as whom pods sign in), `coordinates` (the Secret that says so), `withdraw` (what is not declared any more), [`fold`],
//! `told`. Who uses it, and how they are restarted, is in `evidence`, `holders` and `rollout`, as for every other kind.

mod account;
pub(super) mod coordinates;
pub(super) mod fold;
pub(super) mod identity;
mod proof;
mod set_up;
pub(super) mod told;
mod withdraw;

use jiff::Timestamp;

use super::{
    Rule, ending, forget, rollout,
    scene::{Ruling, Scene, after, unless_passed},
    step::Step,
};
use crate::{
    api::Reason,
    facts::{Claims, Consumers, Federated, Looked, Mark, Record, Stage},
};

/// What is done for a resource with federated identities.
pub(super) const RULES: [Rule; 9] = [
    ending::detain,              // before there is anything to clear up
    ending::keep_the_evidence,   // of what is ours, if it is to be removed with the resource
    set_up::set_up,              // each identity: record, credential, proof, account
    coordinates::keep_published, // the Secret that says where to sign in, if it is asked for
    rollout::bring_to_everybody, // pods that were made before their account said as whom they sign in
    withdraw::close,             // records of what was never used
    withdraw::withdraw,          // what is not declared any more
    withdraw::forget,            // records of what is gone
    look_now_and_then,           // at what nobody else tells
];

/// What is done for one that is gone: what was never used is taken back, the rest stays.
pub(super) const LAST_RULES: [Rule; 5] =
    [withdraw::close, withdraw::settle, withdraw::withdraw, withdraw::forget, forget::let_finalizers_go];

/// What is done for one that is being deleted and says that its credentials are to go with it.
pub(super) const ENDING_RULES: [Rule; 8] = [
    ending::leave, // unless it is to keep them after all
    ending::take_the_secret,
    withdraw::close,
    withdraw::withdraw,
    withdraw::forget,
    withdraw::let_go, // the resource, when all of it is gone
    forget::let_finalizers_go,
    look_now_and_then, // whether what is in the way still is
];

/// What is done about what was federated where another kind is declared now.
pub(super) const FORMER_RULES: [Rule; 6] = [
    ending::keep_the_evidence,
    withdraw::close,
    withdraw::withdraw,
    withdraw::forget,
    forget::let_finalizers_go,
    look_now_and_then,
];

/// All of it is taken back with a resource.
pub(super) fn take_back(scene: &Scene<'_>) -> Ruling {
    unless_passed!(withdraw::close(scene));
    unless_passed!(withdraw::withdraw(scene));
    withdraw::forget(scene)
}

/// Whether everything that is declared is in use and proven, or confirmed, before something of another kind goes.
pub(super) fn is_known_to_work(scene: &Scene<'_>, leaving: &str) -> Ruling {
    let identities = match identity::identities(scene) {
        Ok(identities) => identities,
        Err(ruling) => return ruling,
    };
    for identity in identities {
        unless_passed!(withdraw::is_in_use(scene, &identity, leaving, None));
    }
    Ruling::Pass
}

/// Since when everybody who is known signs in by what is declared, before something of another kind goes.
pub(super) fn with_everybody(scene: &Scene<'_>, leaving: &str) -> Result<Timestamp, Ruling> {
    match is_known_to_work(scene, leaving) {
        Ruling::Pass => {}
        ruling => return Err(ruling),
    }
    let mut since = None;
    for identity in identity::known(scene) {
        let Some(proven_at) = record(scene, &identity.claims).and_then(|record| record.entry.proven_at) else {
            let what = format!("everybody to sign in by identity {}, before {leaving} goes", identity.name);
            return Err(Ruling::wait(Reason::Retiring, what, None));
        };
        since = since.max(Some(proven_at));
    }
    Ok(since.unwrap_or(scene.now))
}

/// Whether a pod signs in by what is federated, or somebody outside does, who has said so.
pub(super) fn signs_somebody_in(scene: &Scene<'_>, consumers: &Consumers) -> bool {
    identity::known(scene).iter().any(|identity| match identity.account {
        Some(account) => {
            let account = account.name.as_str();
            consumers
                .pods
                .iter()
                .any(|pod| pod.identity.account == account && identity::signs_in(scene.request, &pod.identity))
        }
        None => true, // nothing goes before it is confirmed
    })
}

/// The record of claims, unless it was given up or its credential is gone.
fn record<'a>(scene: &Scene<'a>, claims: &Claims) -> Option<&'a Record> {
    let lives = |record: &&Record| record.entry.stage != Stage::Abandoned && record.entry.retired_at.is_none();
    let records = scene.records().filter(|record| record.entry.claims.as_ref() == Some(claims));
    records.filter(lives).max_by_key(|record| record.entry.sequence)
}

/// What is used now.
pub(super) fn all_in_use<'a>(scene: &Scene<'a>) -> Vec<&'a Record> {
    let identities = identity::known(scene);
    let records = identities.iter().filter_map(|identity| record(scene, &identity.claims));
    records.filter(|record| record.entry.published_at.is_some()).collect()
}

/// The first of them that is not known to be with everybody who is to use it, if there is such a one.
pub(super) fn in_use<'a>(scene: &Scene<'a>) -> Option<&'a Record> {
    all_in_use(scene).into_iter().min_by_key(|record| record.entry.proven_at.is_some())
}

/// The federated credentials, if they were read a moment ago, or what to do first.
fn credentials<'a>(scene: &Scene<'a>) -> Result<&'a [Federated], Ruling> {
    match &scene.seen.federation.credentials {
        Some(looked) if scene.is_fresh(looked.at) => Ok(&looked.found),
        _ => Err(scene.attempt(Step::ReadFederation)),
    }
}

/// Those with our mark, as they were last seen.
fn marked<'a>(scene: &Scene<'a>) -> impl Iterator<Item = (&'a Federated, Mark)> {
    let credentials = scene.seen.federation.credentials.iter().flat_map(|looked| &looked.found);
    let owner = &scene.seen.owner;
    credentials.filter_map(|one| Some((one, one.mark()?))).filter(move |(_, mark)| mark.owner == *owner)
}

/// Neither Graph nor a watch tells when somebody has changed something here.
fn look_now_and_then(scene: &Scene<'_>) -> Ruling {
    let next = match &scene.seen.federation.credentials {
        Some(Looked { at, .. }) => after(*at, scene.timing.drift),
        None => scene.now,
    };
    if scene.now >= next {
        return scene.attempt(Step::ReadFederation);
    }
    Ruling::wait(Reason::Idle, "the next look at the federated credentials", Some(next))
}
