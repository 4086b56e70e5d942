//! Other people's controllers do against a plane what they do in a cluster, and end with it.

use std::time::Duration;

use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use keywright_sandbox::controllers::{CERT_MANAGER, certificates, issuers, renew};
use keywright_sandbox::{Options, Plane};
use kube::api::{DynamicObject, PostParams};
use kube::runtime::wait::await_condition;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use x509_parser::pem::{Pem, parse_x509_pem};

use crate::processes;

const SOON: Duration = Duration::from_mins(1);

/// What cert-manager signs with until the issuer has signed.
const TEMPORARY: &str = "CN=cert-manager.local";

/// What is in a Secret: whose key and certificate, if they are a pair.
#[derive(Clone, Debug, PartialEq)]
struct Pair {
    issuer: String,
    certificate: Vec<u8>,
    key: Vec<u8>,
    encoding: String,
    lives: i64,
}

fn pair(secret: &Secret) -> Pair {
    assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/tls"));
    let data = secret.data.as_ref().unwrap();
    let pem = |name: &str| -> Pem { parse_x509_pem(&data[name].0).unwrap().1 };
    let (certificate, key) = (pem("tls.crt"), pem("tls.key"));
    let shown = certificate.parse_x509().unwrap();
    let read = if key.label == "RSA PRIVATE KEY" { KeyPair::from_der } else { KeyPair::from_pkcs8 };
    let of_key = read(&key.contents).unwrap();
    assert_eq!(shown.public_key().subject_public_key.data, of_key.public_key().as_ref(), "one is not of the other");
    assert_eq!(of_key.public_modulus_len() * 8, 2048);
    Pair {
        issuer: shown.issuer().to_string(),
        lives: shown.validity().not_after.timestamp() - shown.validity().not_before.timestamp(),
        certificate: certificate.contents.clone(),
        key: key.contents,
        encoding: key.label,
    }
}

async fn create(api: &Api<DynamicObject>, kind: &str, name: &str, spec: Value, annotations: Value) {
    let object = json!({
        "apiVersion": "cert-manager.io/v1", "kind": kind,
        "metadata": {"name": name, "annotations": annotations}, "spec": spec,
    });
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

/// A Certificate whose Secret has its name.
fn asking(name: &str, issuer: &str, encoding: &str) -> Value {
    json!({
        "secretName": name, "commonName": name, "duration": "1h",
        "privateKey": {"algorithm": "RSA", "size": 2048, "encoding": encoding},
        "issuerRef": {"name": issuer},
    })
}

/// Waits until a Secret is so.
async fn until(secrets: &Api<Secret>, name: &str, is_so: impl Fn(&Secret) -> bool) -> Secret {
    let so = await_condition(secrets.clone(), name, |secret: Option<&Secret>| secret.is_some_and(&is_so));
    tokio::time::timeout(SOON, so).await.expect("it was never so").unwrap().unwrap()
}

#[tokio::test]
async fn cert_manager_makes_secrets_and_renews_them_in_place() {
    let plane = Plane::start(Options::default()).await.unwrap();
    plane.run(&CERT_MANAGER).await.unwrap();
    plane.run(&CERT_MANAGER).await.unwrap(); // once is enough
    let secrets: Api<Secret> = Api::namespaced(plane.admin(), "default");
    let (issuers, certificates) = (issuers(plane.admin(), "default"), certificates(plane.admin(), "default"));
    create(&issuers, "Issuer", "self", json!({"selfSigned": {}}), json!({})).await;
    for (name, encoding, label) in [("one", "PKCS1", "RSA PRIVATE KEY"), ("eight", "PKCS8", "PRIVATE KEY")] {
        create(&certificates, "Certificate", name, asking(name, "self", encoding), json!({})).await;
        let made = until(&secrets, name, |_| true).await;
        let first = pair(&made);
        assert_eq!((first.encoding.as_str(), first.lives), (label, 3600));
        assert_eq!(made.annotations()["cert-manager.io/certificate-name"], name);
        assert_eq!(made.annotations()["cert-manager.io/issuer-name"], "self");

        let mut seen = watcher(secrets.clone(), watcher::Config::default().fields(&format!("metadata.name={name}")))
            .touched_objects()
            .boxed();
        assert_eq!(pair(&seen.try_next().await.unwrap().unwrap()), first);
        renew(&certificates, name).await.unwrap();
        let next = tokio::time::timeout(SOON, seen.try_next()).await.unwrap().unwrap().unwrap();
        let second = pair(&next);
        assert_eq!(next.uid(), made.uid(), "it is the same Secret");
        assert!(second.certificate != first.certificate && second.key != first.key, "both are new, at once");
        let revision = |object: Option<&DynamicObject>| object.is_some_and(|one| one.data["status"]["revision"] == 2);
        tokio::time::timeout(SOON, await_condition(certificates.clone(), name, revision)).await.unwrap().unwrap();
    }
    let dir = plane.dir().to_path_buf();
    let mut pids = processes::of_run(&dir);
    let own = std::fs::read_to_string(dir.join("logs/cert-manager.log.pids")).unwrap();
    pids.extend(own.split_whitespace().map(str::to_owned));
    plane.stop().await.unwrap();
    processes::gone(&pids, &dir);
}

#[tokio::test]
async fn cert_manager_signs_for_an_issuer_that_is_late_if_it_is_told_to() {
    let plane = Plane::start(Options::default()).await.unwrap();
    plane.run(&CERT_MANAGER).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(plane.admin(), "default");
    let (issuers, certificates) = (issuers(plane.admin(), "default"), certificates(plane.admin(), "default"));
    let temporary = json!({"cert-manager.io/issue-temporary-certificate": "true"});
    create(&certificates, "Certificate", "leaf", asking("leaf", "ca", "PKCS1"), temporary).await;
    let early = until(&secrets, "leaf", |_| true).await;
    let first = pair(&early);
    assert_eq!(first.issuer, TEMPORARY);
    assert!(!early.annotations().contains_key("cert-manager.io/issuer-name"), "nobody has signed it");

    create(&issuers, "Issuer", "self", json!({"selfSigned": {}}), json!({})).await;
    let authority = json!({
        "secretName": "ca", "commonName": "ca", "isCA": true, "duration": "2h",
        "privateKey": {"algorithm": "RSA", "size": 2048}, "issuerRef": {"name": "self"},
    });
    create(&certificates, "Certificate", "ca", authority, json!({})).await;
    until(&secrets, "ca", |_| true).await;
    create(&issuers, "Issuer", "ca", json!({"ca": {"secretName": "ca"}}), json!({})).await;
    let signed = until(&secrets, "leaf", |secret| pair(secret).issuer == "CN=ca").await;
    assert_eq!(signed.uid(), early.uid());
    assert_eq!(pair(&signed).key, first.key, "the key was there before");
    assert_eq!(signed.annotations()["cert-manager.io/issuer-name"], "ca");
    plane.stop().await.unwrap();
}
