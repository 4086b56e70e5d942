//! The demo: a first secret from its declaration to pods that sign in with it, things that are broken before one's eyes,
//! and rotations under workloads that never stop to sign in. Or other stories: a workload goes from a secret to
//! none, and certificates beside somebody else's. Shown to somebody who has never seen it; ends well only if everything is
//! again as it should be.

mod certificate;
mod federated;
mod rotation;
mod screen;
mod seen;
mod stage;
mod story;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use keywright_sandbox::{Azure, Chart, Operator, Options, Plane, Via};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::screen::Screen;
use self::stage::Stage;

/// How long anything in the demo may take, on a slow machine too.
const PATIENCE: Duration = Duration::from_mins(1);

/// What may be chosen about the demo.
#[derive(clap::Args)]
pub(crate) struct Demo {
    /// The story that is told
    #[arg(value_enum, default_value_t = Told::Rotation)]
    story: Told,
    /// End when the story is told; the exit code says whether everything was as it should be
    #[arg(long)]
    once: bool,
    /// The operator's binary; by default the one beside this one
    #[arg(long)]
    operator: Option<PathBuf>,
}

/// What there is to tell.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Told {
    /// A first secret, things that are broken, and rotations
    Rotation,
    /// From a secret to no secret at all
    Federated,
    /// Certificates, beside somebody else who writes the list of them
    Certificate,
}

impl Told {
    /// How long Azure takes, against the real one.
    const fn scale(self) -> f64 {
        match self {
            Self::Rotation => 0.1,
            // As the operator's own waits: a federated credential is heard of minutes later than a secret, and a list of
            // certificates is not written before reads of it have agreed for so long.
            Self::Federated | Self::Certificate => 0.05,
        }
    }
}

impl Demo {
    /// Tells the story, then stays until Ctrl-C.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self { story, once, operator } = self;
        let mut interrupted = signal(SignalKind::interrupt()).context("could not listen for Ctrl-C")?;
        let mut terminated = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
        let binary = operator.map_or_else(beside_us, Ok)?;
        let mut plane = None;
        let told = tokio::select! {
            told = tell(&mut plane, story, binary, once) => told,
            // Whatever has been started ends with its plane, or with this process.
            _ = interrupted.recv() => Ok(()),
            _ = terminated.recv() => Ok(()),
        };
        if let Some(plane) = plane {
            plane.stop().await?;
        }
        told
    }
}

fn beside_us() -> anyhow::Result<PathBuf> {
    let us = std::env::current_exe().context("could not find out where this program is")?;
    let operator = us.with_file_name("keywright");
    anyhow::ensure!(operator.is_file(), "there is no {}: run `cargo build`, or say --operator", operator.display());
    Ok(operator)
}

/// Everything there is to see. Returns only with `once`, or when something went wrong.
async fn tell(started: &mut Option<Plane>, story: Told, binary: PathBuf, once: bool) -> anyhow::Result<()> {
    let screen = Screen::new();
    screen.title("Keywright, on a Kubernetes of its own")?;
    let begun = std::time::Instant::now();
    let plane = &*started.insert(Plane::start(Options::default()).await?);
    let version = plane.admin().apiserver_version().await.context("could not ask the API server for its version")?;
    let took = begun.elapsed().as_secs_f64();
    screen.done("control plane", &format!("Kubernetes {}, up in {took:.1} s", version.git_version))?;

    let stage = Stage::begin(plane, story.scale()).await?;
    screen.done("definitions", "entraappcredentials (eac), entratenants (etenant)")?;
    screen.done("Azure", "a simulated one, in which servers learn of a new secret at different times")?;
    let values = json!({"federation": {"allowTokenRequests": story == Told::Federated}});
    let release = Chart::find().await?.render("keywright", "keywright", &values).await?;
    release.permit(&plane.admin()).await?;
    let operators =
        Operators { binary, kubeconfig: plane.kubeconfig_for("keywright", &release.account()?, Via::Direct).await? };
    let operator = operators.start(&stage.azure).await?;
    screen.done(
        "operator",
        "watching all namespaces, with the rights of its chart and no others; its waits are shortened",
    )?;

    // Pods that are made while somebody looks around need the webhook, too.
    let (operator, _webhook) = match story {
        Told::Rotation => (stage.tell(&screen, &operators, operator).await?, None),
        Told::Certificate => {
            stage.keep_certificates(&screen).await?;
            (operator, None)
        }
        Told::Federated => (operator, Some(stage.do_without(&screen, plane).await?)),
    };
    screen.ending(&look_around(story, plane, &operator)?, once)?;
    if once {
        return Ok(());
    }
    let ended = operator.exited(Duration::MAX).await?;
    anyhow::bail!("the operator has ended by itself ({ended}); its log is {}", operator.log().display())
}

/// How operators are started: the shipped binary, in its default cloud, whose hosts are found through a proxy.
struct Operators {
    binary: PathBuf,
    kubeconfig: PathBuf,
}

impl Operators {
    async fn start(&self, azure: &Azure) -> anyhow::Result<Operator> {
        let args = ["run", "--admin-address", "127.0.0.1:0", "--time-scale", "0.05"];
        let ca = azure.ca_file().display().to_string();
        let proxy = azure.endpoints().proxy.clone();
        let env = [("HTTPS_PROXY", proxy), ("NO_PROXY", "127.0.0.1".to_owned()), ("SSL_CERT_FILE", ca)];
        let operator = Operator::start(&self.binary, &self.kubeconfig, args, env)?;
        operator.wait_for_line(|line| line.contains(r#""message":"watching""#), PATIENCE).await?;
        Ok(operator)
    }
}

fn look_around(story: Told, plane: &Plane, operator: &Operator) -> anyhow::Result<Vec<String>> {
    let us = std::env::current_exe().context("could not find out where this program is")?;
    let us = std::env::current_dir().ok().and_then(|dir| Some(us.strip_prefix(dir).ok()?.to_path_buf())).unwrap_or(us);
    let us = us.display();
    let of_story = match story {
        Told::Rotation => [
            "describe eac -n payments payments-api",
            "get secrets,pods -n payments",
            "delete secret -n payments payments-api",
            "explain eac.spec.publish",
        ],
        Told::Federated => [
            "describe eac -n payments payments-api",
            "get secrets,pods -n payments",
            "get serviceaccount -n payments payments-api -o yaml",
            "explain eac.spec.federated",
        ],
        Told::Certificate => [
            "describe eac -n payments payments-api",
            "get secrets,pods -n payments",
            "get secret -n payments payments-api -o yaml",
            "explain eac.spec.certificate",
        ],
    };
    let first = [format!("{us} get eac -A")];
    let last = [
        format!("{us} kubectl -n payments get events"),
        format!("export KUBECONFIG={}", plane.kubeconfig().display()),
        format!("less {}", operator.log().display()),
    ];
    Ok(first.into_iter().chain(of_story.map(|asked| format!("{us} kubectl {asked}"))).chain(last).collect())
}
