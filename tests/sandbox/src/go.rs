//! Programs that Go builds from a folder whose `go.mod` is the only place that knows their versions, into a cache below
//! `target/`, with files of the modules that they are made of. A cached set is complete or absent, and built by one
//! process however many want it. It knows no program.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use tokio::process::Command;

use crate::hold::{self, Environment, Held, Program};
use crate::{places, progress};

/// A folder with a `go.mod`.
pub(crate) struct Module {
    folder: PathBuf,
    go_mod: String,
    go_sum: String,
    /// Programs of its own, where somebody else's library has none.
    sources: Vec<String>,
}

/// Programs that belong together.
pub(crate) struct Set<'a> {
    /// What their folder in the cache is called, before the hash of what they are made of.
    pub(crate) name: &'a str,
    /// What is said while they are built.
    pub(crate) what: &'a str,
    /// What the linker is told.
    pub(crate) ldflags: &'a str,
    /// Where in the folder something is put, and the packages that are.
    pub(crate) builds: &'a [(&'a str, Vec<String>)],
    /// Where in the folder files are put, the module that they are from, and their folder in it.
    pub(crate) files: &'a [(&'a str, &'a str, &'a str)],
    /// What to do for somebody who has no Go.
    pub(crate) without_go: &'a str,
}

impl Module {
    /// The module of a folder.
    pub(crate) fn read(folder: PathBuf) -> anyhow::Result<Self> {
        let file = folder.join("go.mod");
        let go_mod = fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
        let go_sum =
            fs::read_to_string(folder.join("go.sum")).with_context(|| format!("{} has no go.sum", folder.display()))?;
        let sources = sources(&folder).with_context(|| format!("could not read {}", folder.display()))?;
        Ok(Self { folder, go_mod, go_sum, sources })
    }

    /// The version that it requires of another module, or of `go` itself.
    pub(crate) fn version(&self, name: &str) -> anyhow::Result<String> {
        let file = self.folder.join("go.mod");
        version_of(&self.go_mod, name).with_context(|| format!("{} does not name {name}", file.display()))
    }

    /// The folder that has these programs, built if they have not been before.
    pub(crate) async fn built(&self, set: &Set<'_>) -> anyhow::Result<PathBuf> {
        let go = go_version(&self.folder, &self.version("go")?, set.without_go).await?;
        // The hash only has to change when its input does; that it may differ between Rust releases costs a build.
        let mut hasher = DefaultHasher::new();
        (&self.go_mod, &self.go_sum, set.ldflags, &go).hash(&mut hasher);
        self.sources.iter().for_each(|source| source.hash(&mut hasher));
        set.files.iter().for_each(|files| files.hash(&mut hasher));
        let key = format!("{}-{:016x}", set.name, hasher.finish());
        let cache = places::sandbox().join("programs");
        let folder = cache.join(&key);
        if folder.is_dir() {
            return Ok(folder);
        }
        fs::create_dir_all(&cache).with_context(|| format!("could not create {}", cache.display()))?;
        let _turn = turn(&cache.join(format!("{key}.lock")), set.what).await?;
        if !folder.is_dir() {
            progress::during(set.what, self.build(set, &cache.join(&key))).await?;
        }
        Ok(folder)
    }

    /// Builds into a folder beside the right one and renames it, so that an interrupted build leaves nothing half.
    async fn build(&self, set: &Set<'_>, folder: &Path) -> anyhow::Result<()> {
        let half = folder.with_added_extension("building");
        match fs::remove_dir_all(&half) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir(&half)?,
        }
        let log = folder.with_added_extension("log");
        for (place, packages) in set.builds {
            let output = if place.is_empty() { half.clone() } else { half.join(place) };
            self.go_build(&log, set.ldflags, &output, packages).await?;
        }
        for (place, module, below) in set.files {
            let from = self.folder_of(module).await?.join(below);
            copy_files(&from, &half.join(place))
                .with_context(|| format!("could not copy what is in {}", from.display()))?;
        }
        fs::rename(&half, folder)
            .with_context(|| format!("could not rename {} to {}", half.display(), folder.display()))
    }

    /// Where the files of another module are, which a build has brought to this machine.
    async fn folder_of(&self, module: &str) -> anyhow::Result<PathBuf> {
        let asked = go(&self.folder).args(["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module]).output().await;
        let asked = asked.with_context(|| format!("could not ask go where {module} is"))?;
        let folder = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        let said = String::from_utf8_lossy(&asked.stderr);
        anyhow::ensure!(asked.status.success() && !folder.is_empty(), "go does not know where {module} is: {said}");
        Ok(folder.into())
    }

    async fn go_build(&self, log: &Path, ldflags: &str, output: &Path, packages: &[String]) -> anyhow::Result<()> {
        let mut args: Vec<OsString> = ["build", "-mod=readonly", "-trimpath", "-ldflags"].map(OsString::from).into();
        args.extend([OsString::from(ldflags), "-o".into(), output.into()]);
        args.extend(packages.iter().map(OsString::from));
        let go = Held::start(Program {
            name: "go build",
            binary: Path::new("go"),
            args,
            dir: Some(&self.folder),
            environment: Environment::Inherited(environment()),
            grace: 3,
            pids: None,
            output: File::create(log).with_context(|| format!("could not create {}", log.display()))?.into(),
        })?;
        let status = go.ended().await?;
        anyhow::ensure!(
            status.success(),
            "could not build {} from {} ({status}). The end of {}:\n{}",
            output.display(),
            self.folder.display(),
            log.display(),
            hold::tail(log)
        );
        Ok(())
    }
}

/// Waits until nobody else builds. The thread is not awaited by anybody when we are interrupted meanwhile.
async fn turn(path: &Path, what: &str) -> anyhow::Result<File> {
    let failed = || format!("could not lock {}", path.display());
    let lock = File::create(path).with_context(failed)?;
    match lock.try_lock() {
        Ok(()) => return Ok(lock),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
    }
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || locked.send(lock.lock().map(|()| lock)));
    let lock = progress::during(&format!("waiting for another process: {what}"), is_locked).await;
    lock.with_context(failed)?.with_context(failed)
}

/// What is written in Go in a folder, in the order of its names.
fn sources(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "go"));
    files.sort();
    files.iter().map(fs::read_to_string).collect()
}

/// Copies the files of a folder, and none that are below.
fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            // Not as a copy: the files of a module are read-only, and what is below `target/` is to be removed.
            fs::write(to.join(entry.file_name()), fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// Go, in a folder, for a short question.
fn go(folder: &Path) -> Command {
    let mut go = Command::new("go");
    go.envs(environment()).current_dir(folder).stdin(Stdio::null());
    go
}

/// What Go must not take from a developer's settings: static programs for this machine, of this module alone.
fn environment() -> Vec<(OsString, OsString)> {
    [("CGO_ENABLED", "0"), ("GOWORK", "off"), ("GOOS", ""), ("GOARCH", "")]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
}

/// The version that a `go.mod` requires of a module, or of `go` itself.
fn version_of(go_mod: &str, name: &str) -> Option<String> {
    let mut lines = go_mod.lines().map(|line| line.trim().trim_start_matches("require ").split_whitespace());
    lines.find_map(|mut words| (words.next() == Some(name)).then(|| words.next().map(str::to_owned)).flatten())
}

/// The version of the Go that builds, which must be as new as wanted.
async fn go_version(folder: &Path, wanted: &str, without_go: &str) -> anyhow::Result<String> {
    let advice = format!("Install Go {wanted} or newer (https://go.dev/dl/), or {without_go}");
    let asked = go(folder)
        .args(["env", "GOVERSION"])
        .output()
        .await
        .with_context(|| format!("could not run go, which builds what tests need. {advice}"))?;
    let found = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    anyhow::ensure!(
        asked.status.success() && numbers(&found) >= numbers(wanted),
        "the Go on the PATH is {found} and cannot build what tests need, which wants {wanted}. {advice}. {}",
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
        let go_mod = "module x\n\ngo 1.26.0\n\nrequire (\n\ta.b/d/v3 v3.36.3 // indirect\n)\nrequire a.b/c v1.0.0\n";
        assert_eq!(version_of(go_mod, "go").as_deref(), Some("1.26.0"));
        assert_eq!(version_of(go_mod, "a.b/d/v3").as_deref(), Some("v3.36.3"));
        assert_eq!(version_of(go_mod, "a.b/c").as_deref(), Some("v1.0.0"));
        assert_eq!(version_of(go_mod, "a.b/d"), None);
    }

    #[test]
    fn an_older_go_is_older() {
        assert!(numbers("go1.26.8 X:nodwarf5") >= numbers("1.26.0"));
        assert!(numbers("go1.26rc1") < numbers("1.26.0"));
        assert!(numbers("go1.9") < numbers("1.26.0"));
        assert!(numbers("devel go1.27-abcdef") >= numbers("1.26.0"));
        assert!(numbers("") < numbers("1.26.0"));
    }
}
