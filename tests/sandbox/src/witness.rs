//! What pods have seen: who held which credential from when to when, and what came of every sign-in with it. A secret
//! is known by its fingerprint only, so that testimonies can be printed and searched. It judges nothing: whose doing
//! a refusal was is for the ledger to say.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aws_lc_rs::digest;
use jiff::Timestamp;
use tokio::sync::watch;

/// What is left of a secret value: its SHA-256. It is shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a value, byte for byte.
    #[must_use]
    pub fn of(value: impl AsRef<[u8]>) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, value.as_ref()).as_ref());
        Self(bytes)
    }

    /// The fingerprint of what a federated token shows to a client: all that are issued to the same one have it in common,
    /// and so has the federated credential of the client that trusts them.
    #[must_use]
    pub fn of_federated(client: &str, issuer: &str, subject: &str, audience: &str) -> Self {
        // In JSON nothing can move from one of them into its neighbour.
        Self::of(serde_json::json!([client.to_ascii_lowercase(), issuer, subject, audience]).to_string())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A container: one of a pod's, which may be restarted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Witness {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's UID.
    pub uid: String,
    /// The node that it runs on.
    pub node: String,
    /// The container's name.
    pub container: String,
}

/// What is presented at a sign-in, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The tenant that is asked, as the container spells it.
    pub tenant: String,
    /// The client ID, as the container spells it.
    pub client: String,
    /// Of the secret, or of what a federated token shows.
    pub fingerprint: Fingerprint,
}

/// A credential in a container's hands, without a gap. A restart or a changed file begins another; a federated token
/// that is issued anew does not.
#[derive(Clone, Debug)]
pub struct Holding {
    /// In whose hands.
    pub who: Arc<Witness>,
    /// What is held.
    pub what: Arc<Presented>,
    /// Since the container started, or its file changed.
    pub from: Timestamp,
    /// Until the container ended, or its file changed; none while it is held.
    pub until: Option<Timestamp>,
    /// How many sign-ins with it were accepted.
    pub accepted: u64,
    /// How many were not.
    pub refused: u64,
}

impl Holding {
    /// Whether it was held at that time.
    #[must_use]
    pub fn was_held_at(&self, time: Timestamp) -> bool {
        self.from <= time && self.until.is_none_or(|until| time < until)
    }
}

/// Why there was no token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The answer names a code: `AADSTS7000215`.
    Aadsts(u32),
    /// The answer names none: its status, also 200 without a token.
    Http(u16),
    /// There was no answer, and how far it came: the name of what failed.
    Transport(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aadsts(code) => write!(f, "AADSTS{code}"),
            Self::Http(status) => write!(f, "HTTP {status}"),
            Self::Transport(what) => write!(f, "no answer ({what})"),
        }
    }
}

/// A sign-in that was not accepted.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// When it was known.
    pub time: Timestamp,
    /// Who tried.
    pub who: Arc<Witness>,
    /// With what.
    pub what: Arc<Presented>,
    /// Why not.
    pub cause: Cause,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The answer's trace ID.
    pub trace_id: Option<String>,
    /// The answer's own words, without the secret.
    pub description: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Witness { namespace, pod, container, .. } = &*self.who;
        let Presented { tenant, client, fingerprint } = &*self.what;
        write!(f, "{} {namespace}/{pod} [{container}] was refused as {client} in {tenant}: {}", self.time, self.cause)?;
        self.trace_id.iter().try_for_each(|trace_id| write!(f, ", trace {trace_id}"))?;
        write!(f, ", with {fingerprint}: {}", self.description)
    }
}

/// All that was seen so far, in the order in which it was.
#[derive(Debug, Default)]
pub struct Testimonies {
    /// What was or is held.
    pub holdings: Vec<Holding>,
    /// What was refused.
    pub refusals: Vec<Refusal>,
}

impl Testimonies {
    /// What is held now.
    pub fn held(&self) -> impl Iterator<Item = &Holding> {
        self.holdings.iter().filter(|holding| holding.until.is_none())
    }

    /// Who holds this now.
    pub fn holders_of(&self, fingerprint: Fingerprint) -> impl Iterator<Item = &Holding> {
        self.held().filter(move |holding| holding.what.fingerprint == fingerprint)
    }

    /// Who held this at that time.
    pub fn holders_at(&self, fingerprint: Fingerprint, time: Timestamp) -> impl Iterator<Item = &Holding> {
        let held = self.holdings.iter().filter(move |holding| holding.was_held_at(time));
        held.filter(move |holding| holding.what.fingerprint == fingerprint)
    }

    /// What a pod of that name has held, its namesakes before it included.
    pub fn of_pod(&self, namespace: &str, pod: &str) -> impl Iterator<Item = &Holding> {
        let is_so = move |holding: &&Holding| holding.who.namespace == namespace && holding.who.pod == pod;
        self.holdings.iter().filter(is_so)
    }

    /// How many sign-ins of that pod were accepted.
    #[must_use]
    pub fn accepted(&self, namespace: &str, pod: &str) -> u64 {
        self.of_pod(namespace, pod).map(|holding| holding.accepted).sum()
    }
}

/// The testimonies of all pods of an agent; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Witnesses(Arc<watch::Sender<Testimonies>>);

impl Witnesses {
    /// Reads what was seen so far. Nobody can testify meanwhile: look, and be done.
    pub fn read<T>(&self, look: impl FnOnce(&Testimonies) -> T) -> T {
        look(&self.0.borrow())
    }

    /// Every refusal so far.
    #[must_use]
    pub fn refusals(&self) -> Vec<Refusal> {
        self.read(|seen| seen.refusals.clone())
    }

    /// Returns as soon as it is so; it may be so already.
    pub async fn wait_for(&self, is_so: impl FnMut(&Testimonies) -> bool, timeout: Duration) -> anyhow::Result<()> {
        let mut seen = self.0.subscribe();
        let waited = tokio::time::timeout(timeout, seen.wait_for(is_so)).await;
        waited.ok().and_then(Result::ok).map(drop).with_context(|| self.in_vain(timeout))
    }

    fn in_vain(&self, timeout: Duration) -> String {
        self.read(|seen| {
            let last: Vec<String> = seen.refusals.iter().rev().take(5).rev().map(Refusal::to_string).collect();
            let accepted: u64 = seen.holdings.iter().map(|holding| holding.accepted).sum();
            let (held, refused) = (seen.held().count(), seen.refusals.len());
            format!(
                "it has not come about within {timeout:?}: {held} containers hold something, {accepted} sign-ins were \
                 accepted and {refused} refused, the last:\n{}",
                last.join("\n")
            )
        })
    }

    /// A container has it in its hands from `now` on.
    pub(crate) fn holds(&self, who: Arc<Witness>, what: Presented, now: Timestamp) -> Testimony {
        let what = Arc::new(what);
        let mut place = 0;
        self.0.send_modify(|seen| {
            place = seen.holdings.len();
            let (who, what) = (Arc::clone(&who), Arc::clone(&what));
            seen.holdings.push(Holding { who, what, from: now, until: None, accepted: 0, refused: 0 });
        });
        Testimony { witnesses: self.clone(), place, who, what }
    }
}

/// A holding to which something can be added. Dropping it ends the holding.
#[derive(Debug)]
pub(crate) struct Testimony {
    witnesses: Witnesses,
    place: usize,
    who: Arc<Witness>,
    what: Arc<Presented>,
}

impl Testimony {
    /// A sign-in was accepted.
    pub(crate) fn accepted(&self) {
        self.change(|holding| holding.accepted += 1);
    }

    /// A sign-in was not accepted.
    pub(crate) fn refused(
        &self,
        now: Timestamp,
        cause: Cause,
        status: Option<u16>,
        trace_id: Option<String>,
        description: String,
    ) {
        let (who, what) = (Arc::clone(&self.who), Arc::clone(&self.what));
        let refusal = Refusal { time: now, who, what, cause, status, trace_id, description };
        self.witnesses.0.send_modify(|seen| {
            seen.refusals.push(refusal);
            if let Some(holding) = seen.holdings.get_mut(self.place) {
                holding.refused += 1;
            }
        });
    }

    /// It is not held any more; what is under way with it may still come back.
    pub(crate) fn ends(&self, now: Timestamp) {
        self.change(|holding| holding.until = holding.until.or(Some(now)));
    }

    fn change(&self, change: impl FnOnce(&mut Holding)) {
        self.witnesses.0.send_modify(|seen| seen.holdings.get_mut(self.place).map_or((), change));
    }
}

impl Drop for Testimony {
    fn drop(&mut self) {
        self.ends(Timestamp::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn who(pod: &str) -> Arc<Witness> {
        let [namespace, uid, node, container] = ["shop", "u", "node-0", "app"].map(str::to_owned);
        Arc::new(Witness { namespace, pod: pod.to_owned(), uid, node, container })
    }

    fn what(secret: &str) -> Presented {
        Presented { tenant: "t".into(), client: "c".into(), fingerprint: Fingerprint::of(secret) }
    }

    #[test]
    fn a_fingerprint_is_the_sha_256_that_everybody_computes() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Fingerprint::of("abc").to_string(), known);
        assert_eq!(format!("{:?}", Fingerprint::of("abc")), known);
    }

    #[test]
    fn federated_tokens_are_told_apart_by_client_issuer_subject_and_audience() {
        let known = Fingerprint::of_federated("C", "i", "s", "a");
        assert_eq!(known, Fingerprint::of(r#"["c","i","s","a"]"#));
        for (client, issuer, subject, audience) in [
            ("d", "i", "s", "a"),
            ("c", "i/", "s", "a"),
            ("c", "i", "S", "a"),
            ("c", "i", "s", "a,b"),
            ("c", "is", "", "a"),
        ] {
            assert_ne!(Fingerprint::of_federated(client, issuer, subject, audience), known);
        }
    }

    #[test]
    fn holders_are_found_at_any_time() {
        let witnesses = Witnesses::default();
        let (old, new) = (Fingerprint::of("old"), Fingerprint::of("new"));
        let one = witnesses.holds(who("web-0"), what("old"), at(10));
        let _two = witnesses.holds(who("web-1"), what("old"), at(12));
        one.ends(at(20));
        let _three = witnesses.holds(who("web-0"), what("new"), at(20));
        witnesses.read(|seen| {
            let held = |fingerprint, second| seen.holders_at(fingerprint, at(second)).count();
            assert_eq!([9, 10, 12, 19, 20].map(|second| held(old, second)), [0, 1, 2, 2, 1]);
            assert_eq!([19, 20].map(|second| held(new, second)), [0, 1]);
            let pods: Vec<&str> = seen.holders_of(old).map(|holding| holding.who.pod.as_str()).collect();
            assert_eq!(pods, ["web-1"]);
        });
    }

    #[test]
    fn what_is_dropped_is_not_held_and_an_end_is_final() {
        let witnesses = Witnesses::default();
        let held = witnesses.holds(who("web-0"), what("s"), at(10));
        held.ends(at(20));
        drop(held);
        assert_eq!(witnesses.read(|seen| seen.holdings[0].until), Some(at(20)));
        drop(witnesses.holds(who("web-0"), what("s"), at(20)));
        assert_eq!(witnesses.read(|seen| seen.held().count()), 0);
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_and_a_wait_in_vain_says_what_there_was() {
        let witnesses = Witnesses::default();
        let held = witnesses.holds(who("web-0"), what("hush"), at(10));
        let waiting = witnesses.wait_for(|seen| seen.accepted("shop", "web-0") == 2, Duration::from_secs(5));
        let signing_in = async {
            held.accepted();
            tokio::task::yield_now().await;
            held.accepted();
        };
        let (waited, ()) = tokio::join!(waiting, signing_in);
        waited.unwrap();

        held.refused(at(11), Cause::Aadsts(7_000_215), Some(401), Some("t-1".into()), "Invalid client secret".into());
        let vain = witnesses.wait_for(|seen| seen.refusals.is_empty(), Duration::from_millis(5)).await.unwrap_err();
        let told = vain.to_string();
        assert!(told.contains("2 sign-ins were accepted and 1 refused"), "{told}");
        assert!(told.contains("shop/web-0 [app] was refused as c in t: AADSTS7000215, trace t-1"), "{told}");
        assert!(!told.contains("hush"), "{told}");
    }
}
