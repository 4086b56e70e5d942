//! Where the sandbox finds and keeps things on disk: `tools/` and the chart in the repository, `target/sandbox/` for
//! everything it makes. It decides on paths only; it never creates or removes anything.

use std::path::{Path, PathBuf};

/// The Go module that pins the control plane's own programs; in it, `helm/` pins Helm, and others what they are called by.
pub(crate) fn tools() -> PathBuf {
    repository().join("tools")
}

/// The chart of the product.
pub(crate) fn chart() -> PathBuf {
    repository().join("charts/keywright")
}

/// The folder with programs that need not be built, if somebody has one.
pub(crate) fn assets() -> Option<PathBuf> {
    std::env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// The folder under which programs are cached and runs live.
pub(crate) fn sandbox() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from).join("sandbox")
}

/// The folder of all runs, each in a folder of its own.
pub(crate) fn runs() -> PathBuf {
    sandbox().join("runs")
}

fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}
