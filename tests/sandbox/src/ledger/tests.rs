//! Three naive rotations and what the ledger says about them, and the offences that no pod sees.

mod certificates;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Blame, Ledger, Offence};
use crate::azure::{Actor, Cause, Change, Federated, NewFederated, Password, RefusedSignIn, What};
use crate::witness::{self, Fingerprint, Presented, Witness, Witnesses};

const TENANT: Uuid = Uuid::from_u128(1);
const CLIENT: Uuid = Uuid::from_u128(2);
const SCRIPT: Actor = Actor::Application(Uuid::from_u128(3));

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn key_id(value: &str) -> Uuid {
    Uuid::from_u128(u128::from(value.as_bytes()[0]))
}

/// A story in the making.
#[derive(Default)]
struct Story {
    log: Vec<Change>,
    refused: Vec<RefusedSignIn>,
    witnesses: Witnesses,
}

impl Story {
    /// A story that begins with an old credential that somebody made by hand.
    fn begun() -> Self {
        Self::default().change(0, Actor::Administrator, minted("old"))
    }

    fn change(mut self, second: i64, by: Actor, what: What) -> Self {
        let (time, settled) = (at(second), at(second + 18));
        self.log.push(Change { time, settled, object_id: CLIENT, client_id: CLIENT, by, what });
        self
    }

    fn mint(self, second: i64, value: &str) -> Self {
        self.change(second, SCRIPT, minted(value))
    }

    fn remove(self, second: i64, value: &str) -> Self {
        self.change(second, SCRIPT, What::Removed(key_id(value)))
    }

    /// A pod that holds a value for a while.
    fn pod(self, name: &str, value: &str, from: i64, until: i64) -> Self {
        self.witnesses.holds(who(name), presented(value), at(from)).ends(at(until));
        self
    }

    /// A pod that is refused, for a cause that only Azure knows.
    fn refusal(mut self, name: &str, value: &str, second: i64, cause: Option<Cause>) -> Self {
        let held = self.witnesses.holds(who(name), presented(value), at(second));
        let trace_id = Uuid::from_u128(u128::from(second.unsigned_abs()));
        let (code, trace) = (witness::Cause::Aadsts(7_000_215), trace_id.to_string());
        held.refused(at(second), code, Some(401), Some(trace), "Invalid client secret".into());
        held.ends(at(second));
        self.refused.extend(cause.map(|cause| RefusedSignIn {
            time: at(second),
            trace_id,
            tenant: Some(TENANT),
            client_id: Some(CLIENT),
            fingerprint: Some(Fingerprint::of(value)),
            code: Some(7_000_215),
            cause,
        }));
        self
    }

    fn ledger(&self) -> Ledger {
        let names = BTreeSet::from([TENANT.to_string(), "contoso.com".to_owned()]);
        let refused = self.refused.clone();
        self.witnesses.read(|seen| Ledger::new(&self.log, refused, BTreeMap::new(), &names, seen, at(1_000)))
    }
}

fn minted(value: &str) -> What {
    What::Minted(Password {
        key_id: key_id(value),
        display_name: Some(format!("the {value} one")),
        start: at(0),
        end: at(100_000),
        value: format!("{value}-8Q~value-that-nobody-may-see"),
        fingerprint: Fingerprint::of(value),
    })
}

fn presented(value: &str) -> Presented {
    let (tenant, client) = ("Contoso.com".to_owned(), CLIENT.to_string());
    Presented { tenant, client, fingerprint: Fingerprint::of(value) }
}

fn who(pod: &str) -> Arc<Witness> {
    let [namespace, uid, node, container] = ["shop", pod, "node-0", "app"].map(str::to_owned);
    Arc::new(Witness { namespace, pod: pod.to_owned(), uid, node, container })
}

#[test]
fn a_careful_rotation_is_clean() {
    let story = Story::begun().pod("web-0", "old", 20, 200).mint(100, "new").pod("web-1", "new", 150, 900);
    let story = story.remove(300, "old");
    let ledger = story.ledger().allowing(key_id("old"));
    ledger.assert_clean().unwrap();
    assert_eq!(ledger.verdict().least_valid[&CLIENT].count, 1);
}

/// Revoked before the successor was published.
#[test]
fn a_revocation_that_comes_too_early_is_told() {
    let story = Story::begun().pod("web-0", "old", 20, 900).mint(100, "new").remove(101, "old");
    let story = story.refusal("web-0", "old", 130, Some(Cause::Removed)).pod("web-1", "new", 200, 900);
    let ledger = story.ledger().allowing(key_id("old"));
    let refused = Offence::Refused(Blame::CarelessRemoval);
    ledger.expect(&[Offence::RemovedWhileHeld, Offence::NoneValid, refused]).unwrap();
    let told = ledger.verdict().to_string();
    assert!(told.contains("REMOVED WHILE HELD by shop/web-0"), "{told}");
    assert!(told.contains("careless removal: 1"), "{told}");
    assert!(!told.contains("nobody-may-see"), "{told}");
}

/// Published before every replica knew it (AZURE 3).
#[test]
fn a_publication_that_comes_too_early_is_told() {
    let story = Story::begun().pod("web-0", "old", 20, 105).mint(100, "new").pod("web-1", "new", 105, 900);
    let ledger = story.refusal("web-1", "new", 106, Some(Cause::NotYetKnown)).ledger();
    ledger.expect(&[Offence::Refused(Blame::PublishedTooEarly)]).unwrap();
}

/// Published, but the containers that hold the old value in their environment were not restarted.
#[test]
fn a_container_that_was_not_restarted_is_told() {
    let story = Story::begun().pod("web-0", "old", 20, 900).mint(100, "new").remove(300, "old");
    let story = story.refusal("web-0", "old", 330, Some(Cause::Removed));
    let ledger = story.ledger().allowing(key_id("old")).published(Fingerprint::of("new"), at(150));
    ledger.expect(&[Offence::RemovedWhileHeld, Offence::Refused(Blame::StaleContainer)]).unwrap();
}

#[test]
fn orphans_and_foreign_credentials_are_found() {
    let story = Story::begun().mint(100, "new").remove(200, "old");
    let ledger = story.ledger();
    ledger.expect(&[Offence::Orphan, Offence::ForeignRemoved]).unwrap();
    let error = ledger.assert_clean().unwrap_err().to_string();
    assert!(error.contains("ORPHAN: ") && error.contains("the new one"), "{error}");
    let ledger = ledger.published(Fingerprint::of("new"), at(150)).allowing(key_id("old"));
    ledger.assert_clean().unwrap();
    ledger.expect(&[Offence::Orphan]).unwrap_err();
}

#[test]
fn weather_is_nobodys_doing_and_other_tenants_are_not_ours() {
    let story = Story::begun().pod("web-0", "old", 20, 900);
    let story = story.refusal("web-0", "old", 50, None).refusal("web-0", "old", 60, Some(Cause::Noise));
    let other = Presented { tenant: "other.example".into(), ..presented("old") };
    story.witnesses.holds(who("web-9"), other, at(10)).accepted();
    let ledger = story.ledger();
    ledger.assert_clean().unwrap();
    let verdict = ledger.verdict();
    assert!(verdict.refusals.iter().all(|refusal| refusal.blame == Blame::Weather));
    assert_eq!((verdict.refusals.len(), verdict.accepted), (2, 0));
}

#[test]
fn a_moment_without_a_credential_that_all_know_is_found() {
    let story = Story::begun().mint(100, "new").remove(110, "old").pod("web-0", "new", 200, 900);
    let ledger = story.ledger().allowing(key_id("old"));
    ledger.expect(&[Offence::NoneValid]).unwrap();
    assert_eq!(ledger.verdict().least_valid[&CLIENT].since, at(110), "the new one is known everywhere at 118");
}

#[test]
fn leaks_are_told_by_place_and_form() {
    let story = Story::begun();
    let log = "all well\nsecret is old-8Q~value-that-nobody-may-see\n";
    let leaks = story.ledger().leaks([("operator.log", log), ("journal", "nothing")]);
    let told: Vec<String> = leaks.iter().map(ToString::to_string).collect();
    assert_eq!(told, [format!("the value of {} is in operator.log, line 2 (Raw)", key_id("old"))]);
}

const MARK: &str = "kw1:abcdefghijklmnop.1.abcdefghijkl2345 shop/payments";
const ISSUER: &str = "https://issuer.example";
const FEDERATED: Uuid = Uuid::from_u128(77);

fn federated(subject: &str, description: &str) -> Federated {
    let new = NewFederated {
        name: "kw-1".into(),
        issuer: ISSUER.into(),
        subject: Some(subject.into()),
        description: Some(description.into()),
        ..NewFederated::default()
    };
    let NewFederated { name, issuer, subject, audience, description } = new;
    Federated { id: FEDERATED, name, issuer, subject, audience, description }
}

fn identity(subject: &str) -> Fingerprint {
    Fingerprint::of_federated(&CLIENT.to_string(), ISSUER, subject, &NewFederated::default().audience)
}

impl Story {
    fn federate(self, second: i64, by: Actor, subject: &str, description: &str) -> Self {
        self.change(second, by, What::Federated(federated(subject, description)))
    }

    fn unfederate(self, second: i64) -> Self {
        self.change(second, SCRIPT, What::Removed(FEDERATED))
    }

    /// A pod whose ServiceAccount is let in, as far as it goes by its token.
    fn account(self, name: &str, subject: &str, from: i64, until: i64) -> Self {
        let what = Presented { fingerprint: identity(subject), ..presented("") };
        self.witnesses.holds(who(name), what, at(from)).ends(at(until));
        self
    }
}

/// The way from a secret to federation: the new one is used before the old one goes.
#[test]
fn a_careful_migration_to_federation_is_clean() {
    let story = Story::begun().pod("web-0", "old", 20, 250).federate(100, SCRIPT, "web", MARK);
    let story = story.account("web-1", "web", 200, 900).remove(300, "old");
    let ledger = story.ledger().allowing(key_id("old"));
    ledger.assert_clean().unwrap();
    assert_eq!(ledger.verdict().least_valid[&CLIENT].count, 1);
    assert!(ledger.leaks([("operator.log", "anything at all")]).is_empty(), "there is no value to leak");
}

/// What nobody is let in by yet is no credential to fall back on.
#[test]
fn a_secret_that_goes_before_federation_is_used_leaves_nothing_valid() {
    let story = Story::begun().federate(100, SCRIPT, "web", MARK).remove(150, "old");
    let ledger = story.account("web-1", "web", 200, 900).ledger().allowing(key_id("old"));
    ledger.expect(&[Offence::NoneValid]).unwrap();
}

/// P4: with our mark, made through Graph, used by nobody, and left; what others federate is their own business.
#[test]
fn a_federated_credential_that_nobody_uses_is_an_orphan() {
    let left = Story::begun().federate(100, SCRIPT, "web", MARK);
    left.ledger().expect(&[Offence::Orphan]).unwrap();
    left.ledger().published(identity("web"), at(150)).assert_clean().unwrap();
    Story::begun().federate(100, SCRIPT, "web", MARK).unfederate(200).ledger().assert_clean().unwrap();
    Story::begun().federate(100, SCRIPT, "web", "made by terraform").ledger().assert_clean().unwrap();
    Story::begun().federate(100, Actor::Administrator, "web", MARK).ledger().assert_clean().unwrap();
}

/// P3: removed, or changed in any way.
#[test]
fn a_foreign_federated_credential_must_not_be_touched() {
    let foreign = || Story::begun().federate(100, Actor::Administrator, "web", "by hand");
    let removed = foreign().unfederate(200).ledger();
    removed.expect(&[Offence::ForeignRemoved]).unwrap();
    removed.allowing(FEDERATED).assert_clean().unwrap();
    let described = foreign().change(200, SCRIPT, What::FederatedEdited(federated("web", "another")));
    described.ledger().expect(&[Offence::ForeignEdited]).unwrap();
    assert!(described.ledger().verdict().to_string().contains("FOREIGN, CHANGED: "));
    described.ledger().allowing(FEDERATED).assert_clean().unwrap();
    let by_hand = foreign().change(200, Actor::Administrator, What::FederatedEdited(federated("web", "another")));
    by_hand.ledger().assert_clean().unwrap();
}

/// P1 and P2: removed while a pod was let in by it; to let in somebody else is the same.
#[test]
fn a_federated_credential_that_pods_use_must_not_go() {
    let used = || Story::begun().federate(100, SCRIPT, "web", MARK).account("web-0", "web", 150, 900);
    let mut removed = used().unfederate(300);
    let (trace_id, time) = (Uuid::from_u128(300), at(310));
    let what = Presented { fingerprint: identity("web"), ..presented("") };
    let held = removed.witnesses.holds(who("web-0"), what, time);
    held.refused(time, witness::Cause::Aadsts(70_021), Some(401), Some(trace_id.to_string()), "No match".into());
    held.ends(time);
    let (fingerprint, cause) = (Some(identity("web")), Cause::Removed);
    let (tenant, client_id, code) = (Some(TENANT), Some(CLIENT), Some(70_021));
    removed.refused.push(RefusedSignIn { time, trace_id, tenant, client_id, fingerprint, code, cause });
    removed.ledger().expect(&[Offence::RemovedWhileHeld, Offence::Refused(Blame::CarelessRemoval)]).unwrap();
    assert_eq!(removed.ledger().verdict().refusals[0].key_id, Some(FEDERATED));

    let changed = used().change(300, SCRIPT, What::FederatedEdited(federated("worker", MARK)));
    changed.ledger().expect(&[Offence::RemovedWhileHeld, Offence::Orphan]).unwrap();
    let described = used().change(300, SCRIPT, What::FederatedEdited(federated("web", MARK)));
    described.ledger().assert_clean().unwrap();
}
