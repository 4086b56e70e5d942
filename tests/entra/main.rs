//! How Keywright speaks to Entra and Graph, against the sandbox's own, which knows nothing of it: every end that a call
//! can come to, and what is made of it.

#![expect(clippy::unwrap_used, reason = "clippy allows these in test functions, but not in what those share")]

mod exchange;
mod federation;
mod mint;
mod operator;
mod place;
mod tenant;
mod usage;
mod weather;
mod wire;
