//! The scenarios, in the words of the promises: the shipped binary against a real API server. Each has a namespace, a
//! tenant, a proxy and an operator of its own, so that many run at once on one control plane; those that change the
//! plane itself have one of their own.

#![allow(clippy::needless_pass_by_value, reason = "json!({…}) reads better at a call than &json!({…})")]

mod apply;
mod drift;
mod examples;
mod faults;
mod firms;
mod first_issue;
mod lifecycle;
mod manifests;
mod meddling;
mod newer;
mod rbac;
mod rivals;
mod rooms;
mod rules;
mod sweep;
mod telling;
mod town;
mod weather;

use std::{future::Future, io::Write, process::ExitCode, sync::Arc};

use anyhow::Context;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::{runtime::Runtime, sync::OnceCell};
use town::Town;

/// How many scenarios run at once. They mostly wait; the plane is shared.
const AT_ONCE: usize = 8;

/// The town that scenarios share, built when the first of them asks for it.
struct Shared {
    runtime: Runtime,
    town: OnceCell<Town>,
}

fn main() -> anyhow::Result<ExitCode> {
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert(AT_ONCE);
    let chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
    anyhow::ensure!(chosen.is_ok(), "another TLS library was chosen before ours");
    let shared = Arc::new(Shared { runtime: Runtime::new()?, town: OnceCell::new() });
    let conclusion = libtest_mimic::run(&args, scenarios(&shared));
    if let Some(town) = shared.town.get() {
        shared.runtime.block_on(town.end()).context("the control plane did not end well")?;
    }
    // Which rights are used can only be told from all scenarios, to their ends.
    if conclusion.num_filtered_out == 0 && conclusion.num_passed > 0 && !conclusion.has_failed() {
        let wrong = rbac::imbalance();
        writeln!(std::io::stderr(), "{}", wrong.join("\n"))?;
        return Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    Ok(conclusion.exit_code())
}

macro_rules! scenarios {
    ($shared:ident, $($room:ident: $($name:ident)+;)+) => {
        vec![$($(in_town($shared, concat!(stringify!($room), "::", stringify!($name)), |town| $room::$name(town)),)+)+]
    };
}

fn scenarios(shared: &Arc<Shared>) -> Vec<Trial> {
    scenarios!(shared,
        rules: every_rule_refuses_one_and_accepts_its_neighbour;
        examples: every_example_is_accepted_and_read_without_loss;
        apply: two_field_managers_share_every_list;
        telling:
            every_refusal_is_told_with_what_to_do
            a_tenant_that_comes_and_changes_wakes_its_resources
            a_tenant_that_no_watch_has_brought_yet_is_looked_up
            a_namespace_that_no_watch_has_brought_yet_is_looked_up
            a_namespace_that_is_labelled_wakes_its_resources
            nothing_is_written_when_nothing_has_changed
            a_status_that_was_wiped_or_scribbled_on_comes_back
            other_namespaces_are_left_alone
            metrics_and_probes_say_what_goes_on;
        faults:
            every_fault_of_the_api_server_ends_the_same
            a_crash_around_every_write_ends_the_same
            a_resource_that_cannot_be_written_holds_up_nobody_else;
        drift:
            a_resource_at_rest_costs_no_call_and_no_write
            a_vault_entry_that_somebody_overwrites_is_told_or_repaired
            a_credential_that_somebody_removed_is_told;
        first_issue:
            a_declared_secret_is_minted_proven_and_published;
        firms:
            pods_wait_for_what_is_published_and_sign_in_with_it
            a_secret_that_leaves_its_place_is_found
            an_operator_dies_at_the_point_that_it_is_to_die_at;
        weather:
            replicas_that_lag_and_flap_are_waited_for
            a_credential_whose_answer_was_lost_is_found_when_reads_show_it_late
            a_value_that_can_be_kept_only_in_the_end_is_minted_once;
        meddling:
            a_status_that_is_wiped_at_any_stage_changes_nothing
            a_spec_that_is_changed_at_any_stage_is_what_counts_in_the_end
            a_suspended_resource_says_its_next_step_and_goes_on_where_it_was
            a_suspended_resource_that_was_never_begun_is_a_dry_run
            a_resource_that_comes_back_at_any_stage_is_published
            a_resource_that_is_deleted_at_any_stage_leaves_what_was_published_and_nothing_else
            a_resource_that_comes_back_after_its_publication_finds_its_credential;
        rivals:
            two_operators_at_once_publish_one_credential
            a_mint_and_a_keep_that_come_too_late_are_taken_back
            an_operator_that_stood_still_at_any_stage_harms_nothing_when_it_goes_on;
        lifecycle:
            it_ends_in_good_order
            it_ends_although_a_call_hangs
            it_waits_for_its_kinds_and_names_them
            it_outlives_a_restart_of_the_api_server
            a_wrong_flag_or_address_is_named;
        rbac:
            what_the_chart_has_is_accepted_and_its_pod_restricted_no_further
            values_that_make_no_sense_are_refused
            definitions_come_with_the_chart_and_outlive_it
            all_namespaces_give_the_rights_of_each_and_no_others
            an_operator_for_all_namespaces_needs_no_more_than_it_is_given
            an_operator_reads_its_own_secret_where_it_runs;
        newer: what_a_newer_definition_allows_is_told_and_never_lost;
        rooms: product_and_sandbox_share_no_code;
    )
    .into_iter()
    .chain(
        scenarios!(shared,
            sweep: every_request_of_a_first_issue_may_be_the_last;
            weather: every_fault_at_every_request_ends_the_same;
            // Not decided yet: what is left is reported as `UnknownCredential`, and the scenario wants it gone.
            meddling: a_record_that_somebody_deletes_at_any_stage_costs_no_more_than_a_credential;
        )
        .into_iter()
        .map(on_request),
    )
    .collect()
}

/// One that takes so long that it has a command of its own.
fn on_request(trial: Trial) -> Trial {
    trial.with_ignored_flag(true)
}

/// A scenario in the shared town.
fn in_town<F>(shared: &Arc<Shared>, name: &str, scenario: impl Fn(Town) -> F + Send + 'static) -> Trial
where
    F: Future<Output = Result<(), Failed>>,
{
    let shared = Arc::clone(shared);
    Trial::test(name, move || {
        shared.runtime.block_on(async {
            let town = shared.town.get_or_try_init(Town::build).await?;
            scenario(town.clone()).await
        })
    })
}
