//! What must be so before an old credential goes.

use super::*;
use crate::{facts::VaultEntry, plan::tests::VAULT};

#[test]
fn an_old_one_goes_when_everything_is_proven() {
    assert_eq!(removes(&proven(&json!({}))), Some((key(1), Removable::Replaced)));
}

type Knock = fn(&mut Observation);

#[test]
fn an_old_one_stays_while_any_proof_is_missing() {
    let trouble = || Trouble::unsent(Service::Token, Reason::CredentialUnknown, "refused".into(), "wait");
    let knocks: [(&str, Knock); 10] = [
        ("the overlap", |seen| entry(seen, 2).proven_at = Some(ago("23h"))),
        ("the proof", |seen| entry(seen, 2).proven_at = None),
        ("a pod", |seen| consumers(seen).pods.push(pod("web-0", Some("web"), ago("480h")))),
        ("a bare pod", |seen| consumers(seen).pods.push(pod("bare", None, ago("480h")))),
        ("a list of the pods", |seen| consumers(seen).seen = SeenBy::Watch),
        ("a fresh list", |seen| consumers(seen).seen = SeenBy::List(ago("31s"))),
        ("a look at the target", |seen| seen.targets.clear()),
        ("a sign-in", |seen| seen.mine.tried.clear()),
        ("somebody who uses it", |seen| {
            consumers(seen).workloads.clear();
            consumers(seen).pods.clear();
        }),
        ("a read of the application", |seen| seen.application.as_mut().unwrap().at = ago("31s")),
    ];
    for (what, knock) in knocks {
        let mut seen = proven(&json!({}));
        knock(&mut seen);
        assert_eq!(removes(&seen), None, "without {what}");
    }
    let mut refused = proven(&json!({}));
    let verdict = Verdict::Refused(Trouble { effect: Effect::Refused, ..trouble() });
    refused.mine.tried.insert(secret(), Tried { key_id: key(2), at: NOW, verdict });
    assert_eq!(removes(&refused), None, "what the target holds does not sign in");
}

#[test]
fn nobody_known_is_not_nobody_unless_it_is_said() {
    let mut seen = proven(&json!({}));
    consumers(&mut seen).workloads.clear();
    consumers(&mut seen).pods.clear();
    waits_for(&seen, Reason::ConsumersUnknown, "discovery: None");
    let mut said = proven(&json!({"consumers": {"discovery": "None"}}));
    said.consumers.clone_from(&seen.consumers);
    assert_eq!(removes(&said), Some((key(1), Removable::Replaced)));
}

#[test]
fn a_holder_outside_confirms_with_the_key_that_is_published() {
    let outside = json!({"consumers": {"external": [{"name": "sso", "confirm": "Manual"}]}});
    let mut seen = proven(&outside);
    waits_for(&seen, Reason::NotConfirmed, "keywright.dev/confirmed.sso=");
    let annotate = |seen: &mut Observation, number| {
        let said = BTreeMap::from([("keywright.dev/confirmed.sso".to_owned(), key(number).to_string())]);
        Arc::make_mut(&mut seen.resource).metadata.annotations = Some(said);
    };
    annotate(&mut seen, 1);
    assert_eq!(removes(&seen), None);
    annotate(&mut seen, 2);
    assert_eq!(removes(&seen), Some((key(1), Removable::Replaced)));
}

#[test]
fn a_holder_outside_may_count_as_confirmed_after_a_time() {
    let outside = |after| json!({"consumers": {"external": [{"name": "sso", "confirm": "After", "after": after}]}});
    waits_for(&proven(&outside("3d")), Reason::NotConfirmed, "external/sso");
    assert_eq!(removes(&proven(&outside("1d"))), Some((key(1), Removable::Replaced)));
}

#[test]
fn a_mark_that_nobody_knows_stops_every_removal() {
    for retirement in [json!({}), json!({"foreignKeyIds": [key(5)]}), json!({"compromisedKeyIds": [key(5)]})] {
        let mut seen = proven(&json!({"retirement": retirement}));
        let mark = Mark { owner: seen.owner.clone(), sequence: Sequence(2), nonce: nonce(8) };
        shown(&mut seen).extend([foreign(8, &mark.to_string()), foreign(5, "by hand")]);
        assert_eq!(removes(&seen), None, "{retirement}");
    }
}

#[test]
fn an_old_one_that_has_expired_goes_at_any_time_and_makes_nothing_urgent_after_that() {
    let mut seen = proven(&json!({}));
    consumers(&mut seen).workloads.clear();
    consumers(&mut seen).pods.clear();
    for (end, goes) in [(NOW, None), (ago("299s"), None), (ago("5m"), Some((key(1), Removable::Expired)))] {
        entry(&mut seen, 1).kept.as_mut().unwrap().expires_at = Some(end);
        shown(&mut seen)[0].end = Some(end);
        assert_eq!(removes(&seen), goes, "although nobody is known who uses it, and when Entra's clock says so, too");
    }
}

#[test]
fn what_was_published_stays_when_its_resource_is_deleted() {
    let mut seen = proven(&json!({}));
    seen.gone = true;
    assert_eq!(removes(&seen), None);
    shown(&mut seen).remove(0);
    assert!(!matches!(next(&seen), Next::Do(Step::Note { .. } | Step::Forget { .. })), "{:?}", next(&seen));
}

#[test]
fn a_compromised_one_goes_without_overlap_and_at_the_deadline_even_with_stragglers() {
    let named = json!({"retirement": {"compromisedKeyIds": [key(1).to_string()]}});
    let mut seen = proven(&named);
    entry(&mut seen, 2).published_at = Some(ago("10m"));
    entry(&mut seen, 2).proven_at = Some(ago("1m"));
    assert_eq!(removes(&seen), Some((key(1), Removable::Compromised)), "no overlap");
    entry(&mut seen, 2).proven_at = None;
    consumers(&mut seen).pods = vec![pod("bare", None, ago("480h"))];
    waits_for(&seen, Reason::Retiring, "but not longer");
    entry(&mut seen, 2).published_at = Some(ago("31m"));
    assert_eq!(removes(&seen), Some((key(1), Removable::Compromised)));
}

#[test]
fn a_compromised_one_that_is_published_is_replaced_first() {
    let named = json!({"retirement": {"compromisedKeyIds": [key(2).to_string()]}});
    let seen = alone(&named);
    assert_eq!((removes(&seen), cause(&seen)), (None, Some(Cause::Compromised)));
}

#[test]
fn foreign_ones_go_only_by_name_and_never_with_a_mark() {
    let named = |number: u32| json!({"retirement": {"foreignKeyIds": [key(number).to_string()]}});
    let with = |seen: Observation, name: &str| {
        let mut seen = seen;
        shown(&mut seen).remove(0);
        seen.records.list.remove(0);
        shown(&mut seen).push(foreign(5, name));
        seen
    };
    assert_eq!(removes(&with(proven(&json!({})), "by hand")), None);
    assert_eq!(removes(&with(proven(&named(5)), "by hand")), Some((key(5), Removable::Foreign)));
    let others = format!("kw1:{}.1.{} payments/other", "a".repeat(16), "b".repeat(16));
    assert_eq!(removes(&with(proven(&named(5)), &others)), None, "another owner's");
}

#[test]
fn foreign_ones_wait_like_our_own_unless_they_are_compromised() {
    let mut seen = proven(&json!({"retirement": {"foreignKeyIds": [key(5).to_string()]}}));
    seen.records.list.remove(0);
    *shown(&mut seen) = vec![credential(&world().seen(), 2), foreign(5, "by hand")];
    entry(&mut seen, 1).proven_at = Some(ago("1h"));
    assert_eq!(removes(&seen), None);
    let named = json!({"retirement": {"foreignKeyIds": null, "compromisedKeyIds": [key(5).to_string()]}});
    let mut at_once = proven(&named);
    at_once.records = seen.records.clone();
    at_once.application.clone_from(&seen.application);
    assert_eq!(removes(&at_once), Some((key(5), Removable::Compromised)));
}

#[test]
fn a_credential_that_is_shown_again_goes_through_the_gate_again() {
    let mut seen = proven(&json!({}));
    entry(&mut seen, 1).retired_at = Some(ago("10m"));
    assert_eq!(removes(&seen), Some((key(1), Removable::Replaced)));
}

/// One that is proven, whose predecessor a target carries that is not declared any more, or that is in this state.
fn with_an_earlier_target(asking: &Value, earlier: TargetId, state: Option<TargetState>) -> Observation {
    let mut seen = proven(asking);
    entry(&mut seen, 1).published_to.push(earlier.clone());
    let Some(Looked { found: TargetState::Present(carried), .. }) = seen.targets.get(&secret()).cloned() else {
        panic!()
    };
    let found = state.unwrap_or_else(|| TargetState::Present(Carried { key_id: Some(key(1)), ..carried }));
    seen.targets.insert(earlier, Looked { at: NOW, found });
    seen
}

#[test]
fn an_old_one_that_an_earlier_target_carries_stays_and_it_is_told_what_to_do() {
    let seen = with_an_earlier_target(&json!({}), TargetId::Secret("earlier".into()), None);
    waits_for(&seen, Reason::Idle, "nothing new is published there, so delete it when nobody reads it");
}

#[test]
fn a_compromised_one_goes_although_an_earlier_target_carries_it() {
    let named = json!({"retirement": {"compromisedKeyIds": [key(1).to_string()]}});
    let mut seen = with_an_earlier_target(&named, TargetId::Secret("earlier".into()), None);
    entry(&mut seen, 2).published_at = Some(ago("31m"));
    assert_eq!(removes(&seen), Some((key(1), Removable::Compromised)));
}

#[test]
fn an_earlier_entry_of_a_vault_that_was_deleted_carries_nothing() {
    let earlier = TargetId::Vault(VaultEntry::secret(&VAULT.into(), &"earlier".into()));
    let in_state = |reason| {
        let trouble = Trouble::unsent(Service::KeyVault, reason, "it is so".into(), "Do something");
        with_an_earlier_target(&json!({}), earlier.clone(), Some(TargetState::Troubled(trouble)))
    };
    waits_for(&in_state(Reason::VaultForbidden), Reason::VaultForbidden, "it is so");
    assert_eq!(removes(&in_state(Reason::VaultEntryDeleted)), Some((key(1), Removable::Replaced)));
}
