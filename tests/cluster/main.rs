//! The room `cluster` against a real API server: what it says was written is there, and what it says was refused is not,
//! whatever happens on the way. Each test has a namespace and a proxy of its own on one control plane.

#[cfg(test)]
mod attending;
#[cfg(test)]
mod federating;
#[cfg(test)]
mod merging;
#[cfg(test)]
mod place;
#[cfg(test)]
mod publishing;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod records;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod rolling;

use std::{future::Future, process::ExitCode, sync::Arc};

use anyhow::Context;
use keywright_sandbox::{Options, Plane};
use libtest_mimic::{Arguments, Trial};
use place::Place;
use tokio::{runtime::Runtime, sync::OnceCell};

/// How many tests run at once. They mostly wait; the plane is shared.
const AT_ONCE: usize = 8;

/// The plane that tests share, started when the first of them asks for it.
struct Shared {
    runtime: Runtime,
    plane: OnceCell<Plane>,
}

fn main() -> anyhow::Result<ExitCode> {
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert(AT_ONCE);
    let chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
    anyhow::ensure!(chosen.is_ok(), "another TLS library was chosen before ours");
    let shared = Arc::new(Shared { runtime: Runtime::new()?, plane: OnceCell::new() });
    let conclusion = libtest_mimic::run(&args, tests(&shared));
    if let Some(plane) = shared.plane.get() {
        shared.runtime.block_on(plane.stop()).context("the control plane did not end well")?;
    }
    Ok(conclusion.exit_code())
}

macro_rules! tests {
    ($shared:ident, $($room:ident: $($name:ident)+;)+) => {
        vec![$($(in_a_place($shared, stringify!($room), stringify!($name), $room::$name),)+)+]
    };
}

fn tests(shared: &Arc<Shared>) -> Vec<Trial> {
    tests!(shared,
        records:
            a_record_lives_from_its_opening_to_its_end
            whoever_read_an_older_version_is_outpaced
            a_record_of_the_same_name_is_another_one
            of_two_who_open_one_is_outpaced
            a_name_that_something_else_has_is_told
            a_lost_answer_is_unknown_and_a_look_shows_the_truth
            an_answer_that_never_comes_is_unknown
            what_is_written_once_is_sent_once
            a_kept_value_stays_as_it_is
            what_others_have_written_on_a_record_stays
            forged_records_are_named_and_others_not_listed;
        refusals:
            a_quota_refuses_the_opening
            a_policy_that_refuses_values_is_heard_of_in_the_rehearsal
            a_terminating_namespace_opens_nothing_and_lets_its_records_go
            a_missing_permission_is_told;
        publishing:
            a_secret_of_ours_is_created_and_carried_on
            what_somebody_scribbled_is_seen_and_taken_back
            an_adopted_secret_is_ours_alone
            what_cannot_be_written_says_so
            a_secret_that_is_not_the_one_that_was_read_is_not_written
            a_lost_answer_of_a_publication_is_unknown;
        merging:
            our_keys_join_somebody_else_s
            a_secret_to_merge_into_is_never_brought_back
            what_somebody_else_claims_is_theirs;
        reading:
            pods_say_what_they_read_and_since_when
            the_operator_reads_what_it_signs_in_with
            the_cluster_names_itself
            events_say_once_what_went_well
            the_clock_is_the_api_server_s;
        rolling:
            workloads_say_what_they_read_and_how_far_they_are
            a_roll_is_an_annotation_and_nothing_else
            an_annotation_that_somebody_else_keeps_is_theirs
            a_workload_that_has_gone_is_not_brought_back
            a_lost_answer_of_a_roll_is_unknown
            rollouts_of_argo_s_count_where_it_is_installed;
        federating:
            an_account_says_as_whom_its_pods_sign_in_and_no_more
            what_somebody_else_says_of_an_account_is_theirs
            an_account_that_has_gone_is_not_brought_back
            a_lost_answer_of_an_annotation_is_unknown
            the_issuer_is_told_as_the_cluster_spells_it
            who_may_not_read_the_issuer_is_told_so
            a_token_is_for_one_audience_and_minutes
            without_a_token_it_is_told_why;
        attending:
            whoever_attends_hears_of_what_concerns_them
            a_watch_that_breaks_off_misses_nothing;
    )
}

/// A test in a place of its own.
fn in_a_place<F>(shared: &Arc<Shared>, room: &str, name: &str, test: impl Fn(Place) -> F + Send + 'static) -> Trial
where
    F: Future<Output = ()>,
{
    let shared = Arc::clone(shared);
    let namespace = name.replace('_', "-");
    let namespace = namespace[..namespace.len().min(60)].trim_end_matches('-').to_owned();
    Trial::test(format!("{room}::{name}"), move || {
        shared.runtime.block_on(async {
            let started = shared.plane.get_or_try_init(|| Plane::start(Options::default())).await;
            let plane = started.map_err(|error| format!("{error:#}"))?;
            test(Place::open(plane, &namespace).await).await;
            Ok(())
        })
    })
}
