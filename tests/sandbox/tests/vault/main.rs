//! What Key Vault's stand-in promises: each rule of it, with the paragraph of AZURE.md that it stands for.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy allows these in test functions, but not in what those share"
)]

mod administrator;
mod certificates;
#[path = "../azure/client.rs"]
mod client;
mod deletion;
mod doors;
mod faults;
mod grants;
mod limits;
mod lists;
mod places;
mod values;
