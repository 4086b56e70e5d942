//! What Keywright hears from Microsoft, against a stand-in for it that lags, flaps, throttles and cuts: sign-ins and
//! Key Vault. No Kubernetes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy allows these in test functions, but not in what those share"
)]

mod entries;
mod imports;
mod place;
mod proofs;
mod refusals;
mod vaults;
