//! What people type. Each command is a file; none decides anything about a credential.

pub mod crds;
pub mod operator;
pub mod run;
pub mod scope;
mod watches;
