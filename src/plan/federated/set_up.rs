//! From an identity that is declared to a federated credential. The name of one is derived from its mark, and an
//! application has each name once: so adding it twice is harmless, and whether a lost answer has left one behind shows
//! itself by its name. Nobody has to be fenced.

use super::{
    account, credentials,
    identity::{Identity, identities},
    proof, record,
};
use crate::{
    api::{KeyId, Reason},
    facts::{Adopted, Attempt, Cause, Claims, Entry, Federated, Kept, Mark, Record, Stage},
    plan::{
        blast, migrate,
        proof::give_up,
        removal,
        scene::{Ruling, Scene, after, unless_passed},
        step::Step,
    },
};

/// How many federated credentials Entra lets an application have.
const MOST: usize = 20;

/// How many reads in a row must not show a credential before it is believed to be gone.
const AGREEING: u32 = 3;

/// Each identity, one after the other: writes to one application get into each other's way. One that has to wait holds back
/// none of the others.
pub(super) fn set_up(scene: &Scene<'_>) -> Ruling {
    let identities = match identities(scene) {
        Ok(identities) => identities,
        Err(ruling) => return ruling,
    };
    let mut waiting = Ruling::Pass;
    for identity in &identities {
        match one(scene, identity) {
            Ruling::Pass => {}
            step @ Ruling::Do(_) => return step,
            wait @ Ruling::Wait(_) => waiting = if waiting == Ruling::Pass { wait } else { waiting },
        }
    }
    waiting
}

fn one(scene: &Scene<'_>, identity: &Identity<'_>) -> Ruling {
    let record = record(scene, &identity.claims);
    let is_begun = record.is_some_and(|record| record.entry.stage == Stage::Publishing);
    if scene.seen.namespace.terminating && !is_begun {
        let what = "the namespace is being deleted, so nothing is set up in it";
        return Ruling::wait(Reason::NamespaceTerminating, what, None);
    }
    let Some(record) = record else { return open(scene, identity) };
    let Some(kept) = &record.entry.kept else { return establish(scene, identity, record) };
    unless_passed!(is_there(scene, record, kept));
    match record.entry.stage {
        Stage::Publishing => {
            unless_passed!(account::see_to_it(scene, identity, record));
            proof::prove_later(scene, identity, record, kept)
        }
        Stage::Unpublished | Stage::Abandoned => proof::prove(scene, identity, record, kept),
    }
}

/// A record before anything else. Where the application has one already that accepts these tokens, the record says which.
fn open(scene: &Scene<'_>, identity: &Identity<'_>) -> Ruling {
    let credentials = match credentials(scene) {
        Ok(credentials) => credentials,
        Err(ruling) => return ruling,
    };
    let request = scene.request;
    let about = (request.tenant.tenant_id, request.spec.client_id, request.kind);
    let marks = credentials.iter().filter_map(Federated::mark).filter(|mark| mark.owner == scene.seen.owner);
    let sequence = scene.next_sequence(marks.map(|mark| mark.sequence));
    let entry = Entry {
        claims: Some(identity.claims.clone()),
        cause: Some(if migrate::used(scene).next().is_some() { Cause::KindChanged } else { Cause::FirstIssue }),
        ..Entry::opened(scene.seen.owner.clone(), request.name, about, sequence, scene.new_attempt())
    };
    let accepts = |one: &&Federated| one.claims.as_ref() == Some(&identity.claims);
    let there = credentials.iter().find(|one| accepts(one) && !removal::gone_a_while(scene, one.id));
    let entry = if let Some(found) = there {
        of_what_is_there(scene, found, entry)
    } else {
        unless_passed!(blast::brake_is_off(scene));
        unless_passed!(room(scene, credentials));
        entry
    };
    scene.effect(Step::Open { entry: Box::new(entry) })
}

/// The record of a federated credential that is there: of ours if its record was lost, else of somebody else's, which is
/// used and never touched.
fn of_what_is_there(scene: &Scene<'_>, found: &Federated, entry: Entry) -> Entry {
    let kept = Some(Kept { key_id: found.id, issued_at: scene.now, expires_at: None, thumbprint: None });
    let ours = found.mark().filter(|mark| mark.owner == scene.seen.owner);
    match ours.filter(|mark| scene.record(mark.sequence).is_none()) {
        Some(mark) => {
            let attempts = entry.attempts.into_iter().map(|one| Attempt { nonce: mark.nonce.clone(), ..one }).collect();
            Entry { kept, attempts, sequence: mark.sequence, ..entry }
        }
        None => Entry { kept, adopted: Some(Adopted::Certain), cause: Some(Cause::Adopted), ..entry },
    }
}

/// Whether Entra has room for one more: it is never made by removing somebody else's.
fn room(scene: &Scene<'_>, credentials: &[Federated]) -> Ruling {
    if credentials.len() < MOST {
        return Ruling::Pass;
    }
    let what = format!(
        "room for another federated credential: application {} has {} already, and Entra allows {MOST}. Remove one that \
         nobody needs",
        scene.request.spec.client_id,
        credentials.len()
    );
    Ruling::wait(Reason::TooManyCredentials, what, Some(after(scene.now, scene.timing.drift)))
}

/// An open record: add what it speaks of, unless that is there already.
fn establish(scene: &Scene<'_>, identity: &Identity<'_>, record: &Record) -> Ruling {
    let Some(last) = record.entry.last_attempt() else { return Ruling::Pass };
    let credentials = match credentials(scene) {
        Ok(credentials) => credentials,
        Err(ruling) => return ruling,
    };
    let entry = &record.entry;
    let mark = Mark { owner: entry.owner.clone(), sequence: entry.sequence, nonce: last.nonce.clone() };
    let name = mark.federated_name();
    let named = credentials.iter().find(|one| one.name == name && one.claims.as_ref() == Some(&identity.claims));
    if let Some(found) = named {
        return keep(scene, record, found.id, None);
    }
    if let Some(found) = credentials.iter().find(|one| one.claims.as_ref() == Some(&identity.claims)) {
        return keep(scene, record, found.id, Some(Adopted::Certain)); // somebody was quicker
    }
    unless_passed!(room(scene, credentials));
    if record.deleting {
        return give_up(scene, record, None);
    }
    scene.effect(Step::Establish { record: Box::new(record.clone()) })
}

fn keep(scene: &Scene<'_>, record: &Record, key_id: KeyId, adopted: Option<Adopted>) -> Ruling {
    let entry = Scene::rewritten(record, |entry| {
        entry.kept = Some(Kept { key_id, issued_at: scene.now, expires_at: None, thumbprint: None });
        entry.adopted = adopted;
    });
    scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: record.finalized })
}

/// Whether the credential of a record is still what it was. One that is gone, or that somebody has rewritten, is set up
/// anew, under another record: reads lag, so several must agree.
fn is_there(scene: &Scene<'_>, record: &Record, kept: &Kept) -> Ruling {
    let Some(looked) = &scene.seen.federation.credentials else { return scene.attempt(Step::ReadFederation) };
    match looked.found.iter().find(|one| one.id == kept.key_id) {
        Some(found) if found.claims == record.entry.claims => Ruling::Pass,
        Some(_) => scene.retire(record),
        None => {
            let Some(absent) = scene.seen.mine.absent.get(&kept.key_id) else { return Ruling::Pass };
            let long = scene.has_passed(absent.since, scene.timing.absence + scene.timing.late_mint);
            if absent.reads >= AGREEING && long && scene.is_fresh(looked.at) {
                return scene.retire(record);
            }
            let again = after(looked.at, scene.timing.absence / 2);
            if scene.now >= again {
                return scene.attempt(Step::ReadFederation);
            }
            let what = format!("reads of the application to show whether federated credential {} is gone", kept.key_id);
            Ruling::wait(Reason::CredentialUnknown, what, Some(again))
        }
    }
}

/// A federated credential of the application that accepts nearly these tokens.
pub(super) fn nearly<'a>(scene: &Scene<'a>, claims: &Claims) -> Option<&'a Federated> {
    let credentials = scene.seen.federation.credentials.iter().flat_map(|looked| &looked.found);
    let mut others = credentials.filter(|one| one.claims.as_ref().is_some_and(|one| one.differs_only_in_case(claims)));
    others.next()
}
