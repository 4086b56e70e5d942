//! Who is restarted, who has it, and who does not certainly have it.

use super::*;

#[test]
fn nobody_is_restarted_before_nodes_have_forgotten_what_was_there() {
    let mut seen = published(&json!({}));
    entry(&mut seen, 2).published_at = Some(ago("60s"));
    waits_for(&seen, Reason::Settling, "nodes to have forgotten");
}

#[test]
fn the_first_is_restarted_alone() {
    let mut seen = published(&json!({}));
    assert_eq!(next(&seen), Next::Do(Step::Roll { workload: web("api"), mark: key(2).to_string() }));
    let rolling = &mut consumers(&mut seen).workloads[0];
    *rolling = workload("api", Some(2));
    rolling.progress.updated = 0;
    waits_for(&seen, Reason::RollingOut, "deployment/api (and 2 more): 0 of 1 pods are new, 1 are old");
}

#[test]
fn after_the_first_as_many_as_are_allowed() {
    let mut seen = published(&json!({"consumers": {"rollout": {"maxConcurrent": 1}}}));
    consumers(&mut seen).workloads[0] = workload("api", Some(2));
    consumers(&mut seen).pods[0] = pod("api-2", Some("api"), ago("1h"));
    assert_eq!(next(&seen), Next::Do(Step::Roll { workload: web("job"), mark: key(2).to_string() }));
    consumers(&mut seen).workloads[1] = workload("job", Some(2));
    consumers(&mut seen).workloads[1].progress.available = 0;
    waits_for(&seen, Reason::RollingOut, "deployment/job");
    let mut wider = published(&json!({"consumers": {"rollout": {"maxConcurrent": 2}}}));
    consumers(&mut wider).workloads = consumers(&mut seen).workloads.clone();
    consumers(&mut wider).pods = consumers(&mut seen).pods.clone();
    assert_eq!(next(&wider), Next::Do(Step::Roll { workload: web("web"), mark: key(2).to_string() }));
}

#[test]
fn none_is_restarted_after_one_that_stalls() {
    let mut seen = published(&json!({"consumers": {"rollout": {"maxConcurrent": 3}}}));
    consumers(&mut seen).workloads[0] = workload("api", Some(2));
    consumers(&mut seen).workloads[0].progress.available = 0;
    seen.mine.rolled.insert(web("api"), Rolled { mark: key(2).to_string(), since: ago("31m") });
    waits_for(
        &seen,
        Reason::RolloutStalled,
        "deployment/api (and 2 more): 1 of 1 pods are new, 1 are old, 0 are available after 30m",
    );
}

#[test]
fn what_is_paused_is_left_alone_and_told_while_the_others_go_on() {
    let mut seen = published(&json!({}));
    consumers(&mut seen).workloads[0].hindrance = Some(Hindrance::Paused);
    assert_eq!(next(&seen), Next::Do(Step::Roll { workload: web("job"), mark: key(2).to_string() }));
    for name in ["job", "web"] {
        let place = usize::from(name == "web") + 1;
        consumers(&mut seen).workloads[place] = workload(name, Some(2));
        consumers(&mut seen).pods[place] = pod(name, Some(name), ago("1h"));
    }
    waits_for(&seen, Reason::WorkloadPaused, "deployment/api: it is paused");
}

#[test]
fn one_that_pauses_amid_its_restart_shows_nothing_for_the_others_yet() {
    let mut seen = published(&json!({}));
    let first = &mut consumers(&mut seen).workloads[0];
    *first = workload("api", Some(2));
    first.hindrance = Some(Hindrance::Paused);
    waits_for(&seen, Reason::WorkloadPaused, "deployment/api (and 2 more): it is paused");
}

/// One Rollout of Argo's that was restarted half an hour ago, less a minute, and has an old pod left.
fn rollout() -> Observation {
    let mut seen = published(&json!({}));
    let id = WorkloadId { kind: WorkloadKind::Rollout, name: "api".into() };
    consumers(&mut seen).workloads = vec![WorkloadSeen { id: id.clone(), ..workload("api", Some(2)) }];
    consumers(&mut seen).pods.truncate(1);
    consumers(&mut seen).pods[0].maker = Some(Maker::Workload(id.clone()));
    seen.mine.rolled.insert(id, Rolled { mark: key(2).to_string(), since: ago("29m") });
    seen
}

#[test]
fn old_pods_that_argo_keeps_for_a_while_are_no_stragglers() {
    let mut seen = rollout();
    waits_for(&seen, Reason::PodsEnding, "rollout/api: its old pods go when its scaleDownDelaySeconds are over; pod/");
    seen.mine.rolled.values_mut().for_each(|rolled| rolled.since = ago("31m"));
    waits_for(&seen, Reason::StragglersRemain, "rollout/api: pod/");
}

#[test]
fn a_rollout_that_argo_has_not_finished_is_on_its_way_and_not_changed_by_others_meanwhile() {
    let mut seen = rollout();
    consumers(&mut seen).workloads[0].progress.unfinished = true;
    waits_for(&seen, Reason::RollingOut, "rollout/api: 1 of 1 pods are new, 1 are old, 1 are available");
    consumers(&mut seen).workloads[0].annotations.clear();
    seen.mine.rolled.clear();
    entry(&mut seen, 2).published_at = Some(ago("123s"));
    waits_for(&seen, Reason::RollingOut, "somebody else is changing it");
}

#[test]
fn an_annotation_that_somebody_takes_away_is_not_written_twice() {
    let mut seen = published(&json!({}));
    consumers(&mut seen).workloads.truncate(1);
    consumers(&mut seen).pods.truncate(1);
    seen.mine.rolled.insert(web("api"), Rolled { mark: key(2).to_string(), since: ago("1m") });
    waits_for(&seen, Reason::RolloutContested, "deployment/api");
}

#[test]
fn whoever_has_started_since_is_not_restarted() {
    let mut seen = published(&json!({}));
    for pod in &mut consumers(&mut seen).pods {
        pod.started_at = Some(ago("1h"));
    }
    assert!(
        matches!(next(&seen), Next::Do(Step::Note { entry, .. }) if entry.proven_at == Some(NOW)),
        "{:?}",
        next(&seen)
    );
}

#[test]
fn whoever_has_not_told_of_a_start_is_waited_for_and_not_restarted() {
    let mut seen = published(&json!({}));
    entry(&mut seen, 2).published_at = Some(ago("100s"));
    for pod in &mut consumers(&mut seen).pods {
        pod.started_at = None;
    }
    consumers(&mut seen).pods.push(pod("bare", None, ago("480h")));
    consumers(&mut seen).pods[3].started_at = None;
    waits_for(
        &seen,
        Reason::Settling,
        "deployment/api (and 3 more): pod/api-1 has not told yet whether it has started",
    );
    let until = waits(&seen).iter().find(|wait| wait.reason == Reason::Settling).unwrap().until;
    assert_eq!(until, Some(ahead("112s")), "publication, 92 s, and two minutes for the news");
    consumers(&mut seen).pods[1].started_at = Some(ago("480h"));
    assert_eq!(next(&seen), Next::Do(Step::Roll { workload: web("job"), mark: key(2).to_string() }));
    entry(&mut seen, 2).published_at = Some(ago("220s"));
    consumers(&mut seen).pods.remove(1);
    assert!(
        matches!(next(&seen), Next::Do(Step::Note { .. })),
        "what had started by then would have told: {:?}",
        next(&seen)
    );
}

#[test]
fn those_who_read_nothing_secret_are_none_of_ours() {
    let mut seen = published(&json!({}));
    let public = Reading { key: Some("AZURE_CLIENT_ID".into()), ..reading() };
    for workload in &mut consumers(&mut seen).workloads {
        workload.reads = vec![public.clone()];
    }
    for pod in &mut consumers(&mut seen).pods {
        pod.reads = vec![public.clone()];
    }
    assert!(matches!(next(&seen), Next::Do(Step::Note { .. })), "{:?}", next(&seen));
}

#[test]
fn who_reloads_files_by_itself_is_believed_and_who_reads_variables_is_not() {
    let mut seen = published(&json!({"consumers": {"rollout": {"strategy": "None"}}}));
    waits_for(&seen, Reason::StragglersRemain, "rollout.strategy is None, and pod/api-1 has been running since");
    for pod in &mut consumers(&mut seen).pods {
        pod.reads[0].by = Means::File;
    }
    assert!(matches!(next(&seen), Next::Do(Step::Note { .. })), "{:?}", next(&seen));
}

#[test]
fn a_pod_that_nothing_restarts_is_told_with_whose_it_is() {
    let mut seen = published(&json!({}));
    consumers(&mut seen).workloads.clear();
    consumers(&mut seen).pods = vec![pod("batch-x7", None, ago("480h"))];
    consumers(&mut seen).pods[0].maker = Some(Maker::Other("job/batch".into()));
    waits_for(&seen, Reason::StragglersRemain, "pod/batch-x7");
    waits_for(&seen, Reason::StragglersRemain, "of job/batch; nothing restarts it");
}

#[test]
fn a_terminating_pod_and_one_on_a_lost_node_still_hold_the_old_one() {
    let mut seen = published(&json!({}));
    consumers(&mut seen).workloads = vec![workload("web", Some(2))];
    consumers(&mut seen).pods = vec![pod("web-0", Some("web"), ago("480h"))];
    consumers(&mut seen).pods[0].terminating_since = Some(ago("5m"));
    waits_for(&seen, Reason::PodsEnding, "pod/web-0 has been terminating since");
    consumers(&mut seen).pods[0].terminating_since = Some(ago("31m"));
    waits_for(&seen, Reason::StragglersRemain, "pod/web-0 has been terminating since");
    consumers(&mut seen).pods[0].lost = true;
    waits_for(&seen, Reason::StragglersRemain, "does not answer");
}

#[test]
fn who_reads_a_name_under_which_nothing_new_is_published_is_a_straggler_and_not_restarted() {
    let mut seen = published(&json!({}));
    entry(&mut seen, 1).published_to.push(TargetId::Secret("old".into()));
    let old = Reading { secret: "old".into(), ..reading() };
    consumers(&mut seen).workloads = vec![WorkloadSeen { reads: vec![old.clone()], ..workload("web", None) }];
    consumers(&mut seen).pods = vec![PodSeen { reads: vec![old], ..pod("web-1", Some("web"), ago("1m")) }];
    waits_for(&seen, Reason::StragglersRemain, "pod/web-1 reads secret/old, where nothing new is published");
}

/// Everybody reads a copy that another tool makes.
fn reading_a_copy(seen_with_it: Option<Timestamp>) -> Observation {
    let mut seen = published(&json!({"consumers": {"syncedSecrets": [{"name": "copied", "key": "password"}]}}));
    let copy = CopyId { secret: "copied".into(), key: "password".into() };
    let copied = Reading { secret: "copied".into(), ..reading() };
    seen.mine.copies.insert(copy, CopySeen { key_id: key(2), since: seen_with_it, lacked_at: None, at: NOW });
    consumers(&mut seen).workloads = vec![WorkloadSeen { reads: vec![copied.clone()], ..workload("web", None) }];
    consumers(&mut seen).pods = vec![PodSeen { reads: vec![copied], ..pod("web-1", Some("web"), ago("480h")) }];
    seen
}

#[test]
fn who_reads_a_copy_is_restarted_when_nodes_have_forgotten_what_was_in_it() {
    waits_for(&reading_a_copy(None), Reason::CopyBehind, "secret/copied");
    let seen = reading_a_copy(Some(ago("60s")));
    waits_for(&seen, Reason::Settling, "deployment/web: nodes to have forgotten what was in secret/copied");
    assert!(
        waits(&seen).iter().any(|wait| wait.until.is_some_and(|until| until <= ahead("34s"))),
        "{:?}",
        waits(&seen)
    );
    let seen = reading_a_copy(Some(ago("93s")));
    assert_eq!(next(&seen), Next::Do(Step::Roll { workload: web("web"), mark: key(2).to_string() }));
}

#[test]
fn an_annotation_that_was_given_before_a_copy_went_back_proves_nothing() {
    let mut seen = reading_a_copy(Some(ago("10m")));
    let annotated = workload("web", Some(2)).annotations;
    consumers(&mut seen).workloads[0].annotations.clone_from(&annotated);
    consumers(&mut seen).pods[0].annotations = annotated;
    consumers(&mut seen).pods[0].started_at = Some(ago("30m"));
    seen.mine.rolled.insert(web("web"), Rolled { mark: key(2).to_string(), since: ago("31m") });
    assert!(matches!(next(&seen), Next::Do(Step::Note { .. })), "{:?}", next(&seen));
    seen.mine.copies.values_mut().for_each(|copy| copy.lacked_at = Some(ago("11m")));
    waits_for(&seen, Reason::StragglersRemain, "pod/web-1 has been running since");
}

/// The second is the first that was ever published, a moment ago; the attempt before it came to nothing.
fn first_issue() -> Observation {
    let mut seen = alone(&json!({}));
    let mut given_up = record(&seen, 1, ago("1h"));
    (given_up.entry.stage, given_up.entry.abandoned_at) = (Stage::Abandoned, Some(ago("1m")));
    seen.records.list.insert(0, given_up);
    let first = entry(&mut seen, 2);
    (first.replaces, first.proven_at) = (None, None);
    (first.verified_at, first.published_at) = (Some(ago("31s") + SignedDuration::from_millis(600)), Some(ago("30s")));
    consumers(&mut seen).workloads = vec![workload("web", None)];
    consumers(&mut seen).pods[0].started_at = Some(ago("31s"));
    consumers(&mut seen).seen = SeenBy::Watch;
    seen
}

#[test]
fn whoever_starts_in_the_second_of_the_first_publication_has_it() {
    let mut seen = first_issue();
    assert!(matches!(next(&seen), Next::Do(Step::Note { .. })), "{:?}", next(&seen));
    consumers(&mut seen).pods[0].started_at = Some(ago("32s"));
    assert_eq!(next(&seen), Next::Do(Step::Roll { workload: web("web"), mark: key(2).to_string() }));
}

#[test]
fn where_something_may_have_been_published_before_nodes_are_given_time_to_forget_it() {
    let mut seen = first_issue();
    seen.records.list.remove(0);
    waits_for(&seen, Reason::Settling, "nodes to have forgotten what was published before");
}

#[test]
fn one_that_cannot_be_restarted_keeps_no_other_waiting() {
    let mut seen = published(&json!({}));
    let contested = Trouble::unsent(Service::Kubernetes, Reason::RolloutContested, "somebody keeps it".into(), "talk");
    let work = Step::Roll { workload: web("api"), mark: key(2).to_string() }.work();
    seen.mine.failing.insert(work, Failing { times: 9, last_at: NOW, trouble: contested });
    assert_eq!(next(&seen), Next::Do(Step::Roll { workload: web("job"), mark: key(2).to_string() }));
    consumers(&mut seen).workloads[1].progress.updated = 0;
    entry(&mut seen, 2).published_at = Some(ago("100s"));
    assert_eq!(next(&seen), Next::Do(Step::Roll { workload: web("web"), mark: key(2).to_string() }));
    consumers(&mut seen).workloads.pop();
    consumers(&mut seen).pods.pop();
    waits_for(&seen, Reason::RolloutContested, "somebody keeps it");
}

#[test]
fn a_change_that_its_controller_does_not_get_to_see_is_not_waited_for_as_long_as_a_restart() {
    let mut seen = published(&json!({}));
    consumers(&mut seen).workloads.truncate(1);
    consumers(&mut seen).pods.truncate(1);
    consumers(&mut seen).workloads[0].progress.observed = false;
    entry(&mut seen, 2).published_at = Some(ago("100s"));
    waits_for(&seen, Reason::RollingOut, "somebody else is changing it");
    entry(&mut seen, 2).published_at = Some(ago("123s"));
    assert!(matches!(next(&seen), Next::Do(Step::Roll { .. })), "{:?}", next(&seen));
    consumers(&mut seen).workloads[0].progress.updated = 0;
    waits_for(&seen, Reason::RollingOut, "somebody else is changing it");
}

#[test]
fn where_no_watch_shows_anything_the_namespace_is_listed_so_that_the_fault_is_told() {
    let mut seen = published(&json!({}));
    seen.consumers = None;
    assert!(matches!(next(&seen), Next::Do(Step::WatchConsumers { .. })), "{:?}", next(&seen));
    (seen.mine.watching, seen.mine.unread_since) = (true, Some(ago("29s")));
    waits_for(&seen, Reason::RollingOut, "the workloads and pods of the namespace to be read");
    seen.mine.unread_since = Some(ago("30s"));
    assert_eq!(next(&seen), Next::Do(Step::ReadConsumers));
}
