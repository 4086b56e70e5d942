//! What Azure's stand-in promises: each rule of it, with the paragraph of AZURE.md that it stands for.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy allows these in test functions, but not in what those share"
)]
#![expect(clippy::print_stdout, reason = "figures, for whoever asks with --nocapture")]

mod administrator;
mod certificates;
mod client;
mod cluster;
mod deltas;
mod doors;
mod drafts;
mod faults;
mod federated;
mod federation;
mod figures;
mod ledger;
mod lists;
mod passwords;
mod places;
mod replicas;
mod reports;
mod sign_in;
mod signatures;
