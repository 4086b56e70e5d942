//! A firm: a place whose tenant is real. It has an Azure of its own, whose faults, journal and ledger are nobody else's;
//! in it the operator's application with its secret, the workload's, which the operator owns, and a vault that the
//! operator may write to. The shipped binary finds it at the real host names.

use std::{
    ops::{Deref, DerefMut},
    sync::Mutex,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use keywright_sandbox::{
    Azure, Faults, KUBERNETES, KillSwitch, Nodes, Operator,
    azure::{self, Grant, NewApplication, NewPassword, Role, Seeded},
    faults::{Added, Point},
    journal::Entry,
    points,
    witness::Fingerprint,
};
use kube::{
    Api,
    api::{DeleteParams, ObjectMeta, PostParams},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{PATIENCE, Place, Town, chain, ending::Published, pods::MOMENT};

/// The Secret with what the operator signs in with.
const IDENTITY: &str = "keywright-identity";

/// A place whose tenant is real. What a place can, it can.
pub struct Firm {
    place: Place,
    /// Its Azure.
    pub azure: Azure,
    /// The operator's application.
    pub keywright: Seeded,
    /// The workload's application, which resources are about.
    pub payments: Seeded,
    /// The URL of its vault.
    pub vault: String,
    /// How long its nodes serve what they have read of a Secret before they ask again.
    pub cache_lag: Duration,
    /// How long the tokens of its pods live at most, if not as long as the pods ask for.
    pub token_life: Option<Duration>,
    /// How often its pods sign in.
    pub sign_in_every: Duration,
    pub(super) nodes: OnceCell<Nodes>,
    pub(super) published: Published,
    /// Whom tokens of others have let in, and since when.
    pub(super) outsiders: Mutex<Vec<(Fingerprint, Timestamp)>>,
}

/// On which side of its effect a request is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It is not carried out.
    Before,
    /// It is carried out, and not answered.
    After,
}

impl Deref for Firm {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl DerefMut for Firm {
    fn deref_mut(&mut self) -> &mut Place {
        &mut self.place
    }
}

impl Town {
    /// A firm of this name, of at most 20 characters, whose Azure is fifty times as fast as the real one.
    pub async fn firm(&self, name: &str) -> Result<Firm, Failed> {
        self.firm_with(name, azure::Options { scale: 0.02, ..azure::Options::default() }).await
    }

    /// A firm with an Azure like this.
    pub async fn firm_with(&self, name: &str, options: azure::Options) -> Result<Firm, Failed> {
        self.firm_in(self.place(name).await?, options).await
    }

    /// A firm in a place, with an Azure like this.
    pub(super) async fn firm_in(&self, place: Place, options: azure::Options) -> Result<Firm, Failed> {
        let name = &place.name.clone();
        // No two firms share an ID or a value.
        let seed = name.bytes().fold(options.seed, |seed, byte| seed.wrapping_mul(257).wrapping_add(u64::from(byte)));
        let options = azure::Options { dir: Some(self.plane.dir().to_path_buf()), seed, ..options };
        let azure = Azure::start(options).await.map_err(chain)?;
        let tenant = azure.seed_tenant();
        let application = |name: &str, owners: &[Seeded], roles: &[&str]| {
            let new = NewApplication {
                display_name: name.to_owned(),
                owners: owners.iter().map(|owner| owner.principal).collect(),
                roles: roles.iter().map(ToString::to_string).collect(),
                ..NewApplication::default()
            };
            azure.seed_application(tenant, new).map_err(chain)
        };
        let keywright = application("keywright", &[], &["Application.ReadWrite.OwnedBy"])?;
        let payments = application("payments", &[keywright], &[])?;
        let vault = format!("kv-{name}");
        azure.seed_vault(tenant, &vault).map_err(chain)?;
        let writer = Grant::role(keywright.principal, Role::SecretsOfficer, None);
        azure.seed_grant(&vault, writer).map_err(chain)?;

        azure.seed_password(&keywright, NewPassword::default()).map_err(chain)?;
        self.settle(place, azure, keywright, payments, &vault).await
    }

    /// A clone of a firm that is in another town: with the same Azure, in a cluster with the same ID.
    pub async fn clone_of(&self, other: &Firm) -> Result<Firm, Failed> {
        let there: Api<Namespace> = other.namespaces();
        let cluster_id = there.get("kube-system").await?.metadata.uid;
        let values = json!({"watchNamespaces": [other.name], "clusterId": cluster_id});
        let place = self.place_with(&other.name, &values).await?;
        self.settle(place, other.azure.clone(), other.keywright, other.payments, &other.vault_name()).await
    }

    /// A firm in a place, of what there is in an Azure.
    async fn settle(
        &self,
        mut place: Place,
        azure: Azure,
        keywright: Seeded,
        payments: Seeded,
        vault: &str,
    ) -> Result<Firm, Failed> {
        let value = azure.passwords(&keywright).map_err(chain)?.remove(0).value;
        let secret = json!({"metadata": {"name": IDENTITY}, "stringData": {"AZURE_CLIENT_SECRET": value}});
        let secrets: Api<Secret> = Api::namespaced(self.admin(), &place.name);
        secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        let identity = json!({"clientId": keywright.client_id, "secretRef": {"name": IDENTITY}});
        place.tenant = json!({"tenantId": payments.tenant, "identity": {"clientSecret": identity}});
        place.client_id = payments.client_id.to_string();
        place.env = surroundings(&azure);
        place.args = ["--time-scale", "0.02"].map(str::to_owned).into();
        let proof = json!({"consecutiveSuccesses": 3, "interval": "0s", "timeout": "30s", "minAge": "0s"});
        place.asking = json!({"spec": {"verification": proof}});
        let published = Published::watch(secrets, IDENTITY);
        let vault = format!("https://{vault}.vault.azure.net");
        Ok(Firm {
            place,
            azure,
            keywright,
            payments,
            vault,
            cache_lag: MOMENT,
            token_life: None,
            sign_in_every: MOMENT,
            nodes: OnceCell::new(),
            published,
            outsiders: Mutex::default(),
        })
    }
}

/// What leads the shipped binary to this Azure.
fn surroundings(azure: &Azure) -> Vec<(String, String)> {
    let proxy = azure.endpoints().proxy.clone();
    let ca = azure.ca_file().display().to_string();
    let variables = [("HTTPS_PROXY", proxy), ("NO_PROXY", "127.0.0.1".to_owned()), ("SSL_CERT_FILE", ca)];
    variables.map(|(name, value)| (name.to_owned(), value)).into()
}

impl Firm {
    /// Apply the tenant: a merge patch over one with a grant for everything here, the vault included.
    pub async fn tenant(&self, patch: &Value) -> Result<(), Failed> {
        let granting = json!({"spec": {"grants": [self.grant()]}});
        self.place.tenant(&super::merged(granting, patch)).await
    }

    /// Another application, which the operator owns.
    pub fn application(&self, name: &str) -> Result<Seeded, Failed> {
        let owners = vec![self.keywright.principal];
        let new = NewApplication { display_name: name.to_owned(), owners, ..NewApplication::default() };
        self.azure.seed_application(self.payments.tenant, new).map_err(chain)
    }

    /// The name of its vault.
    pub fn vault_name(&self) -> String {
        format!("kv-{}", self.name)
    }

    /// A grant for everything here.
    pub fn grant(&self) -> Value {
        super::merged(self.place.grant(), &json!({"keyVaults": [{"url": self.vault}]}))
    }

    /// Move the Secret that the operator signs in with to another namespace.
    pub async fn move_identity(&self, namespace: &str) -> Result<(), Failed> {
        let here: Api<Secret> = Api::namespaced(self.place.town.admin(), &self.place.name);
        let moved = Secret {
            data: here.get(IDENTITY).await?.data,
            metadata: ObjectMeta { name: Some(IDENTITY.to_owned()), ..ObjectMeta::default() },
            ..Secret::default()
        };
        here.delete(IDENTITY, &DeleteParams::default()).await?;
        Api::namespaced(self.place.town.admin(), namespace).create(&PostParams::default(), &moved).await?;
        Ok(())
    }

    /// What the operator is told to sign in with, from now on.
    pub async fn operator_signs_in_with(&self, value: &str) -> Result<(), Failed> {
        let here: Api<Secret> = Api::namespaced(self.place.town.admin(), &self.place.home);
        super::change(&here, IDENTITY, &json!({"stringData": {"AZURE_CLIENT_SECRET": value}})).await
    }

    /// Wait until so many more rounds through its tenant have begun.
    pub async fn rounds(&self, more: usize) -> Result<(), Failed> {
        let is_round = |entry: &Entry| entry.verb == "listApplications" || entry.verb == "delta";
        for _ in 0..more {
            let begun = self.azure.journal().len();
            let next = |entry: &Entry| entry.number >= begun && is_round(entry);
            self.azure.journal().wait_for(next, PATIENCE).await.map_err(chain)?;
        }
        Ok(())
    }

    /// The points on both sides that its operators have touched so far.
    pub fn points(&self) -> Vec<Point> {
        self.points_since(0, 0)
    }

    /// The same from so many requests on to the API server, and to Azure.
    pub fn points_since(&self, asked: usize, called: usize) -> Vec<Point> {
        let mut entries: Vec<Entry> = self.proxy.journal().entries().into_iter().skip(asked).collect();
        entries.extend(self.azure.journal().entries().into_iter().skip(called));
        entries.sort_by_key(|entry| entry.time);
        points::touched(&entries)
    }

    /// Wait until something is so; it is looked at anew with each request that reaches Azure or the API server.
    pub async fn until<F>(&self, holds: impl Fn() -> F) -> Result<(), Failed>
    where
        F: Future<Output = Result<Result<(), String>, Failed>>,
    {
        let end = Instant::now() + PATIENCE;
        loop {
            let (asked, called) = (self.proxy.journal().len(), self.azure.journal().len());
            let Err(why_not) = holds().await? else { return Ok(()) };
            let left = end.saturating_duration_since(Instant::now());
            let further = tokio::select! {
                further = self.proxy.journal().wait_for(|entry| entry.number >= asked, left) => further,
                further = self.azure.journal().wait_for(|entry| entry.number >= called, left) => further,
            };
            further.map_err(|_| why_not)?;
        }
    }

    /// The rules of the service that a point is at.
    pub fn faults_at(&self, point: &Point) -> &Faults {
        if point.service() == KUBERNETES { self.proxy.faults() } else { self.azure.faults() }
    }

    /// An operator that dies at a point, wherever that is; the point counts from its first request on.
    pub async fn operator_killed_at(&self, point: &Point, side: Side) -> Result<(Operator, Added), Failed> {
        let (fuse, switch) = KillSwitch::to_be_connected();
        let rule = match side {
            Side::Before => point.clone().kill_before(switch),
            Side::After => point.clone().kill_after(switch),
        };
        let added = self.faults_at(point).add(rule);
        let operator = self.starting_operator().await?;
        fuse.connect(&operator.kill_switch());
        Ok((operator, added))
    }
}
