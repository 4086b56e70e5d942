//! Attending to a namespace: what happens to its pods and workloads is heard of, as long as somebody needs it.

use std::collections::BTreeSet;

use keywright::{
    api::consumers::WorkloadKind,
    cluster::attend::{Attended, Interest},
    facts::{Consumers, Maker, SeenBy, WorkloadId},
};
use keywright_sandbox::{KUBERNETES, Rule};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::place::{PATIENCE, Place, yes};

const KEY: &str = "keywright.dev/payments-api";

fn interest(secret: &str) -> Interest {
    Interest { secrets: BTreeSet::from([secret.to_owned()]), ..Interest::default() }
}

/// Who attends, and the names of those who are woken.
fn attended(place: &Place) -> (Attended, UnboundedReceiver<String>) {
    let (say, heard) = unbounded_channel();
    let wake = move |namespace: &str, resource: &str| drop(say.send(format!("{namespace}/{resource}")));
    (Attended::new(&place.way, &place.workloads, wake), heard)
}

async fn woken(heard: &mut UnboundedReceiver<String>) -> Option<String> {
    tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap()
}

/// What is there when, after somebody was woken, it is so.
async fn until(
    place: &Place,
    attended: &Attended,
    heard: &mut UnboundedReceiver<String>,
    is_so: impl Fn(&Consumers) -> bool,
) -> Consumers {
    loop {
        if let Some(consumers) = attended.consumers(&place.namespace).filter(&is_so) {
            return consumers;
        }
        assert_eq!(woken(heard).await, Some(format!("{}/payments-api", place.namespace)));
    }
}

pub async fn whoever_attends_hears_of_what_concerns_them(place: Place) {
    let (attended, mut heard) = attended(&place);
    let attending = attended.attend(&place.namespace, "payments-api", interest("payments-api"));
    assert_eq!(attended.consumers(&place.namespace), None, "nothing was read yet");
    let first = until(&place, &attended, &mut heard, |_| true).await;
    assert_eq!(first, Consumers { seen: SeenBy::Watch, workloads: vec![], pods: vec![], schedules: vec![] });
    let other = attended.attend(&place.namespace, "other", interest("other"));

    place.somebody_deploys("web", "payments-api").await;
    let id = WorkloadId { kind: WorkloadKind::Deployment, name: "web".into() };
    let there = |seen: &Consumers| seen.workloads.iter().any(|one| one.progress.total == 1) && seen.pods.len() == 1;
    let seen = until(&place, &attended, &mut heard, there).await;
    assert_eq!((&seen.workloads[0].id, &seen.pods[0].maker), (&id, &Some(Maker::Workload(id.clone()))));
    assert_eq!(seen.pods[0].reads, seen.workloads[0].reads);
    let listed = place.workload("web").await.unwrap();
    assert_eq!(seen.workloads[0].uid, listed.uid);

    yes(place.workloads.roll(&place.namespace, &listed, &place.owner(), (KEY, "1")).await);
    let rolled = |seen: &Consumers| seen.pods.iter().any(|pod| pod.annotations.get(KEY).is_some_and(|key| key == "1"));
    until(&place, &attended, &mut heard, rolled).await;

    drop((attending, other));
    assert_eq!(attended.consumers(&place.namespace), None);
    drop(attended);
    while let Some(name) = woken(&mut heard).await {
        assert_eq!(name, format!("{}/payments-api", place.namespace));
    }
    // Nobody is left who could say anything: the watches have ended.
}

pub async fn a_watch_that_breaks_off_misses_nothing(place: Place) {
    let pods = format!("/api/v1/namespaces/{}/pods", place.namespace);
    let deployments = format!("/apis/apps/v1/namespaces/{}/deployments", place.namespace);
    place.proxy.faults().add(Rule::at(KUBERNETES, "list", &deployments).times(1).answer(500));
    place.proxy.faults().add(Rule::at(KUBERNETES, "watch", &pods).times(1).cut_before());
    place.proxy.faults().add(Rule::at(KUBERNETES, "watch", &deployments).times(1).answer(410));
    let (attended, mut heard) = attended(&place);
    let _attending = attended.attend(&place.namespace, "payments-api", interest("payments-api"));
    place.somebody_deploys("web", "payments-api").await;
    let there = |seen: &Consumers| seen.workloads.len() == 1 && seen.pods.len() == 1;
    until(&place, &attended, &mut heard, there).await;
}
