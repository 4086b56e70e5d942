//! The four programs of a control plane and the flags with which they run: one place to read how the sandbox's
//! cluster differs from a real one. It starts a program when told; order and waiting are the plane's.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::Context;

use crate::hold::{Environment, Held, Program};
use crate::kubeconfig::Access;
use crate::pki::{self, Ca};
use crate::programs::Programs;
use crate::run::RunDir;

/// The names under which API servers are reached, from outside and as pods see it.
const API_NAMES: [&str; 5] = ["127.0.0.1", "10.96.0.1", "localhost", "kubernetes.default", "kubernetes.default.svc"];

/// All that is decided about a plane before its first program starts.
pub(crate) struct Components {
    programs: Programs,
    run: RunDir,
    ports: Ports,
    admin_token: String,
}

#[derive(Clone, Copy)]
struct Ports {
    etcd: u16,
    peer: u16,
    api: u16,
}

impl Components {
    /// Writes keys, certificates and the admin's token into the run's directory.
    pub(crate) fn prepare(programs: Programs, run: RunDir, ca: &Ca) -> anyhow::Result<Self> {
        let admin_token = format!("{:032x}", u128::from_be_bytes(pki::random()?));
        let leaf = ca.leaf("kube-apiserver", &API_NAMES)?;
        let files = [
            ("ca.crt", ca.pem()),
            ("api.crt", leaf.pem()),
            ("api.key", leaf.key_pem()),
            ("service-accounts.key", pki::service_account_key()?),
            ("tokens.csv", format!("{admin_token},admin,admin,system:masters\n")),
        ];
        for (name, content) in files {
            let file = run.path().join("pki").join(name);
            fs::write(&file, content).with_context(|| format!("could not write {}", file.display()))?;
        }
        let components = Self { programs, run, ports: Ports::free()?, admin_token };
        components.admin().write(&components.kubeconfig())?;
        Ok(components)
    }

    /// Takes other ports, since somebody was faster to take these.
    pub(crate) fn move_to_other_ports(&mut self) -> anyhow::Result<()> {
        self.ports = Ports::free()?;
        self.admin().write(&self.kubeconfig())
    }

    /// The run's directory.
    pub(crate) const fn run(&self) -> &RunDir {
        &self.run
    }

    /// The file with the CA's certificate.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.run.path().join("pki/ca.crt")
    }

    /// The admin's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.run.path().join("kubeconfig")
    }

    /// Where etcd keeps its data.
    pub(crate) fn etcd_data(&self) -> PathBuf {
        self.run.path().join("etcd")
    }

    /// Where the API server listens.
    pub(crate) const fn api_port(&self) -> u16 {
        self.ports.api
    }

    /// The API server's address.
    pub(crate) fn api(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.api)
    }

    /// The admin's token.
    pub(crate) fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// A client of the API server with all rights.
    pub(crate) async fn admin_client(&self) -> anyhow::Result<kube::Client> {
        self.admin().patient_client().await
    }

    /// etcd, for one member, that trusts the page cache: a machine that crashes takes the sandbox with it anyway.
    pub(crate) fn etcd(&self) -> anyhow::Result<Held> {
        let client = format!("http://127.0.0.1:{}", self.ports.etcd);
        let peer = format!("http://127.0.0.1:{}", self.ports.peer);
        self.start(
            "etcd",
            &[
                flag("data-dir", self.etcd_data()),
                flag("listen-client-urls", &client),
                flag("advertise-client-urls", &client),
                flag("listen-peer-urls", &peer),
                flag("initial-advertise-peer-urls", &peer),
                flag("initial-cluster", format!("default={peer}")),
                flag("unsafe-no-fsync", "true"),
                flag("log-level", "warn"),
            ],
        )
    }

    /// The API server, with RBAC and the admission plugins that real clusters have.
    pub(crate) fn api_server(&self) -> anyhow::Result<Held> {
        let pki = |name: &str| self.run.path().join("pki").join(name);
        self.start(
            "kube-apiserver",
            &[
                flag("etcd-servers", format!("http://127.0.0.1:{}", self.ports.etcd)),
                flag("bind-address", "127.0.0.1"),
                flag("advertise-address", "127.0.0.1"),
                flag("secure-port", self.ports.api.to_string()),
                flag("tls-cert-file", pki("api.crt")),
                flag("tls-private-key-file", pki("api.key")),
                flag("token-auth-file", pki("tokens.csv")),
                flag("authorization-mode", "RBAC"),
                flag("service-cluster-ip-range", "10.96.0.0/16"),
                flag("service-account-issuer", self.api()),
                flag("service-account-key-file", pki("service-accounts.key")),
                flag("service-account-signing-key-file", pki("service-accounts.key")),
                // Nobody in the sandbox reaches the API server through a Service, and loopback is no valid endpoint.
                flag("endpoint-reconciler-type", "none"),
            ],
        )
    }

    /// The controller manager.
    pub(crate) fn controller_manager(&self) -> anyhow::Result<Held> {
        let mut flags = self.client_flags();
        flags.push(flag("service-account-private-key-file", self.run.path().join("pki/service-accounts.key")));
        flags.push(flag("root-ca-file", self.ca_file()));
        self.start("kube-controller-manager", &flags)
    }

    /// The scheduler.
    pub(crate) fn scheduler(&self) -> anyhow::Result<Held> {
        self.start("kube-scheduler", &self.client_flags())
    }

    /// Alone, so no election; no port of their own; and far above the 20 requests per second at which rollouts crawl.
    fn client_flags(&self) -> Vec<OsString> {
        vec![
            flag("kubeconfig", self.kubeconfig()),
            flag("leader-elect", "false"),
            flag("secure-port", "0"),
            flag("kube-api-qps", "500"),
            flag("kube-api-burst", "1000"),
        ]
    }

    fn start(&self, name: &str, args: &[OsString]) -> anyhow::Result<Held> {
        let log = self.run.log(name);
        let output = File::options().create(true).append(true).open(&log);
        Held::start(Program {
            name,
            binary: &self.programs.path(name),
            args: args.to_vec(),
            dir: Some(self.run.path()),
            environment: Environment::Only(vec![]),
            grace: 0, // nothing that they would save is wanted, and an API server takes a minute over it
            pids: Some(self.run.pids(name)),
            output: output.with_context(|| format!("could not open {}", log.display()))?.into(),
        })
    }

    fn admin(&self) -> Access {
        Access::admin(self.api(), self.ca_file(), self.admin_token.clone())
    }
}

impl Ports {
    fn free() -> anyhow::Result<Self> {
        let [etcd, peer, api] = crate::ports::free()?;
        Ok(Self { etcd, peer, api })
    }
}

fn flag(name: &str, value: impl AsRef<std::ffi::OsStr>) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(value);
    flag
}
