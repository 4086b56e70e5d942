//! What a pod's annotations ask of the sandbox: how its containers behave, since nothing really runs in them. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Pod;

use super::credential::{CERTIFICATE_FOLDER, Files, SECRET_FILE};

/// How long after its start a container is ready: `3s`, or `never`.
pub const READY_AFTER: &str = "sandbox.keywright.dev/ready-after";
/// After how long a container ends by itself, with success: `5s`. Without it, it runs until it is told to end.
pub const RUN_FOR: &str = "sandbox.keywright.dev/run-for";
/// How long an init container runs: `5s`. Without it, it ends at once.
pub const INIT_FOR: &str = "sandbox.keywright.dev/init-for";
/// How long a container goes on after it was told to end: `5s`, or `never`, and then it is killed with the grace period.
pub const ENDS_AFTER: &str = "sandbox.keywright.dev/ends-after";
/// Every change of the value crashes the running containers, which are restarted as the pod's restart policy says.
pub const RESTART: &str = "sandbox.keywright.dev/restart";
/// How often a container signs in: `2s`. Read when a container starts or its files change.
pub const SIGN_IN_EVERY: &str = "sandbox.keywright.dev/sign-in-every";

/// `start`: a container goes on with what it held first, whatever becomes of its files, until it is restarted, as
/// programs do that make their credential once with Microsoft's SDKs. Without it, files are read for each sign-in.
pub const READS_AT: &str = "sandbox.keywright.dev/reads-at";

/// How containers behave if their pod says nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    pub(crate) readiness: Duration,
    pub(crate) ends_after: Duration,
    pub(crate) sign_in_every: Duration,
}

/// How the containers of a pod behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// None is never.
    pub(crate) ready_after: Option<Duration>,
    pub(crate) run_for: Option<Duration>,
    pub(crate) init_for: Duration,
    /// None is never.
    pub(crate) ends_after: Option<Duration>,
    pub(crate) restart: Option<String>,
    pub(crate) sign_in_every: Duration,
    secret_file: Option<String>,
    certificate_folder: Option<String>,
    pub(crate) reads_once: bool,
    /// What was asked for, and cannot be understood.
    pub(crate) nonsense: Vec<String>,
}

impl Wishes {
    pub(crate) fn of(pod: &Pod, habits: Habits) -> Self {
        let annotations = pod.metadata.annotations.as_ref();
        let text = |name: &str| annotations.and_then(|all: &BTreeMap<String, String>| all.get(name)).cloned();
        let mut nonsense = Vec::new();
        let mut time = |name: &str| {
            let asked = text(name)?;
            let understood = if asked == "never" { Some(None) } else { duration(&asked).map(Some) };
            if understood.is_none() {
                nonsense.push(format!("{name}: {asked:?} is no duration like 5s, 200ms or 2m, nor never"));
            }
            understood
        };
        let (ready_after, ends_after) = (time(READY_AFTER), time(ENDS_AFTER));
        let (run_for, init_for, every) = (time(RUN_FOR), time(INIT_FOR), time(SIGN_IN_EVERY));
        let reads_at = text(READS_AT);
        if let Some(odd) = reads_at.as_ref().filter(|at| *at != "start") {
            nonsense.push(format!("{READS_AT}: {odd:?} is no moment: it can be start"));
        }
        Self {
            ready_after: ready_after.unwrap_or(Some(habits.readiness)),
            ends_after: ends_after.unwrap_or(Some(habits.ends_after)),
            run_for: run_for.flatten(),
            init_for: init_for.flatten().unwrap_or_default(),
            sign_in_every: every.flatten().unwrap_or(habits.sign_in_every),
            restart: text(RESTART),
            secret_file: text(SECRET_FILE),
            certificate_folder: text(CERTIFICATE_FOLDER),
            reads_once: reads_at.as_deref() == Some("start"),
            nonsense,
        }
    }

    /// The files that it names.
    pub(crate) fn files(&self) -> Files<'_> {
        Files { secret: self.secret_file.as_deref(), certificate: self.certificate_folder.as_deref() }
    }
}

/// Longer than a year is not meant, and could not be added to a time.
const LONGEST: Duration = Duration::from_hours(366 * 24);

fn duration(text: &str) -> Option<Duration> {
    text.parse::<SignedDuration>().ok()?.try_into().ok().filter(|duration| *duration <= LONGEST)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HABITS: Habits = Habits {
        readiness: Duration::from_secs(1),
        ends_after: Duration::from_secs(2),
        sign_in_every: Duration::from_secs(3),
    };

    fn of(name: &str, value: &str) -> Wishes {
        Wishes::of(&serde_json::from_value(json!({"metadata": {"annotations": {name: value}}})).unwrap(), HABITS)
    }

    #[test]
    fn a_pod_that_says_nothing_has_the_habits_of_its_node() {
        let wishes = Wishes::of(&Pod::default(), HABITS);
        assert_eq!((wishes.ready_after, wishes.ends_after), (Some(HABITS.readiness), Some(HABITS.ends_after)));
        assert_eq!((wishes.run_for, wishes.sign_in_every), (None, HABITS.sign_in_every));
    }

    #[test]
    fn a_pod_may_read_its_files_once() {
        assert!(!of(RUN_FOR, "5s").reads_once && of(READS_AT, "start").reads_once);
        let odd = of(READS_AT, "noon");
        assert!(!odd.reads_once && odd.nonsense[0].starts_with(READS_AT), "{odd:?}");
        assert_eq!(of(CERTIFICATE_FOLDER, "/tls").files().certificate, Some("/tls"));
    }

    #[test]
    fn durations_and_never_are_understood_and_the_rest_is_told() {
        assert_eq!(of(READY_AFTER, "never").ready_after, None);
        assert_eq!(of(RUN_FOR, "200ms").run_for, Some(Duration::from_millis(200)));
        assert_eq!(of(ENDS_AFTER, "1m 5s").ends_after, Some(Duration::from_secs(65)));
        for nonsense in ["soon", "-5s", "", "99999999h"] {
            let wishes = of(READY_AFTER, nonsense);
            assert_eq!(wishes.ready_after, Some(HABITS.readiness));
            assert!(wishes.nonsense[0].starts_with(READY_AFTER), "{wishes:?}");
        }
    }
}
