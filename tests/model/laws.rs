//! The promises, as laws that are looked at whenever something happens. They judge by what is so, not by what anybody
//! has seen.

use std::rc::Rc;

use keywright::facts::{Entry, Mark, Record, Sequence, Stage};

use super::{
    cluster::{Copy, is_forged},
    operator::Operator,
    scene::{Due, FIRST, MADE_BY_HAND, PATIENCE},
    town::{OVERLAP, Town, whole},
    world::{History, Holder, Key, LAG, World, kept_key, key_of, second},
};

/// P1, P2, P3, P10: what is removed is ours, known to whoever removes it, and nobody uses it.
pub fn of_a_removal(world: &mut World, town: &Town, (who, key): (usize, Key), late: bool) {
    let minted = &world.graph[key];
    let rotation = town.rotation.unwrap_or_default();
    if rotation.foreign && key == MADE_BY_HAND {
        return of_the_overlap(world, key);
    }
    if minted.mark.as_ref().is_none_or(|mark| mark.owner == town.stranger) {
        return world.breaks(format!("P3: {} was removed, which is none of ours", minted.name));
    }
    let known = |mark: &Mark| world.operators.iter().any(|one| one.answers_for(key, mark) || one.has_read_of(mark));
    if !late && !minted.mark.as_ref().is_some_and(known) {
        world.breaks(format!("P10: credential {key} was removed, which no record knows"));
    }
    let here = world.operators[who].at;
    let counts = |at: usize| at == here || is_to_be_seen(world, town, at);
    let carried = |copy: Option<&Copy>| copy.is_some_and(|copy| copy.key == key && !copy.edited);
    let mut secrets = world.clusters.iter().enumerate().filter(|(at, _)| counts(*at));
    let in_use = secrets.any(|(_, one)| carried(one.etcd.secret.as_ref().map(|secret| &secret.copy)));
    let held = world.holders().any(|(holder, held)| held == key && !matches!(holder, Holder::Pod(at) if !counts(at)));
    // What is put back, or deleted, between the last look and the removal cannot be seen by anybody.
    let moment = whole(town.timing.fresh) + if late { whole(town.timing.late_mint) } else { 0 };
    let recently = world.now - moment;
    let just_now = |at: Option<i64>| at.is_some_and(|at| at >= recently);
    let excused = just_now(world.history.put_back);
    if !excused && (in_use || carried(world.vault.as_ref())) {
        world.breaks(format!("P2: credential {key} was removed while a target carries it"));
    }
    if rotation.due == Due::Compromised && key == FIRST {
        return of_a_compromised(world, who, held);
    }
    if !excused && held && world.lives(key) {
        world.breaks(format!("P2: credential {key} was removed while somebody holds it"));
    }
    let excused = excused || just_now(world.history.record_deleted);
    of_its_record(world, here, key, excused);
}

/// What somebody else may know goes when its successor is everywhere, and waits so long for those who hold it and no longer.
fn of_a_compromised(world: &mut World, who: usize, held: bool) {
    let published_at = world.etcd(who).published().and_then(|record| record.entry.published_at);
    match published_at.map(second) {
        _ if world.etcd(who).published_key() == Some(FIRST) => {
            world.breaks("what is compromised was not replaced first");
        }
        Some(at) if !held || at + PATIENCE <= world.now => {}
        _ => world.breaks("what is compromised was removed before the deadline, although somebody holds it"),
    }
}

/// P2: everybody has had the successor for the time of the overlap.
fn of_the_overlap(world: &mut World, key: Key) {
    let had = world.everybody_since.is_some_and(|(_, since)| since + OVERLAP <= world.now);
    if !had && world.clusters.len() == 1 {
        world
            .breaks(format!("P2: credential {key} was removed before everybody had had its successor for long enough"));
    }
}

/// P2: the record of what is removed was given up, or another one has taken its place, and everybody has had that for the
/// time of the overlap.
fn of_its_record(world: &mut World, here: usize, key: Key, excused: bool) {
    let abandoned = |record: &Record| record.entry.stage == Stage::Abandoned;
    let keeps = |record: &&Record| kept_key(&record.entry) == Some(key) && !is_forged(record);
    // A restore may come between the last look and the removal; nobody holds what was abandoned and carried nowhere.
    let read = |one: &Rc<Operator>| one.records().iter().filter(keeps).any(abandoned);
    if excused || (world.history.restored && world.operators.iter().any(read)) {
        return;
    }
    let etcd = &world.clusters[here].etcd;
    let last = etcd.published().map(|record| record.entry.sequence);
    let replaced = |record: &&Record| record.entry.stage == Stage::Publishing && Some(record.entry.sequence) < last;
    if etcd.records.iter().filter(keeps).any(|record| !abandoned(record) && !replaced(&record)) {
        return world.breaks(format!("P2: credential {key} was removed while a record keeps it"));
    }
    // What has expired signs nobody in any more, and goes at any time.
    if world.lives(key) && etcd.records.iter().filter(keeps).any(|record| replaced(&record)) {
        of_the_overlap(world, key);
    }
}

/// Whether the operator of a clone has shown itself by a mark that every replica has long shown. A clone that mints
/// nothing cannot be seen.
fn is_to_be_seen(world: &World, town: &Town, at: usize) -> bool {
    let theirs = |mark: &Mark| {
        let mut others = world.operators.iter().filter(|one| one.at == at);
        others.any(|one| (0..one.nonces).any(|used| one.nonce(used) == mark.nonce))
    };
    let long_ago = world.now - LAG - whole(town.timing.fresh);
    let mut shown = world.graph.iter().filter(|one| one.added <= long_ago && one.removed.is_none());
    shown.any(|one| one.mark.as_ref().is_some_and(theirs))
}

/// P10: nothing is minted while what is published is valid. Looked at when the mint is sent.
pub fn of_a_mint(world: &mut World, town: &Town) {
    // What an attempt was decided on may be of a moment ago, and somebody may have changed it since.
    let History { record_deleted, restored, forged, .. } = world.history;
    let excused = record_deleted.is_some() || restored || forged;
    let moment = whole(town.timing.fresh + town.timing.mint_within);
    let now = world.now;
    let long = |since: Option<i64>| since.is_some_and(|since| !excused || since + moment < now);
    if !forged && long(world.published_since) && world.clusters.len() == 1 {
        world.breaks("P10: a credential was minted while one is published and valid");
    }
    if !forged && long(world.served_since) {
        world.breaks("P10: a credential was minted although every target carries a valid one");
    }
}

/// P4: one value per nonce, and no more credentials than faults explain.
pub fn of_all_mints(world: &mut World, town: &Town) {
    let marks: Vec<_> = world.graph.iter().filter_map(|one| one.mark.as_ref()).collect();
    let last = marks.last().map(|mark| marks.iter().filter(|one| one == &mark).count());
    let count = marks.len();
    if last > Some(1) {
        world.breaks("P4: two credentials have the same mark");
    }
    if count > town.mints() + 2 * world.faults {
        let faults = world.faults;
        world.breaks(format!("P4: {count} credentials were minted with {faults} faults"));
    }
}

/// What is kept stays; publishing and abandoning exclude each other, for ever.
pub fn of_a_record(world: &mut World, before: &Record, after: &Record) {
    let (was, is) = (&before.entry, &after.entry);
    if was.stage != Stage::Unpublished && was.stage != is.stage {
        world.breaks(format!("record {} went from {:?} to {:?}", is.sequence, was.stage, is.stage));
    }
    if was.kept.is_some() && was.kept != is.kept {
        world.breaks(format!("what record {} keeps was changed", is.sequence));
    }
}

/// P1, P10: what is published works, and no target goes back while what it carries works.
pub fn of_a_publication(world: &mut World, before: Option<Copy>, new: &Copy, entry: &Entry) {
    let repaired = before.as_ref().is_some_and(|copy| copy.key == new.key);
    if world.is_removed_by_us(new.key) && world.clusters.len() == 1 && !repaired {
        world.breaks(format!("P1: credential {} was published after we had removed it", new.key));
    }
    let Some(before) = before.filter(|copy| copy.key != new.key && !copy.edited && world.lives(copy.key)) else {
        return;
    };
    if before.sequence > new.sequence {
        world.breaks(format!("P1: a target was put back from {} to {}", before.sequence, new.sequence));
    }
    let replaced = entry.replaces.map(key_of) == Some(before.key);
    if !replaced
        && !world.clusters.iter().any(|one| one.etcd.records.iter().any(|record| record.entry.knows(&before.nonce)))
    {
        world.breaks("P10: a valid credential of ours that no record knows was written over");
    }
}

/// P1: the versions that are disabled are earlier than what the vault carries.
pub fn of_disabled_versions(world: &mut World, before: Sequence) {
    if world.vault.as_ref().is_some_and(|copy| copy.sequence < before && world.lives(copy.key)) {
        world.breaks("P1: the version was disabled that a vault carries");
    }
}

/// A window is kept to: workloads are touched while it is open, or when what they have is about to end.
pub fn of_a_disturbance(world: &mut World, town: &Town) {
    let Some(rotation) = &town.rotation else { return };
    let ends = |key: Key| world.graph[key].ends.is_some_and(|end| end <= world.now + super::scene::Rotation::notice());
    let old = world.graph.iter().enumerate().filter(|(_, one)| one.mark.is_some() && one.ends.is_some());
    let urgent = old.map(|(key, _)| key).any(|key| ends(key) || !world.lives(key));
    if !rotation.is_open(world.now) && !urgent {
        world.breaks("a workload was restarted outside of the window");
    }
}

/// What must be so at any time.
pub fn of_a_state(world: &World, town: &Town) -> Option<String> {
    of_orphans(world).or_else(|| of_holders(world, town)).or_else(|| of_the_end_of_a_life(world))
}

/// P4: whatever was minted can be told apart by somebody, or people have destroyed the evidence.
fn of_orphans(world: &World) -> Option<String> {
    let excused = world.history.record_deleted.is_some() || world.history.restored;
    let lost = world.ours().find(|(key, mark)| {
        let recorded = |record: &Record| record.entry.knows(&mark.nonce);
        let recorded = world.clusters.iter().any(|one| one.etcd.records.iter().any(recorded));
        !recorded && !world.operators.iter().any(|operator| operator.answers_for(*key, mark))
    });
    lost.filter(|_| !excused).map(|(key, _)| format!("P4: nobody could know of credential {key}"))
}

/// P1: nobody holds what we have removed before its end, but for those to whom a person, or a restored etcd, has given it
/// afterwards, and for those in a clone that could not be seen.
fn of_holders(world: &World, town: &Town) -> Option<String> {
    let excused = world.history.put_back.is_some() || world.clusters.len() > 1;
    let excused = excused || town.rotation.is_some_and(|rotation| rotation.due == Due::Compromised);
    let broken = world.holders().find(|(_, key)| world.is_cut_short_by_us(*key));
    broken.filter(|_| !excused).map(|(holder, key)| format!("P1: {holder:?} holds {key}, which we have removed"))
}

/// When nothing goes wrong, what is published does not end.
fn of_the_end_of_a_life(world: &World) -> Option<String> {
    let ended = |key: &Key| world.graph[*key].ends.is_some_and(|end| end <= world.now);
    let ended = world.clusters.iter().filter_map(|one| one.etcd.published_key()).find(ended);
    ended.filter(|_| world.faults == 0).map(|key| format!("P1: {key} ends, and is published"))
}
