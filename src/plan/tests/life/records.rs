//! What becomes of records that somebody changes, and of those that are not needed any more.

use super::*;
use crate::{facts::VaultEntry, plan::tests::VAULT};

#[test]
fn a_target_that_somebody_puts_back_begins_everything_after_the_publication_anew() {
    let mut seen = proven(&json!({}));
    let Some(Looked { found: TargetState::Present(carried), .. }) = seen.targets.get_mut(&secret()) else { panic!() };
    (carried.key_id, carried.sequence, carried.nonce) = (Some(key(1)), Some(Sequence(1)), Some(nonce(1)));
    carried.agrees = false;
    let next = next(&seen);
    let Next::Do(Step::Note { entry, .. }) = &next else { panic!("{next:?}") };
    assert_eq!((entry.published_at, entry.proven_at, entry.again), (None, None, 1));
    assert_eq!(
        entry.rollout_mark().unwrap(),
        format!("{}.1", key(2)),
        "so that those who were restarted already are again"
    );
}

#[test]
fn a_record_that_is_written_anew_was_published_so_that_nobody_is_given_an_earlier_one_until_it_is_proven_again() {
    let mut seen = proven(&json!({}));
    seen.records.list.remove(1);
    let Next::Do(Step::Rebuild { entry, target }) = next(&seen) else { panic!("{:?}", next(&seen)) };
    assert_eq!((entry.sequence, &entry.published_to), (Sequence(2), &vec![target]));
    let again = Record { entry: *entry, ..seen.records.list[0].clone() };
    seen.records.list.push(again);
    seen.targets.insert(secret(), Looked { at: NOW, found: TargetState::Absent });
    let proof = Proof {
        key_id: key(2),
        since: NOW,
        successes: 1,
        first_success_at: Some(NOW),
        last_at: NOW,
        misses: 0,
        last: Verdict::Accepted,
    };
    seen.mine.proof = Some(proof);
    waits_for(&seen, Reason::Proving, "secret 2 to be proven again");
}

/// To read a vault may take a right that writing there does not.
#[test]
fn of_all_that_carry_it_a_lost_record_is_written_anew_from_the_secret() {
    let entry = json!({"vaultUrl": VAULT, "name": "payments-api"});
    let mut seen = proven(&json!({"publish": {"secret": {}, "keyVaults": [entry]}}));
    let found = TargetState::Present(carried(&seen));
    let entry = TargetId::Vault(VaultEntry::secret(&VAULT.into(), &"payments-api".into()));
    seen.targets.insert(entry, Looked { at: NOW, found });
    seen.records.list.remove(1);
    let Next::Do(Step::Rebuild { target, .. }) = next(&seen) else { panic!("{:?}", next(&seen)) };
    assert_eq!(target, secret());
}

#[test]
fn what_was_removed_is_not_published_again_when_the_record_of_its_successor_is_lost() {
    let mut seen = proven(&json!({}));
    seen.records.list.remove(1);
    seen.targets.insert(secret(), Looked { at: NOW, found: TargetState::Absent });
    assert!(matches!(next(&seen), Next::Do(Step::Publish { .. })), "{:?}", next(&seen));
    seen.mine.removed.insert(key(1), ago("1m"));
    waits_for(&seen, Reason::CredentialUnknown, "was removed after its successor had come");
}

#[test]
fn a_record_that_names_the_credential_of_another_number_is_not_believed() {
    let mut seen = proven(&json!({}));
    let forged = Entry { sequence: Sequence(3), ..seen.records.list[0].entry.clone() };
    seen.records.list.push(Record { entry: forged, ..seen.records.list[0].clone() });
    waits_for(&seen, Reason::RecordForged, "did somebody else write the record?");
}

#[test]
fn a_record_goes_after_its_credential_and_only_when_nothing_can_show_itself_any_more() {
    let mut seen = proven(&json!({}));
    shown(&mut seen).remove(0);
    let step = next(&seen);
    assert!(matches!(&step, Next::Do(Step::Note { entry, .. }) if entry.retired_at == Some(NOW)), "{step:?}");
    entry(&mut seen, 1).retired_at = Some(ago("1m"));
    assert!(!matches!(next(&seen), Next::Do(Step::Forget { .. })));
    entry(&mut seen, 1).retired_at = Some(ago("10m"));
    assert!(matches!(next(&seen), Next::Do(Step::Forget { .. })), "{:?}", next(&seen));
}
