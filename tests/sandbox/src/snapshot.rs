//! Copies of etcd's data. They are taken of an etcd that stands still, not of one that ended: what a killed process
//! has written is in the page cache, and etcd recovers from being killed, so a copy of that is as good as a backup.
//! Nothing here knows what is stored, and it starts and ends no program.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::process::Command;

use crate::components::Components;
use crate::hold::{Held, Signal};

/// Copies the data of a running etcd to `kept`.
pub(crate) async fn take(etcd: &Held, components: &Components, kept: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(!kept.exists(), "it exists already: choose another name");
    let pids = components.run().pids("etcd");
    etcd.signal(Signal::Stop);
    let copied = async {
        stands_still(&pids).await?;
        copy(components.etcd_data(), kept.to_path_buf()).await
    };
    let copied = copied.await;
    etcd.signal(Signal::Continue);
    copied
}

/// Replaces `data` by a copy of `kept`, which can be put back again later.
pub(crate) async fn put_back(kept: &Path, data: &Path) -> anyhow::Result<()> {
    fs::remove_dir_all(data).with_context(|| format!("could not remove {}", data.display()))?;
    copy(kept.to_path_buf(), data.to_path_buf()).await
}

/// A signal takes effect a moment after it was sent, and nobody is told when; the state of the process shows it.
async fn stands_still(pids: &Path) -> anyhow::Result<()> {
    let pids = fs::read_to_string(pids).context("the process ID of etcd is not known")?;
    let pid = pids.split_whitespace().nth(1).context("the process ID of etcd is not known")?;
    for _ in 0..200 {
        let asked = Command::new("ps")
            .args(["-o", "stat=", "-p", pid])
            .output()
            .await
            .context("could not run ps: install procps")?;
        if asked.stdout.trim_ascii_start().starts_with(b"T") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("etcd (process {pid}) goes on after SIGSTOP")
}

async fn copy(from: PathBuf, to: PathBuf) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(move || copy_folder(&from, &to)).await?
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("could not create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("could not read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if target.extension().is_none_or(|extension| extension != "tmp") {
            // A write-ahead log set aside for later ends in .tmp: 64 MB of nothing, made again by etcd.
            fs::copy(entry.path(), &target).with_context(|| format!("could not copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}
