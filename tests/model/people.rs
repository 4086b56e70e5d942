//! What people, backups and policies do. Whatever harms counts as a fault.

use keywright::{
    api::Reason,
    facts::{Attempt, Entry, Record, Stage},
};

use super::{
    cluster::{Copy, Etcd, FORGED, is_forged, stamped},
    moves::Moves,
    pods::somebody_asks,
    scene::Who,
    town::Fault,
    world::{Outside, World, kept_key, key_id, time},
};

/// Everything that they can do now.
pub fn moves(moves: &mut Moves<'_>) {
    for at in 0..moves.world.clusters.len() {
        records(moves, at);
        forgeries(moves, at);
        secret(moves, at);
        put_back(moves, at);
        annotations(moves, at);
        backups(moves, at);
    }
    credentials(moves);
    policies(moves);
    outside(moves);
}

fn records(moves: &mut Moves<'_>, at: usize) {
    for place in 0..moves.world.clusters[at].etcd.records.len() {
        let Some(mut world) = moves.after(Fault::RecordDeleted, moves.world) else { return };
        let etcd = world.change_etcd(moves.town, at);
        let record = etcd.records.remove(place);
        let name = record.entry.name();
        if record.finalized {
            let deleting = Record { deleting: true, ..record };
            etcd.records.insert(place, stamped(deleting));
        }
        world.history.record_deleted = Some(world.now);
        moves.add(None, || format!("somebody deletes {name}"), world);
    }
}

/// Somebody copies the record that is published, with the next number, for a credential of somebody else's choice: one of
/// ours that has a record of its own, or a foreign one. It says that everything was done long ago, or given up.
fn forgeries(moves: &mut Moves<'_>, at: usize) {
    let etcd = &moves.world.clusters[at].etcd;
    if let Some(place) = etcd.records.iter().position(is_forged) {
        let mut world = moves.world.clone();
        world.change_etcd(moves.town, at).records.remove(place);
        let told = somebody_asks(moves.world, at, Reason::RecordForged);
        return moves.add(told.then_some(6), || "somebody deletes the forged record".into(), world);
    }
    let (Some(model), Some(last)) = (etcd.published(), etcd.records.last()) else { return };
    let long_ago = Some(time(moves.world.now - 100));
    for key in 0..moves.world.graph.len() {
        for stage in [Stage::Publishing, Stage::Abandoned] {
            let Some(mut world) = moves.after(Fault::Forgery, moves.world) else { return };
            let mut entry = Entry { sequence: last.entry.sequence.next(), stage, ..model.entry.clone() };
            if stage == Stage::Abandoned {
                entry.abandoned_at = long_ago;
            } else {
                (entry.verified_at, entry.published_at, entry.proven_at) = (long_ago, long_ago, long_ago);
            }
            entry.kept.as_mut().unwrap().key_id = key_id(key);
            if let Some(mark) = &world.graph[key].mark {
                entry.attempts = vec![Attempt { nonce: mark.nonce.clone(), ..entry.attempts[0].clone() }];
            }
            let uid = format!("{FORGED} {key}");
            let forged = stamped(Record { uid: uid.clone(), entry, finalized: false, ..model.clone() });
            let etcd = world.change_etcd(moves.town, at);
            etcd.garbage.push(uid);
            etcd.records.push(forged);
            world.history.forged = true;
            moves.add(None, || format!("somebody forges a record for credential {key}, as {stage:?}"), world);
        }
    }
}

fn secret(moves: &mut Moves<'_>, at: usize) {
    let Some(secret) = &moves.world.clusters[at].etcd.secret else { return };
    let (town, copy) = (moves.town, secret.copy.clone());
    if let Some(mut world) = moves.after(Fault::SecretTouched, moves.world) {
        world.set_secret(town, at, None);
        moves.add(None, || "somebody deletes the Secret".into(), world);
    }
    if !copy.edited
        && let Some(mut world) = moves.after(Fault::SecretTouched, moves.world)
    {
        let scribbled = Copy { edited: true, ..copy };
        world.set_secret(town, at, Some((secret.uid, scribbled)));
        moves.add(None, || "somebody scribbles on the Secret".into(), world);
    }
}

/// Somebody who has a copy of an earlier Secret applies it.
fn put_back(moves: &mut Moves<'_>, at: usize) {
    let Some(secret) = &moves.world.clusters[at].etcd.secret else { return };
    for (key, minted) in moves.world.graph.iter().enumerate() {
        let Some(mark) = minted.mark.as_ref().filter(|mark| mark.sequence < secret.copy.sequence) else { continue };
        let Some(mut world) = moves.after(Fault::PutBack, moves.world) else { return };
        let copy = Copy { key, sequence: mark.sequence, nonce: mark.nonce.clone(), edited: false };
        world.set_secret(moves.town, at, Some((secret.uid, copy)));
        world.history.put_back = Some(world.now);
        moves.add(None, || format!("somebody puts credential {key} back into the Secret"), world);
    }
}

fn annotations(moves: &mut Moves<'_>, at: usize) {
    for place in 0..moves.world.clusters[at].etcd.templates.len() {
        if moves.world.clusters[at].etcd.templates[place].is_none() {
            continue;
        }
        let Some(mut world) = moves.after(Fault::AnnotationTaken, moves.world) else { return };
        world.set_template(moves.town, at, place, None);
        moves.add(None, || format!("somebody takes the annotation of workload {place} away"), world);
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

fn backups(moves: &mut Moves<'_>, at: usize) {
    let (town, cluster) = (moves.town, &moves.world.clusters[at]);
    for backup in cluster.backups.iter().filter(|backup| **backup != cluster.etcd && !moves.world.history.restored) {
        let Some(mut world) = moves.after(Fault::Restore, moves.world) else { return };
        world.history.restored = true;
        world.history.put_back = Some(world.now);
        world.set_secret(town, at, None);
        world.change_pods(town, at, |_| {});
        *world.change_etcd(town, at) = Etcd::clone(backup);
        world.clusters[at].backups.clear();
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

/// Whoever was asked to confirm gives what is published to those outside, and says so.
fn outside(moves: &mut Moves<'_>) {
    let published = moves.world.clusters[0].etcd.published().and_then(|record| kept_key(&record.entry));
    let (Some(outside), Some(key)) = (&moves.world.outside, published) else { return };
    let reported = moves.town.rotation.is_some_and(|rotation| rotation.outside == Who::Reported);
    let done = if reported { outside.holds == key } else { outside.confirmed == Some(key) };
    if done || !somebody_asks(moves.world, 0, Reason::NotConfirmed) {
        return;
    }
    let mut world = moves.world.clone();
    world.outside = Some(Outside { holds: key, confirmed: (!reported).then_some(key) });
    world.tell_everybody();
    moves.add(
        6,
        || format!("those outside are given credential {key}{}", if reported { "" } else { ", and it is confirmed" }),
        world,
    );
}
