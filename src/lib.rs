//! Keywright keeps the credentials of Microsoft Entra applications fresh.
//!
//! The rooms, in reading order; a room knows only rooms before it, and the adapters never each other:
//!
//! - [`api`]: what users write and read
//! - [`facts`]: the vocabulary of what is so
//! - [`certificate`]: a certificate with its key: made, read, put into the texts that programs read; pure
//! - [`plan`]: what is to be said and done, and why; pure
//! - [`wire`]: what every call outside shares: one HTTP client, sent-once, quotas
//! - [`entra`]: Microsoft's side of identity, an adapter
//! - [`vault`]: Key Vault, an adapter
//! - [`cluster`]: Kubernetes' side, an adapter
//! - [`reconcile`]: observe → plan → report
//! - [`runtime`]: the process: probes, metrics, logs, an orderly end
//! - [`cli`]: what people type
//! - [`args`]: the command line

pub mod api;
pub mod args;
pub mod certificate;
pub mod cli;
pub mod cluster;
pub mod entra;
pub mod facts;
pub mod plan;
pub mod reconcile;
pub mod runtime;
pub mod vault;
pub mod wire;
