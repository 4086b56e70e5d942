//! Who keeps a credential from going with its resource.

use super::*;

#[test]
fn whoever_uses_it_is_in_the_way_and_named() {
    let with = |pod: PodSeen| {
        let mut seen = ending(&revoke());
        seen.consumers.as_mut().unwrap().pods = vec![pod];
        seen
    };
    is_in_the_way(&with(pod("batch", reading("payments-api"))), "pod/batch to end");
    let mut terminating = pod("web-1", reading("payments-api"));
    terminating.terminating_since = Some(ago("1s"));
    is_in_the_way(&with(terminating), "pod/web-1 to end");
    let mut lost = pod("web-1", reading("payments-api"));
    lost.lost = true;
    is_in_the_way(&with(lost), "pod/web-1 to end");
    assert_eq!(step(&with(pod("other", reading("another")))), removes(1));

    let mut renamed = with(pod("old", reading("payments-old")));
    renamed.records.list[0].entry.published_to.push(TargetId::Secret("payments-old".into()));
    is_in_the_way(&renamed, "pod/old to end");
}

#[test]
fn a_workload_that_is_to_have_pods_is_in_the_way_although_it_has_none() {
    let with = |workload: WorkloadSeen| {
        let mut seen = ending(&revoke());
        seen.consumers.as_mut().unwrap().workloads = vec![workload];
        seen
    };
    is_in_the_way(&with(workload(2, None)), "deployment/web to be deleted, scaled to zero");
    assert_eq!(step(&with(workload(0, None))), removes(1));
    assert_eq!(step(&with(workload(2, Some(Hindrance::Deleting)))), removes(1));
}

#[test]
fn whoever_reads_a_vault_or_a_copy_or_is_outside_is_in_the_way_if_the_spec_names_them() {
    let named =
        json!({"deletionPolicy": "Revoke", "consumers": {"workloads": [{"kind": "Deployment", "name": "worker"}]}});
    let mut seen = ending(&named);
    let id = WorkloadId { kind: WorkloadKind::Deployment, name: "worker".into() };
    seen.consumers.as_mut().unwrap().pods =
        vec![PodSeen { maker: Some(Maker::Workload(id)), ..pod("worker-1", vec![]) }];
    is_in_the_way(&seen, "pod/worker-1 to end");

    let copied = json!({"deletionPolicy": "Revoke", "consumers": {"syncedSecrets": [{"name": "copy", "key": "k"}]}});
    let mut seen = ending(&copied);
    seen.consumers.as_mut().unwrap().pods = vec![pod("web-1", reading("copy"))];
    is_in_the_way(&seen, "pod/web-1 to end");

    let outside =
        json!({"deletionPolicy": "Revoke", "consumers": {"external": [{"name": "sso", "confirm": "Manual"}]}});
    is_in_the_way(&ending(&outside), "external/sso to be taken out of spec.consumers.external");
}

#[test]
fn a_watch_shows_who_is_in_the_way_but_only_a_list_that_nobody_is() {
    let mut seen = ending(&revoke());
    seen.consumers = None;
    assert!(matches!(step(&seen), Step::WatchConsumers { .. }));
    let watched = |pods| Some(Consumers { seen: SeenBy::Watch, workloads: vec![], pods, schedules: vec![] });
    seen.consumers = watched(vec![pod("batch", reading("payments-api"))]);
    is_in_the_way(&seen, "pod/batch");
    assert_eq!(waits(&seen).until, None, "the watch tells when it has ended");
    seen.consumers = watched(vec![]);
    assert_eq!(step(&seen), Step::ReadConsumers);
    let pods = vec![pod("batch", reading("payments-api"))];
    seen.consumers = Some(Consumers { seen: SeenBy::List(NOW), workloads: vec![], pods, schedules: vec![] });
    assert!(waits(&seen).until.is_some(), "nobody tells of what a list has shown");
}

#[test]
fn a_secret_goes_before_its_credential_and_after_its_last_reader() {
    let mut both = revoke();
    both["publish"] = delete("Owner")["publish"].clone();
    let mut seen = ending(&both);
    assert_eq!(told(&afterwards(seen.clone(), NOW).1)[..3], ["unpublish", "remove", "remove"]);
    seen.consumers.as_mut().unwrap().pods = vec![pod("batch", reading("payments-api"))];
    is_in_the_way(&seen, "pod/batch");
}

#[test]
fn a_secret_that_is_read_goes_all_the_same_if_its_credential_stays() {
    let mut seen = ending(&delete("Owner"));
    seen.consumers.as_mut().unwrap().pods = vec![pod("batch", reading("payments-api"))];
    assert!(matches!(step(&seen), Step::Unpublish { .. }));
}

#[test]
fn who_is_in_the_way_is_told_and_takes_no_slot() {
    let mut seen = ending(&revoke());
    seen.consumers.as_mut().unwrap().pods = vec![pod("batch", reading("payments-api"))];
    seen.records.list[1].entry.proven_at = None;
    assert!(!blast::needs_its_slot(&seen));
    let moment = Moment { now: NOW, chance: nonce(99) };
    let said = report(&seen, &decided(&seen), &Timing::REAL, &moment);
    let ready = find(&said.status.conditions, READY).unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "StillInUse"));
    assert!(ready.message.contains("pod/batch"), "{}", ready.message);
    assert_eq!((said.status.next, said.events.len()), (None, 1));
}

#[test]
fn where_no_watch_shows_who_is_in_the_way_the_namespace_is_listed_so_that_the_fault_is_told() {
    let mut seen = ending(&revoke());
    seen.consumers = None;
    assert!(matches!(step(&seen), Step::WatchConsumers { .. }), "{:?}", step(&seen));
    (seen.mine.watching, seen.mine.unread_since) = (true, Some(ago("29s")));
    assert_eq!(waits(&seen).reason, Reason::Revoking);
    seen.mine.unread_since = Some(ago("30s"));
    assert_eq!(step(&seen), Step::ReadConsumers);
}
