//! Keywright keeps the credentials of Microsoft Entra applications fresh.
//!
//! The rooms, in reading order; a room knows only rooms before it:
//!
//! - [`api`]: what users write and read
//! - [`cli`]: what people type

pub mod api;
pub mod cli;
pub mod facts;
pub mod plan;
