//! From one credential to the next, until the first is gone and forgotten.

use super::{
    asking::{holds, is_found},
    mutants::Mutant,
    scene::{Due, Rotation, Who},
    town::{EVERYTHING, Fault, Town},
};

const WEB: Rotation =
    Rotation { workloads: 1, bare: false, outside: Who::Nobody, due: Due::Demanded, window: None, foreign: false };
const TWO: Rotation = Rotation { workloads: 2, ..WEB };
const ALL: Rotation = Rotation { bare: true, outside: Who::Named, ..WEB };
const REPORTED: Rotation = Rotation { outside: Who::Reported, ..WEB };
const UNKNOWN: Rotation = Rotation { workloads: 0, outside: Who::Unknown, ..WEB };
const ENDING: Rotation = Rotation { due: Due::Ending, ..WEB };

#[test]
fn without_faults_the_old_one_goes_when_everybody_has_the_new_one() {
    holds("a workload, no faults", 10_000, &Town::rotating(WEB, &[], 0));
    holds("two workloads, no faults", 10_000, &Town::rotating(TWO, &[], 0));
    holds("a workload, a bare pod and somebody outside, no faults", 10_000, &Town::rotating(ALL, &[], 0));
    holds(
        "a workload and somebody outside of whom a report tells, no faults",
        10_000,
        &Town::rotating(REPORTED, &[], 0),
    );
    holds("a workload, a renewal, no faults", 10_000, &Town::rotating(ENDING, &[], 0));
}

#[test]
fn what_somebody_else_may_know_is_replaced_first_and_then_goes() {
    holds("compromised, no faults", 10_000, &Town::rotating(Rotation { due: Due::Compromised, ..ALL }, &[], 0));
}

#[test]
fn what_others_have_made_goes_by_name_and_never_with_a_mark() {
    holds("foreign ones, no faults", 10_000, &Town::rotating(Rotation { foreign: true, ..WEB }, &[], 0));
}

#[test]
fn where_nobody_is_known_the_old_one_is_left_to_its_end() {
    holds("somebody unknown, no faults", 10_000, &Town::rotating(UNKNOWN, &[], 0));
}

#[test]
fn windows_are_kept_to_and_yield_to_the_end_of_what_is_published() {
    let before = Rotation { window: Some(120), ..ENDING };
    holds("a window before the end", 10_000, &Town::rotating(before, &[], 0));
    let after = Rotation { window: Some(300), ..ENDING };
    holds("a window after the end", 10_000, &Town::rotating(after, &[], 0));
}

#[test]
fn a_workload_and_every_fault() {
    holds("a workload, one fault", 40_000, &Town::rotating(WEB, EVERYTHING, 1));
}

#[test]
fn a_clone_of_the_cluster() {
    holds("a clone, no faults", 40_000, &Town::rotating(WEB, &[], 0).cloned());
}

#[test]
fn publishing_blindly_is_found() {
    let nobody = Rotation { workloads: 0, ..WEB };
    let town = Town::rotating(nobody, &[Fault::PauseInPublishing, Fault::SecretTouched], 2).with_two_operators();
    is_found(Mutant::PublishesBlindly, "P1", 300_000, town);
}

#[test]
fn revoking_before_the_proof_is_found() {
    is_found(Mutant::RevokesBeforeProof, "P2", 1000, Town::rotating(WEB, &[], 0));
}

#[test]
fn skipping_the_overlap_is_found() {
    is_found(Mutant::SkipsTheOverlap, "P2", 1000, Town::rotating(WEB, &[], 0));
}

#[test]
fn forgetting_terminating_pods_is_found() {
    is_found(Mutant::ForgetsTerminatingPods, "P2", 1000, Town::rotating(WEB, &[], 0));
}

#[test]
fn counting_nobody_as_proven_is_found() {
    is_found(Mutant::CountsNobodyAsProven, "P2", 1000, Town::rotating(UNKNOWN, &[], 0));
}

#[test]
fn believing_records_is_found() {
    is_found(Mutant::BelievesRecords, "P3", 10_000, Town::rotating(WEB, &[Fault::Forgery], 1));
}

#[test]
fn believing_in_the_silence_of_a_report_is_found() {
    is_found(Mutant::BelievesInSilence, "P2", 1000, Town::rotating(REPORTED, &[], 0));
}

#[test]
fn rolling_before_nodes_have_settled_is_found() {
    is_found(Mutant::RollsBeforeSettle, "P2", 1000, Town::rotating(WEB, &[], 0));
}

#[test]
fn letting_a_window_outlast_what_is_published_is_found() {
    let after = Rotation { window: Some(300), ..ENDING };
    is_found(Mutant::LetsAWindowOutlast, "P1", 1000, Town::rotating(after, &[], 0));
}
