//! What a status tells besides its conditions: the credentials, the targets, what failed last. What is not known now is
//! told as it was before.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    Wait, due, ending, evidence, federated, holders, migrate, publish, removal,
    scene::Scene,
    standing::{self, Standing},
};
use crate::{
    api::{
        EntraAppCredentialStatus, Reason,
        conditions::settled,
        grant::CredentialKind,
        status::{
            ConsumersStatus, CredentialStatus, Failure, ForeignCredential, ForeignStatus, Line, NextStatus,
            PastRotation, PendingConsumer, TargetStatus,
        },
    },
    facts::{Cause, Effect, Entry, Failing, Record, Stage, TargetId, TargetState, Trouble, Verdict, Work},
};

/// How many of what may be many are told.
const FIRST: usize = 10;

/// How many credentials on their way out are told.
pub(super) const MOST_RETIRING: usize = 20;

/// How many rotations are remembered.
const REMEMBERED: usize = 5;

/// Refusals in a row after which a proof is worth telling about; the first seconds are like that.
pub(super) const MISSES_TOLD: u32 = 5;

/// Write into a status what is so.
pub(super) fn tell(scene: &Scene<'_>, standing: &Standing, waits: &[Wait], status: &mut EntraAppCredentialStatus) {
    status.current = scene.published().map(credential);
    status.next = next(scene, standing, waits, status.next.take());
    let before = std::mem::take(&mut status.targets);
    status.targets = scene.declared().iter().map(|target| one_target(scene, target, &before)).collect();
    if scene.request.kind == CredentialKind::Federated {
        status.identities = federated::told::identities(scene, &status.identities);
        status.retiring = federated::told::retiring(scene, waits);
    } else if scene.seen.application.is_some() {
        status.retiring =
            retiring(scene, waits).chain(unknown(scene)).chain(former(scene)).take(MOST_RETIRING).collect();
        status.foreign = foreign(scene);
    }
    status.retiring.extend(former_kinds(scene, waits));
    status.next_rotation_at = due::next(scene).map(|at| Time(second(at)));
    status.announced_rotation_at = due::announced(scene).map(|at| Time(second(at)));
    if scene.seen.consumers.is_some() {
        status.consumers = consumers(scene);
    }
    status.history = history(scene, &status.history);
    if let Some(failure) = failure(scene, standing) {
        let same =
            |old: &Failure| (&old.stage, &old.reason, &old.code) == (&failure.stage, &failure.reason, &failure.code);
        status.last_failure = status.last_failure.take().filter(same).or(Some(failure));
    }
}

/// What `Ready` says when it is.
pub(super) fn published(scene: &Scene<'_>) -> String {
    if scene.request.kind == CredentialKind::Federated {
        return federated::told::in_use(scene);
    }
    let Some(record) = scene.published() else { return String::new() };
    let key = record.entry.kept.as_ref().map(|kept| kept.key_id.to_string()).unwrap_or_default();
    let ends = record.entry.kept.as_ref().and_then(|kept| kept.expires_at);
    let ends = ends.map(|end| format!(" It expires at {}.", second(end))).unwrap_or_default();
    let targets: Vec<String> = scene.declared().iter().map(ToString::to_string).collect();
    format!("Credential {} ({key}) is proven and published to {}.{ends}", record.entry.sequence, targets.join(", "))
}

pub(super) fn credential(record: &Record) -> CredentialStatus {
    let entry = &record.entry;
    let kept = entry.kept.as_ref();
    CredentialStatus {
        sequence: entry.sequence.0.into(),
        key_id: kept.map(|kept| kept.key_id),
        thumbprint: kept.and_then(|kept| kept.thumbprint.as_ref()).map(ToString::to_string),
        issued_at: kept.map(|kept| Time(second(kept.issued_at))),
        expires_at: kept.and_then(|kept| kept.expires_at).map(|end| Time(second(end))),
        published_at: entry.published_at.map(|at| Time(second(at))),
        waiting_for: vec![],
    }
}

/// Times in a status have a grain of a second, as everywhere in Kubernetes: what is read must equal what was written.
pub(super) fn second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn next(scene: &Scene<'_>, standing: &Standing, waits: &[Wait], before: Option<NextStatus>) -> Option<NextStatus> {
    let stage = standing.stage.as_ref().filter(|_| !ending::is_ending(scene.seen))?.0.as_str().to_owned();
    let since =
        before.filter(|before| before.stage == stage).map_or_else(|| Time(second(scene.now)), |before| before.since);
    let waiting_for = waits.iter().take(FIRST).map(|wait| Line(shortened(&wait.waiting_for))).collect();
    // One that is due and may not begin yet has neither a record nor a credential.
    let under_way = || scene.published().filter(|one| one.entry.proven_at.is_none() || due::cause(scene).is_none());
    let record = scene.candidate().or_else(under_way);
    let cause = record.and_then(|record| record.entry.cause).or_else(|| due::cause(scene));
    let reason = cause.unwrap_or(Cause::FirstIssue).as_str().to_owned();
    Some(NextStatus { credential: record.map(credential), reason, stage, since, waiting_for })
}

/// A line, as it was if it says the same but for IDs and times.
pub(super) fn steady(old: Option<&Line>, text: &str) -> Line {
    let new = shortened(text);
    Line(match old {
        Some(old) => settled(&old.0, new),
        None => new,
    })
}

pub(super) fn shortened(text: &str) -> String {
    crate::api::conditions::shortened(text.to_owned(), 1024)
}

fn one_target(scene: &Scene<'_>, target: &TargetId, before: &[TargetStatus]) -> TargetStatus {
    let record = scene.published();
    let kept = record.and_then(|record| record.entry.kept.as_ref());
    let seen = scene.seen.targets.get(target).map(|looked| &looked.found);
    let has_it = if scene.request.kind == CredentialKind::Federated {
        seen.is_some_and(|state| federated::coordinates::is_as_wanted(scene, target, state))
    } else {
        seen.zip(kept).is_some_and(|(state, kept)| publish::carries(state, kept))
    };
    let failing = |work| scene.seen.mine.failing.get(&work).map(|failing| failing.trouble.message.clone());
    let obstacle = seen.filter(|_| !has_it).and_then(|state| super::target::obstacle(scene, target, state));
    let problem = failing(Work::Target(target.clone()))
        .or_else(|| obstacle.map(|wait| wait.waiting_for))
        .or_else(|| failing(Work::Publishing(target.clone())));
    let old = before.iter().find(|old| old.target == target.to_string()).and_then(|old| old.problem.as_ref());
    let carried = match seen {
        Some(TargetState::Present(carried)) => carried.sequence,
        _ => None,
    };
    TargetStatus {
        target: target.to_string(),
        sequence: carried.map(|sequence| sequence.0.into()),
        since: record.filter(|_| has_it).and_then(|record| record.entry.published_at).map(|at| Time(second(at))),
        problem: problem.map(|problem| steady(old, &problem)),
    }
}

/// Credentials that were replaced, with what keeps them.
fn retiring(scene: &Scene<'_>, waits: &[Wait]) -> impl Iterator<Item = CredentialStatus> {
    removal::replaced(scene).map(move |record| {
        let key_id = record.entry.kept.as_ref().map(|kept| kept.key_id.to_string()).unwrap_or_default();
        let concerns = |wait: &&Wait| wait.waiting_for.contains(&key_id) || standing::keeps_the_old_one(wait.reason);
        let waiting_for = waits.iter().filter(concerns).take(FIRST).map(|wait| Line(shortened(&wait.waiting_for)));
        CredentialStatus { waiting_for: waiting_for.collect(), ..credential(record) }
    })
}

/// What was used of kinds that were declared before, with what keeps it.
fn former_kinds(scene: &Scene<'_>, waits: &[Wait]) -> impl Iterator<Item = CredentialStatus> {
    let keeps = |wait: &&Wait| standing::keeps_the_old_one(wait.reason);
    let lines = waits.iter().filter(keeps).take(FIRST).map(|wait| Line(shortened(&wait.waiting_for)));
    let waiting_for: Vec<Line> = lines.collect();
    let told = move |record| CredentialStatus { waiting_for: waiting_for.clone(), ..credential(record) };
    migrate::used(scene).take(FIRST).map(told)
}

/// Who uses the credential, if that was seen.
fn consumers(scene: &Scene<'_>) -> Option<ConsumersStatus> {
    let (issue, seen) = (evidence::issue(scene)?, scene.seen.consumers.as_ref()?);
    let holders = holders::holders(scene, issue, seen);
    let pending = holders.iter().filter_map(|holder| Some((holder, holder.pending.as_ref()?)));
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let first = pending.clone().take(FIRST).map(|(holder, pending)| PendingConsumer {
        consumer: holder.name.clone(),
        because: Line(shortened(&pending.because)),
        since: pending.since.map(|since| Time(second(since))),
    });
    let late = pending.clone().count();
    Some(ConsumersStatus {
        total: count(holders.len()),
        updated: count(holders.len() - late),
        pending: first.collect(),
    })
}

/// The last rotations, newest first: what the records tell, and of those that are gone what was told before.
fn history(scene: &Scene<'_>, before: &[PastRotation]) -> Vec<PastRotation> {
    let mut past: Vec<PastRotation> = scene.records().filter_map(|record| rotation(scene, record)).collect();
    past.extend(
        before.iter().filter(|old| scene.records().all(|one| i64::from(one.entry.sequence.0) != old.sequence)).cloned(),
    );
    past.sort_by_key(|one| std::cmp::Reverse(one.sequence));
    past.truncate(REMEMBERED);
    past
}

/// What a record tells of a rotation that has ended.
fn rotation(scene: &Scene<'_>, record: &Record) -> Option<PastRotation> {
    let entry = &record.entry;
    let (ended, result) = match entry.stage {
        Stage::Abandoned => (entry.abandoned_at, "it could not be proven, and was given up"),
        Stage::Publishing if entry.proven_at.is_some() => (entry.proven_at, "everybody who is known has it"),
        Stage::Publishing if removal::is_replaced(scene, record) => (None, "another took its place before all had it"),
        Stage::Publishing | Stage::Unpublished => return None,
    };
    Some(PastRotation {
        sequence: entry.sequence.0.into(),
        reason: entry.cause.unwrap_or(Cause::FirstIssue).as_str().to_owned(),
        started_at: Time(second(entry.attempts.first()?.at)),
        ended_at: ended.map(|at| Time(second(at))),
        result: Line(result.to_owned()),
    })
}

/// Credentials with our mark that no record knows.
fn unknown(scene: &Scene<'_>) -> impl Iterator<Item = CredentialStatus> {
    removal::unknown(scene).take(FIRST).map(|(credential, mark)| CredentialStatus {
        sequence: mark.sequence.0.into(),
        key_id: Some(credential.key_id),
        thumbprint: None,
        issued_at: credential.start.map(|at| Time(second(at))),
        expires_at: credential.end.map(|at| Time(second(at))),
        published_at: None,
        waiting_for: vec![Line(removal::advice(scene, credential.key_id, &mark))],
    })
}

/// Credentials that were published for an application that this resource is not about any more. They are on no way here, and
/// stay as they are; what was never published is taken back by itself.
fn former(scene: &Scene<'_>) -> impl Iterator<Item = CredentialStatus> {
    let published = scene.former().filter(|record| record.entry.stage == Stage::Publishing);
    published.take(FIRST).map(|record| {
        let Entry { client_id, tenant, .. } = record.entry;
        let (name, namespace) = (record.entry.name(), scene.request.namespace);
        let advice = format!(
            "It is of application {client_id} in tenant {tenant}, which this resource was about before, and is not published \
             again. Remove it there when nobody uses it any more, and then its record: kubectl delete secret {name} -n \
             {namespace}"
        );
        CredentialStatus { waiting_for: vec![Line(advice)], ..credential(record) }
    })
}

/// What there is to say about a credential that no record knows, and of which nothing was said before.
pub(super) fn newly_unknown(scene: &Scene<'_>, before: &EntraAppCredentialStatus) -> Option<String> {
    if scene.request.kind == CredentialKind::Federated {
        return None; // what is federated is told in the status
    }
    let told = |key_id| before.retiring.iter().any(|old| old.key_id == Some(key_id));
    let (credential, mark) = removal::unknown(scene).take(FIRST).find(|(credential, _)| !told(credential.key_id))?;
    let (key_id, advice) = (credential.key_id, removal::advice(scene, credential.key_id, &mark));
    Some(format!("Credential {key_id} has our mark, and nothing is removed while that is so: {advice}."))
}

/// What holders outside the cluster are told some days before the next rotation: it takes a person to change theirs.
pub(super) fn rotation_ahead(scene: &Scene<'_>, before: &EntraAppCredentialStatus) -> Option<String> {
    let next = due::announced(scene)?;
    let told = before.announced_rotation_at.as_ref().is_some_and(|told| told.0 == second(next));
    let outside: Vec<&str> = due::outside(scene).iter().map(|holder| holder.name.as_str()).collect();
    let outside = outside.join(", ");
    (!told).then(|| {
        format!(
            "The next rotation begins at {next:.0}. {outside} will need the new credential by hand: the old one stays \
             until that is confirmed, or until it expires."
        )
    })
}

fn foreign(scene: &Scene<'_>) -> Option<ForeignStatus> {
    let application = &scene.seen.application.as_ref()?.found;
    let foreign: Vec<_> = application.credentials.iter().filter(|one| one.mark().is_none()).collect();
    let first = foreign.iter().take(FIRST).map(|one| ForeignCredential {
        key_id: one.key_id,
        type_: one.kind,
        display_name: one.display_name.clone().map(|name| crate::api::conditions::shortened(name, 256)),
        expires_at: one.end.map(|end| Time(second(end))),
    });
    let nearest = foreign.iter().filter_map(|one| one.end).min();
    (!foreign.is_empty()).then(|| ForeignStatus {
        count: i32::try_from(foreign.len()).unwrap_or(i32::MAX),
        nearest_expiry: nearest.map(|end| Time(second(end))),
        credentials: first.collect(),
    })
}

/// The last thing that failed and is worth telling: what was refused, and what did not pass by itself.
fn failure(scene: &Scene<'_>, standing: &Standing) -> Option<Failure> {
    let telling = |failing: &&Failing| failing.trouble.effect == Effect::Refused || failing.times > 1;
    let failed = scene.seen.mine.failing.values().filter(telling).max_by_key(|failing| failing.last_at);
    let proofs = scene.seen.mine.proof.iter().chain(scene.seen.mine.exchanges.values());
    let proof = proofs.filter(|proof| proof.misses >= MISSES_TOLD).max_by_key(|proof| proof.last_at);
    let proof = proof.and_then(|proof| match &proof.last {
        Verdict::Accepted => None,
        Verdict::Blocked(trouble)
        | Verdict::Refused(trouble)
        | Verdict::Misasked(trouble)
        | Verdict::Unheard(trouble) => Some((proof.last_at, trouble)),
    });
    let (at, trouble) = failed.map(|failing| (failing.last_at, &failing.trouble)).or(proof)?;
    Some(described(trouble, at, standing.stage.as_ref().map_or(Reason::Idle, |(stage, _)| *stage)))
}

fn described(trouble: &Trouble, at: Timestamp, stage: Reason) -> Failure {
    let id = |id: &Option<String>| id.clone().map(|id| crate::api::conditions::shortened(id, 64));
    Failure {
        time: Time(second(trouble.at.unwrap_or(at))),
        stage: stage.as_str().to_owned(),
        reason: trouble.reason.as_str().to_owned(),
        message: Line(shortened(&trouble.message)),
        remedy: Line(shortened(&trouble.remedy)),
        code: trouble.code.clone().map(|code| crate::api::conditions::shortened(code, 128)),
        trace_id: id(&trouble.trace_id),
        correlation_id: id(&trouble.correlation_id),
    }
}
