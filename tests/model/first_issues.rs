//! From nothing to a credential that everybody has.

use super::{
    asking::{holds, is_found},
    mutants::Mutant,
    town::{Fault, Town},
};

/// What may go wrong before anybody has anything.
const FAULTS: &[Fault] = &[
    Fault::Refusal,
    Fault::Silence,
    Fault::Repeat,
    Fault::Crash,
    Fault::Pause,
    Fault::Blindness,
    Fault::RecordDeleted,
    Fault::SecretTouched,
    Fault::Revocation,
    Fault::Restore,
    Fault::Block,
];

#[test]
fn without_faults_one_operator_mints_once() {
    holds("one operator, no faults", 1000, &Town::new(1, &["secret", "vault"], &[], 0));
}

#[test]
fn without_faults_two_operators_mint_once() {
    holds("two operators, no faults", 10_000, &Town::new(2, &["secret", "vault"], &[], 0).with_a_pod());
}

#[test]
fn one_operator_and_every_fault() {
    holds("one operator, one fault", 100_000, &Town::new(1, &["secret", "vault"], FAULTS, 1).with_a_pod());
}

#[test]
fn two_operators_and_every_fault() {
    holds("two operators, one fault", 50_000, &Town::new(2, &["secret", "vault"], FAULTS, 1).with_a_pod());
}

#[test]
fn one_operator_and_every_pair_of_faults() {
    holds("one operator, two faults", 50_000, &Town::new(1, &["secret"], FAULTS, 2).with_a_pod());
}

#[test]
fn taking_over_at_once_is_found() {
    is_found(Mutant::TakesOverAtOnce, "P4", 1000, Town::new(2, &["secret"], &[], 0));
}

#[test]
fn trusting_one_read_is_found() {
    is_found(Mutant::TrustsOneRead, "P4", 1000, Town::new(1, &["secret"], &[Fault::Silence], 1));
}

#[test]
fn removing_on_a_conflict_is_found() {
    is_found(Mutant::RemovesOnConflict, "P2", 1000, Town::new(1, &["secret"], &[Fault::Repeat], 1));
}

#[test]
fn skipping_the_look_is_found() {
    is_found(Mutant::SkipsTheLook, "P2", 1000, Town::new(1, &["secret"], &[Fault::Silence], 1));
}

#[test]
fn ignoring_pods_is_found() {
    let town = Town::new(1, &["secret"], &[Fault::Crash, Fault::Restore], 2).with_a_pod();
    is_found(Mutant::IgnoresPods, "P2", 10_000, town);
}

#[test]
fn forgetting_the_nonce_is_found() {
    is_found(Mutant::ForgetsTheNonce, "P10", 10_000, Town::new(1, &["secret"], &[Fault::Crash, Fault::Restore], 2));
}
