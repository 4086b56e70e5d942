//! The end that everything comes to when nothing goes wrong any more.

use keywright::{
    api::Reason,
    facts::{Mark, Record, TargetId},
    plan::{Moment, report::report},
};

use super::{
    cluster::{Copy, Etcd, is_forged},
    operator::Operator,
    scene::{MADE_BY_HAND, Who},
    town::Town,
    world::{Key, World, kept_key, key_id, time},
};

/// What is always missing while somebody works.
pub const BUSY: &str = "somebody is still busy";

/// What is not as it should be when everybody rests; none if all is well.
pub fn lacks(town: &Town, world: &World) -> Option<String> {
    let busy = world.operators.iter().any(|operator| operator.is_due(world.now) || operator.seen().is_none());
    if busy || !world.late.is_empty() || world.blocked.is_some() {
        return Some(BUSY.into());
    }
    (0..world.clusters.len()).find_map(|at| lacks_in(town, world, at))
}

fn lacks_in(town: &Town, world: &World, at: usize) -> Option<String> {
    let etcd = &world.clusters[at].etcd;
    if tells(world, at, Reason::SplitBrain) {
        // Two histories have met, and a person is told: no more is promised than that nothing in use is removed.
        let excused = world.history.restored || world.history.record_deleted.is_some() || world.clusters.len() > 1;
        return (!excused).then(|| "a split brain is seen where there is none".into());
    }
    let Some((record, key)) = etcd.published().and_then(|record| Some((record, kept_key(&record.entry)?))) else {
        return Some("nothing is published".into());
    };
    let strangers: Vec<(Key, &Mark)> = world.ours().filter(|(_, mark)| !is_known(etcd, mark)).collect();
    if let Some(what) = is_not_with_everybody(town, world, at, (record, key), &strangers) {
        return Some(what);
    }
    if let Some((key, _)) = strangers.iter().find(|(key, _)| !is_told(town, world, at, *key)) {
        return Some(format!("nobody is told of credential {key}, which no record knows"));
    }
    if !strangers.is_empty() {
        return None; // nothing is removed while there is one that nobody knows
    }
    if town.rotation.is_some_and(|rotation| rotation.outside == Who::Unknown) {
        // Who has the old one cannot be told, so it is left to its own end.
        let told = etcd.records.len() == 1 || tells(world, at, Reason::ConsumersUnknown);
        return (!told).then(|| "nobody is told that nobody is known".into());
    }
    if town.rotation.is_some_and(|rotation| rotation.foreign) && world.lives(MADE_BY_HAND) {
        return Some("what the spec names is left over".into());
    }
    let left = world.ours().find(|(other, _)| *other != key);
    if let Some((key, _)) = left {
        return Some(format!("credential {key} is left over"));
    }
    (etcd.records.iter().filter(|record| !is_forged(record)).count() > 1).then(|| "a record is left over".into())
}

fn is_not_with_everybody(
    town: &Town,
    world: &World,
    at: usize,
    (record, key): (&Record, Key),
    strangers: &[(Key, &Mark)],
) -> Option<String> {
    let etcd = &world.clusters[at].etcd;
    let carried = |copy: Option<&Copy>| copy.is_some_and(|copy| copy.key == key && !copy.edited);
    let everywhere = town.targets.iter().all(|target| match target {
        TargetId::Secret(_) => carried(etcd.secret.as_ref().map(|secret| &secret.copy)),
        TargetId::Vault { .. } => {
            let alien = |copy: &Copy| strangers.iter().any(|(key, _)| *key == copy.key);
            carried(world.vault.as_ref()) || world.vault.as_ref().is_some_and(alien)
        }
    });
    if !everywhere {
        return Some(format!("credential {key} is not at every target"));
    }
    if record.entry.published_at.is_none() || record.finalized {
        return Some("the record does not say that it is published".into());
    }
    if record.entry.proven_at.is_none() {
        return Some("the record does not say that everybody has it".into());
    }
    if town.is_due(&world.graph[key], world.now) || world.graph[key].ends.is_some() {
        return Some(format!("credential {key} is due"));
    }
    let unknown = town.rotation.is_some_and(|rotation| rotation.outside == Who::Unknown);
    let old = world.clusters[at].pods.iter().any(|pod| pod.holds.is_some_and(|held| held != key))
        || world.outside.as_ref().is_some_and(|outside| !unknown && outside.holds != key);
    old.then(|| format!("not everybody has credential {key}"))
}

fn tells(world: &World, at: usize, reason: Reason) -> bool {
    world.operators.iter().any(|operator| operator.at == at && operator.tells(reason))
}

fn is_known(etcd: &Etcd, mark: &Mark) -> bool {
    etcd.records.iter().any(|record| record.entry.sequence == mark.sequence && record.entry.knows(&mark.nonce))
}

/// Whether some operator reports a credential.
fn is_told(town: &Town, world: &World, at: usize, key: Key) -> bool {
    let tells = |operator: &Operator| {
        let mut seen = operator.seen().cloned().unwrap();
        seen.records.list.clone_from(&world.clusters[at].etcd.records);
        let decision = town.decide(&seen, world.now, operator.chance());
        let moment = Moment { now: time(world.now), chance: operator.chance() };
        let said = report(&seen, &decision, &town.timing, &moment).status;
        said.retiring.iter().any(|one| one.key_id == Some(key_id(key)))
    };
    world.operators.iter().any(|operator| operator.at == at && tells(operator))
}
