//! The rules of a pod's life, each as a sequence of deeds.

use serde_json::{Value, json};

use super::*;

const HABITS: Habits = Habits {
    readiness: Duration::from_secs(1),
    ends_after: Duration::from_secs(2),
    sign_in_every: Duration::from_secs(3),
};
const RETRY: Duration = Duration::from_secs(1);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000 + second).unwrap()
}

/// A pod with one container, and these fields of its metadata and spec.
fn pod(metadata: &Value, spec: &Value) -> Pod {
    let mut pod = json!({"metadata": {"name": "web-0"}, "spec": {"containers": [{"name": "app"}]}});
    for (part, more) in [("metadata", metadata), ("spec", spec)] {
        pod[part].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    serde_json::from_value(pod).unwrap()
}

fn annotated(name: &str, value: &str) -> Value {
    json!({"annotations": {name: value}})
}

fn deleted(grace: i64, annotations: &Value) -> Pod {
    let metadata = json!({
        "deletionTimestamp": "2026-11-21T08:00:00Z", "deletionGracePeriodSeconds": grace, "annotations": annotations,
    });
    pod(&metadata, &json!({}))
}

fn life(metadata: &Value, spec: &Value) -> Life {
    Life::new(&pod(metadata, spec), HABITS, RETRY, at(0))
}

/// Does all that is to be done, successfully.
fn does(life: &mut Life, now: Timestamp) -> Vec<Deed> {
    let mut done = vec![];
    while let Some(deed) = life.next(now) {
        match deed {
            Deed::Mount => life.mounted(true, now),
            Deed::Start(number) => life.started(number, Ok(()), now),
            Deed::Stop(_) => {}
            Deed::Delete => life.deleted(true, now),
        }
        done.push(deed);
    }
    done
}

#[test]
fn volumes_come_first_and_readiness_after_a_while() {
    let mut life = life(&json!({}), &json!({}));
    assert_eq!((life.phase(), does(&mut life, at(0))), (Phase::Pending, vec![Deed::Mount, Deed::Start(0)]));
    assert_eq!((life.phase(), life.is_ready(0, at(0)), life.wake_at(at(0))), (Phase::Running, false, Some(at(1))));
    assert_eq!((life.is_ready(0, at(1)), life.wake_at(at(1))), (true, None));
}

#[test]
fn a_container_may_never_be_ready() {
    let mut life = life(&annotated(super::super::READY_AFTER, "never"), &json!({}));
    does(&mut life, at(0));
    assert_eq!((life.is_ready(0, at(1_000_000)), life.wake_at(at(0))), (false, None));
}

#[test]
fn init_containers_run_one_after_the_other() {
    let spec = json!({"initContainers": [{"name": "one"}, {"name": "two"}]});
    let mut life = life(&annotated(super::super::INIT_FOR, "3s"), &spec);
    assert_eq!(does(&mut life, at(0)), [Deed::Mount, Deed::Start(0)]);
    assert_eq!((does(&mut life, at(2)), life.wake_at(at(2))), (vec![], Some(at(3))));
    assert_eq!(does(&mut life, at(3)), [Deed::Stop(0), Deed::Start(1)]);
    assert_eq!(life.phase(), Phase::Pending);
    assert_eq!(does(&mut life, at(6)), [Deed::Stop(1), Deed::Start(2)]);
    assert_eq!((life.phase(), life.is_initialized()), (Phase::Running, true));
}

#[test]
fn a_sidecar_runs_beside_the_others_and_ends_after_them() {
    let inits = json!([{"name": "proxy", "restartPolicy": "Always"}, {"name": "one"}]);
    let spec = json!({"initContainers": inits, "restartPolicy": "Never"});
    let mut life = life(&annotated(super::super::RUN_FOR, "5s"), &spec);
    assert_eq!(does(&mut life, at(0)), [Deed::Mount, Deed::Start(0), Deed::Start(1), Deed::Stop(1), Deed::Start(2)]);
    assert!(life.is_ready(0, at(1)) && life.is_ready(1, at(1)) && life.is_ready(2, at(1)));
    assert_eq!(does(&mut life, at(5)), [Deed::Stop(2), Deed::Stop(0)]);
    assert_eq!((life.phase(), life.next(at(9)), life.wake_at(at(9))), (Phase::Succeeded, None, None));
}

#[test]
fn a_sidecar_that_crashes_comes_back_and_nobody_waits_for_it() {
    let spec = json!({"initContainers": [{"name": "proxy", "restartPolicy": "Always"}], "restartPolicy": "OnFailure"});
    let mut life = life(&json!({}), &spec);
    does(&mut life, at(0));
    life.seen(&pod(&annotated(super::super::RESTART, "1"), &spec), HABITS, at(1));
    assert_eq!(does(&mut life, at(1)), [Deed::Stop(0), Deed::Stop(1), Deed::Start(0), Deed::Start(1)]);
    assert_eq!((life.phase(), life.is_initialized()), (Phase::Running, true));
}

#[test]
fn what_is_missing_is_looked_for_again() {
    let mut life = life(&json!({}), &json!({}));
    assert_eq!(life.next(at(0)), Some(Deed::Mount));
    life.mounted(false, at(0));
    assert_eq!((life.next(at(0)), life.wake_at(at(0))), (None, Some(at(1))));
    assert_eq!(life.next(at(1)), Some(Deed::Mount));
    life.mounted(true, at(1));
    assert_eq!(life.next(at(1)), Some(Deed::Start(0)));
    life.started(0, Err("secret \"s\" not found".into()), at(1));
    assert_eq!((life.next(at(1)), life.phase(), life.wake_at(at(1))), (None, Phase::Pending, Some(at(2))));
    assert_eq!(does(&mut life, at(2)), [Deed::Start(0)]);
}

#[test]
fn a_deleted_pod_goes_on_until_it_ends_by_itself() {
    let mut life = life(&json!({}), &json!({}));
    does(&mut life, at(0));
    life.seen(&deleted(30, &json!({})), HABITS, at(10));
    assert_eq!((does(&mut life, at(11)), life.wake_at(at(11))), (vec![], Some(at(12))));
    assert_eq!(does(&mut life, at(12)), [Deed::Stop(0), Deed::Delete]);
    assert_eq!((life.next(at(13)), life.wake_at(at(13))), (None, None));
}

#[test]
fn a_stubborn_container_is_killed_with_the_grace_period_which_can_be_shortened() {
    let stubborn = json!({super::super::ENDS_AFTER: "never"});
    let mut life = life(&json!({"annotations": stubborn}), &json!({}));
    does(&mut life, at(0));
    life.seen(&deleted(30, &stubborn), HABITS, at(10));
    assert_eq!((does(&mut life, at(12)), life.wake_at(at(12))), (vec![], Some(at(40))));
    life.seen(&deleted(5, &stubborn), HABITS, at(20));
    life.seen(&deleted(60, &stubborn), HABITS, at(21));
    assert_eq!(life.wake_at(at(21)), Some(at(25)));
    assert_eq!(life.next(at(25)), Some(Deed::Stop(0)));
    assert_eq!((life.phase(), life.next(at(25))), (Phase::Failed, Some(Deed::Delete)));
    assert!(matches!(life.containers().1[0].state, State::Ended(Ended { code: 137, .. })));
}

#[test]
fn an_object_that_could_not_be_deleted_is_deleted_later() {
    let mut life = Life::new(&deleted(30, &json!({})), HABITS, RETRY, at(0));
    assert_eq!(life.next(at(0)), Some(Deed::Delete));
    life.deleted(false, at(0));
    assert_eq!((life.next(at(0)), life.wake_at(at(0))), (None, Some(at(1))));
    assert_eq!(life.next(at(1)), Some(Deed::Delete));
}

#[test]
fn a_job_runs_to_completion() {
    let mut life = life(&annotated(super::super::RUN_FOR, "5s"), &json!({"restartPolicy": "Never"}));
    does(&mut life, at(0));
    assert_eq!((does(&mut life, at(5)), life.phase()), (vec![Deed::Stop(0)], Phase::Succeeded));
    assert!(life.is_over() && !life.is_ready(0, at(9)));
    assert_eq!((life.next(at(99)), life.wake_at(at(99))), (None, None));
}

#[test]
fn what_always_restarts_backs_off() {
    let mut life = life(&annotated(super::super::RUN_FOR, "10s"), &json!({}));
    does(&mut life, at(0));
    assert_eq!(does(&mut life, at(10)), [Deed::Stop(0), Deed::Start(0)]);
    assert_eq!(does(&mut life, at(20)), [Deed::Stop(0)]);
    assert_eq!((life.phase(), life.wake_at(at(20))), (Phase::Running, Some(at(21))));
    assert_eq!(does(&mut life, at(21)), [Deed::Start(0)]);
    assert_eq!((does(&mut life, at(31)), life.wake_at(at(31))), (vec![Deed::Stop(0)], Some(at(33))));
    assert_eq!(life.containers().1[0].restarts, 3);
}

#[test]
fn a_restart_on_demand_is_a_crash_and_comes_at_once() {
    let mut life = life(&annotated(super::super::RESTART, "1"), &json!({}));
    does(&mut life, at(0));
    for (second, value) in [(1, "2"), (2, "3"), (3, "4")] {
        let asking = pod(&annotated(super::super::RESTART, value), &json!({}));
        life.seen(&asking, HABITS, at(second));
        life.seen(&asking, HABITS, at(second)); // seen again, it has not changed
        assert_eq!(does(&mut life, at(second)), [Deed::Stop(0), Deed::Start(0)]);
    }
    let container = &life.containers().1[0];
    assert_eq!((container.restarts, container.last.unwrap().code), (3, 1));
}

#[test]
fn a_crash_ends_what_never_restarts() {
    let never = json!({"restartPolicy": "Never"});
    let mut life = life(&json!({}), &never);
    does(&mut life, at(0));
    life.seen(&pod(&annotated(super::super::RESTART, "1"), &never), HABITS, at(1));
    assert_eq!((does(&mut life, at(1)), life.phase()), (vec![Deed::Stop(0)], Phase::Failed));
}

#[test]
fn what_had_ended_before_is_only_deleted() {
    let mut old = pod(&json!({}), &json!({}));
    old.status = serde_json::from_value(json!({"phase": "Succeeded"})).unwrap();
    let mut life = Life::new(&old, HABITS, RETRY, at(0));
    assert_eq!((life.next(at(0)), life.is_told()), (None, false));
    life.seen(&deleted(30, &json!({})), HABITS, at(1));
    assert_eq!(does(&mut life, at(1)), [Deed::Delete]);
}
