//! What a kubelet would write into a pod's status: phase, conditions with the times of their last changes, and the
//! state of each container. Pure: a pod's life and the status before in, the status now out.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container as Spec, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::pod::{Container, Ended, Life, Part, Phase, State};

/// Where a pod is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) host_ip: String,
    pub(crate) pod_ip: String,
}

/// The status now. `pod` carries the status before.
pub(crate) fn status(life: &Life, pod: &Pod, place: &Place, now: Timestamp) -> PodStatus {
    let spec = pod.spec.as_ref();
    let (inits, mains) = life.containers();
    let of_inits = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let of_mains = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let inits: Vec<ContainerStatus> = statuses(of_inits, inits, 0, pod, life, now);
    let mains = statuses(of_mains, mains, of_inits.len(), pod, life, now);
    let address = life.is_mounted().then(|| place.pod_ip.clone());
    PodStatus {
        phase: Some(format!("{:?}", life.phase())),
        conditions: Some(conditions(life, pod, &inits, &mains, now)),
        start_time: Some(time(life.began)),
        host_ip: Some(place.host_ip.clone()),
        host_ips: Some(vec![HostIP { ip: place.host_ip.clone() }]),
        pod_ips: address.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip: address,
        init_container_statuses: (!inits.is_empty()).then_some(inits),
        container_statuses: Some(mains),
        observed_generation: pod.metadata.generation,
        ..PodStatus::default()
    }
}

/// Whether the API server tells of a pod what was written last; what others write does not count.
pub(crate) fn is_told(written: &PodStatus, told: &PodStatus) -> bool {
    let ours = |status: &PodStatus| {
        let states = (status.init_container_statuses.clone(), status.container_statuses.clone());
        (status.phase.clone(), status.pod_ip.clone(), states)
    };
    ours(written) == ours(told)
}

fn conditions(
    life: &Life,
    pod: &Pod,
    inits: &[ContainerStatus],
    mains: &[ContainerStatus],
    now: Timestamp,
) -> Vec<PodCondition> {
    let names = |unready: &[ContainerStatus]| {
        let names: Vec<&str> = unready.iter().filter(|status| !status.ready).map(|status| &*status.name).collect();
        names.join(" ")
    };
    let initialized = match life.phase() {
        Phase::Succeeded => Truth::Because("PodCompleted"),
        _ if life.is_initialized() => Truth::Yes,
        _ => Truth::No(
            "ContainersNotInitialized",
            Some(format!("containers with incomplete status: [{}]", names(inits))),
        ),
    };
    let is_sidecar = |(container, _): &(&Container, &ContainerStatus)| container.part == Part::Sidecar;
    let sidecars = life.containers().0.iter().zip(inits).filter(is_sidecar).map(|(_, status)| status.clone());
    let lasting: Vec<ContainerStatus> = sidecars.chain(mains.iter().cloned()).collect();
    let ready = match life.phase() {
        Phase::Succeeded => Truth::No("PodCompleted", None),
        Phase::Failed => Truth::No("PodFailed", None),
        _ if lasting.iter().all(|status| status.ready) => Truth::Yes,
        _ => Truth::No("ContainersNotReady", Some(format!("containers with unready status: [{}]", names(&lasting)))),
    };
    let before = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    vec![
        condition("PodScheduled", Truth::Yes, before, now),
        condition("Initialized", initialized, before, now),
        condition("ContainersReady", ready.clone(), before, now),
        condition("Ready", ready, before, now),
    ]
}

#[derive(Clone)]
enum Truth {
    Yes,
    Because(&'static str),
    No(&'static str, Option<String>),
}

fn condition(type_: &str, truth: Truth, before: &[PodCondition], now: Timestamp) -> PodCondition {
    let (status, reason, message) = match truth {
        Truth::Yes => ("True", None, None),
        Truth::Because(reason) => ("True", Some(reason.to_owned()), None),
        Truth::No(reason, message) => ("False", Some(reason.to_owned()), message),
    };
    let same = before.iter().find(|before| before.type_ == type_ && before.status == status);
    let since = same.and_then(|same| same.last_transition_time.clone()).unwrap_or_else(|| time(now));
    PodCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason,
        message,
        last_transition_time: Some(since),
        ..PodCondition::default()
    }
}

fn statuses(
    specs: &[Spec],
    containers: &[Container],
    first: usize,
    pod: &Pod,
    life: &Life,
    now: Timestamp,
) -> Vec<ContainerStatus> {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let one = |(number, (spec, container)): (usize, (&Spec, &Container))| {
        let Container { state, restarts, last, .. } = container;
        let image = spec.image.clone().unwrap_or_default();
        let has_run = last.is_some() || !matches!(state, State::Waiting { .. });
        ContainerStatus {
            name: spec.name.clone(),
            // No image is pulled, so any will do; what identifies a run is unique.
            image_id: if has_run { format!("sandbox://{image}") } else { String::new() },
            container_id: has_run.then(|| format!("sandbox://{uid}/{}/{restarts}", spec.name)),
            image,
            ready: life.is_ready(first + number, now),
            started: Some(matches!(state, State::Running { .. })),
            restart_count: *restarts,
            state: Some(self::state(state, life.containers().0.is_empty())),
            last_state: Some(last.map(terminated).unwrap_or_default()),
            ..ContainerStatus::default()
        }
    };
    specs.iter().zip(containers).enumerate().map(one).collect()
}

/// `is_simple`: there are no init containers to wait for.
fn state(state: &State, is_simple: bool) -> ContainerState {
    match state {
        State::Waiting { problem, .. } => {
            let (reason, message) = match problem {
                Some(problem) => (problem.reason, Some(problem.message.clone())),
                None if is_simple => ("ContainerCreating", None),
                None => ("PodInitializing", None),
            };
            let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message };
            ContainerState { waiting: Some(waiting), ..ContainerState::default() }
        }
        State::Running { since } => {
            let running = ContainerStateRunning { started_at: Some(time(*since)) };
            ContainerState { running: Some(running), ..ContainerState::default() }
        }
        State::Ended(ended) => terminated(*ended),
    }
}

fn terminated(Ended { code, started, at }: Ended) -> ContainerState {
    let terminated = ContainerStateTerminated {
        exit_code: code,
        reason: Some(if code == 0 { "Completed" } else { "Error" }.to_owned()),
        started_at: Some(time(started)),
        finished_at: Some(time(at)),
        ..ContainerStateTerminated::default()
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

/// The API knows whole seconds; what is compared with its answers must not know more.
fn time(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::super::pod::Deed;
    use super::super::wishes::Habits;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn born(spec: &Value) -> (Life, Pod) {
        let pod = json!({"metadata": {"name": "web-0", "uid": "u"}, "spec": spec});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let second = Duration::from_secs(1);
        let habits = Habits { readiness: second, ends_after: second, sign_in_every: second };
        (Life::new(&pod, habits, second, at(0)), pod)
    }

    fn told(life: &Life, pod: &Pod, now: i64) -> Value {
        let place = Place { host_ip: "10.0.0.1".into(), pod_ip: "10.244.0.1".into() };
        serde_json::to_value(status(life, pod, &place, at(now))).unwrap()
    }

    fn remember(pod: &mut Pod, told: &Value) {
        pod.status = serde_json::from_value(told.clone()).unwrap();
    }

    fn does(life: &mut Life, now: i64) {
        while let Some(deed) = life.next(at(now)) {
            match deed {
                Deed::Mount => life.mounted(true, at(now)),
                Deed::Start(number) => life.started(number, Ok(()), at(now)),
                Deed::Stop(_) | Deed::Delete => {}
            }
        }
    }

    /// `Ready=False ContainersNotReady, since 1970-01-01T00:00:00Z`
    fn said(told: &Value, condition: &str) -> String {
        let conditions = told["conditions"].as_array().unwrap();
        let found = conditions.iter().find(|found| found["type"] == condition).unwrap();
        let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", text("status"), text("reason"), text("lastTransitionTime"))
    }

    #[test]
    fn a_pod_becomes_ready_step_by_step() {
        let (mut life, mut pod) = born(&json!({"containers": [{"name": "app", "image": "busybox"}]}));
        let first = told(&life, &pod, 0);
        assert_eq!((&first["phase"], &first["podIP"]), (&json!("Pending"), &Value::Null));
        assert_eq!(first["containerStatuses"][0]["state"]["waiting"]["reason"], "ContainerCreating");
        assert_eq!(said(&first, "Ready"), "False ContainersNotReady 1970-01-01T00:00:00Z");
        remember(&mut pod, &first);

        does(&mut life, 5);
        let second = told(&life, &pod, 5);
        assert_eq!((&second["phase"], &second["podIP"]), (&json!("Running"), &json!("10.244.0.1")));
        assert_eq!(second["containerStatuses"][0]["state"]["running"]["startedAt"], "1970-01-01T00:00:05Z");
        assert_eq!(said(&second, "Ready"), "False ContainersNotReady 1970-01-01T00:00:00Z", "it has not changed");
        remember(&mut pod, &second);

        let third = told(&life, &pod, 6);
        assert_eq!(said(&third, "Ready"), "True  1970-01-01T00:00:06Z");
        assert_eq!(said(&third, "Initialized"), "True  1970-01-01T00:00:00Z");
        assert_eq!(third["containerStatuses"][0]["ready"], true);
    }

    #[test]
    fn what_keeps_a_container_from_running_is_told() {
        let (mut life, pod) = born(&json!({"containers": [{"name": "app"}]}));
        life.mounted(true, at(0));
        life.started(0, Err("secret \"s\" not found".into()), at(0));
        let waiting = told(&life, &pod, 0)["containerStatuses"][0]["state"]["waiting"].clone();
        assert_eq!(waiting, json!({"reason": "CreateContainerConfigError", "message": "secret \"s\" not found"}));
    }

    #[test]
    fn containers_wait_for_init_containers() {
        let spec = json!({"initContainers": [{"name": "first"}], "containers": [{"name": "app"}]});
        let (mut life, pod) = born(&spec);
        let first = told(&life, &pod, 0);
        assert_eq!(first["initContainerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
        assert_eq!(first["containerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
        assert_eq!(said(&first, "Initialized"), "False ContainersNotInitialized 1970-01-01T00:00:00Z");
        does(&mut life, 1);
        let second = told(&life, &pod, 1);
        assert_eq!(second["initContainerStatuses"][0]["state"]["terminated"]["exitCode"], 0);
        assert_eq!(said(&second, "Initialized"), "True  1970-01-01T00:00:01Z");
    }

    #[test]
    fn what_the_api_tells_is_recognised() {
        let (life, pod) = born(&json!({"containers": [{"name": "app"}]}));
        let written = told(&life, &pod, 0);
        let mut answered = written.clone();
        answered["qosClass"] = json!("BestEffort");
        let read = |status: &Value| serde_json::from_value(status.clone()).unwrap();
        assert!(is_told(&read(&written), &read(&answered)));
        answered["phase"] = json!("Running");
        assert!(!is_told(&read(&written), &read(&answered)));
    }
}
