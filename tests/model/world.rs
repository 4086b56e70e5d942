//! What there is: an application in two replicas, a vault entry, one or two clusters with operators and pods. Small enough
//! to be looked at in every state that it can get into.

use std::rc::Rc;

use jiff::Timestamp;
use keywright::{
    api::{KeyId, grant::CredentialKind},
    facts::{Application, Credential, Entry, Mark, Nonce, ObjectId, Sequence, Usage},
    plan::Step,
};
use uuid::Uuid;

use super::{
    cluster::{Cluster, Copy, Etcd, Pod, Published},
    operator::Operator,
    scene::Who,
    town::{Fault, Town},
};

/// How long it takes at the most until every replica of Entra has heard of a change.
pub const LAG: i64 = 5;

/// A credential, by its place in the list of all that ever were.
pub type Key = usize;

/// Everything.
#[derive(Clone)]
pub struct World {
    pub now: i64,
    /// Whether the time of day makes a difference, and not only how long ago something was.
    pub calendar: bool,
    pub graph: Vec<Minted>,
    pub clusters: Vec<Cluster>,
    pub vault: Option<Copy>,
    /// Somebody outside of every cluster who uses the credential.
    pub outside: Option<Outside>,
    pub operators: Vec<Rc<Operator>>,
    pub late: Vec<Late>,
    pub uids: u8,
    pub versions: u8,
    /// Until when a policy blocks every sign-in, at the latest.
    pub blocked: Option<i64>,
    pub history: History,
    /// Since when every target carries a valid credential of ours that is not due, if they do.
    pub served_since: Option<i64>,
    /// Since when a record says that a valid credential is published that is not due.
    pub published_since: Option<i64>,
    /// Since when everybody has the last credential that is published, and which it is.
    pub everybody_since: Option<(Key, i64)>,
    /// How many faults there have been.
    pub faults: usize,
    /// What should never have happened.
    pub broken: Option<String>,
}

/// What people have done that excuses something.
#[derive(Clone, Default)]
pub struct History {
    pub restored: bool,
    pub record_deleted: Option<i64>,
    pub forged: bool,
    /// When an earlier credential was last put back, by a person or with etcd.
    pub put_back: Option<i64>,
    pub revoked: Vec<Key>,
}

/// A credential of the application, gone or not.
#[derive(Clone)]
pub struct Minted {
    pub name: String,
    pub mark: Option<Mark>,
    pub added: i64,
    pub ends: Option<i64>,
    pub removed: Option<i64>,
    /// When somebody last signed in with it, where a report tells of that.
    pub used: Option<i64>,
}

/// A holder outside: what it has is what somebody has given it.
#[derive(Clone)]
pub struct Outside {
    pub holds: Key,
    /// What somebody has said that it has.
    pub confirmed: Option<Key>,
}

/// An effect that was sent, whose answer was lost, and that may still land.
#[derive(Clone)]
pub struct Late {
    pub who: usize,
    pub step: Rc<Step>,
    pub by: i64,
}

/// The time of the API server.
pub fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_248_000 + second).unwrap()
}

/// The same as the model counts.
pub fn second(time: Timestamp) -> i64 {
    time.as_second() - 1_795_248_000
}

/// The first whole second that is not before a time.
pub fn not_before(time: Timestamp) -> i64 {
    second(time) + i64::from(time.subsec_nanosecond() > 0)
}

/// The ID of a credential.
pub fn key_id(key: Key) -> KeyId {
    KeyId(Uuid::from_u128(key as u128 + 1))
}

/// The credential of an ID.
pub fn key_of(id: KeyId) -> Key {
    usize::try_from(id.0.as_u128()).unwrap() - 1
}

/// The credential that a record keeps.
pub fn kept_key(entry: &Entry) -> Option<Key> {
    entry.kept.as_ref().map(|kept| key_of(kept.key_id))
}

impl World {
    /// Nothing has happened yet, or one credential is published; two on the application are none of our business.
    pub fn new(town: &Town) -> Self {
        let other = Mark { owner: town.stranger.clone(), sequence: Sequence(1), nonce: Nonce::of([255; 10]) };
        let foreign = |name: String| Minted { name, mark: None, added: -1000, ends: None, removed: None, used: None };
        let mut world = Self {
            now: 0,
            calendar: town.rotation.is_some_and(|rotation| rotation.window.is_some()),
            graph: vec![foreign("made by hand".into()), foreign(other.display_name("other", "api"))],
            clusters: vec![Cluster::default(); town.clusters],
            vault: None,
            outside: None,
            operators: (0..town.operators).map(|who| Rc::new(Operator::down(who, who % town.clusters))).collect(),
            late: vec![],
            uids: 0,
            versions: 0,
            blocked: None,
            history: History::default(),
            served_since: None,
            published_since: None,
            everybody_since: None,
            faults: 0,
            broken: None,
        };
        if let Some(scene) = &town.rotation {
            scene.set(town, &mut world);
        }
        world.start(town, 0); // which of them begins makes no difference
        world
    }

    /// Remember that a promise was broken; the first counts.
    pub fn breaks(&mut self, what: impl Into<String>) {
        self.broken.get_or_insert_with(|| what.into());
    }

    /// The cluster of an operator.
    pub fn cluster(&self, who: usize) -> &Cluster {
        &self.clusters[self.operators[who].at]
    }

    /// What is in the etcd of an operator's cluster.
    pub fn etcd(&self, who: usize) -> &Etcd {
        &self.cluster(who).etcd
    }

    /// Whether a credential is there, whatever a replica may say.
    pub fn lives(&self, key: Key) -> bool {
        self.graph[key].removed.is_none() && self.graph[key].ends.is_none_or(|at| at > self.now)
    }

    /// Whether we have removed a credential.
    pub fn is_removed_by_us(&self, key: Key) -> bool {
        self.graph[key].removed.is_some() && !self.history.revoked.contains(&key)
    }

    /// Whether we have removed a credential that would have signed somebody in.
    pub fn is_cut_short_by_us(&self, key: Key) -> bool {
        let Minted { removed, ends, .. } = self.graph[key];
        self.is_removed_by_us(key) && ends.is_none_or(|end| removed < Some(end))
    }

    /// Whether a replica shows a credential: the first knows everything at once, the second when it must.
    pub fn shows(&self, replica: usize, key: Key) -> bool {
        let heard = |at: i64| replica == 0 || self.now >= at + LAG;
        let minted = &self.graph[key];
        heard(minted.added) && !minted.removed.is_some_and(heard)
    }

    /// The replicas whose answers differ, of which any may answer.
    pub fn replicas(&self, key: Option<Key>) -> usize {
        let keys = key.map_or(0..self.graph.len(), |key| key..key + 1);
        if keys.into_iter().all(|key| self.shows(0, key) == self.shows(1, key)) { 1 } else { 2 }
    }

    /// The application as a replica shows it.
    pub fn application(&self, replica: usize) -> Application {
        let shown = (0..self.graph.len()).filter(|key| self.shows(replica, *key));
        let credentials = shown.map(|key| Credential {
            key_id: key_id(key),
            kind: CredentialKind::ClientSecret,
            display_name: Some(self.graph[key].name.clone()),
            hint: None,
            start: Some(time(self.graph[key].added)),
            end: self.graph[key].ends.map(time),
        });
        Application { object_id: ObjectId(Uuid::nil()), most_secrets: None, credentials: credentials.collect() }
    }

    /// What a report says of sign-ins: as late as anything of Entra's, and of those who go on, that they did until then.
    pub fn usage(&self) -> Usage {
        let known = self.now - LAG;
        let last = |(key, one): (Key, &Minted)| {
            let at = one.used?.min(known);
            (at >= one.added).then(|| (key_id(key), time(at)))
        };
        Usage(self.graph.iter().enumerate().filter_map(last).collect())
    }

    /// Note since when things have been well.
    pub fn note_service(&mut self, town: &Town) {
        if town.rotation.is_some_and(|rotation| rotation.outside == Who::Reported) {
            let held: Vec<Key> = self.holders().map(|(_, key)| key).filter(|key| self.lives(*key)).collect();
            for key in held {
                self.graph[key].used = Some(self.now);
            }
        }
        let good = |key: Key| self.lives(key) && !town.is_due(&self.graph[key], self.now);
        let copies = self.clusters.iter().map(|one| one.etcd.secret.as_ref().map(|secret| &secret.copy));
        let valid = copies.chain([self.vault.as_ref()]).flatten().filter(|copy| !copy.edited && good(copy.key)).count();
        let wanted = if town.clusters == 1 { town.targets.len() } else { usize::MAX };
        let published = self.clusters.iter().any(|one| one.etcd.published_key().is_some_and(good));
        self.published_since = self.published_since.or(Some(self.now)).filter(|_| published);
        self.served_since = self.served_since.or(Some(self.now)).filter(|_| valid == wanted);
        let last = self.clusters[0].etcd.published_key().filter(|last| self.holders().all(|(_, key)| key == *last));
        let before = self.everybody_since.filter(|(key, _)| Some(*key) == last);
        self.everybody_since = before.or_else(|| last.map(|key| (key, self.now)));
    }

    /// Everybody who holds a credential, and which. Whoever has started with something scribbled holds none.
    pub fn holders(&self) -> impl Iterator<Item = (Holder, Key)> {
        let pods = self.clusters.iter().enumerate();
        let pods = pods
            .flat_map(|(at, cluster)| cluster.pods.iter().filter_map(move |pod| Some((Holder::Pod(at), pod.holds?))));
        pods.chain(self.outside.iter().map(|outside| (Holder::Outside, outside.holds)))
    }

    /// Those of our credentials that are there.
    pub fn ours(&self) -> impl Iterator<Item = (Key, &Mark)> {
        let minted = self.graph.iter().enumerate().filter(|(_, one)| one.removed.is_none());
        minted.filter_map(|(key, one)| Some((key, one.mark.as_ref()?)))
    }

    /// Something that everybody watches is about to change in an etcd: the operators of that cluster hear of it.
    pub fn change_etcd(&mut self, town: &Town, at: usize) -> &mut Etcd {
        let before = &self.clusters[at];
        let restorable = town.allows(Fault::Restore) && !self.history.restored && !town.only_one_backup();
        if restorable && !before.backups.contains(&before.etcd) {
            let backup = Rc::clone(&before.etcd);
            self.clusters[at].backups.push(backup);
        }
        self.tell(at, |_| true);
        Rc::make_mut(&mut self.clusters[at].etcd)
    }

    /// Change the pods of a cluster: those who watch them hear of it.
    pub fn change_pods(&mut self, town: &Town, at: usize, change: impl FnOnce(&mut Vec<Pod>)) {
        self.tell(at, |operator| operator.watching);
        let cluster = &mut self.clusters[at];
        cluster.pods_before = town.allows(Fault::OldNews).then(|| Rc::clone(&cluster.pods));
        change(Rc::make_mut(&mut cluster.pods));
    }

    /// Change the annotation in the template of a workload.
    pub fn set_template(&mut self, town: &Town, at: usize, place: usize, mark: Option<Rc<str>>) {
        self.change_pods(town, at, |_| {});
        Rc::make_mut(&mut self.clusters[at].etcd).templates[place] = mark;
    }

    /// The resource itself has changed.
    pub fn tell_everybody(&mut self) {
        for at in 0..self.clusters.len() {
            self.tell(at, |_| true);
        }
    }

    fn tell(&mut self, at: usize, whom: impl Fn(&Operator) -> bool) {
        for operator in &mut self.operators {
            if operator.at == at && !operator.told && !operator.is_down() && whom(operator) {
                Rc::make_mut(operator).told = true;
            }
        }
    }

    /// Change the Secret; kubelets show the old one for a while.
    pub fn set_secret(&mut self, town: &Town, at: usize, secret: Option<(u8, Copy)>) {
        let before = self.clusters[at].etcd.secret.as_ref().map(|secret| secret.copy.value());
        let (now, until) = (self.now, self.now + town.settle());
        let cluster = &mut self.clusters[at];
        cluster.cached.retain(|(_, until)| *until > now);
        if let Some(before) = before.filter(|_| town.may_start(cluster)) {
            cluster.cached.retain(|(key, _)| *key != before);
            cluster.cached.push((before, until));
        }
        self.versions += 1;
        let version = self.versions;
        self.change_etcd(town, at).secret = secret.map(|(uid, copy)| Published { uid, version, copy });
    }
}

/// Who holds a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A pod of this cluster.
    Pod(usize),
    /// Somebody outside.
    Outside,
}
