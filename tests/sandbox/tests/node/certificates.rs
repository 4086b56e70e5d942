//! Pods that sign in with a certificate, at a real token endpoint: from a file as SDKs have it, or from two.

use k8s_openapi::api::core::v1::{Pod, Secret};
use keywright_sandbox::azure::{self, Azure, NewApplication, Seeded, SelfSigned, X509};
use keywright_sandbox::ledger::{Blame, Offence};
use keywright_sandbox::node::{CERTIFICATE_FOLDER, Options, READS_AT, RESTART, SignIn};
use keywright_sandbox::witness::{Cause, Fingerprint, Testimonies};
use keywright_sandbox::{Ledger, Nodes};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::town::{SOON, Town, pod};

/// A mark, by which the ledger knows what is ours.
const MARK: &str = "kw1:abcdefghijklmnop.1.abcdefghijkl2345 shop/payments";

/// A namespace with an application of its own, and a node whose pods sign in at that.
struct Firm<'a> {
    town: &'a Town,
    name: &'static str,
    azure: Azure,
    payments: Seeded,
    nodes: Nodes,
}

impl<'a> Firm<'a> {
    async fn open(town: &'a Town, name: &'static str) -> Self {
        town.inhabit(name).await;
        let azure = Azure::start(azure::Options { scale: 0.0, ..azure::Options::default() }).await.unwrap();
        let tenant = azure.seed_tenant();
        let payments = azure.seed_application(tenant, NewApplication::default()).unwrap();
        let options = town.options(&[name]);
        let proxy = Some(azure.endpoints().proxy.clone());
        let sign_in = SignIn { trust: azure.ca_pem(), proxy, ..options.sign_in.clone() };
        let nodes = Nodes::start(&town.plane, Options { sign_in, ..options }).await.unwrap();
        Self { town, name, azure, payments, nodes }
    }

    /// A new certificate that the application has.
    fn certificate(&self) -> (SelfSigned, azure::Certificate) {
        let made = SelfSigned::for_days("payments", 90).unwrap();
        let given = self.azure.seed_certificate(&self.payments, made.entry(MARK)).unwrap();
        (made, given)
    }

    /// The Secret `tls`, as Keywright and as cert-manager have it.
    async fn publish(&self, certificate: &SelfSigned, key: &SelfSigned) {
        let (pem, key) = (certificate.pem(), key.key_pem());
        let data = json!({"tls.crt": pem, "tls.key": key, "credential.pem": format!("{key}{pem}")});
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tls"}, "type": "kubernetes.io/tls", "stringData": data,
        });
        let secrets: Api<Secret> = Api::namespaced(self.town.client(), self.name);
        secrets.patch("tls", &PatchParams::apply("test").force(), &Patch::Apply(secret)).await.unwrap();
    }

    /// A pod that mounts the Secret, with these annotations, and this variable that SDKs look for.
    async fn run(&self, name: &str, annotations: &Value, path: Option<&str>) {
        let mut variables = vec![
            json!({"name": "AZURE_TENANT_ID", "value": self.payments.tenant.to_string()}),
            json!({"name": "AZURE_CLIENT_ID", "value": self.payments.client_id.to_string()}),
        ];
        variables.extend(path.map(|path| json!({"name": "AZURE_CLIENT_CERTIFICATE_PATH", "value": path})));
        let mounts = json!([{"name": "tls", "mountPath": "/var/run/entra", "readOnly": true}]);
        let container = json!({"name": "app", "image": "example.org/app", "env": variables, "volumeMounts": mounts});
        let volumes = json!([{"name": "tls", "secret": {"secretName": "tls"}}]);
        let spec = json!({"containers": [container], "volumes": volumes});
        self.town.create::<Pod>(self.name, pod(self.name, name, annotations, &spec)).await;
    }

    async fn run_with_path(&self, name: &str, annotations: &Value) {
        self.run(name, annotations, Some("/var/run/entra/credential.pem")).await;
    }

    /// Waits until a pod has signed in so often with what it holds now, which is this certificate.
    async fn signs_in(&self, pod: &str, certificate: &SelfSigned, times: u64) {
        let fingerprint = fingerprint(certificate);
        let is_so =
            |seen: &Testimonies| seen.holders_of(fingerprint).any(|one| one.who.pod == pod && one.accepted >= times);
        self.nodes.witnesses().wait_for(is_so, SOON).await.unwrap();
    }

    fn ledger(&self) -> Ledger {
        self.azure.ledger(self.payments.tenant, self.nodes.witnesses()).unwrap()
    }
}

fn fingerprint(made: &SelfSigned) -> Fingerprint {
    X509::read(made.der()).unwrap().fingerprint()
}

fn once() -> Value {
    json!({READS_AT: "start"})
}

/// AZURE 5: PS256 with the thumbprint by SHA-256, RS256 with that by SHA-1; the token endpoint takes either.
pub async fn a_pod_signs_in_with_a_certificate_in_either_form(town: &Town) {
    let firm = Firm::open(town, "certified").await;
    let (made, _) = firm.certificate();
    firm.publish(&made, &made).await;
    firm.azure.journal().keep_bodies(true);
    firm.run_with_path("sdk", &json!({})).await;
    firm.run("other", &json!({CERTIFICATE_FOLDER: "/var/run/entra"}), None).await;
    firm.signs_in("sdk", &made, 4).await;
    firm.signs_in("other", &made, 4).await;
    assert!(firm.nodes.witnesses().refusals().is_empty(), "{:?}", firm.nodes.witnesses().refusals());
    let bodies: Vec<String> = firm.azure.journal().entries().into_iter().filter_map(|entry| entry.body).collect();
    // The heads of tokens, in base64: {"alg":"PS256 and {"alg":"RS256.
    for form in ["eyJhbGciOiJQUzI1NiIs", "eyJhbGciOiJSUzI1NiIs"] {
        assert!(bodies.iter().any(|body| body.contains(form)), "{form}");
    }
    let leaks =
        firm.ledger().knowing_keys_in(&(made.key_pem() + &made.pem())).leaks(bodies.iter().map(|body| ("", body)));
    assert!(leaks.is_empty(), "what is sent is signed by the key, and does not tell it: {leaks:?}");
    firm.ledger().assert_clean().unwrap();
}

/// A file that is read for each sign-in is followed; a program that has read it goes on until it is restarted.
pub async fn a_file_is_followed_or_read_once(town: &Town) {
    let firm = Firm::open(town, "renewing").await;
    let ((old, _), (new, _)) = (firm.certificate(), firm.certificate());
    firm.publish(&old, &old).await;
    firm.run_with_path("follows", &json!({})).await;
    firm.run_with_path("stays", &once()).await;
    firm.signs_in("follows", &old, 1).await;
    firm.signs_in("stays", &old, 1).await;

    firm.publish(&new, &new).await;
    firm.signs_in("follows", &new, 1).await;
    let holders =
        |seen: &Testimonies| seen.holders_of(fingerprint(&old)).map(|one| one.who.pod.clone()).collect::<Vec<_>>();
    assert_eq!(firm.nodes.witnesses().read(holders), ["stays"]);
    town.annotate(firm.name, "stays", RESTART, "1").await;
    firm.signs_in("stays", &new, 1).await;
    assert!(firm.nodes.witnesses().read(holders).is_empty());
    firm.ledger().assert_clean().unwrap();
}

/// P1, for certificates as for secrets: which certificate a pod held is known by its thumbprint, and so by its ID.
pub async fn a_certificate_that_is_removed_while_it_is_held_is_told(town: &Town) {
    let firm = Firm::open(town, "removed").await;
    let ((old, given), (new, _)) = (firm.certificate(), firm.certificate());
    firm.publish(&old, &old).await;
    firm.run_with_path("stays", &once()).await;
    firm.signs_in("stays", &old, 1).await;
    firm.run_with_path("moves", &json!({})).await;
    firm.publish(&new, &new).await;
    firm.signs_in("moves", &new, 1).await;
    firm.azure.remove_certificate(&firm.payments, given.key_id).unwrap();
    let refused = |seen: &Testimonies| seen.refusals.len() >= 2;
    firm.nodes.witnesses().wait_for(refused, SOON).await.unwrap();
    let verdict = firm.ledger().verdict();
    let [early] = &verdict.early_removals[..] else { panic!("{verdict}") };
    assert_eq!((early.credential.key_id, &early.pods[..]), (given.key_id, &["removed/stays".to_owned()][..]));
    assert_eq!(early.credential.thumbprint, Some(given.x509.thumbprint()));
    for refusal in &verdict.refusals {
        assert_eq!((refusal.blame, refusal.key_id), (Blame::StaleContainer, Some(given.key_id)), "{verdict}");
        assert_eq!(refusal.refusal.cause, Cause::Aadsts(700_027));
    }
    let expected = [Offence::RemovedWhileHeld, Offence::Refused(Blame::StaleContainer)];
    firm.ledger().expect(&expected).unwrap();
    assert!(verdict.to_string().contains(&given.x509.thumbprint()), "{verdict}");
}

/// A key and a certificate of two pairs, as in the middle of a renewal that is not done at once; and one that is no
/// application's.
pub async fn what_does_not_belong_together_is_refused(town: &Town) {
    let firm = Firm::open(town, "mixed").await;
    let (made, _) = firm.certificate();
    let other = SelfSigned::for_days("other", 90).unwrap();
    firm.publish(&made, &other).await;
    firm.run_with_path("mixed", &json!({})).await;
    firm.nodes.witnesses().wait_for(|seen| !seen.refusals.is_empty(), SOON).await.unwrap();
    firm.publish(&other, &other).await;
    let fingerprint = fingerprint(&other);
    let by_other = |seen: &Testimonies| seen.refusals.iter().any(|refusal| refusal.what.fingerprint == fingerprint);
    firm.nodes.witnesses().wait_for(by_other, SOON).await.unwrap();
    let refusals = firm.ledger().verdict().refusals;
    assert!(refusals.iter().all(|refusal| refusal.blame == Blame::WrongValue), "{refusals:?}");
    assert!(refusals.iter().any(|refusal| refusal.refusal.what.fingerprint != fingerprint));
}
