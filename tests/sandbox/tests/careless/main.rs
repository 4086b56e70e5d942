//! Rotations made by hand, by somebody careful and by three who are not: what their pods see, and what the ledger says
//! about it. These are the naive scripts that Keywright replaces; each fails in its own way, with its own name.

#![expect(clippy::unwrap_used, reason = "clippy allows these in test functions, but not in what those share")]
#![expect(clippy::print_stdout, reason = "the ledger's story, for whoever asks with --nocapture")]

mod town;

use std::time::{Duration, Instant};

use keywright_sandbox::ledger::{Blame, Offence};

use crate::town::{Team, Town};

/// On one plane, since a plane of its own for each would be most of the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_by_hand_is_as_good_as_whoever_makes_it() {
    let town = Town::new().await;
    tokio::join!(
        the_careful_one(&town),
        revoking_before_anybody_has_the_new_one(&town),
        publishing_before_every_replica_knows_it(&town),
        forgetting_that_variables_are_read_once(&town),
    );
    town.close().await;
}

/// Three minutes of the careful one, for the figures: six pods, five sign-ins a second each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes three minutes: run it with `--ignored --nocapture`"]
async fn pods_sign_in_for_minutes_through_a_rotation_by_hand() {
    let town = Town::new().await;
    let team = town.team("patient", 6).await;
    let (begun, minute) = (Instant::now(), Duration::from_mins(1));
    tokio::time::sleep(minute).await;
    let minted = Instant::now();
    rotate_carefully(&team).await;
    let rotated = minted.elapsed();
    tokio::time::sleep((3 * minute).saturating_sub(begun.elapsed())).await;
    let ledger = team.ledger();
    let (verdict, signed_in) = (ledger.verdict(), begun.elapsed().as_secs());
    println!("patient: {signed_in} s of sign-ins, the rotation took {:.1} s\n{verdict}", rotated.as_secs_f64());
    ledger.assert_clean().unwrap();
    assert!(verdict.accepted > 6 * 3 * 60, "each pod at least once a second: {}", verdict.accepted);
    town.close().await;
}

/// Mint, wait until every replica knows it, publish, wait until nodes serve it, restart, wait for the last holder, revoke.
async fn rotate_carefully(team: &Team<'_>) {
    let new = team.mint();
    team.is_known(&new).await;
    team.publish(&new).await;
    team.nodes_serve_it().await;
    team.restart().await;
    team.nobody_holds_the_old_one().await;
    team.revoke_the_old_one();
}

async fn the_careful_one(town: &Town) {
    let team = town.team("careful", 3).await;
    rotate_carefully(&team).await;
    team.sign_in_for_a_while().await;
    let ledger = team.ledger();
    println!("careful\n{}", ledger.verdict());
    ledger.assert_clean().unwrap();
    assert!(ledger.verdict().accepted > 0);
}

async fn revoking_before_anybody_has_the_new_one(town: &Town) {
    let team = town.team("hasty", 3).await;
    let new = team.mint();
    team.is_known(&new).await;
    team.revoke_the_old_one();
    team.somebody_is_refused().await;
    team.publish(&new).await;
    team.nodes_serve_it().await;
    team.restart().await;
    team.nobody_holds_the_old_one().await;
    let ledger = team.ledger();
    println!("hasty\n{}", ledger.verdict());
    ledger.expect(&[Offence::RemovedWhileHeld, Offence::Refused(Blame::CarelessRemoval)]).unwrap();
}

async fn publishing_before_every_replica_knows_it(town: &Town) {
    let team = town.team("early", 3).await;
    let new = team.mint();
    team.publish(&new).await;
    team.nodes_serve_it().await;
    team.restart().await;
    team.somebody_is_refused().await;
    team.is_known(&new).await;
    team.nobody_holds_the_old_one().await;
    team.revoke_the_old_one();
    team.sign_in_for_a_while().await;
    let ledger = team.ledger();
    println!("early\n{}", ledger.verdict());
    ledger.expect(&[Offence::Refused(Blame::PublishedTooEarly)]).unwrap();
}

async fn forgetting_that_variables_are_read_once(town: &Town) {
    let team = town.team("forgetful", 3).await;
    let new = team.mint();
    team.is_known(&new).await;
    team.publish(&new).await;
    team.nodes_serve_it().await;
    team.sign_in_for_a_while().await;
    team.revoke_the_old_one();
    team.somebody_is_refused().await;
    let ledger = team.ledger();
    println!("forgetful\n{}", ledger.verdict());
    ledger.expect(&[Offence::RemovedWhileHeld, Offence::Refused(Blame::StaleContainer)]).unwrap();
}
