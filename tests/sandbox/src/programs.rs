//! Where the control plane's programs come from: the folder in `KUBEBUILDER_ASSETS` if that is set, else Go builds them
//! from `tools/go.mod`, which is the only place that knows versions. It never starts a program of the plane.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::go::{Module, Set};
use crate::places;

/// The programs without which there is no plane.
const PLANE: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

const KUBERNETES: &str = "k8s.io/kubernetes";
const ETCD: &str = "go.etcd.io/etcd/server/v3";

/// A folder that has the programs.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// The programs of `KUBEBUILDER_ASSETS`, or those of `tools/go.mod`, built if they have not been before.
    pub async fn find() -> anyhow::Result<Self> {
        match places::assets() {
            Some(folder) => Self::in_folder(&folder).context(
                "KUBEBUILDER_ASSETS does not help: complete its folder, or unset it to have all built from tools/go.mod",
            ),
            None => built().await,
        }
    }

    /// The programs in a folder.
    pub fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let missing: Vec<&str> = PLANE.into_iter().filter(|name| !folder.join(name).is_file()).collect();
        anyhow::ensure!(missing.is_empty(), "{} lacks {}", folder.display(), missing.join(", "));
        Ok(Self { folder: folder.to_path_buf() })
    }

    /// The file of a program.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The file of kubectl, which a plane can do without.
    pub fn kubectl(&self) -> anyhow::Result<PathBuf> {
        let file = self.path("kubectl");
        anyhow::ensure!(
            file.is_file(),
            "{} lacks kubectl: unset KUBEBUILDER_ASSETS to have it built",
            self.folder.display()
        );
        Ok(file)
    }
}

async fn built() -> anyhow::Result<Programs> {
    let tools = Module::read(places::tools())?;
    let (kubernetes, etcd) = (tools.version(KUBERNETES)?, tools.version(ETCD)?);
    let of_kubernetes = PLANE.into_iter().chain(["kubectl"]).filter(|name| *name != "etcd");
    let of_kubernetes = of_kubernetes.map(|name| format!("{KUBERNETES}/cmd/{name}")).collect();
    let set = Set {
        name: &kubernetes,
        what: &format!("building Kubernetes {kubernetes} and etcd {etcd} with Go, once"),
        ldflags: &ldflags(&kubernetes),
        builds: &[("", of_kubernetes), ("etcd", vec![ETCD.to_owned()])],
        files: &[],
        without_go: &format!("set KUBEBUILDER_ASSETS to a folder with {}", PLANE.join(", ")),
    };
    Programs::in_folder(&tools.built(&set).await?)
}

/// Without these the programs call themselves v0.0.0, and clients decide by version what a server can do.
fn ldflags(version: &str) -> String {
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let mut flags = vec!["-s -w".to_owned()];
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        let says = [("gitVersion", version), ("gitMajor", major), ("gitMinor", minor), ("gitTreeState", "clean")];
        flags.extend(says.map(|(name, value)| format!("-X {package}.{name}={value}")));
    }
    flags.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_say_their_version() {
        assert!(ldflags("v1.36.3").contains("-X k8s.io/client-go/pkg/version.gitMinor=36 "));
    }
}
