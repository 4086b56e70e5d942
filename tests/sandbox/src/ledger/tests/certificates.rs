//! What the ledger says about certificates: ours by their mark, and everybody else's.

use std::sync::Arc;

use super::*;
use crate::azure::{Certificate, SelfSigned, X509};

/// A mark of a long resource, as Entra shortens it.
const SHORTENED: &str = "kw1:abcdefghijklmnop.1.abcdefghijkl2345 a-namespace-with-a-name-that-is-long-enough-to-be-";
const FOREIGN: &str = "CN=terraform";
const TERRAFORM: Actor = Actor::Application(Uuid::from_u128(4));

/// A certificate with an ID; the same one each time.
struct Given(Arc<X509>, Uuid);

impl Given {
    fn new(id: u128) -> Self {
        let made = SelfSigned::new("payments", at(0), at(100_000)).unwrap();
        Self(Arc::new(X509::read(made.der()).unwrap()), Uuid::from_u128(id))
    }

    fn named(&self, name: &str) -> What {
        What::Certified(Certificate {
            key_id: self.1,
            display_name: Some(name.into()),
            start: at(0),
            end: at(100_000),
            identifier: self.0.thumbprint(),
            x509: Arc::clone(&self.0),
        })
    }

    fn removed(&self) -> What {
        What::Removed(self.1)
    }
}

impl Story {
    /// A pod that has taken a certificate.
    fn bearer(self, name: &str, given: &Given, from: i64, until: i64) -> Self {
        let what = Presented { fingerprint: given.0.fingerprint(), ..presented("") };
        self.witnesses.holds(who(name), what, at(from)).ends(at(until));
        self
    }
}

#[test]
fn a_careful_rotation_of_certificates_is_clean() {
    let (old, new) = (Given::new(1), Given::new(2));
    let story = Story::default().change(0, SCRIPT, old.named(SHORTENED)).bearer("web-0", &old, 20, 250);
    let story = story.change(100, SCRIPT, new.named(SHORTENED)).bearer("web-1", &new, 150, 900);
    let ledger = story.change(300, SCRIPT, old.removed()).ledger();
    ledger.assert_clean().unwrap();
    assert_eq!(ledger.verdict().least_valid[&CLIENT].count, 1);
    assert!(ledger.leaks([("operator.log", "anything at all")]).is_empty(), "Azure knows of no key");
}

/// P4: with our mark, made through Graph, used by nobody, and left; what others add is their own business.
#[test]
fn a_certificate_that_nobody_uses_is_an_orphan() {
    let one = Given::new(1);
    let left = |by, name| Story::begun().change(100, by, one.named(name)).ledger();
    left(SCRIPT, SHORTENED).expect(&[Offence::Orphan]).unwrap();
    left(SCRIPT, SHORTENED).published(one.0.fingerprint(), at(150)).assert_clean().unwrap();
    left(TERRAFORM, FOREIGN).assert_clean().unwrap();
    left(Actor::Administrator, SHORTENED).assert_clean().unwrap();
    let removed = Story::begun().change(100, SCRIPT, one.named(SHORTENED)).change(200, SCRIPT, one.removed());
    removed.ledger().assert_clean().unwrap();
}

/// P3: what others have added does not vanish from a list that we write, even if it came in under our own name.
#[test]
fn a_foreign_certificate_must_not_vanish_from_the_list() {
    let one = Given::new(1);
    for by in [Actor::Administrator, TERRAFORM, SCRIPT] {
        let foreign = || Story::begun().change(100, by, one.named(FOREIGN));
        let vanished = foreign().change(200, SCRIPT, one.removed()).ledger();
        vanished.expect(&[Offence::ForeignRemoved]).unwrap();
        vanished.allowing(one.1).assert_clean().unwrap();
        foreign().change(200, Actor::Administrator, one.removed()).ledger().assert_clean().unwrap();
    }
    let ours = Story::begun().change(100, TERRAFORM, one.named(SHORTENED)).change(200, SCRIPT, one.removed());
    ours.ledger().expect(&[Offence::ForeignRemoved]).unwrap();
}

/// P1: removed while a pod had it; the same certificate under another ID is as good.
#[test]
fn a_certificate_that_pods_use_must_not_go() {
    let (one, again) = (Given::new(1), Given::new(2));
    let again = Given(Arc::clone(&one.0), again.1);
    let used = || Story::begun().change(100, SCRIPT, one.named(SHORTENED)).bearer("web-0", &one, 150, 900);
    used().change(300, SCRIPT, one.removed()).ledger().expect(&[Offence::RemovedWhileHeld]).unwrap();
    let sent_anew = used().change(300, SCRIPT, one.removed()).change(300, SCRIPT, again.named(SHORTENED));
    sent_anew.ledger().assert_clean().unwrap();
    let gone_then = sent_anew.change(400, SCRIPT, again.removed());
    gone_then.ledger().expect(&[Offence::RemovedWhileHeld]).unwrap();
}

/// P2: a certificate of ours counts as a secret does, and that of others only when pods can have it.
#[test]
fn a_foreign_certificate_is_nothing_to_fall_back_on() {
    let one = Given::new(1);
    let migrated = |name| Story::begun().change(100, SCRIPT, one.named(name)).remove(150, "old");
    let used = migrated(SHORTENED).bearer("web-0", &one, 200, 900).ledger().allowing(key_id("old"));
    used.assert_clean().unwrap();
    migrated(FOREIGN).ledger().allowing(key_id("old")).expect(&[Offence::NoneValid]).unwrap();
    let held = Story::begun().change(100, SCRIPT, one.named(FOREIGN)).bearer("web-0", &one, 120, 900);
    held.remove(150, "old").ledger().allowing(key_id("old")).assert_clean().unwrap();
}
