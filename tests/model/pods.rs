//! What controllers, nodes and those who run pods do.

use std::rc::Rc;

use keywright::api::Reason;

use super::{
    cluster::Pod,
    moves::Moves,
    operator::{Life, Operator},
    town::Fault,
    world::World,
};

/// Everything that can happen to pods now.
pub fn moves(moves: &mut Moves<'_>) {
    for at in 0..moves.world.clusters.len() {
        if moves.town.rotation.is_some() {
            for workload in 0..moves.world.clusters[at].etcd.templates.len() {
                controller(moves, at, workload);
            }
            for place in 0..moves.world.clusters[at].pods.len() {
                pod(moves, at, place);
            }
        } else if moves.town.pods {
            one_pod(moves, at);
        }
    }
}

/// A Deployment of one pod: a new one first; when that is well, the old ones are ended.
fn controller(moves: &mut Moves<'_>, at: usize, workload: usize) {
    let (town, world) = (moves.town, moves.world);
    let cluster = &world.clusters[at];
    let mut updated = cluster.updated(workload);
    let Some(newest) = updated.next() else {
        let mark = cluster.etcd.templates[workload].clone();
        for (choice, holds) in cluster.readable(world.now).into_iter().enumerate() {
            let mut after = world.clone();
            let pod = Pod::starting(Some(workload), mark.clone(), holds, world.now);
            after.change_pods(town, at, |pods| pods.push(pod));
            moves.add(
                (choice == 0).then_some(2),
                || format!("a pod of workload {workload} starts with {holds:?}"),
                after,
            );
        }
        return;
    };
    let pod = &cluster.pods[newest];
    if !pod.well && !pod.stuck {
        let mut after = world.clone();
        after.change_pods(town, at, |pods| {
            pods[newest].well = true;
            let old = |(place, pod): &(usize, &mut Pod)| *place != newest && pod.of == Some(workload);
            for (_, pod) in pods.iter_mut().enumerate().filter(old) {
                pod.ending = pod.ending.or(Some(world.now));
            }
        });
        moves.add(2, || format!("the new pod of workload {workload} is well"), after);
        if let Some(mut after) = moves.after(Fault::Stall, world) {
            after.change_pods(town, at, |pods| pods[newest].stuck = true);
            moves.add(None, || format!("the new pod of workload {workload} does not become well"), after);
        }
    }
}

fn pod(moves: &mut Moves<'_>, at: usize, place: usize) {
    let (town, world) = (moves.town, moves.world);
    let pod = &world.clusters[at].pods[place];
    let change = |moves: &mut Moves<'_>, rank: Option<u8>, said: &str, change: &dyn Fn(&mut Pod)| {
        let mut after = world.clone();
        after.change_pods(town, at, |pods| change(&mut pods[place]));
        moves.add(rank, || format!("pod {place} {said}"), after);
    };
    let asked = |reason| somebody_asks(world, at, reason).then_some(6);
    if pod.ending.is_some() && !pod.lost {
        let mut after = world.clone();
        after.change_pods(town, at, |pods| drop(pods.remove(place)));
        moves.add(2, || format!("pod {place} is gone"), after);
    }
    if pod.of.is_none() && pod.ending.is_none() {
        change(moves, asked(Reason::StragglersRemain), "is ended by a person", &|pod| pod.ending = Some(world.now));
    }
    let old = pod.holds != world.clusters[at].etcd.published_key();
    if old && pod.of.is_some() && pod.ending.is_none() && asked(Reason::RolloutContested).is_some() {
        change(moves, Some(6), "is ended by a person, so that another one starts", &|pod| pod.ending = Some(world.now));
    }
    if pod.stuck {
        change(moves, asked(Reason::RolloutStalled), "is helped by a person", &|pod| pod.stuck = false);
    }
    if pod.lost {
        change(moves, Some(6), "answers again", &|pod| pod.lost = false);
    }
    if moves.town.allows(Fault::NodeLost)
        && !pod.lost
        && let Some(mut after) = moves.after(Fault::NodeLost, world)
    {
        after.change_pods(town, at, |pods| pods[place].lost = true);
        moves.add(None, || format!("the node of pod {place} does not answer any more"), after);
    }
    if pod.ending.is_none() {
        eviction(moves, at, place);
    }
}

fn eviction(moves: &mut Moves<'_>, at: usize, place: usize) {
    let (town, world) = (moves.town, moves.world);
    if let Some(mut after) = moves.after(Fault::Eviction, world) {
        after.change_pods(town, at, |pods| pods[place].ending = Some(world.now));
        moves.add(None, || format!("pod {place} is evicted"), after);
    }
    for holds in world.clusters[at].readable(world.now) {
        if let Some(mut after) = moves.after(Fault::Eviction, world) {
            after.change_pods(town, at, |pods| (pods[place].holds, pods[place].since) = (holds, world.now));
            moves.add(None, || format!("the container of pod {place} starts again with {holds:?}"), after);
        }
    }
}

/// Whether all operators of a cluster rest, and one tells people this.
pub fn somebody_asks(world: &World, at: usize, reason: Reason) -> bool {
    let here = || world.operators.iter().filter(|operator| operator.at == at);
    here().all(|one| is_resting(world, one)) && here().any(|one| one.tells(reason))
}

fn is_resting(world: &World, operator: &Rc<Operator>) -> bool {
    matches!(operator.life, Life::Asleep { .. }) && !operator.is_due(world.now)
}

/// Before a first issue a pod may start at any time, once. In the end every pod is replaced; until then, what it may hold
/// stays.
fn one_pod(moves: &mut Moves<'_>, at: usize) {
    let (town, world) = (moves.town, moves.world);
    let cluster = &world.clusters[at];
    if !cluster.pods.is_empty() {
        let published = cluster.etcd.publishing().any(|record| record.entry.published_at.is_some());
        let resting = world.operators.iter().all(|one| is_resting(world, one));
        let mut after = world.clone();
        after.change_pods(town, at, Vec::clear);
        moves.add((published && resting).then_some(6), || "the pod ends".into(), after);
        return;
    }
    if !town.may_start(cluster) {
        return;
    }
    for holds in cluster.readable(world.now) {
        let mut after = world.clone();
        after.change_pods(town, at, |pods| pods.push(Pod::starting(None, None, holds, world.now)));
        let cluster = &mut after.clusters[at];
        (cluster.pods_started, cluster.cached) = (1, vec![]);
        moves.add(None, || format!("the pod starts with {holds:?}"), after);
    }
}
