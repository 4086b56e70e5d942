//! One pod on its node: carries out what its life asks for, keeps its containers' hands filled with what they hold, and
//! writes its status. It decides nothing about the pod's life, and does not judge sign-ins. Dropping its task is what
//! SIGKILL would be: at that moment nothing is held any more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodStatus};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::cache::{Found, Source};
use super::credential::Credential;
use super::environment::{self, Environment};
use super::kubernetes::Kubernetes;
use super::pod::{Deed, Life};
use super::sign_in::{Door, Held, keep_signing_in};
use super::status::{self, Place};
use super::tokens::Tokens;
use super::volumes::{self, Mount, Volumes};
use super::wishes::Habits;
use crate::witness::{Witness, Witnesses};

/// A pod's object as the agent has seen it.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) pod: Arc<Pod>,
    /// How often the agent had begun to watch: what was listed anew may have forgotten what was written before.
    pub(crate) listing: u64,
}

/// What the pods of an agent share.
pub(crate) struct Household {
    pub(crate) habits: Habits,
    pub(crate) retry: Duration,
    pub(crate) volume_delay: Duration,
    pub(crate) token_life: Option<Duration>,
    pub(crate) door: Arc<Door>,
    pub(crate) witnesses: Witnesses,
}

/// One pod.
pub(crate) struct Keeper {
    household: Arc<Household>,
    kubernetes: Kubernetes,
    node: String,
    place: Place,
    seen: watch::Receiver<Seen>,
    listing: u64,
    pod: Pod,
    life: Life,
    sources: BTreeSet<Source>,
    /// What the volumes were made of.
    found: Found,
    volumes: Volumes,
    tokens: Tokens,
    refresh_at: Option<Timestamp>,
    hands: Vec<Option<Hands>>,
    written: Option<PodStatus>,
    /// When to write the status again, if it could not be written.
    report_at: Option<Timestamp>,
    said: Option<String>,
}

/// What a running container has.
struct Hands {
    who: Arc<Witness>,
    environment: Environment,
    mounts: Vec<Mount>,
    held: watch::Sender<Held>,
    _signs_in: AbortOnDropHandle<()>,
}

impl Keeper {
    pub(crate) fn new(
        household: Arc<Household>,
        kubernetes: Kubernetes,
        node: String,
        place: Place,
        mut seen: watch::Receiver<Seen>,
    ) -> Self {
        let Seen { pod, listing } = seen.borrow_and_update().clone();
        let life = Life::new(&pod, household.habits, household.retry, Timestamp::now());
        let sources = volumes::sources(&pod);
        let tokens = Tokens::of(&pod, household.token_life);
        let hands = containers(&pod).map(|_| None).collect();
        let mut keeper = Self {
            household,
            kubernetes,
            node,
            place,
            seen,
            listing,
            pod: Pod::default(),
            life,
            sources,
            found: Found::new(),
            volumes: Volumes::new(),
            tokens,
            refresh_at: None,
            hands,
            written: None,
            report_at: None,
            said: None,
        };
        keeper.adopt(&pod);
        keeper
    }

    /// Keeps the pod until the agent hears that it is gone, and drops this.
    pub(crate) async fn keep(mut self) {
        self.complain().await;
        loop {
            let now = Timestamp::now();
            while let Some(deed) = self.life.next(Timestamp::now()) {
                self.carry_out(deed).await;
            }
            if self.refresh_at.is_some_and(|at| at <= now) {
                self.refresh().await;
            }
            self.report().await;
            let now = Timestamp::now();
            let wakes = [self.life.wake_at(now), self.refresh_at, self.report_at];
            let pause =
                wakes.into_iter().flatten().min().map(|at| at.duration_since(now).max(jiff::SignedDuration::ZERO));
            tokio::select! {
                changed = self.seen.changed() => match changed {
                    Ok(()) => self.look().await,
                    Err(_) => return,
                },
                () = pass(pause.map(jiff::SignedDuration::unsigned_abs)) => {}
            }
        }
    }

    /// The pod's object has changed.
    async fn look(&mut self) {
        let Seen { pod, listing } = self.seen.borrow_and_update().clone();
        let nonsense = self.life.wishes.nonsense.clone();
        self.life.seen(&pod, self.household.habits, Timestamp::now());
        if listing != self.listing {
            self.listing = listing;
            let told = pod.status.clone().unwrap_or_default();
            self.written = self.written.take().filter(|written| status::is_told(written, &told));
        }
        self.adopt(&pod);
        if self.life.wishes.nonsense != nonsense {
            self.complain().await;
        }
        (0..self.hands.len()).for_each(|number| self.fill(number));
    }

    /// Others write spec and metadata, this node the status.
    fn adopt(&mut self, pod: &Pod) {
        let status = self.pod.status.take().or_else(|| pod.status.clone()).unwrap_or_default();
        let ips = (Some(self.place.host_ip.clone()), Some(self.place.pod_ip.clone()));
        self.pod = Pod { status: Some(PodStatus { host_ip: ips.0, pod_ip: ips.1, ..status }), ..pod.clone() };
    }

    async fn carry_out(&mut self, deed: Deed) {
        match deed {
            Deed::Mount => {
                let mounted = self.mount().await;
                self.life.mounted(mounted.is_ok(), Timestamp::now());
                if let Err(message) = mounted {
                    self.say("FailedMount", &message).await;
                }
            }
            Deed::Start(number) => {
                let started = self.start(number).await;
                self.life.started(number, started.clone(), Timestamp::now());
                if let Err(message) = started {
                    self.say("Failed", &format!("Error: {message}")).await;
                }
            }
            Deed::Stop(number) => {
                if let Some(hands) = self.hands[number].take() {
                    hands.let_go(Timestamp::now());
                }
            }
            Deed::Delete => {
                self.report().await;
                let deleted = self.kubernetes.delete(&self.pod).await;
                self.life.deleted(deleted.is_ok(), Timestamp::now());
            }
        }
    }

    async fn mount(&mut self) -> Result<(), String> {
        let (tokens, failure) = self.tokens.renewed(&self.kubernetes, &self.pod).await;
        self.found = self.kubernetes.read(&self.sources).await.map_err(|_| unsynced("secret"))?;
        let volumes = volumes::volumes(&self.pod, &self.found, &tokens);
        self.volumes = volumes.map_err(|why| format!("{why}{}", failure.unwrap_or_default()))?;
        let changes = !self.sources.is_empty() || !tokens.is_empty();
        self.refresh_at = changes.then(|| Timestamp::now() + self.household.volume_delay);
        Ok(())
    }

    async fn start(&mut self, number: usize) -> Result<(), String> {
        let Some(container) = containers(&self.pod).nth(number).cloned() else { return Ok(()) };
        let namespace = self.pod.metadata.namespace.clone().unwrap_or_default();
        let sources = environment::sources(&container, &namespace);
        let found = self.kubernetes.read(&sources).await.map_err(|_| unsynced("secret"))?;
        let environment = environment::environment(&container, &self.pod, &found)?;
        let mounts = volumes::mounts(&container, &self.volumes);
        let (held, holds) = watch::channel(Held { credential: None, every: self.life.wishes.sign_in_every });
        let who = Witness {
            namespace,
            pod: self.pod.metadata.name.clone().unwrap_or_default(),
            uid: self.pod.metadata.uid.clone().unwrap_or_default(),
            node: self.node.clone(),
            container: container.name,
        };
        let signs_in = tokio::spawn(keep_signing_in(Arc::clone(&self.household.door), holds));
        let signs_in = AbortOnDropHandle::new(signs_in);
        self.hands[number] = Some(Hands { who: Arc::new(who), environment, mounts, held, _signs_in: signs_in });
        self.fill(number);
        Ok(())
    }

    /// Brings the volumes up to date, and what containers read from them. What cannot be read now stays.
    async fn refresh(&mut self) {
        self.refresh_at = Some(Timestamp::now() + self.household.volume_delay);
        if self.life.is_over() || !self.life.runs() {
            return;
        }
        let (tokens, _) = self.tokens.renewed(&self.kubernetes, &self.pod).await;
        let Ok(found) = self.kubernetes.read(&self.sources).await else { return };
        if self.tokens.are_new() || !are_same(&found, &self.found) {
            self.volumes = volumes::refreshed(&self.volumes, &self.pod, &found, &tokens);
            self.found = found;
            (0..self.hands.len()).for_each(|number| self.fill(number));
        }
    }

    /// Puts into a running container's hands what it holds now.
    fn fill(&mut self, number: usize) {
        let Some(hands) = &self.hands[number] else { return };
        let every = self.life.wishes.sign_in_every;
        if self.life.wishes.reads_once && hands.holds_something() {
            return hands.held.send_modify(|held| held.every = every);
        }
        let read = |path: &str| volumes::read(&hands.mounts, &self.volumes, path);
        let credential = Credential::of(&hands.environment, self.life.wishes.files(), read);
        hands.hold(credential, every, &self.household.witnesses, Timestamp::now());
    }

    /// Writes the status, if it is not what was written before.
    async fn report(&mut self) {
        let now = Timestamp::now();
        if !self.life.is_told() || self.report_at.is_some_and(|at| now < at) {
            return;
        }
        self.report_at = None;
        let status = status::status(&self.life, &self.pod, &self.place, now);
        if self.written.as_ref() == Some(&status) {
            return;
        }
        match self.kubernetes.write_status(&self.pod, &status).await {
            Ok(()) => {
                self.pod.status = Some(PodStatus {
                    host_ip: Some(self.place.host_ip.clone()),
                    pod_ip: Some(self.place.pod_ip.clone()),
                    ..status.clone()
                });
                self.written = Some(status);
            }
            Err(error) => {
                tracing::debug!("the status of a pod could not be written: {error}");
                self.report_at = Some(now + self.household.retry);
            }
        }
    }

    async fn complain(&mut self) {
        for nonsense in self.life.wishes.nonsense.clone() {
            self.say("InvalidAnnotation", &nonsense).await;
        }
    }

    /// A warning that is not the one before.
    async fn say(&mut self, reason: &str, message: &str) {
        if self.said.as_deref() != Some(message) {
            self.said = Some(message.to_owned());
            self.kubernetes.warn(&self.pod, &self.node, reason, message).await;
        }
    }
}

impl Hands {
    fn holds_something(&self) -> bool {
        self.held.borrow().credential.is_some()
    }

    fn hold(&self, credential: Option<Credential>, every: Duration, witnesses: &Witnesses, now: Timestamp) {
        self.held.send_if_modified(|held| {
            let before = held.credential.as_ref().map(|(credential, _)| &**credential);
            if before == credential.as_ref() {
                held.every = every;
                return false;
            }
            if let (Some((before, testimony)), Some(now)) = (&held.credential, &credential)
                && before.presented() == now.presented()
            {
                // A token that was issued anew: whoever compares sees the same credential, without a gap.
                let same = (Arc::new(now.clone()), Arc::clone(testimony));
                *held = Held { credential: Some(same), every };
                return true;
            }
            if let Some((_, testimony)) = &held.credential {
                testimony.ends(now);
            }
            let testify = |credential: Credential| {
                let testimony = witnesses.holds(Arc::clone(&self.who), credential.presented(), now);
                (Arc::new(credential), Arc::new(testimony))
            };
            *held = Held { credential: credential.map(testify), every };
            true
        });
    }

    /// What is under way is broken off, as with a process that is killed.
    fn let_go(self, now: Timestamp) {
        if let Some((_, testimony)) = &self.held.borrow().credential {
            testimony.ends(now);
        }
    }
}

/// Init containers first, as in the pod's life.
fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let inits = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    inits.chain(pod.spec.iter().flat_map(|spec| &spec.containers))
}

/// The kubelet's words when the API server does not answer.
fn unsynced(kind: &str) -> String {
    format!("failed to sync {kind} cache: timed out waiting for the condition")
}

/// The cache gives what has not changed from the same allocation.
fn are_same(one: &Found, other: &Found) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|((a, one), (b, other))| a == b && Arc::ptr_eq(one, other))
}

/// Waits so long, or for ever.
async fn pass(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
