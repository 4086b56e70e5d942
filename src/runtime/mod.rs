//! The process around the operator: probes and metrics, logs, and an orderly end. Knows nothing of credentials.

pub mod admin;
pub mod readiness;
pub mod shutdown;
pub mod tasks;
pub mod telemetry;
