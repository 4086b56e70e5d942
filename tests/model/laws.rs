//! The promises, as laws that are looked at whenever something happens. They judge by what is so, not by what anybody
//! has seen.

use std::rc::Rc;

use keywright::facts::{Mark, Record, Stage};

use super::{
    operator::Operator,
    town::{Town, whole},
    world::{Copy, Key, World, kept_key},
};

/// P1, P2, P3, P10: what is removed is ours, known to whoever removes it, and nobody uses it.
pub fn of_a_removal(world: &mut World, town: &Town, key: Key, late: bool) {
    let minted = &world.graph[key];
    if minted.mark.as_ref().is_none_or(|mark| mark.owner == town.stranger) {
        return world.breaks(format!("P3: {} was removed, which is none of ours", minted.name));
    }
    let known = |mark: &Mark| world.operators.iter().any(|one| one.answers_for(key, mark) || one.has_read_of(mark));
    if !late && !minted.mark.as_ref().is_some_and(known) {
        world.breaks(format!("P10: credential {key} was removed, which no record knows"));
    }
    let carried = |copy: Option<&Copy>| copy.is_some_and(|copy| copy.key == key && !copy.edited);
    if carried(world.etcd.secret.as_ref().map(|secret| &secret.copy)) || carried(world.vault.as_ref()) {
        world.breaks(format!("P2: credential {key} was removed while a target carries it"));
    }
    if world.pod.as_ref().is_some_and(|pod| pod.holds == Some(key)) {
        world.breaks(format!("P2: credential {key} was removed while a pod holds it"));
    }
    let abandoned = |record: &Record| record.entry.stage == Stage::Abandoned;
    let keeps = |record: &&Record| kept_key(&record.entry) == Some(key);
    // A restore may come between the last look and the removal; nobody holds what was abandoned and carried nowhere.
    let read = |one: &Rc<Operator>| one.records().iter().filter(keeps).any(abandoned);
    let excused = world.history.restored && world.operators.iter().any(read);
    if !excused && world.etcd.records.iter().filter(keeps).any(|record| !abandoned(record)) {
        world.breaks(format!("P2: credential {key} was removed while a record keeps it"));
    }
}

/// P10: nothing is minted while what is published is valid. Looked at when the mint is sent.
pub fn of_a_mint(world: &mut World, town: &Town) {
    // What an attempt was decided on may be of a moment ago, and somebody may have changed it since.
    let excused = world.history.record_deleted || world.history.restored;
    let moment = whole(town.timing.fresh + town.timing.mint_within);
    let now = world.now;
    let long = |since: Option<i64>| since.is_some_and(|since| !excused || since + moment < now);
    if long(world.published_since) {
        world.breaks("P10: a credential was minted while one is published and valid");
    }
    if long(world.served_since) {
        world.breaks("P10: a credential was minted although every target carries a valid one");
    }
}

/// P4: one value per nonce, and no more credentials than faults explain.
pub fn of_all_mints(world: &mut World) {
    let marks: Vec<_> = world.graph.iter().filter_map(|one| one.mark.as_ref()).collect();
    let last = marks.last().map(|mark| marks.iter().filter(|one| one == &mark).count());
    let count = marks.len();
    if last > Some(1) {
        world.breaks("P4: two credentials have the same mark");
    }
    if count > 1 + 2 * world.faults {
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
pub fn of_a_publication(world: &mut World, before: Option<Copy>, new: &Copy) {
    if !world.lives(new.key) && !world.history.revoked.contains(&new.key) {
        world.breaks(format!("P1: credential {} was published after we had removed it", new.key));
    }
    let Some(before) = before.filter(|copy| copy.key != new.key && !copy.edited && world.lives(copy.key)) else {
        return;
    };
    if before.sequence > new.sequence {
        world.breaks(format!("P1: a target was put back from {} to {}", before.sequence, new.sequence));
    }
    if !world.etcd.records.iter().any(|record| record.entry.knows(&before.nonce)) {
        world.breaks("P10: a valid credential of ours that no record knows was written over");
    }
}

/// P4: whatever was minted can be told apart by somebody, or people have destroyed the evidence.
pub fn of_a_state(world: &World) -> Option<String> {
    let excused = world.history.record_deleted || world.history.restored;
    let lost = world.ours().find(|(key, mark)| {
        let recorded = world.etcd.records.iter().any(|record| record.entry.knows(&mark.nonce));
        !recorded && !world.operators.iter().any(|operator| operator.answers_for(*key, mark))
    });
    lost.filter(|_| !excused).map(|(key, _)| format!("P4: nobody could know of credential {key}"))
}
