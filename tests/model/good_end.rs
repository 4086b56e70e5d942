//! The end that everything comes to when nothing goes wrong any more.

use keywright::{
    api::Reason,
    facts::Mark,
    plan::{Moment, report::report},
};

use super::{
    operator::{Life, Operator},
    town::Town,
    world::{Key, World, kept_key, time},
};

/// What is always missing while somebody works.
pub const BUSY: &str = "somebody is still busy";

/// What is not as it should be when everybody rests; none if all is well.
pub fn lacks(town: &Town, world: &World) -> Option<String> {
    let busy = world.operators.iter().any(|operator| operator.is_due(world.now) || operator.seen().is_none());
    if busy || !world.late.is_empty() || world.blocked.is_some() {
        return Some(BUSY.into());
    }
    if world
        .operators
        .iter()
        .any(|one| matches!(&one.life, Life::Asleep { reasons, .. } if reasons.contains(&Reason::SplitBrain)))
    {
        // Two histories have met, and a person is told: no more is promised than that nothing in use is removed.
        let excused = world.history.restored || world.history.record_deleted;
        return (!excused).then(|| "a split brain is seen where there is none".into());
    }
    let record = world.etcd.publishing().max_by_key(|record| record.entry.sequence);
    let Some((record, key)) = record.and_then(|record| Some((record, kept_key(&record.entry)?))) else {
        return Some("nothing is published".into());
    };
    if world.history.revoked.contains(&key) {
        return None; // to replace what is published is not the business of these rules yet
    }
    let strangers: Vec<(Key, &Mark)> = world.ours().filter(|(_, mark)| !is_known(world, mark)).collect();
    let carried = |copy: Option<&super::world::Copy>| copy.is_some_and(|copy| copy.key == key && !copy.edited);
    let everywhere = town.targets.iter().all(|target| match target {
        keywright::facts::TargetId::Secret(_) => carried(world.etcd.secret.as_ref().map(|secret| &secret.copy)),
        keywright::facts::TargetId::Vault { .. } => {
            let alien = |copy: &super::world::Copy| strangers.iter().any(|(key, _)| *key == copy.key);
            carried(world.vault.as_ref()) || world.vault.as_ref().is_some_and(alien)
        }
    });
    if !everywhere {
        return Some(format!("credential {key} is not at every target"));
    }
    if record.entry.published_at.is_none() || record.finalized {
        return Some("the record does not say that it is published".into());
    }
    if let Some((key, _)) = strangers.iter().find(|(key, _)| !is_told(town, world, *key)) {
        return Some(format!("nobody is told of credential {key}, which no record knows"));
    }
    let left = world.ours().find(|(other, _)| *other != key && strangers.is_empty());
    if let Some((key, _)) = left {
        return Some(format!("credential {key} is left over"));
    }
    (strangers.is_empty() && world.etcd.records.len() > 1).then(|| "a record is left over".into())
}

fn is_known(world: &World, mark: &Mark) -> bool {
    world.etcd.records.iter().any(|record| record.entry.sequence == mark.sequence && record.entry.knows(&mark.nonce))
}

/// Whether some operator reports a credential.
fn is_told(town: &Town, world: &World, key: Key) -> bool {
    let tells = |operator: &Operator| {
        let mut seen = operator.seen().cloned().unwrap();
        seen.records.list.clone_from(&world.etcd.records);
        let decision = town.decide(&seen, world.now, operator.chance());
        let moment = Moment { now: time(world.now), chance: operator.chance() };
        let said = report(&seen, &decision, &town.timing, &moment).status;
        said.retiring.iter().any(|one| one.key_id == Some(super::world::key_id(key)))
    };
    world.operators.iter().any(|operator| tells(operator))
}
