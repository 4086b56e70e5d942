//! The directory of one run: everything a run writes is below it, and it is locked for as long as its owner lives,
//! which is how others tell a run that is alive from the remains of one that was killed. Remains are kept for a
//! while, because they explain a failure, and swept by later runs. It never touches a directory that is not a run's.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::{pki, places};

const LOCK: &str = "lock";

/// How many remains of runs that did not end well are kept.
const REMAINS: usize = 3;

/// A run's directory, ours until this is dropped.
pub(crate) struct RunDir {
    path: PathBuf,
    _lock: File,
}

impl RunDir {
    /// Takes `dir`, which must be new, empty, or what an earlier run left; or else a new one below `target/`.
    pub(crate) fn create(dir: Option<&Path>) -> anyhow::Result<Self> {
        let runs = places::runs();
        fs::create_dir_all(&runs).with_context(|| format!("could not create {}", runs.display()))?;
        // Until the new directory is locked a sweep by somebody else must not find it.
        let turn = File::create(runs.join(".turn")).and_then(|turn| turn.lock().map(|()| turn));
        let _turn = turn.with_context(|| format!("could not lock {}", runs.join(".turn").display()))?;
        sweep(&runs)?;
        let path = match dir {
            Some(dir) => dir.to_path_buf(),
            None => runs.join(unique_name()?),
        };
        Self::take(&path).with_context(|| format!("could not use {} as the directory of a run", path.display()))
    }

    fn take(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path)?;
        let path = path.canonicalize()?;
        let known = path.join(LOCK).exists();
        anyhow::ensure!(
            known || fs::read_dir(&path)?.next().is_none(),
            "there are files in it that are not the sandbox's: name another directory, or empty it"
        );
        let lock = File::create(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => anyhow::bail!("another sandbox is running in it"),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        for old in fs::read_dir(&path)?.flatten().filter(|entry| entry.file_name() != LOCK) {
            if old.file_type()?.is_dir() { fs::remove_dir_all(old.path())? } else { fs::remove_file(old.path())? }
        }
        for room in ["logs", "pids", "kubeconfigs", "pki", "snapshots"] {
            fs::create_dir(path.join(room))?;
        }
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The output of a program.
    pub(crate) fn log(&self, program: &str) -> PathBuf {
        self.path.join("logs").join(format!("{program}.log"))
    }

    /// The process IDs of a program and of its holder.
    pub(crate) fn pids(&self, program: &str) -> PathBuf {
        self.path.join("pids").join(program)
    }

    /// Removes it with all that is in it. The lock is let go with the last reference to it.
    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.path).with_context(|| format!("could not remove {}", self.path.display()))
    }
}

/// The newest run below `target/` whose owner lives.
#[must_use]
pub fn newest_alive() -> Option<PathBuf> {
    let mut runs = all(&places::runs());
    runs.retain(|run| is_alive(run) && run.join("kubeconfig").exists());
    runs.pop()
}

/// Names sort by age.
fn unique_name() -> anyhow::Result<String> {
    Ok(format!("{}-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3f"), pki::random_word()?))
}

/// All runs, the oldest first.
fn all(runs: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(runs).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.join(LOCK).exists()).collect();
    found.sort();
    found
}

fn is_alive(run: &Path) -> bool {
    File::open(run.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Removes the older remains of runs whose owner is gone.
fn sweep(runs: &Path) -> anyhow::Result<()> {
    let mut remains = all(runs);
    remains.retain(|run| !is_alive(run));
    let many = remains.len().saturating_sub(REMAINS);
    for old in remains.drain(..many) {
        fs::remove_dir_all(&old)
            .with_context(|| format!("could not remove what an old run left in {}", old.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_remains_are_kept_and_nobody_who_lives_is_swept() {
        let runs = std::env::temp_dir().join(unique_name().unwrap());
        for name in ["1-alive", "2", "3", "4", "5"] {
            fs::create_dir_all(runs.join(name)).unwrap();
            File::create(runs.join(name).join(LOCK)).unwrap();
        }
        fs::create_dir(runs.join("0-somebody-else-s")).unwrap();
        let alive = File::open(runs.join("1-alive").join(LOCK)).unwrap();
        alive.lock().unwrap();

        sweep(&runs).unwrap();
        let mut left: Vec<_> = fs::read_dir(&runs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["0-somebody-else-s", "1-alive", "3", "4", "5"]);
        fs::remove_dir_all(&runs).unwrap();
    }
}
