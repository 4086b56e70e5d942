//! Programs that never outlive us. Each runs under a small shell script, the *holder*, in a process group of its
//! own; the holder reads a pipe whose only writer is here. However we end, SIGKILL included, the kernel closes the
//! pipe, and the holder ends the program. Words over the pipe are signals, so that nothing here needs a process ID.
//! This room never reads what a program writes and never decides whether it should run.

use std::ffi::OsString;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};

const HOLDER: &str = include_str!("hold.sh");

/// A program to start.
pub(crate) struct Program<'a> {
    /// How messages call it.
    pub(crate) name: &'a str,
    /// Its file.
    pub(crate) binary: &'a Path,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    /// Where it runs; by default where we do.
    pub(crate) dir: Option<&'a Path>,
    /// What it finds in its environment.
    pub(crate) environment: Environment,
    /// How many seconds it gets to end in good order when its owner is gone.
    pub(crate) grace: u8,
    /// A file that gets the process IDs of the holder and of the program.
    pub(crate) pids: Option<PathBuf>,
    /// Where its standard output and its standard error go.
    pub(crate) output: OwnedFd,
}

/// What a program finds in its environment.
pub(crate) enum Environment {
    /// Ours, and these.
    Inherited(Vec<(OsString, OsString)>),
    /// `PATH`, and these: nothing of a developer's shell leaks into a test.
    Only(Vec<(OsString, OsString)>),
}

/// What may be said to a held program.
#[derive(Clone, Copy)]
pub(crate) enum Signal {
    /// End in good order.
    Term,
    /// End now.
    Kill,
    /// Stand still, wherever you are.
    Stop,
    /// Go on.
    Continue,
}

impl Signal {
    const fn word(self) -> &'static [u8] {
        match self {
            Self::Term => b"TERM\n",
            Self::Kill => b"KILL\n",
            Self::Stop => b"STOP\n",
            Self::Continue => b"CONT\n",
        }
    }
}

/// A running program. Dropping it ends the program: TERM, and KILL when its grace is over.
pub(crate) struct Held {
    name: String,
    words: mpsc::UnboundedSender<Signal>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Held {
    /// Starts a program. That it could be started is known; that it stays up is not.
    pub(crate) fn start(program: Program<'_>) -> anyhow::Result<Self> {
        let name = program.name.to_owned();
        anyhow::ensure!(
            program.binary.is_file() || program.binary.components().count() == 1,
            "could not start {name}: there is no file {}",
            program.binary.display()
        );
        let child = command(program).and_then(|mut command| Ok(command.spawn()?));
        let child = child.with_context(|| format!("could not start {name} under a holder (a POSIX sh on the PATH)"))?;
        let (words, heard) = mpsc::unbounded_channel();
        let (ending, ended) = watch::channel(None);
        tokio::spawn(attend(child, heard, ending));
        Ok(Self { name, words, ended })
    }

    /// How messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sends a signal; one that comes after the end is nobody's.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = self.words.send(signal);
    }

    /// Waits until the program has ended.
    pub(crate) async fn ended(&self) -> anyhow::Result<ExitStatus> {
        end_of(&self.ended).await.with_context(|| format!("lost sight of {}", self.name))
    }

    /// Ends the program at once (SIGKILL) and waits until it is gone.
    pub(crate) async fn kill(&self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::Kill);
        self.ended().await
    }

    /// Asks the program to end (SIGTERM), insists after a while, and waits until it is gone.
    pub(crate) async fn end(&self, patience: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::Term);
        match tokio::time::timeout(patience, self.ended()).await {
            Ok(status) => status,
            Err(_) => self.kill().await,
        }
    }

    /// A handle with which a fault can kill this program.
    pub(crate) fn kill_switch(&self) -> KillSwitch {
        let target = Target { name: self.name.clone(), words: self.words.downgrade(), ended: self.ended.clone() };
        KillSwitch(watch::channel(Some(target)).1)
    }
}

/// Kills one program, whoever started it: the means of a kill point. It does not keep the program alive.
#[derive(Clone)]
pub struct KillSwitch(watch::Receiver<Option<Target>>);

#[derive(Clone)]
struct Target {
    name: String,
    words: mpsc::WeakUnboundedSender<Signal>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

/// What connects a [`KillSwitch`] that was made before its program.
#[derive(Debug)]
pub struct Fuse(watch::Sender<Option<Target>>);

impl KillSwitch {
    /// A switch for a program that is yet to be started, so that a rule is in force before its first request.
    #[must_use]
    pub fn to_be_connected() -> (Fuse, Self) {
        let (fuse, target) = watch::channel(None);
        (Fuse(fuse), Self(target))
    }

    /// Ends the program by SIGKILL, and returns when it is gone. It waits until the switch is connected.
    pub async fn kill(&self) {
        // An error means that it never will be.
        let connected = self.0.clone().wait_for(Option::is_some).await.ok().and_then(|target| target.clone());
        let Some(Target { words, ended, .. }) = connected else { return };
        if let Some(words) = words.upgrade() {
            let _ = words.send(Signal::Kill);
        }
        // An error means that its owner has let go of it; then it is ending as well.
        let _ = end_of(&ended).await;
    }
}

impl Fuse {
    /// Connects the switch to the program of another one.
    pub fn connect(self, to: &KillSwitch) {
        self.0.send_replace(to.0.borrow().clone());
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for KillSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KillSwitch({:?})", *self.0.borrow())
    }
}

async fn end_of(ended: &watch::Receiver<Option<ExitStatus>>) -> anyhow::Result<ExitStatus> {
    let mut ended = ended.clone();
    let status = *ended.wait_for(Option::is_some).await?;
    status.context("it ended without a status")
}

fn command(program: Program<'_>) -> anyhow::Result<Command> {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(HOLDER)
        .arg(program.name)
        .arg(program.pids.unwrap_or_else(|| "/dev/null".into()))
        .arg(program.grace.to_string())
        .arg(program.binary)
        .args(program.args)
        .stdin(Stdio::piped())
        .stdout(program.output.try_clone()?)
        .stderr(program.output)
        .process_group(0); // so that Ctrl-C on the terminal reaches us alone, and the holder can clear up its group
    if let Some(dir) = program.dir {
        command.current_dir(dir);
    }
    match program.environment {
        Environment::Inherited(more) => command.envs(more),
        Environment::Only(all) => {
            let path = std::env::var_os("PATH").map(|path| (OsString::from("PATH"), path));
            command.env_clear().envs(path).envs(all)
        }
    };
    Ok(command)
}

/// Owns the pipe and the holder until the program has ended. When the runtime goes, this task and the pipe go too.
async fn attend(
    mut child: Child,
    mut heard: mpsc::UnboundedReceiver<Signal>,
    ending: watch::Sender<Option<ExitStatus>>,
) {
    let mut pipe = child.stdin.take();
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            word = heard.recv(), if pipe.is_some() => match (word, &mut pipe) {
                // A write that fails means that the program has ended: the other branch is about to say so.
                (Some(signal), Some(pipe)) => _ = pipe.write_all(signal.word()).await,
                _ => pipe = None,
            },
        }
    };
    if let Ok(status) = status {
        ending.send_replace(Some(status));
    }
}

/// The last lines of a program's output, for an error message.
pub(crate) fn tail(log: &Path) -> String {
    const LINES: usize = 12;
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    if last.is_empty() { "(it wrote nothing)".into() } else { last.join("\n") }
}
