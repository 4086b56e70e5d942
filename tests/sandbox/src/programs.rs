//! Where the control plane's programs come from: the folder in `KUBEBUILDER_ASSETS` if that is set, else a cache
//! below `target/`, filled by Go from `tools/go.mod`, which is the only place that knows versions. A cached set is
//! complete or absent, and built by one process however many want it. It never starts a program of the plane.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use tokio::process::Command;

use crate::hold::{self, Environment, Held, Program};
use crate::{places, progress};

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
        match std::env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::in_folder(Path::new(&folder)).context(
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

/// What is to be built, and with what.
struct Recipe {
    tools: PathBuf,
    kubernetes: String,
    etcd: String,
    ldflags: String,
    key: String,
}

async fn built() -> anyhow::Result<Programs> {
    let recipe = Recipe::read(places::tools()).await?;
    let cache = places::sandbox().join("programs");
    let folder = cache.join(&recipe.key);
    if folder.is_dir() {
        return Programs::in_folder(&folder);
    }
    fs::create_dir_all(&cache).with_context(|| format!("could not create {}", cache.display()))?;
    let _turn = turn(&cache.join(format!("{}.lock", recipe.key))).await?;
    if !folder.is_dir() {
        recipe.build(&cache, &folder).await?;
    }
    Programs::in_folder(&folder)
}

/// Waits until nobody else builds. The thread is not awaited by anybody when we are interrupted meanwhile.
async fn turn(path: &Path) -> anyhow::Result<File> {
    let failed = || format!("could not lock {}", path.display());
    let lock = File::create(path).with_context(failed)?;
    match lock.try_lock() {
        Ok(()) => return Ok(lock),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
    }
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || locked.send(lock.lock().map(|()| lock)));
    let lock = progress::during("waiting for another process that builds the control plane", is_locked).await;
    lock.with_context(failed)?.with_context(failed)
}

impl Recipe {
    async fn read(tools: PathBuf) -> anyhow::Result<Self> {
        let file = tools.join("go.mod");
        let go_mod = fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
        let go_sum =
            fs::read_to_string(tools.join("go.sum")).with_context(|| format!("{} has no go.sum", tools.display()))?;
        let named =
            |what: &str| version_of(&go_mod, what).with_context(|| format!("{} does not name {what}", file.display()));
        let (kubernetes, etcd, wanted) = (named(KUBERNETES)?, named(ETCD)?, named("go")?);
        let go = go_version(&tools, &wanted).await?;
        let ldflags = ldflags(&kubernetes);
        // The hash only has to change when its input does; that it may differ between Rust releases costs a build.
        let mut hasher = DefaultHasher::new();
        (&go_mod, &go_sum, &ldflags, &go).hash(&mut hasher);
        let key = format!("{kubernetes}-{:016x}", hasher.finish());
        Ok(Self { tools, kubernetes, etcd, ldflags, key })
    }

    /// Builds into a folder beside the right one and renames it, so that an interrupted build leaves nothing half.
    async fn build(&self, cache: &Path, folder: &Path) -> anyhow::Result<()> {
        let half = cache.join(format!("{}.building", self.key));
        match fs::remove_dir_all(&half) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir(&half)?,
        }
        let what = format!("building Kubernetes {} and etcd {} with Go, once", self.kubernetes, self.etcd);
        progress::during(&what, async {
            let kubernetes = PLANE.into_iter().chain(["kubectl"]).filter(|name| *name != "etcd");
            let kubernetes = kubernetes.map(|name| format!("{KUBERNETES}/cmd/{name}")).collect();
            self.go_build(cache, &half, kubernetes).await?;
            self.go_build(cache, &half.join("etcd"), vec![ETCD.to_owned()]).await
        })
        .await?;
        fs::rename(&half, folder)
            .with_context(|| format!("could not rename {} to {}", half.display(), folder.display()))
    }

    async fn go_build(&self, cache: &Path, output: &Path, packages: Vec<String>) -> anyhow::Result<()> {
        let log = cache.join(format!("{}.log", self.key));
        let mut args: Vec<OsString> = ["build", "-mod=readonly", "-trimpath", "-ldflags"].map(OsString::from).into();
        args.extend([OsString::from(&self.ldflags), "-o".into(), output.into()]);
        args.extend(packages.into_iter().map(OsString::from));
        let go = Held::start(Program {
            name: "go build",
            binary: Path::new("go"),
            args,
            dir: Some(&self.tools),
            environment: Environment::Inherited(environment()),
            grace: 3,
            pids: None,
            output: File::create(&log).with_context(|| format!("could not create {}", log.display()))?.into(),
        })?;
        let status = go.ended().await?;
        anyhow::ensure!(
            status.success(),
            "could not build {} from {} ({status}). The end of {}:\n{}",
            output.display(),
            self.tools.display(),
            log.display(),
            hold::tail(&log)
        );
        Ok(())
    }
}

/// What Go must not take from a developer's settings: static programs for this machine, of this module alone.
fn environment() -> Vec<(OsString, OsString)> {
    [("CGO_ENABLED", "0"), ("GOWORK", "off"), ("GOOS", ""), ("GOARCH", "")]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
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

/// The version that a `go.mod` requires of a module, or of `go` itself.
fn version_of(go_mod: &str, name: &str) -> Option<String> {
    let mut lines = go_mod.lines().map(|line| line.trim().trim_start_matches("require ").split_whitespace());
    lines.find_map(|mut words| (words.next() == Some(name)).then(|| words.next().map(str::to_owned)).flatten())
}

/// The version of the Go that builds, which must be as new as wanted.
async fn go_version(tools: &Path, wanted: &str) -> anyhow::Result<String> {
    let advice = format!(
        "Install Go {wanted} or newer (https://go.dev/dl/), or set KUBEBUILDER_ASSETS to a folder with {}",
        PLANE.join(", ")
    );
    let asked = Command::new("go")
        .args(["env", "GOVERSION"])
        .envs(environment())
        .current_dir(tools)
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("could not run go, which builds the control plane. {advice}"))?;
    let found = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    anyhow::ensure!(
        asked.status.success() && numbers(&found) >= numbers(wanted),
        "the Go on the PATH is {found} and cannot build the control plane, which wants {wanted}. {advice}. {}",
        String::from_utf8_lossy(&asked.stderr).trim()
    );
    Ok(found)
}

/// `go1.26.8 X:something` as numbers that compare.
fn numbers(version: &str) -> Vec<u32> {
    let version = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    version[..end].split('.').filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_go_mod_alone() {
        let go_mod =
            "module x\n\ngo 1.26.0\n\nrequire (\n\tk8s.io/kubernetes v1.36.3 // indirect\n)\nrequire a.b/c v1.0.0\n";
        assert_eq!(version_of(go_mod, "go").as_deref(), Some("1.26.0"));
        assert_eq!(version_of(go_mod, KUBERNETES).as_deref(), Some("v1.36.3"));
        assert_eq!(version_of(go_mod, "a.b/c").as_deref(), Some("v1.0.0"));
        assert_eq!(version_of(go_mod, ETCD), None);
    }

    #[test]
    fn an_older_go_is_older() {
        assert!(numbers("go1.26.8 X:nodwarf5") >= numbers("1.26.0"));
        assert!(numbers("go1.26rc1") < numbers("1.26.0"));
        assert!(numbers("go1.9") < numbers("1.26.0"));
        assert!(numbers("devel go1.27-abcdef") >= numbers("1.26.0"));
        assert!(numbers("") < numbers("1.26.0"));
    }

    #[test]
    fn programs_say_their_version() {
        assert!(ldflags("v1.36.3").contains("-X k8s.io/client-go/pkg/version.gitMinor=36 "));
    }
}
