//! The list of all scenarios: what is not in it is never run.

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::{
    accounts, admission, adoption, apply, argo, blast, boundaries, certificates, certified, claims, coordinates,
    crowds, dead, drift, endings, examples, faults, federation, firms, first_issue, former, imports, keys, lifecycle,
    meddling, migration, namespaces, newer, outsiders, rbac, readers, records, reports, restored, restores, rivals,
    rollouts, rooms, rotation, rules,
    shared::{Shared, in_town, on_request_only},
    sharing, soak, sweep, targets, telling, tokens, trusted, vaults, waking, weather, windows,
};

macro_rules! scenarios {
    ($shared:ident, $($room:ident: $($name:ident)+;)+) => {
        vec![$($(in_town($shared, concat!(stringify!($room), "::", stringify!($name)), |town| $room::$name(town)),)+)+]
    };
}

/// All of them; some only on request.
pub fn scenarios(shared: &Arc<Shared>) -> Vec<Trial> {
    let on_request = scenarios!(shared,
        blast:
            many_that_fail_at_once_pause_their_tenant_and_cost_little
            two_hundred_that_fail_at_once_pause_their_tenant_and_cost_little;
        crowds: a_credential_that_a_hundred_and_fifty_workloads_use_rotates;
        soak: seeded_weather_over_many_rotations;
        sweep:
            every_request_of_a_first_issue_may_be_the_last
            every_request_of_a_rotation_may_be_the_last
            every_request_of_a_set_up_of_federation_may_be_the_last
            every_request_on_the_way_to_no_secret_may_be_the_last
            every_request_that_takes_a_key_out_of_a_secret_may_be_the_last
            every_request_in_the_life_of_a_certificate_may_be_the_last;
        weather: every_fault_at_every_request_ends_the_same;
    );
    let on_request = on_request.into_iter().map(on_request_only);
    let all = [
        of_rules(shared),
        of_first_issues(shared),
        of_rotations(shared),
        of_federations(shared),
        of_certificates(shared),
        of_hindered_rotations(shared),
        of_operators(shared),
    ];
    all.into_iter().flatten().chain(on_request).collect()
}

/// A credential gets a successor.
fn of_rotations(shared: &Arc<Shared>) -> Vec<Trial> {
    scenarios!(shared,
        adoption: what_was_made_by_hand_is_adopted_and_goes_with_the_first_rotation;
        rotation:
            every_pod_gets_the_new_one_before_the_old_one_goes
            a_paused_workload_is_told_and_keeps_the_old_one_alive
            after_one_that_stalls_none_is_restarted_and_nothing_is_lost
            a_pod_that_nothing_restarts_keeps_the_old_one_alive
            a_credential_that_somebody_removed_is_replaced_at_once
            a_holder_outside_is_waited_for
            what_was_made_by_hand_goes_last_and_only_if_it_is_granted
            a_compromised_one_is_replaced_and_goes_without_overlap;
        argo:
            every_pod_of_a_rollout_gets_the_new_one_before_the_old_one_goes
            a_healthy_one_keeps_the_old_one_alive_until_its_old_pods_are_gone
            one_that_waits_for_somebody_is_told_and_nobody_else_restarted
            one_that_pauses_for_a_while_is_no_trouble
            one_that_is_aborted_is_stalled_until_it_is_tried_again
            a_canary_of_somebody_else_s_is_left_to_its_end;
        reports:
            the_old_one_stays_until_the_report_shows_that_a_holder_outside_has_switched
            where_the_report_may_not_be_read_a_holder_outside_is_confirmed_by_hand;
        rollouts:
            pods_that_wait_for_the_first_one_are_not_restarted_for_it
            a_manifest_that_is_put_back_all_the_time_is_told_and_harms_nobody
            pods_that_only_people_replace_are_told_and_waited_for
            a_pod_of_a_job_is_told_by_its_name_and_waited_for
            a_pod_that_takes_its_time_to_end_keeps_the_old_one_alive
            a_workload_that_changes_while_it_is_restarted_loses_no_sign_in;
        sharing:
            two_applications_of_one_workload_rotate_at_once
            two_resources_of_one_application_leave_each_other_alone;
        readers:
            who_reads_a_copy_is_restarted_when_the_copy_has_the_new_one
            who_is_named_reads_the_vault_when_it_is_restarted
            who_reads_an_earlier_name_is_told_until_it_reads_the_new_one
            who_reads_nothing_secret_is_left_alone;
    )
}

/// Nobody needs a secret.
fn of_federations(shared: &Arc<Shared>) -> Vec<Trial> {
    scenarios!(shared,
        tokens: pods_with_the_label_have_a_token_and_the_client_id_of_their_account;
        federation:
            an_account_is_accepted_and_its_pods_sign_in_with_no_secret_at_all
            without_leave_to_ask_for_tokens_it_is_unproven_and_says_what_would_allow_it
            what_somebody_else_has_set_up_is_used_and_never_touched
            with_twenty_there_no_room_is_made
            a_lost_answer_leaves_nothing_behind
            one_that_an_administrator_deletes_is_set_up_again
            what_is_declared_no_more_goes_when_its_pods_have_gone
            an_account_that_is_deleted_is_told_and_used_again_when_it_is_back
            with_its_resource_it_stays_or_goes_as_that_says;
        migration:
            a_secret_goes_when_its_pods_sign_in_by_tokens_and_read_it_no_more
            what_is_federated_goes_when_its_pods_have_a_secret_and_no_token
            a_secret_stays_while_a_pod_that_nothing_restarts_reads_it
            a_secret_stays_where_no_webhook_gives_pods_a_token
            one_that_is_declared_again_on_the_way_is_what_it_was
            a_resource_that_revokes_takes_both_kinds_with_it;
        coordinates:
            a_federated_resource_says_where_to_sign_in_and_is_repaired_without_any_mint
            a_key_is_taken_out_under_its_readers_and_the_secret_goes_by_itself
            a_key_stays_while_a_pod_reads_it_that_has_no_token
            whoever_could_not_start_without_the_key_is_not_restarted_until_git_has_changed_it
            a_secret_that_is_declared_again_after_its_key_was_taken_out_comes_back_to_its_readers;
        outsiders:
            one_that_is_granted_is_used_and_said_to_be_unproven
            one_that_is_not_granted_is_told_and_set_up_when_it_is
            one_whose_grant_is_withdrawn_is_let_in_all_the_same_and_nothing_is_done
            one_goes_when_somebody_confirms_what_takes_its_place
            one_that_is_taken_out_of_the_spec_goes_when_what_takes_its_place_is_in_use;
        accounts:
            one_that_somebody_else_says_something_else_of_is_told_with_his_name
            one_that_is_rewritten_under_its_pods_is_told_and_never_fought_over
            one_that_git_keeps_is_left_to_it_with_the_command_that_is_missing
            one_that_says_the_same_by_somebody_else_is_not_contested;
        trusted:
            one_that_an_administrator_rewrites_is_left_to_them_and_another_set_up
            one_that_was_rewritten_keeps_a_resource_that_revokes_until_it_is_acknowledged_or_gone
            pods_that_were_there_before_what_somebody_else_has_set_up_was_used_are_restarted
            a_status_that_is_wiped_at_any_stage_changes_nothing_of_whom_entra_accepts
            a_record_that_is_deleted_at_any_stage_is_written_again_and_nothing_added
            a_resource_that_says_suspend_at_any_stage_of_federation_names_its_next_step
            a_federation_that_is_suspended_before_it_begins_is_a_dry_run
            a_resource_that_is_deleted_at_any_stage_of_federation_leaves_what_is_in_use_and_nothing_else
            a_resource_that_comes_back_finds_its_federated_credential
            a_quota_that_refuses_the_record_is_told_and_nothing_added
            of_two_resources_of_one_subject_either_may_go_and_nobody_is_refused
            what_another_resource_uses_is_not_revoked_until_that_one_goes
            what_another_resource_uses_stays_when_it_is_declared_no_more
            two_resources_of_one_subject_that_begin_at_once_use_one
            one_that_is_renamed_while_it_is_added_is_taken_back;
        weather:
            a_federated_credential_that_servers_hear_of_late_is_proven_and_noise_changes_nothing_afterwards
            servers_that_were_asked_too_early_are_asked_until_they_have_forgotten_it
            every_fault_at_what_federates_ends_the_same
            noise_that_pods_hear_leaves_a_federated_credential_alone;
        rivals:
            two_operators_at_once_set_up_one_federated_credential
            an_operator_that_stood_still_while_it_federated_harms_nothing_when_it_goes_on;
        namespaces:
            a_namespace_that_is_deleted_while_it_federates_goes_away_and_leaves_nothing
            a_namespace_that_comes_back_after_it_federated_finds_its_federated_credential;
        restores: an_etcd_from_before_or_amid_a_set_up_of_federation_takes_nothing_from_anybody;
    )
}

/// A credential gets a successor, although something is in the way.
fn of_hindered_rotations(shared: &Arc<Shared>) -> Vec<Trial> {
    scenarios!(shared,
        keys:
            an_old_one_that_an_administrator_removes_ends_the_overlap
            a_new_one_that_is_removed_while_it_waits_is_never_published
            a_new_one_that_is_removed_before_all_have_it_is_replaced
            a_compromised_one_on_its_way_out_goes_at_once
            a_compromised_one_goes_in_the_end_although_somebody_holds_it
            a_compromised_one_that_was_made_by_hand_goes_at_once;
        certified: a_rotation_of_secrets_leaves_certificates_alone;
        windows:
            a_rotation_waits_for_a_window_that_opens_soon
            no_workload_is_begun_to_be_restarted_after_its_window_has_closed
            a_credential_with_little_life_left_waits_for_no_window;
        blast:
            no_more_rotations_are_under_way_than_a_tenant_allows
            a_tenant_in_which_every_sign_in_is_blocked_pauses_itself;
        restored:
            a_rotation_goes_on_when_its_status_or_its_resource_was_lost
            a_cluster_from_before_the_rotation_removes_nothing_that_it_does_not_know
            a_cluster_that_there_is_twice_stops_removing;
        crowds:
            a_credential_that_many_workloads_use_rotates
            servers_of_entra_that_hear_of_it_late_refuse_nobody
            nodes_that_serve_old_copies_are_waited_for
            nodes_that_serve_old_copies_break_a_rotation_that_does_not_settle;
    )
}

/// Certificates.
fn of_certificates(shared: &Arc<Shared>) -> Vec<Trial> {
    scenarios!(shared,
        certificates:
            every_pod_gets_the_new_certificate_before_the_old_one_goes
            a_certificate_of_a_secret_follows_its_renewals
            what_cert_manager_renews_is_with_everybody_before_the_old_one_goes
            what_is_in_the_secret_is_looked_at_before_it_is_used
            certificates_of_others_survive_a_rival_who_writes_the_whole_list
            one_that_somebody_removed_is_replaced_at_once
            a_vault_has_it_as_text
            one_made_by_hand_is_adopted_and_goes_with_the_first_rotation
            a_policy_that_forbids_its_lifetime_is_told_and_nothing_is_left
            from_a_secret_to_a_certificate_and_back;
        imports:
            a_vault_imports_it_and_keeps_it
            a_name_that_is_something_else_is_left_alone;
    )
}

/// What is written, and what is told.
fn of_rules(shared: &Arc<Shared>) -> Vec<Trial> {
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
        waking:
            a_younger_resource_is_woken_when_the_elder_one_leaves_its_target
            a_tenant_that_is_named_again_is_looked_at_again
            a_secret_of_ours_whose_annotation_is_gone_is_repaired
            a_resource_that_was_deleted_during_a_look_leaves_no_figures;
        dead:
            a_tenant_whose_authority_never_answers_holds_up_nobody_else
            a_vault_that_never_answers_holds_up_nobody_else
            a_graph_that_never_answers_is_asked_by_one_at_a_time;
        newer: what_a_newer_definition_allows_is_told_and_never_lost;
        rooms: product_and_sandbox_share_no_code;
    )
}

/// From nothing to a published credential.
fn of_first_issues(shared: &Arc<Shared>) -> Vec<Trial> {
    scenarios!(shared,
        first_issue:
            a_declared_secret_is_minted_proven_and_published;
        firms:
            pods_wait_for_what_is_published_and_sign_in_with_it
            a_secret_that_leaves_its_place_is_found
            an_operator_dies_at_the_point_that_it_is_to_die_at;
        weather:
            replicas_that_lag_and_flap_are_waited_for
            a_credential_whose_answer_was_lost_is_found_when_reads_show_it_late
            a_value_that_can_be_kept_only_in_the_end_is_minted_once
            a_credential_that_never_signs_in_is_given_up_and_another_tried_until_one_does;
        vaults:
            a_vault_that_is_down_holds_back_nothing_else
            a_secret_that_a_policy_refuses_holds_back_nothing_else
            a_target_that_refuses_is_asked_less_and_less
            a_name_that_was_deleted_in_a_vault_is_neither_recovered_nor_purged
            an_entry_of_ours_that_was_deleted_is_told_and_goes_on_when_it_is_recovered
            a_vault_that_is_closed_is_told_with_its_remedy_and_written_when_it_is_open
            a_credential_that_could_be_published_nowhere_is_not_minted;
        namespaces:
            a_namespace_that_is_deleted_at_any_stage_goes_away_and_leaves_no_orphan
            a_namespace_that_is_emptied_at_any_stage_goes_away_and_leaves_no_orphan
            nothing_is_minted_in_a_namespace_that_is_being_deleted
            a_namespace_that_comes_back_after_its_publication_finds_its_credential;
        boundaries:
            a_grant_that_is_withdrawn_at_any_stage_freezes_everything_until_it_is_back
            a_grant_that_is_withdrawn_after_the_publication_takes_nothing_from_anybody
            an_application_that_the_operator_does_not_own_is_told_and_goes_on_when_it_does
            an_operator_that_cannot_sign_in_is_told_and_goes_on_when_its_secret_is_right
            the_secret_of_the_operator_is_rotated_under_it;
        restores:
            an_api_server_that_is_killed_at_any_stage_costs_nothing
            an_etcd_from_before_the_first_issue_costs_nothing_that_is_in_use
            an_etcd_from_between_mint_and_keep_costs_nothing_that_is_in_use;
        meddling:
            a_status_that_is_wiped_at_any_stage_changes_nothing
            a_spec_that_is_changed_at_any_stage_is_what_counts_in_the_end
            a_suspended_resource_says_its_next_step_and_goes_on_where_it_was
            a_suspended_resource_that_was_never_begun_is_a_dry_run
            a_resource_that_comes_back_at_any_stage_is_published
            a_resource_that_is_deleted_at_any_stage_leaves_what_was_published_and_nothing_else
            a_resource_that_comes_back_after_its_publication_finds_its_credential;
        former:
            what_was_on_its_way_for_another_application_is_taken_back
            what_was_published_for_another_application_is_told;
        endings:
            what_is_revoked_goes_when_its_last_pod_has_ended_and_the_resource_after_it
            a_deletion_may_be_turned_to_retain_as_long_as_somebody_is_in_the_way
            a_holder_outside_is_in_the_way_until_it_is_taken_out_of_the_spec
            a_grant_that_is_withdrawn_freezes_a_deletion_until_it_is_back
            only_what_our_records_know_is_revoked
            a_namespace_that_is_deleted_takes_what_is_to_be_revoked_with_it
            a_secret_goes_with_its_resource_if_it_is_ours_and_the_credential_stays
            a_secret_that_somebody_else_has_put_in_the_place_of_ours_stays
            an_operator_that_dies_at_any_step_of_a_deletion_costs_nothing;
        records:
            a_record_that_somebody_deletes_at_any_stage_costs_no_more_than_a_credential
            a_record_that_somebody_tears_away_at_any_stage_leaves_what_is_told_until_it_is_acknowledged
            the_record_of_a_published_credential_is_written_anew_from_a_target
            a_forged_record_is_never_published_and_harms_no_credential
            a_record_that_is_forged_over_a_published_one_changes_no_target;
        admission:
            a_quota_that_refuses_records_is_told_and_nothing_minted
            a_quota_that_has_room_for_the_record_only_holds_back_the_secret_only
            a_policy_that_refuses_records_is_told_and_nothing_minted
            a_policy_that_refuses_values_is_told_in_the_rehearsal_and_nothing_minted
            a_value_that_a_policy_refuses_is_held_until_it_can_be_kept
            a_value_that_a_policy_refused_to_the_end_is_replaced_and_its_credential_removed;
        targets:
            a_published_secret_that_somebody_edits_is_repaired_from_its_record
            a_published_secret_that_somebody_deletes_is_written_again
            a_published_secret_that_cannot_be_repaired_is_told_and_written_again_when_it_is_gone
            a_target_that_is_renamed_is_written_under_its_new_name_and_stays_under_its_old_one
            a_template_that_changes_is_applied_at_once;
        claims:
            a_secret_in_the_way_is_left_alone_and_all_else_published
            an_entry_in_the_way_is_left_alone_and_all_else_published
            an_entry_that_comes_while_a_credential_is_on_its_way_is_left_alone
            nothing_is_minted_while_everything_is_in_the_way
            a_secret_that_is_adopted_is_taken_over_whole
            a_secret_of_another_type_is_adopted_only_as_what_it_is
            what_is_merged_leaves_the_rest_to_its_owner
            what_is_to_be_merged_waits_for_a_secret_to_be_there_and_free
            what_was_ours_alone_is_merged_from_then_on
            of_two_resources_with_one_target_the_older_keeps_it;
        rivals:
            two_operators_at_once_publish_one_credential
            a_mint_and_a_keep_that_come_too_late_are_taken_back
            an_operator_that_stood_still_at_any_stage_harms_nothing_when_it_goes_on
            an_operator_that_is_held_up_before_it_writes_to_a_vault_puts_nothing_old_over_what_came_meanwhile;
    )
}

/// The operator itself.
fn of_operators(shared: &Arc<Shared>) -> Vec<Trial> {
    scenarios!(shared,
        faults:
            every_fault_of_the_api_server_ends_the_same
            a_crash_around_every_write_ends_the_same
            a_resource_that_cannot_be_written_holds_up_nobody_else;
        drift:
            a_resource_at_rest_costs_no_call_and_no_write
            a_vault_entry_that_somebody_overwrites_is_told_or_repaired
            a_credential_that_somebody_removed_is_told;
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
            an_operator_reads_its_own_secret_where_it_runs
            tokens_are_for_federation_and_only_where_that_is_allowed;
    )
}
