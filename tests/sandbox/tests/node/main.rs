//! Nodes on a real control plane: what the API shows of their pods, and what the pods hold and testify.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy allows these in test functions, but not in what those share"
)]
#![expect(clippy::print_stdout, reason = "figures, for whoever asks with --nocapture")]

mod certificates;
mod crowd;
mod door;
mod endpoint;
mod federated;
mod holding;
mod life;
mod restore;
mod town;

use crate::town::Town;

/// On one plane, since a plane of its own for each would be most of the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_live_and_hold_as_on_a_real_node() {
    let town = Town::new().await;
    tokio::join!(
        life::a_deployment_is_rolled_out_and_kubectl_shows_it(&town),
        life::a_stateful_set_gives_names_to_others(&town),
        life::a_deleted_pod_signs_in_until_it_ends(&town),
        life::a_stubborn_pod_is_killed_after_its_grace_period(&town),
        life::a_job_completes(&town),
        life::init_containers_come_first_and_a_pod_may_never_be_ready(&town),
        holding::variables_stay_until_a_restart_and_files_follow(&town),
        holding::a_missing_key_keeps_a_container_from_being_created(&town),
        holding::a_missing_secret_keeps_a_volume_from_being_mounted(&town),
        holding::a_node_that_lags_gives_a_new_pod_the_old_value(&town),
        door::a_refusal_is_recorded_with_its_code(&town),
        door::real_host_names_are_reached_through_a_proxy(&town),
        federated::only_pods_with_the_label_are_changed(&town),
        federated::a_pod_that_is_refused_is_told_why(&town),
        federated::a_pod_with_the_label_signs_in_with_the_cluster_s_own_token(&town),
        federated::a_token_is_renewed_and_no_sign_in_sees_it(&town),
        federated::a_secret_is_used_before_a_token(&town),
        certificates::a_pod_signs_in_with_a_certificate_in_either_form(&town),
        certificates::a_file_is_followed_or_read_once(&town),
        certificates::a_certificate_that_is_removed_while_it_is_held_is_told(&town),
        certificates::what_does_not_belong_together_is_refused(&town),
    );
    town.close().await;
}
