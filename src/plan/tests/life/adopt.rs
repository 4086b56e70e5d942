//! What somebody else has made, and is taken over.

use super::*;

const ADOPT: &str = "00000000-0000-0000-0000-000000000005";

fn adopting() -> Value {
    let from = json!({"secretKeyRef": {"name": "old", "key": "password"}});
    json!({"adopt": {"keyId": ADOPT, "valueFrom": from}})
}

/// Nothing of ours anywhere, and a secret that somebody made by hand.
fn by_hand(hints: &[&str]) -> Observation {
    let mut seen = alone(&adopting());
    seen.records.list.clear();
    seen.targets.insert(secret(), Looked { at: NOW, found: TargetState::Absent });
    let made = hints
        .iter()
        .zip(5..)
        .map(|(hint, number)| Credential { hint: Some((*hint).to_owned()), ..foreign(number, "by hand") });
    *shown(&mut seen) = made.collect();
    seen
}

fn adopted(seen: &Observation) -> Entry {
    match next(seen) {
        Next::Do(Step::Adopt { entry, .. }) => *entry,
        step => panic!("nothing is adopted: {step:?}"),
    }
}

#[test]
fn what_the_spec_names_is_adopted_in_place_of_a_mint() {
    let entry = adopted(&by_hand(&["abc", "xyz"]));
    assert_eq!((entry.adopted, entry.kept.unwrap().key_id), (Some(Adopted::Certain), key(5)));
    assert!(entry.published_to.contains(&TargetId::Secret("old".into())), "whoever reads it there is a reader");
    assert_eq!(adopted(&by_hand(&["abc", "abc"])).adopted, Some(Adopted::OneOfSeveral));
    waits_for(&by_hand(&[]), Reason::AdoptionRefused, "has no valid credential");
}

#[test]
fn what_was_adopted_is_with_everybody_and_restarts_nobody() {
    let mut seen = published(&adopting());
    seen.records.list.remove(0);
    seen.records.list[0].entry.adopted = Some(Adopted::Certain);
    *shown(&mut seen) = vec![foreign(2, "by hand")];
    assert!(
        matches!(next(&seen), Next::Do(Step::Note { entry, .. }) if entry.proven_at == Some(NOW)),
        "{:?}",
        next(&seen)
    );
}

#[test]
fn what_was_adopted_goes_only_if_it_is_certain_named_and_granted() {
    let replaced = |patch: &Value, adopted| {
        let mut seen = proven(patch);
        seen.records.list[0].entry.adopted = Some(adopted);
        seen.records.list[0].entry.kept.as_mut().unwrap().key_id = key(5);
        shown(&mut seen)[0] = foreign(5, "by hand");
        seen
    };
    assert_eq!(removes(&replaced(&adopting(), Adopted::Certain)), Some((key(5), Removable::Adopted)));
    assert_eq!(removes(&replaced(&adopting(), Adopted::OneOfSeveral)), None);
    assert_eq!(removes(&replaced(&json!({}), Adopted::Certain)), None, "not named any more");
    let mut refused = replaced(&adopting(), Adopted::Certain);
    refused.tenant = world().seen().tenant;
    assert_eq!(removes(&refused), None, "not granted");
}
