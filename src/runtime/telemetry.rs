//! Logs: text for a person at a terminal, JSON for everything else. Never a secret, never the content of a panic.

use std::io::{IsTerminal, stderr};

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, filter::Directive, fmt, prelude::*};

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    #[default]
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}

/// A filter of log lines that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("could not read the log filter {filter:?}: {source}. Write for example info, or info,keywright=debug")]
pub struct BadFilter {
    filter: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// kube logs the whole answer of the API server when it cannot be decoded, and that may be a Secret.
const KEPT_OUT: &str = "kube_client::client=off";

/// Start logging to standard error.
pub fn start(format: LogFormat, filter: &str) -> Result<(), BadFilter> {
    let bad = |source: Box<dyn std::error::Error + Send + Sync>| BadFilter { filter: filter.to_owned(), source };
    let kept_out: Directive = KEPT_OUT.parse().map_err(|error| bad(Box::new(error)))?;
    let filter = EnvFilter::builder().parse(filter).map_err(|error| bad(Box::new(error)))?.add_directive(kept_out);
    let text = match format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let layer = fmt::layer().with_writer(stderr);
    let layer = if text {
        layer.with_ansi(stderr().is_terminal()).boxed()
    } else {
        layer.json().flatten_event(true).with_span_list(false).boxed()
    };
    tracing_subscriber::registry().with(filter).with(layer).init();
    log_panics_without_content();
    Ok(())
}

/// The message of a panic can quote anything, a secret too: the place is enough to find the mistake.
fn log_panics_without_content() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}
