//! What the sandbox promises to those who write scenarios.

mod lifetime;
mod operator;
mod plane;
mod processes;
mod proxy;
mod weather;
