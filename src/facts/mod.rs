//! The vocabulary of what is so. No I/O, no clock, no decisions: an adapter fills these in, `plan` reads them.

pub mod observation;

pub use observation::{Observation, TenantObservation, TenantSeen};
