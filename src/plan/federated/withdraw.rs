//! What is not declared any more goes: never before what takes its place is in use, and never while a pod signs in by it.
//! Only what carries our mark and what its record knows is ever removed, and never what somebody has rewritten.

use super::{
    account, credentials,
    identity::{self, Identity, account_of, identities},
    marked, record,
};
use crate::{
    api::{KeyId, Reason},
    facts::{Claims, Consumers, Federated, Looked, Mark, PodSeen, Record, SeenBy, Stage},
    plan::{
        ending, removal,
        scene::{Ruling, Scene, after, unless_passed},
        step::{Removable, Step},
    },
};

/// What becomes of a federated credential with our mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It stays.
    Needed,
    /// It is to go.
    Leaving(Removable),
    /// No record knows it, or somebody has rewritten it. It is told, and never touched.
    Unknown,
}

/// Every identity that is to be accepted; none where the resource is going.
fn wanted<'a>(scene: &Scene<'a>) -> Result<Vec<Identity<'a>>, Ruling> {
    if scene.seen.gone || ending::is_ending(scene.seen) { Ok(vec![]) } else { identities(scene) }
}

/// Records of what nobody has used and nobody asks for any more are given up.
pub(super) fn close(scene: &Scene<'_>) -> Ruling {
    let wanted = match wanted(scene) {
        Ok(wanted) => wanted,
        Err(ruling) => return ruling,
    };
    let is_wanted = |record: &Record| wanted.iter().any(|one| Some(&one.claims) == record.entry.claims.as_ref());
    let over = |record: &&Record| {
        record.entry.stage == Stage::Unpublished && record.entry.retired_at.is_none() && !is_wanted(record)
    };
    let Some(over) = scene.records().find(over) else { return Ruling::Pass };
    let entry = Scene::rewritten(over, |entry| {
        (entry.stage, entry.abandoned_at) = (Stage::Abandoned, Some(scene.now));
    });
    scene.effect(Step::Note { record: Box::new(over.clone()), entry, finalized: over.finalized })
}

/// What was about to be used when its resource went is used if anybody may sign in by it, and else given up.
pub(super) fn settle(scene: &Scene<'_>) -> Ruling {
    let begun = |record: &&Record| {
        let entry = &record.entry;
        entry.stage == Stage::Publishing && entry.published_at.is_none() && entry.retired_at.is_none()
    };
    let Some(begun) = scene.records().find(begun) else { return Ruling::Pass };
    let used = match may_be_used(scene, begun) {
        Ok(used) => used,
        Err(ruling) => return ruling,
    };
    let entry = Scene::rewritten(begun, |entry| {
        if used {
            entry.published_at = Some(scene.now);
        } else {
            (entry.stage, entry.abandoned_at) = (Stage::Abandoned, Some(scene.now));
        }
    });
    scene.effect(Step::Note { record: Box::new(begun.clone()), entry, finalized: begun.finalized && !used })
}

/// Whether its account says so by now, a pod signs in by it, or another resource wants it. Of one outside nobody can tell.
fn may_be_used(scene: &Scene<'_>, record: &Record) -> Result<bool, Ruling> {
    let Some(claims) = &record.entry.claims else { return Ok(true) };
    let Some(account) = account_of(scene.request.namespace, claims) else { return Ok(true) };
    if identity::other_that_wants(scene, claims).is_some() {
        return Ok(true);
    }
    let told = match scene.seen.federation.accounts.get(account) {
        Some(Looked { at, found }) if scene.is_fresh(*at) => found.as_ref().and_then(|seen| seen.client_id.clone()),
        _ => return Err(scene.attempt(Step::ReadAccount { account: account.to_owned() })),
    };
    let is_told = told == Some(scene.request.spec.client_id.to_string());
    Ok(is_told || user(scene, account)?.is_some())
}

/// Remove what is not needed any more, one at a time.
pub(super) fn withdraw(scene: &Scene<'_>) -> Ruling {
    let wanted = match wanted(scene) {
        Ok(wanted) => wanted,
        Err(ruling) => return ruling,
    };
    if scene.seen.federation.credentials.is_none() {
        return scene.attempt(Step::ReadFederation);
    }
    let unknown = marked(scene).find(|(one, mark)| standing(scene, &wanted, one, mark) == Standing::Unknown);
    if let Some((one, mark)) = unknown.as_ref().filter(|_| ending::is_ending(scene.seen)) {
        return ending::to_be_told_apart(scene, one.id, mark); // it is in the way
    }
    let mut waiting = Ruling::Pass;
    for (credential, mark) in marked(scene) {
        let Standing::Leaving(because) = standing(scene, &wanted, credential, &mark) else { continue };
        if unknown.is_some() || removal::gone_a_while(scene, credential.id) {
            continue; // while there is one that nobody knows, nobody can tell who else there is
        }
        match gate(scene, &wanted, credential, because) {
            Ruling::Pass => match credentials(scene) {
                Ok(_) => return scene.effect(Step::Withdraw { key_id: credential.id, because }),
                Err(ruling) => return ruling,
            },
            step @ Ruling::Do(_) => return step,
            wait @ Ruling::Wait(_) => waiting = if waiting == Ruling::Pass { wait } else { waiting },
        }
    }
    waiting
}

pub(super) fn standing(scene: &Scene<'_>, wanted: &[Identity<'_>], credential: &Federated, mark: &Mark) -> Standing {
    let Some(record) = scene.record(mark.sequence).filter(|record| record.entry.knows(&mark.nonce)) else {
        return if removal::is_acknowledged(scene, credential.id) { Standing::Needed } else { Standing::Unknown };
    };
    let entry = &record.entry;
    if entry.claims != credential.claims {
        return if removal::is_acknowledged(scene, credential.id) { Standing::Needed } else { Standing::Unknown };
    }
    let is_wanted = wanted.iter().any(|one| Some(&one.claims) == credential.claims.as_ref());
    match entry.stage {
        Stage::Abandoned => Standing::Leaving(Removable::Abandoned),
        Stage::Unpublished => Standing::Needed,
        Stage::Publishing if is_wanted => Standing::Needed,
        Stage::Publishing if scene.seen.gone => Standing::Needed, // what was used stays when its resource goes
        Stage::Publishing if ending::is_ending(scene.seen) => Standing::Leaving(Removable::Revoked),
        Stage::Publishing if successor(wanted, credential.claims.as_ref()).is_some() => {
            Standing::Leaving(Removable::Replaced)
        }
        Stage::Publishing => Standing::Leaving(Removable::Undeclared),
    }
}

/// The identity whose tokens have other claims now: the same subject of another issuer, or for another audience.
fn successor<'w, 'a>(wanted: &'w [Identity<'a>], claims: Option<&Claims>) -> Option<&'w Identity<'a>> {
    let subject = &claims?.subject;
    wanted.iter().find(|identity| identity.claims.subject == *subject)
}

/// Whether one may go now.
fn gate(scene: &Scene<'_>, wanted: &[Identity<'_>], credential: &Federated, because: Removable) -> Ruling {
    if because == Removable::Abandoned {
        return Ruling::Pass; // nobody was ever told to sign in by it
    }
    unless_passed!(all_are_in_use(scene, wanted, credential.id));
    unless_passed!(nobody_else_wants_it(scene, credential));
    match successor(wanted, credential.claims.as_ref()) {
        Some(successor) => overlap_is_over(scene, successor, credential.id),
        None => no_pod_signs_in(scene, credential),
    }
}

/// Nothing goes before everything that is declared is in use.
fn all_are_in_use(scene: &Scene<'_>, wanted: &[Identity<'_>], key_id: KeyId) -> Ruling {
    let in_use = |one: &&Identity<'_>| record(scene, &one.claims).is_some_and(|one| one.entry.published_at.is_some());
    match wanted.iter().find(|one| !in_use(one)) {
        None => Ruling::Pass,
        Some(late) => {
            let what = format!("identity {} to be in use, before federated credential {key_id} goes", late.name);
            Ruling::wait(Reason::Retiring, what, None)
        }
    }
}

/// Another resource may have found it on the application, and use it.
fn nobody_else_wants_it(scene: &Scene<'_>, credential: &Federated) -> Ruling {
    let other = credential.claims.as_ref().and_then(|claims| identity::other_that_wants(scene, claims));
    let Some(other) = other else { return Ruling::Pass };
    let to_keep = if ending::is_ending(scene.seen) { ending::to_keep(scene) } else { String::new() };
    let what = format!(
        "eac/{other} to declare the same identity no more, before federated credential {} goes{to_keep}",
        credential.id
    );
    Ruling::wait(Reason::StillInUse, what, Some(after(scene.now, scene.timing.drift)))
}

/// Nodes have tokens that the old issuer has signed until they ask for others.
fn overlap_is_over(scene: &Scene<'_>, successor: &Identity<'_>, key_id: KeyId) -> Ruling {
    let Some(since) = record(scene, &successor.claims).and_then(|record| record.entry.published_at) else {
        return Ruling::Pass;
    };
    let until = after(since, scene.policy.min_overlap.0);
    if scene.now >= until {
        return Ruling::Pass;
    }
    let what = format!(
        "the overlap of {} to be over, in which federated credential {key_id} lives on",
        scene.policy.min_overlap
    );
    Ruling::wait(Reason::Overlapping, what, Some(until))
}

/// Pods with a token of the account, and workloads that are to have such, use it. Of an identity outside nothing can be seen:
/// whoever takes it out of the spec says that it is over.
fn no_pod_signs_in(scene: &Scene<'_>, credential: &Federated) -> Ruling {
    let account = credential.claims.as_ref().and_then(|claims| account_of(scene.request.namespace, claims));
    let Some(account) = account else { return Ruling::Pass };
    unless_passed!(account::tell_no_more(scene, account));
    let pod = match user(scene, account) {
        Ok(Some(pod)) => pod,
        Ok(None) => return Ruling::Pass,
        Err(ruling) => return ruling,
    };
    let what = format!(
        "pod/{} to end, which signs in by serviceaccount/{account}, before federated credential {} goes",
        pod.name, credential.id
    );
    Ruling::wait(Reason::StragglersRemain, what, Some(after(scene.now, scene.timing.drift)))
}

/// A pod that signs in by an account, as the API server has just listed them.
fn user<'a>(scene: &Scene<'a>, account: &str) -> Result<Option<&'a PodSeen>, Ruling> {
    let consumers = match &scene.seen.consumers {
        Some(consumers @ Consumers { seen: SeenBy::List(at), .. }) if scene.is_fresh(*at) => consumers,
        _ => return Err(scene.attempt(Step::ReadConsumers)),
    };
    let client_id = scene.request.spec.client_id.to_string();
    let uses =
        |pod: &&PodSeen| pod.identity.account == account && pod.identity.signs_in_as.as_ref() == Some(&client_id);
    Ok(consumers.pods.iter().find(uses))
}

/// Records of what is gone are deleted, when nothing with their number can show itself any more.
pub(super) fn forget(scene: &Scene<'_>) -> Ruling {
    let wanted = match wanted(scene) {
        Ok(wanted) => wanted,
        Err(ruling) => return ruling,
    };
    let mut waiting = Ruling::Pass;
    for record in scene.records().filter(|record| is_over(scene, &wanted, record)) {
        match forget_one(scene, record) {
            Ruling::Pass => {}
            step @ Ruling::Do(_) => return step,
            wait @ Ruling::Wait(_) => waiting = if waiting == Ruling::Pass { wait } else { waiting },
        }
    }
    waiting
}

/// Whether the credential of a record is never to be used again.
fn is_over(scene: &Scene<'_>, wanted: &[Identity<'_>], record: &Record) -> bool {
    let is_wanted = wanted.iter().any(|one| Some(&one.claims) == record.entry.claims.as_ref());
    let stays = scene.seen.gone && record.entry.stage == Stage::Publishing;
    record.entry.retired_at.is_some() || record.entry.stage == Stage::Abandoned || (!is_wanted && !stays)
}

fn forget_one(scene: &Scene<'_>, record: &Record) -> Ruling {
    let Some(looked) = &scene.seen.federation.credentials else { return scene.attempt(Step::ReadFederation) };
    // One that somebody has rewritten, and says so, is theirs.
    let theirs = |one: &Federated| one.claims != record.entry.claims && removal::is_acknowledged(scene, one.id);
    let shown = marked(scene).any(|(one, mark)| mark.sequence == record.entry.sequence && !theirs(one));
    let kept = record.entry.kept.as_ref().map(|kept| kept.key_id);
    let removed = kept.and_then(|key_id| scene.seen.mine.removed.get(&key_id));
    if shown && removed.is_none() {
        return Ruling::Pass; // it goes first, or is told
    }
    let entry = &record.entry;
    let since = [entry.retired_at, entry.abandoned_at, removed.copied(), entry.last_attempt().map(|last| last.at)];
    let since = since.into_iter().flatten().max().unwrap_or(record.created_at);
    let bound = after(since, scene.timing.fresh + scene.timing.late_mint + scene.timing.absence);
    if looked.at < bound || shown {
        let next = if looked.at < bound { bound } else { after(looked.at, scene.timing.absence) };
        if scene.now >= next {
            return scene.attempt(Step::ReadFederation);
        }
        let what = format!("reads to show that federated credential {} is gone", entry.sequence);
        return Ruling::wait(Reason::Idle, what, Some(next));
    }
    if record.finalized {
        let entry = Box::new(entry.clone());
        return scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: false });
    }
    scene.effect(Step::Forget { record: Box::new(record.clone()) })
}

/// The resource goes when everything that is to go with it has gone.
pub(super) fn let_go(scene: &Scene<'_>) -> Ruling {
    if scene.records().next().is_some() {
        return Ruling::Pass;
    }
    ending::let_go(scene)
}
