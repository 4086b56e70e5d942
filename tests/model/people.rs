//! What people, backups, policies and pods do. Whatever harms counts as a fault.

use super::{
    moves::Moves,
    operator::Life,
    town::Fault,
    world::{Etcd, Pod, Published, World, stamped},
};

/// Everything that they can do now.
pub fn moves(moves: &mut Moves<'_>) {
    records(moves);
    secret(moves);
    credentials(moves);
    backups(moves);
    policies(moves);
    if moves.town.pods {
        pods(moves);
    }
}

fn records(moves: &mut Moves<'_>) {
    for at in 0..moves.world.etcd.records.len() {
        let Some(mut world) = moves.after(Fault::RecordDeleted, moves.world) else { return };
        let etcd = world.change_etcd(moves.town);
        let record = etcd.records.remove(at);
        let name = record.entry.name();
        if record.finalized {
            let deleting = keywright::facts::Record { deleting: true, ..record };
            etcd.records.insert(at, stamped(deleting));
        }
        world.history.record_deleted = true;
        moves.add(None, || format!("somebody deletes {name}"), world);
    }
}

fn secret(moves: &mut Moves<'_>) {
    let Some(secret) = &moves.world.etcd.secret else { return };
    let (town, copy) = (moves.town, secret.copy.clone());
    if let Some(mut world) = moves.after(Fault::SecretTouched, moves.world) {
        world.set_secret(town, None);
        moves.add(None, || "somebody deletes the Secret".into(), world);
    }
    if !copy.edited
        && let Some(mut world) = moves.after(Fault::SecretTouched, moves.world)
    {
        let scribbled = super::world::Copy { edited: true, ..copy };
        world.set_secret(town, Some(Published { uid: secret.uid, copy: scribbled }));
        moves.add(None, || "somebody scribbles on the Secret".into(), world);
    }
}

fn credentials(moves: &mut Moves<'_>) {
    let keys: Vec<_> = moves.world.ours().map(|(key, _)| key).collect();
    for key in keys {
        let Some(mut world) = moves.after(Fault::Revocation, moves.world) else { return };
        world.graph[key].removed = Some(world.now);
        world.history.revoked.push(key);
        moves.add(None, || format!("somebody removes credential {key} in Entra"), world);
    }
}

fn backups(moves: &mut Moves<'_>) {
    let (town, earlier) = (moves.town, &moves.world.backups);
    for backup in earlier.iter().filter(|backup| **backup != moves.world.etcd && !moves.world.history.restored) {
        let Some(mut world) = moves.after(Fault::Restore, moves.world) else { return };
        world.history.restored = true;
        world.set_secret(town, backup.secret.clone());
        *world.change_etcd(town) = Etcd::clone(backup);
        world.backups.clear();
        let said = || format!("etcd is restored to where it had {} records", backup.records.len());
        moves.add(None, said, world);
    }
}

fn policies(moves: &mut Moves<'_>) {
    if moves.world.blocked.is_some() {
        let world = World { blocked: None, ..moves.world.clone() };
        moves.add(2, || "sign-ins are not blocked any more".into(), world);
    } else if let Some(mut world) = moves.after(Fault::Block, moves.world) {
        // Long enough for one proof to be given up.
        world.blocked = Some(world.now + 20);
        moves.add(None, || "a policy blocks sign-ins".into(), world);
    }
}

fn pods(moves: &mut Moves<'_>) {
    let world = moves.world;
    if world.pod.is_some() {
        // In the end every pod is replaced; until then, what it may hold stays.
        let published = world.etcd.publishing().any(|record| record.entry.published_at.is_some());
        let resting =
            world.operators.iter().all(|one| matches!(one.life, Life::Asleep { .. }) && !one.is_due(world.now));
        let after = World { pod: None, ..world.clone() };
        moves.add((published && resting).then_some(6), || "the pod ends".into(), after);
        return;
    }
    if world.pods_started > 0 {
        return;
    }
    let shown = world.etcd.secret.as_ref().map(|secret| (!secret.copy.edited).then_some(secret.copy.key));
    let cached = world.cached.filter(|(_, until)| *until > world.now).map(|(key, _)| key);
    for holds in [shown, cached.filter(|_| cached != shown)].into_iter().flatten() {
        let pod = Some(Pod { holds, since: world.now });
        let after = World { pod, pods_started: 1, cached: None, ..world.clone() };
        moves.add(None, || format!("the pod starts with {holds:?}"), after);
    }
}
