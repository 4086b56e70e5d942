//! What a status tells besides its conditions: the credentials, the targets, what failed last. What is not known now is
//! told as it was before.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Wait, publish, removal, scene::Scene, standing::Standing};
use crate::{
    api::{
        EntraAppCredentialStatus, Reason,
        conditions::settled,
        status::{CredentialStatus, Failure, ForeignCredential, ForeignStatus, Line, NextStatus, TargetStatus},
    },
    facts::{Effect, Failing, Record, TargetId, TargetState, Trouble, Verdict, Work},
};

/// How many of what may be many are told.
const FIRST: usize = 10;

/// Refusals in a row after which a proof is worth telling about; the first seconds are like that.
const MISSES_TOLD: u32 = 5;

/// Write into a status what is so.
pub(super) fn tell(scene: &Scene<'_>, standing: &Standing, waits: &[Wait], status: &mut EntraAppCredentialStatus) {
    status.current = scene.published().map(credential);
    status.next = next(scene, standing, waits, status.next.take());
    let before = std::mem::take(&mut status.targets);
    status.targets = scene.declared().iter().map(|target| one_target(scene, target, &before)).collect();
    if scene.seen.application.is_some() {
        status.retiring = unknown(scene);
        status.foreign = foreign(scene);
    }
    if let Some(failure) = failure(scene, standing) {
        let same =
            |old: &Failure| (&old.stage, &old.reason, &old.code) == (&failure.stage, &failure.reason, &failure.code);
        status.last_failure = status.last_failure.take().filter(same).or(Some(failure));
    }
}

/// What `Ready` says when it is.
pub(super) fn published(scene: &Scene<'_>) -> String {
    let Some(record) = scene.published() else { return String::new() };
    let key = record.entry.kept.as_ref().map(|kept| kept.key_id.to_string()).unwrap_or_default();
    let ends = record.entry.kept.as_ref().and_then(|kept| kept.expires_at);
    let ends = ends.map(|end| format!(" It expires at {}.", second(end))).unwrap_or_default();
    let targets: Vec<String> = scene.declared().iter().map(ToString::to_string).collect();
    format!("Credential {} ({key}) is proven and published to {}.{ends}", record.entry.sequence, targets.join(", "))
}

fn credential(record: &Record) -> CredentialStatus {
    let entry = &record.entry;
    let kept = entry.kept.as_ref();
    CredentialStatus {
        sequence: entry.sequence.0.into(),
        key_id: kept.map(|kept| kept.key_id),
        thumbprint: None,
        issued_at: kept.map(|kept| Time(second(kept.issued_at))),
        expires_at: kept.and_then(|kept| kept.expires_at).map(|end| Time(second(end))),
        published_at: entry.published_at.map(|at| Time(second(at))),
        waiting_for: vec![],
    }
}

/// Times in a status have a grain of a second, as everywhere in Kubernetes: what is read must equal what was written.
fn second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn next(scene: &Scene<'_>, standing: &Standing, waits: &[Wait], before: Option<NextStatus>) -> Option<NextStatus> {
    let stage = standing.stage?.as_str().to_owned();
    let since =
        before.filter(|before| before.stage == stage).map_or_else(|| Time(second(scene.now)), |before| before.since);
    let waiting_for = waits.iter().take(FIRST).map(|wait| Line(shortened(&wait.waiting_for))).collect();
    let credential = scene.candidate().or_else(|| scene.published()).map(credential);
    Some(NextStatus { credential, reason: "FirstIssue".to_owned(), stage, since, waiting_for })
}

/// A line, as it was if it says the same but for IDs and times.
fn steady(old: Option<&Line>, text: &str) -> Line {
    let new = shortened(text);
    Line(match old {
        Some(old) => settled(&old.0, new),
        None => new,
    })
}

fn shortened(text: &str) -> String {
    crate::api::conditions::shortened(text.to_owned(), 1024)
}

fn one_target(scene: &Scene<'_>, target: &TargetId, before: &[TargetStatus]) -> TargetStatus {
    let record = scene.published();
    let kept = record.and_then(|record| record.entry.kept.as_ref());
    let seen = scene.seen.targets.get(target).map(|looked| &looked.found);
    let has_it = seen.zip(kept).is_some_and(|(state, kept)| publish::carries(state, kept));
    let failing = scene.seen.mine.failing.get(&Work::Target(target.clone()));
    let obstacle = seen.filter(|_| !has_it).and_then(|state| super::target::obstacle(scene, target, state));
    let problem =
        failing.map(|failing| failing.trouble.message.clone()).or_else(|| obstacle.map(|wait| wait.waiting_for));
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

/// Credentials with our mark that no record knows.
fn unknown(scene: &Scene<'_>) -> Vec<CredentialStatus> {
    let told = removal::unknown(scene).take(FIRST).map(|(credential, mark)| CredentialStatus {
        sequence: mark.sequence.0.into(),
        key_id: Some(credential.key_id),
        thumbprint: None,
        issued_at: credential.start.map(|at| Time(second(at))),
        expires_at: credential.end.map(|at| Time(second(at))),
        published_at: None,
        waiting_for: vec![Line(removal::advice(scene, credential.key_id, &mark))],
    });
    told.collect()
}

/// What there is to say about a credential that no record knows, and of which nothing was said before.
pub(super) fn newly_unknown(before: &EntraAppCredentialStatus, status: &EntraAppCredentialStatus) -> Option<String> {
    let known = |one: &&CredentialStatus| !before.retiring.iter().any(|old| old.key_id == one.key_id);
    let new = status.retiring.iter().find(known)?;
    let key_id = new.key_id.map(|key_id| key_id.to_string()).unwrap_or_default();
    let advice = new.waiting_for.first().map(|line| line.0.as_str()).unwrap_or_default();
    Some(format!("Credential {key_id} has our mark, and nothing is removed while that is so: {advice}."))
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
    let proof = scene.seen.mine.proof.as_ref().filter(|proof| proof.misses >= MISSES_TOLD);
    let proof = proof.and_then(|proof| match &proof.last {
        Verdict::Accepted => None,
        Verdict::Blocked(trouble)
        | Verdict::Refused(trouble)
        | Verdict::Misasked(trouble)
        | Verdict::Unheard(trouble) => Some((proof.last_at, trouble)),
    });
    let (at, trouble) = failed.map(|failing| (failing.last_at, &failing.trouble)).or(proof)?;
    Some(described(trouble, at, standing.stage.unwrap_or(Reason::Idle)))
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
