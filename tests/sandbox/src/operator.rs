//! The product as its users run it: the binary in a process of its own, of which nothing is seen but what it prints.
//! It runs under somebody's kubeconfig, can be asked to end or be killed, and never outlives the test. Nothing is known
//! here of what it does.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;

use crate::hold::{Environment, Held, KillSwitch, Program, Signal};
use crate::pki;

/// A running operator. Dropping it ends it.
pub struct Operator {
    held: Held,
    log: PathBuf,
    lines: watch::Receiver<Vec<String>>,
}

impl Operator {
    /// Runs the binary with `KUBECONFIG` and `PATH` in its environment, and what `env` adds. What it prints, on
    /// standard output and standard error, is kept in memory and in a file beside the kubeconfig.
    pub fn start(
        binary: &Path,
        kubeconfig: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        env: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> anyhow::Result<Self> {
        let log = kubeconfig.with_added_extension(format!("{}.log", pki::random_word()?));
        Self::launch("the operator", binary, (kubeconfig, log), args, env)
    }

    /// The same of somebody else's, which messages call `name`, with what it prints in this file.
    pub(crate) fn launch(
        name: &str,
        binary: &Path,
        (kubeconfig, log): (&Path, PathBuf),
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        env: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> anyhow::Result<Self> {
        let file = File::create(&log).with_context(|| format!("could not create {}", log.display()))?;
        let (reader, writer) =
            std::io::pipe().with_context(|| format!("could not make a pipe for the output of {name}"))?;
        let reader =
            Receiver::from_owned_fd(reader.into()).with_context(|| format!("could not read the output of {name}"))?;
        let mut environment: Vec<(OsString, OsString)> = vec![("KUBECONFIG".into(), kubeconfig.into())];
        environment.extend(env.into_iter().map(|(name, value)| (name.as_ref().into(), value.as_ref().into())));
        let held = Held::start(Program {
            name,
            binary,
            args: args.into_iter().map(|arg| arg.as_ref().into()).collect(),
            dir: None,
            environment: Environment::Only(environment),
            grace: 3,
            pids: Some(pids(&log)),
            output: writer.into(),
        })?;
        let (heard, lines) = watch::channel(vec![]);
        tokio::spawn(listen(reader, file, heard));
        Ok(Self { held, log, lines })
    }

    /// What it has printed so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// The file with what it prints.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Returns the first line that is so, as soon as there is one; it may be there already.
    pub async fn wait_for_line(&self, is_so: impl Fn(&str) -> bool, timeout: Duration) -> anyhow::Result<String> {
        let mut lines = self.lines.clone();
        let first = |lines: &[String]| lines.iter().find(|line| is_so(line)).cloned();
        // The channel closes when the operator has ended and everything that it printed has been looked at.
        let waited = tokio::time::timeout(timeout, lines.wait_for(|lines| first(lines).is_some())).await;
        let why = match waited {
            Ok(Ok(lines)) => return first(&lines).context("the line is gone"),
            Ok(Err(_)) => format!("before it ended ({})", self.held.ended().await?),
            Err(_) => format!("within {timeout:?}"),
        };
        anyhow::bail!(
            "{} did not print such a line {why}. The end of {}:\n{}",
            self.held.name(),
            self.log.display(),
            self.last_lines()
        )
    }

    /// Its process ID, for the kernel's books about it. Signals go by [`Operator::kill`] and [`Operator::terminate`].
    pub fn process_id(&self) -> anyhow::Result<u32> {
        let file = pids(&self.log);
        let text = std::fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
        let id = text.split_whitespace().nth(1).and_then(|id| id.parse().ok());
        id.with_context(|| format!("{} has no process ID of the operator", file.display()))
    }

    /// Ends it at once (SIGKILL), and returns when it is gone.
    pub async fn kill(&self) -> anyhow::Result<ExitStatus> {
        self.held.kill().await
    }

    /// Asks it to end (SIGTERM), and returns without waiting.
    pub fn terminate(&self) {
        self.held.signal(Signal::Term);
    }

    /// Makes it stand still, wherever it is (SIGSTOP), and returns without waiting.
    pub fn pause(&self) {
        self.held.signal(Signal::Stop);
    }

    /// Lets it go on (SIGCONT), as if nothing had been.
    pub fn resume(&self) {
        self.held.signal(Signal::Continue);
    }

    /// Waits until it has ended.
    pub async fn exited(&self, timeout: Duration) -> anyhow::Result<ExitStatus> {
        let ended = tokio::time::timeout(timeout, self.held.ended()).await;
        ended.with_context(|| {
            format!("{} has not ended within {timeout:?}; it printed\n{}", self.held.name(), self.last_lines())
        })?
    }

    /// A handle with which a fault can kill it.
    #[must_use]
    pub fn kill_switch(&self) -> KillSwitch {
        self.held.kill_switch()
    }

    fn last_lines(&self) -> String {
        let lines = self.lines.borrow();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

/// Where the process IDs of its holder and of itself are.
fn pids(log: &Path) -> PathBuf {
    log.with_added_extension("pids")
}

/// Keeps every line, until the operator has ended and everything is read.
async fn listen(reader: Receiver, mut file: File, heard: watch::Sender<Vec<String>>) {
    let mut output = BufReader::new(reader);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        // The lines in memory are what tests look at; a full disk must not hide them.
        let _ = file.write_all(&line);
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        heard.send_modify(|lines| lines.push(text));
        line.clear();
    }
}
