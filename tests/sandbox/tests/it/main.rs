//! What the sandbox promises to those who write scenarios.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy allows these in test functions, but not in what those share"
)]
#![expect(clippy::print_stdout, reason = "figures, for whoever asks with --nocapture")]

mod controllers;
mod lifetime;
mod operator;
mod plane;
mod processes;
mod programs;
mod proxy;
mod weather;
