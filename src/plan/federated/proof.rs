//! Whether Entra takes a token of an identity: real exchanges, in a row, after a quiet start, since a server that is asked too
//! early remembers that it does not know it. One that is not proven is never given up: another would fare no better, and
//! pods may use it already.

use std::time::Duration;

use super::{account, identity::Identity, set_up::nearly};
use crate::{
    api::Reason,
    facts::{Claims, Kept, Looked, Proof, Record, Stage, Verdict, Withheld},
    plan::{
        proof::{is_proven, next_try},
        scene::{Ruling, Scene, after, unless_passed},
        step::Step,
        told::MISSES_TOLD,
    },
};

/// How it can be known that an identity is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Means<'a> {
    /// By exchanging tokens of this `ServiceAccount`.
    Tokens(&'a str),
    /// Not at all: its tokens are not to be had. Why, for people.
    IssuerOnly(String),
}

pub(super) fn means<'a>(scene: &Scene<'_>, identity: &Identity<'a>) -> Means<'a> {
    match identity.account {
        None => Means::IssuerOnly("its tokens are issued outside".to_owned()),
        Some(account) => match scene.seen.mine.withheld.get(account.name.as_str()) {
            Some(Withheld { since, last_at, trouble }) if *last_at >= after(*since, scene.timing.fresh) => {
                Means::IssuerOnly(format!("{}. {}", trouble.message, trouble.remedy))
            }
            _ => Means::Tokens(account.name.as_str()),
        },
    }
}

/// Prove what was set up; then it is to be used.
pub(super) fn prove(scene: &Scene<'_>, identity: &Identity<'_>, record: &Record, kept: &Kept) -> Ruling {
    match means(scene, identity) {
        Means::IssuerOnly(_) => begin_using(scene, identity, record, kept, false),
        Means::Tokens(account) => {
            unless_passed!(is_let(scene, account, scene.timing.fresh));
            unless_passed!(exchange(scene, account, identity, kept));
            begin_using(scene, identity, record, kept, true)
        }
    }
}

/// Prove what came into use because nobody let us have its tokens, as soon as somebody does.
pub(super) fn prove_later(scene: &Scene<'_>, identity: &Identity<'_>, record: &Record, kept: &Kept) -> Ruling {
    let Some(account) = identity.account.filter(|_| record.entry.verified_at.is_none()) else { return Ruling::Pass };
    unless_passed!(is_let(scene, account.name.as_str(), scene.timing.drift));
    unless_passed!(exchange(scene, account.name.as_str(), identity, kept));
    let entry = Scene::rewritten(record, |entry| entry.verified_at = Some(scene.now));
    scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: record.finalized })
}

/// Whoever was not let have tokens of an account asks again after a while.
fn is_let(scene: &Scene<'_>, account: &str, pause: Duration) -> Ruling {
    let Some(Withheld { last_at, trouble, .. }) = scene.seen.mine.withheld.get(account) else { return Ruling::Pass };
    let again = after(*last_at, pause);
    if scene.now >= again {
        return Ruling::Pass;
    }
    let what = format!("leave to ask for tokens of serviceaccount/{account}: {}. {}", trouble.message, trouble.remedy);
    Ruling::wait(Reason::Idle, what, Some(again))
}

/// Exchange tokens of an account until enough of them were accepted.
fn exchange(scene: &Scene<'_>, account: &str, identity: &Identity<'_>, kept: &Kept) -> Ruling {
    if let Some(Looked { at, found: None }) = scene.seen.federation.accounts.get(account) {
        let again = after(*at, scene.timing.fresh);
        if scene.now < again {
            return account::is_missing(account, again);
        }
    }
    let asked = &scene.policy.verification;
    let proof = scene.seen.mine.exchanges.get(&kept.key_id);
    if proof.is_some_and(|proof| is_proven(proof, asked, scene.timing)) {
        return Ruling::Pass;
    }
    let quiet = || after(kept.issued_at, scene.timing.quiet_exchange);
    let next = proof.map_or_else(quiet, |proof| next_try(proof, asked, scene.timing));
    if scene.now < next {
        let wanted =
            format!("{} exchanges in a row of tokens of serviceaccount/{account}", asked.consecutive_successes);
        let told = proof.and_then(told).map(|told| format!(": {told}")).unwrap_or_default();
        let near =
            nearly(scene, &identity.claims).map(|one| near(&identity.claims, one.claims.as_ref())).unwrap_or_default();
        return Ruling::wait(reason(proof.map(|proof| &proof.last)), format!("{wanted}{told}{near}"), Some(next));
    }
    let claims = identity.claims.clone();
    scene.attempt(Step::Exchange { account: account.to_owned(), claims, key_id: kept.key_id })
}

/// What refusals say: the first ones nothing, since a new credential is heard of late. Each has IDs and a time of its own, which
/// would be news each time, so those are in the report only.
fn told(proof: &Proof) -> Option<String> {
    match &proof.last {
        Verdict::Blocked(trouble) | Verdict::Misasked(trouble) => {
            Some(format!("{} {}", trouble.message, trouble.remedy))
        }
        Verdict::Refused(trouble) if proof.misses >= MISSES_TOLD => {
            let code = trouble.code.as_deref().unwrap_or("no code");
            Some(format!(
                "Entra refuses them ({code}): status.identities shows what it compares, status.lastFailure what to do"
            ))
        }
        Verdict::Accepted | Verdict::Refused(_) | Verdict::Unheard(_) => None,
    }
}

fn near(ours: &Claims, theirs: Option<&Claims>) -> String {
    let theirs = theirs.map(ToString::to_string).unwrap_or_default();
    format!(". (The application accepts {theirs} too, which is not {ours}: Entra tells upper and lower case apart.)")
}

fn reason(last: Option<&Verdict>) -> Reason {
    match last {
        Some(Verdict::Blocked(trouble) | Verdict::Misasked(trouble)) => trouble.reason,
        _ => Reason::Proving,
    }
}

/// From here on it counts as used, whatever happens to the spec. One that takes the place of another, or of a credential of
/// another kind, waits until every server of Entra has surely heard of it.
fn begin_using(scene: &Scene<'_>, identity: &Identity<'_>, record: &Record, kept: &Kept, proven: bool) -> Ruling {
    let mature = after(kept.issued_at, scene.policy.verification.min_age.0);
    let subject = identity.claims.subject.as_str();
    let same = |one: &Record| one.entry.claims.as_ref().is_none_or(|claims| claims.subject == subject);
    // One beside this that has no identities has secrets.
    let leads_over = scene.seen.siblings.iter().any(|sibling| sibling.identities.is_empty());
    let replaced = |one: &Record| one.entry.stage == Stage::Publishing && one.entry.retired_at.is_none() && same(one);
    if scene.now < mature
        && record.entry.adopted.is_none()
        && (leads_over || scene.seen.records.list.iter().any(replaced))
    {
        let what = format!("the federated credential to be {} old", scene.policy.verification.min_age);
        return Ruling::wait(Reason::Maturing, what, Some(mature));
    }
    let entry = Scene::rewritten(record, |entry| {
        entry.stage = Stage::Publishing;
        entry.verified_at = proven.then_some(scene.now);
    });
    scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: record.finalized })
}
