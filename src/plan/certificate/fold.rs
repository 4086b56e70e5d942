//! What reads and writes of an application's certificates have brought becomes part of the observation.

use jiff::Timestamp;

use crate::{
    facts::{Kept, ListSeen, ListWritten, ListedKey, Observation},
    plan::step::Step,
};

/// More reads in a row than are ever looked at.
const MOST_READS: usize = 64;

/// The list as it was just read. Whether it has the same in it as the reads before is counted.
pub(in crate::plan) fn read(seen: &mut Observation, at: Timestamp, mut keys: Vec<ListedKey>) {
    keys.sort_by_key(|one| one.key_id);
    let list = seen.mine.list.get_or_insert_with(|| ListSeen { last: vec![], row: vec![], written: None });
    let ids = |keys: &[ListedKey]| keys.iter().map(|one| one.key_id).collect::<Vec<_>>();
    if ids(&list.last) != ids(&keys) {
        list.row.clear();
    }
    if list.row.len() == MOST_READS {
        list.row.remove(0);
    }
    list.row.push(at);
    for key in &mut keys {
        // What was told whole once stays so.
        let known = list.last.iter().find(|one| one.key_id == key.key_id && one.is_whole() && !key.is_whole());
        if let Some(known) = known {
            key.clone_from(known);
        }
    }
    if let Some(written) = &mut list.written {
        for key in keys.iter().filter(|one| !written.keys.contains(&one.key_id)) {
            match written.strangers.iter_mut().find(|(known, _)| known.key_id == key.key_id) {
                Some((known, _)) if key.is_whole() => known.clone_from(key),
                Some(_) => {}
                None => written.strangers.push((key.clone(), at)),
            }
        }
    }
    list.last = keys;
}

/// The list was written, or may have been.
pub(in crate::plan) fn written(seen: &mut Observation, step: &Step, now: Timestamp) {
    let Step::WriteList { keep, add, .. } = step else { return };
    let Some(list) = &mut seen.mine.list else { return };
    let added = add.as_ref().and_then(|record| record.entry.kept.as_ref()).map(|kept| kept.key_id);
    let before = list.written.take().and_then(|written| written.added);
    let times = |key_id| before.filter(|(known, _)| *known == key_id).map_or(0, |(_, times)| times);
    list.row.clear();
    list.written = Some(ListWritten {
        at: now,
        keys: keep.iter().map(|one| one.key_id).chain(added).collect(),
        added: added.map(|key_id| (key_id, times(key_id) + 1)).or(before),
        strangers: vec![],
    });
}

/// It was refused, so what was known of the list is not so, or not enough.
pub(in crate::plan) fn refused(seen: &mut Observation) {
    if let Some(list) = &mut seen.mine.list {
        list.row.clear();
    }
}

/// A value that is in no record was never known to anybody: nothing has to be taken back.
pub(in crate::plan) fn is_of_no_consequence(kept: &Kept) -> bool {
    kept.thumbprint.is_some()
}
