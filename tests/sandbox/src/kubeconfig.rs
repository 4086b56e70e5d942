//! Kubeconfig files: where a server is, which CA it is checked against, and one bearer token. Written as JSON, which
//! is YAML. They hold tokens, so only their owner may read them.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

/// What goes into a kubeconfig.
pub(crate) struct Access {
    /// `https://…`.
    pub(crate) server: String,
    /// A file with the CA's certificate.
    pub(crate) ca: PathBuf,
    /// How the user is called.
    pub(crate) user: String,
    /// The user's bearer token.
    pub(crate) token: String,
    /// The namespace of commands that name none.
    pub(crate) namespace: String,
}

impl Access {
    /// The access of the one who may do everything.
    pub(crate) fn admin(server: String, ca: PathBuf, token: String) -> Self {
        Self { server, ca, user: "admin".into(), token, namespace: "default".into() }
    }

    /// The kubeconfig.
    pub(crate) fn kubeconfig(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "sandbox", "cluster": {"server": self.server, "certificate-authority": self.ca}}],
            "users": [{"name": self.user, "user": {"token": self.token}}],
            "contexts": [{
                "name": "sandbox",
                "context": {"cluster": "sandbox", "user": self.user, "namespace": self.namespace},
            }],
            "current-context": "sandbox",
        })
    }

    /// Writes it to a file that is new, or ours.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(file)
            .and_then(|mut open| open.write_all(format!("{:#}\n", self.kubeconfig()).as_bytes()));
        written.with_context(|| format!("could not write {}", file.display()))
    }

    /// A client with this access. It does not retry: a test wants to see what was answered.
    pub(crate) async fn client(&self) -> anyhow::Result<kube::Client> {
        self.client_that_retries(false).await
    }

    /// The same, which comes again where the API server asks for that: it does so for a moment whenever somebody installs
    /// definitions.
    pub(crate) async fn patient_client(&self) -> anyhow::Result<kube::Client> {
        self.client_that_retries(true).await
    }

    async fn client_that_retries(&self, retries: bool) -> anyhow::Result<kube::Client> {
        let kubeconfig = serde_json::from_value(self.kubeconfig())?;
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
            .await
            .with_context(|| format!("could not set up a client of {}", self.server))?;
        config.default_retry = retries;
        config.proxy_url = None; // the developer's HTTPS_PROXY is not for 127.0.0.1
        kube::Client::try_from(config).with_context(|| format!("could not set up a client of {}", self.server))
    }
}
