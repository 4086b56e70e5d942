//! What is not declared any more goes: never before what takes its place is in use, and never while a pod signs in by it.
//! Only what carries our mark and what its record knows is ever removed, and never what somebody has rewritten.

use super::{
    account, credentials,
    identity::{self, Identity, account_of, identities, named},
    marked, record,
};
use crate::{
    api::{KeyId, Reason},
    facts::{
        Claims, Consumers, Federated, Hindrance, Mark, PodSeen, Record, ScheduleSeen, Sequence, Stage, WorkloadSeen,
    },
    plan::{
        ending,
        holders::unconfirmed,
        migrate,
        proof::give_up,
        removable::Removable,
        removal, rollout,
        scene::{Ruling, Scene, after, unless_passed},
        step::Step,
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
    let none = scene.seen.gone || scene.request.former || ending::is_ending(scene.seen);
    if none { Ok(vec![]) } else { identities(scene) }
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
    scene.records().find(over).map_or(Ruling::Pass, |over| give_up(scene, over, None))
}

/// What was about to be used when its resource went is used if anybody may sign in by it, and else given up.
pub(super) fn settle(scene: &Scene<'_>) -> Ruling {
    let begun = |record: &&Record| {
        let entry = &record.entry;
        entry.stage == Stage::Publishing && entry.published_at.is_none() && entry.retired_at.is_none()
    };
    let Some(begun) = scene.records().find(begun) else { return Ruling::Pass };
    match may_be_used(scene, begun) {
        Ok(false) => give_up(scene, begun, None),
        Ok(true) => {
            let entry = Scene::rewritten(begun, |entry| entry.published_at = Some(scene.now));
            scene.effect(Step::Note { record: Box::new(begun.clone()), entry, finalized: false })
        }
        Err(ruling) => ruling,
    }
}

/// Whether its account says so by now, a pod signs in by it, or another resource wants it. Of one outside nobody can tell.
fn may_be_used(scene: &Scene<'_>, record: &Record) -> Result<bool, Ruling> {
    let Some(claims) = &record.entry.claims else { return Ok(true) };
    let Some(account) = account_of(scene, claims)? else { return Ok(true) };
    if identity::other_that_wants(scene, claims).is_some() {
        return Ok(true);
    }
    let told = account::looked(scene, account)?.and_then(|seen| seen.client_id.clone());
    let is_told = told == Some(scene.request.spec.client_id.to_string());
    Ok(is_told || user(scene.listed()?, scene, account).is_some())
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
        let record = scene.record(mark.sequence);
        let may_go = gate(scene, &wanted, credential, because);
        let may_go = match record.filter(|_| because == Removable::Migrated) {
            Some(record) => migrate::part_with(scene, record, may_go),
            None => may_go,
        };
        match may_go {
            Ruling::Pass => return remove(scene, credential, record, because),
            step @ Ruling::Do(_) => return step,
            wait @ Ruling::Wait(_) => waiting = if waiting == Ruling::Pass { wait } else { waiting },
        }
    }
    waiting
}

/// What a spec has named is retired in its record first: whoever names it again then sets another one up, and does not wait
/// for this one.
fn remove(scene: &Scene<'_>, credential: &Federated, record: Option<&Record>, because: Removable) -> Ruling {
    if matches!(because, Removable::Undeclared | Removable::Replaced)
        && let Some(record) = record.filter(|record| record.entry.retired_at.is_none())
    {
        return scene.retire(record);
    }
    if because == Removable::Migrated
        && let Some(account) = credential.claims.as_ref().and_then(|claims| named(scene.request.namespace, claims))
    {
        unless_passed!(account::tell_no_more(scene, account));
    }
    match credentials(scene) {
        Ok(_) => scene.effect(Step::Withdraw { key_id: credential.id, because }),
        Err(ruling) => ruling,
    }
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
        Stage::Publishing if ending::is_ending(scene.seen) => {
            if ending::revokes(scene.request.spec) {
                Standing::Leaving(Removable::Revoked)
            } else {
                Standing::Needed
            }
        }
        Stage::Publishing if scene.request.former => Standing::Leaving(Removable::Migrated),
        Stage::Publishing if successor(scene, wanted, credential.claims.as_ref()).is_some() => {
            Standing::Leaving(Removable::Replaced)
        }
        Stage::Publishing => Standing::Leaving(Removable::Undeclared),
    }
}

/// The identity whose tokens have other claims now: the same subject of another issuer, or for another audience. Another
/// cluster may have an account of the same name as one of this cluster, which is somebody else.
fn successor<'w, 'a>(
    scene: &Scene<'_>,
    wanted: &'w [Identity<'a>],
    claims: Option<&Claims>,
) -> Option<&'w Identity<'a>> {
    let claims = claims?;
    let same = |identity: &&Identity<'_>| {
        let is_here = |issuer: &str| scene.seen.federation.issuer.as_ref().is_some_and(|looked| looked.found == issuer);
        identity.claims.subject == claims.subject
            && (identity.account.is_some() || !is_here(&claims.issuer) || identity.claims.issuer == claims.issuer)
    };
    wanted.iter().find(same)
}

/// Whether one may go now.
fn gate(scene: &Scene<'_>, wanted: &[Identity<'_>], credential: &Federated, because: Removable) -> Ruling {
    if because == Removable::Abandoned {
        return Ruling::Pass; // nobody was ever told to sign in by it
    }
    if because == Removable::Migrated {
        unless_passed!(migrate::is_led_over(scene));
    }
    let leaving = format!("federated credential {}", credential.id);
    for identity in wanted {
        unless_passed!(is_in_use(scene, identity, &leaving, credential.mark().map(|mark| mark.sequence)));
    }
    unless_passed!(nobody_else_wants_it(scene, credential));
    match successor(scene, wanted, credential.claims.as_ref()) {
        Some(successor) => overlap_is_over(scene, successor, credential.id),
        None => nobody_signs_in(scene, credential),
    }
}

/// Nothing goes before everything that is declared is in use, and whatever is younger is known to work: by exchanges, or
/// because somebody says so of what cannot be tried.
pub(super) fn is_in_use(
    scene: &Scene<'_>,
    identity: &Identity<'_>,
    leaving: &str,
    younger_than: Option<Sequence>,
) -> Ruling {
    let name = identity.name;
    let entry = record(scene, &identity.claims).map(|record| &record.entry);
    let in_use = entry.filter(|entry| entry.published_at.is_some());
    let Some((entry, kept)) = in_use.and_then(|entry| Some((entry, entry.kept.as_ref()?))) else {
        let what = format!("identity {name} to be in use, before {leaving} goes");
        return Ruling::wait(Reason::Retiring, what, None);
    };
    let is_known = entry.verified_at.is_some() || Some(entry.sequence) < younger_than;
    match unconfirmed(scene, name, kept.key_id).filter(|_| !is_known) {
        None => Ruling::Pass,
        Some(how) => {
            let what = format!("identity {name}, which cannot be tried, before {leaving} goes: {how}");
            Ruling::wait(Reason::NotConfirmed, what, None)
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

/// Pods with a token of the account use it, and workloads that are to have such. Of an identity outside nothing can be seen:
/// whoever takes it out of the spec says that it is over.
fn nobody_signs_in(scene: &Scene<'_>, credential: &Federated) -> Ruling {
    let account = credential.claims.as_ref().and_then(|claims| named(scene.request.namespace, claims));
    let Some(account) = account else { return Ruling::Pass };
    if scene.request.former {
        // Its pods are to go on until they have what is declared now.
        if let Err(ruling) = account::looked(scene, account) {
            return ruling;
        }
    } else {
        unless_passed!(account::tell_no_more(scene, account));
    }
    let stage = if ending::is_ending(scene.seen) { Reason::Revoking } else { Reason::Retiring };
    match rollout::in_the_way(scene, stage, |seen| user(seen, scene, account)) {
        Ok(Some((who, until))) => {
            let what = format!(
                "{who}, which signs in by serviceaccount/{account}, before federated credential {} goes",
                credential.id
            );
            Ruling::wait(Reason::StragglersRemain, what, until)
        }
        Ok(None) => Ruling::Pass,
        Err(ruling) => ruling,
    }
}

/// Whoever signs in by an account: a pod; or a workload, whose next one will, if the account still says so by somebody else.
fn user(seen: &Consumers, scene: &Scene<'_>, account: &str) -> Option<String> {
    let client_id = Some(scene.request.spec.client_id.to_string());
    let found = scene.seen.federation.accounts.get(account).and_then(|looked| looked.found.as_ref());
    let is_told = found.is_some_and(|found| found.client_id == client_id);
    let will = |one: &&WorkloadSeen| {
        let stays = (scene.request.former || one.progress.desired > 0) && one.hindrance != Some(Hindrance::Deleting);
        is_told && stays && one.identity.account == account && one.identity.asks
    };
    let does = |pod: &&PodSeen| pod.identity.account == account && identity::signs_in(scene.request, &pod.identity);
    let workload =
        seen.workloads.iter().find(will).map(|one| format!("{} to be deleted, scaled to zero or rid of it", one.id));
    let schedule = || {
        let will = |one: &&ScheduleSeen| is_told && one.identity.account == account && one.identity.asks;
        seen.schedules.iter().find(will).map(|one| format!("{} to be deleted or rid of it", one.name))
    };
    let pod = || seen.pods.iter().find(does).map(|pod| format!("pod/{} to end", pod.name));
    workload.or_else(pod).or_else(schedule)
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
    let goes = !scene.seen.gone && (!ending::is_ending(scene.seen) || ending::revokes(scene.request.spec));
    let stays = !goes && record.entry.stage == Stage::Publishing;
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
    unless_passed!(ending::take_the_secret(scene));
    if ending::revokes(scene.request.spec) && scene.records().next().is_some() {
        return Ruling::Pass;
    }
    ending::let_go(scene)
}
