//! Certificates in a vault (AZURE 6): importing, what is told of them, the secret and the key that come with each, and what
//! is in the way of whom.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use keywright_sandbox::azure::{Access, Action, Grant, Lag, Limit, Role, SelfSigned, VAULT as VAULT_SERVICE, X509};
use keywright_sandbox::witness::{Fingerprint, Witnesses};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Reply;
use crate::places::{Place, URL, VAULT, at_once, refusal, refused, version};

const LONG: Lag = Lag { least: SignedDuration::from_hours(1), most: SignedDuration::from_hours(1) };

fn made() -> SelfSigned {
    SelfSigned::for_days("payments", 90).unwrap()
}

fn bundle(made: &SelfSigned) -> String {
    made.key_pem() + &made.pem()
}

/// What is sent to import a certificate, as azure-keyvault-certificates has it.
fn import(made: &SelfSigned) -> Value {
    let policy = json!({"secret_props": {"contentType": "application/x-pem-file"}, "issuer": {"name": "Unknown"}});
    json!({"value": STANDARD.encode(bundle(made)), "policy": policy, "tags": {"keyId": "7c1e"}})
}

/// A place whose operator may do everything with certificates, too.
async fn place() -> Place {
    let place = at_once().await;
    let officer = Grant::role(place.operator.application.principal, Role::CertificatesOfficer, None);
    place.azure.seed_grant(VAULT, officer).unwrap();
    place
}

impl Place {
    async fn import(&self, name: &str, body: &Value) -> Reply {
        self.ask(Method::POST, &format!("/certificates/{name}/import"), body).await
    }

    /// Imports one, and returns its version.
    async fn imported(&self, name: &str, made: &SelfSigned) -> String {
        let reply = self.import(name, &import(made)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        version(&reply.json())
    }

    async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path, &Value::Null).await
    }

    async fn recover(&self, name: &str) -> Reply {
        self.ask(Method::POST, &format!("/deletedcertificates/{name}/recover"), &Value::Null).await
    }
}

/// AZURE 6: what is told of an imported certificate, by the import itself, and later.
#[tokio::test]
async fn a_certificate_is_imported_and_told() {
    let place = place().await;
    let made = made();
    let x509 = X509::read(made.der()).unwrap();
    let told = place.import("payments-api", &import(&made)).await.json();
    let id = version(&told);
    let of = |kind: &str| json!(format!("{URL}/{kind}/payments-api/{id}"));
    assert_eq!([&told["id"], &told["kid"], &told["sid"]], [&of("certificates"), &of("keys"), &of("secrets")]);
    assert_eq!(told["cer"], STANDARD.encode(made.der()));
    let digits = x509.thumbprint();
    let byte = |place: usize| u8::from_str_radix(&digits[place..place + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
    let thumbprint = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    assert_eq!((&told["x5t"], &told["tags"]["keyId"]), (&json!(thumbprint), &json!("7c1e")));
    let times = [x509.begin(), x509.end()].map(Timestamp::as_second);
    assert_eq!([&told["attributes"]["nbf"], &told["attributes"]["exp"]], times.map(|time| json!(time)).each_ref());
    assert_eq!(told["attributes"]["recoveryLevel"], "Recoverable+Purgeable");
    let policy = &told["policy"];
    assert_eq!(policy["key_props"], json!({"exportable": true, "kty": "RSA", "key_size": 2_048, "reuse_key": false}));
    assert_eq!(policy["secret_props"]["contentType"], "application/x-pem-file");
    assert_eq!(
        (&policy["x509_props"]["subject"], &policy["issuer"]["name"]),
        (&json!("CN=payments"), &json!("Unknown"))
    );
    assert!(!told.to_string().contains("PRIVATE"), "the key is in the secret only");
    assert_eq!(place.get("/certificates/payments-api").await.json(), told);
    assert_eq!(place.get(&format!("/certificates/Payments-API/{id}")).await.json(), told);

    let second = place.imported("payments-api", &self::made()).await;
    assert_ne!(second, id, "every import is a new version");
    assert_eq!(place.get(&format!("/certificates/payments-api/{id}")).await.json(), told, "old versions stay");
    let versions = place.get("/certificates/payments-api/versions").await.json();
    let mut ids: Vec<String> = versions["value"].as_array().unwrap().iter().map(version).collect();
    let mut expected = [id, second];
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected);
    assert!(versions["value"][0]["x5t"].is_string() && versions["value"][0]["cer"].is_null());
    let missing = place.get("/certificates/other").await;
    assert_eq!(refused(&missing), refusal(404, "CertificateNotFound", ""));
    assert!(missing.text.contains("A certificate with (name/id) other was not found in this key vault."));
    assert_eq!(place.get("/certificates").await.json()["value"].as_array().unwrap().len(), 1);
}

/// AZURE 6: a certificate comes with a secret, which has the private key, and with a key, which does not tell it.
#[tokio::test]
async fn a_secret_and_a_key_appear_with_it() {
    let place = place().await;
    let made = made();
    let id = place.imported("a", &made).await;
    let secret = place.get("/secrets/a").await.json();
    assert_eq!(secret["value"], bundle(&made));
    assert_eq!((&secret["contentType"], &secret["managed"]), (&json!("application/x-pem-file"), &json!(true)));
    assert_eq!((version(&secret), &secret["tags"]["keyId"]), (id.clone(), &json!("7c1e")));
    assert_eq!(secret["kid"], format!("{URL}/keys/a/{id}"));
    place.put("plain", "value").await;
    let listed = place.get("/secrets").await.json();
    let managed: Vec<&Value> = listed["value"].as_array().unwrap().iter().map(|one| &one["managed"]).collect();
    assert_eq!(managed, [&json!(true), &Value::Null]);

    let reading = Grant::role(place.operator.application.principal, Role::CertificateUser, None);
    assert_eq!(refused(&place.get("/keys/a").await), refusal(403, "Forbidden", "ForbiddenByRbac"));
    place.azure.seed_grant(VAULT, reading).unwrap();
    let key = place.get("/keys/a").await.json();
    assert_eq!((&key["key"]["kid"], &key["managed"]), (&secret["kid"], &json!(true)));
    assert_eq!(
        (&key["key"]["kty"], &key["key"]["e"], key["key"]["d"].is_null()),
        (&json!("RSA"), &json!("AQAB"), true)
    );
    assert_eq!(refused(&place.get("/keys/plain").await), refusal(404, "KeyNotFound", ""));
}

/// AZURE 6: a name is a secret's or a certificate's; the secret of a certificate is changed through that alone.
#[tokio::test]
async fn a_name_is_a_secret_s_or_a_certificate_s() {
    let place = place().await;
    place.put("plain", "value").await;
    assert_eq!(refused(&place.import("plain", &import(&made())).await), refusal(409, "Conflict", ""));
    assert_eq!(place.get("/secrets/plain").await.json()["value"], "value");
    for path in ["/certificates/plain", "/certificates/plain/versions"] {
        assert_eq!(refused(&place.get(path).await), refusal(404, "CertificateNotFound", ""), "{path}");
    }
    assert_eq!(refused(&place.delete("/certificates/plain").await), refusal(404, "CertificateNotFound", ""));

    let id = place.imported("a", &made()).await;
    let managed = refusal(403, "Forbidden", "SecretManagedByKeyVault");
    let tags = json!({"tags": {}});
    for (method, path, body, operation) in [
        (Method::PUT, "/secrets/a".to_owned(), json!({"value": "mine"}), "set"),
        (Method::PATCH, format!("/secrets/a/{id}"), tags, "update"),
        (Method::DELETE, "/secrets/a".to_owned(), Value::Null, "delete"),
    ] {
        let reply = place.ask(method, &path, &body).await;
        assert_eq!(refused(&reply), managed, "{operation}");
        let told = format!(
            "Operation \"{operation}\" is not allowed on this secret, since it is associated with a certificate."
        );
        assert!(reply.json()["error"]["message"].as_str().unwrap().starts_with(&told), "{}", reply.text);
    }
    assert_eq!(place.get("/secrets/a").await.json()["tags"]["keyId"], "7c1e", "nothing has changed");
    place.delete("/certificates/a").await;
    for path in ["/deletedsecrets/a", "/deletedcertificates/a"] {
        assert_eq!(place.get(path).await.status, 200, "{path}");
    }
    assert_eq!(refused(&place.delete("/deletedsecrets/a").await), managed);
    let recover = place.ask(Method::POST, "/deletedsecrets/a/recover", &Value::Null).await;
    assert_eq!(refused(&recover), managed);
}

/// AZURE 6: the name of a deleted certificate is taken until it is recovered or purged, and so is that of its secret.
#[tokio::test]
async fn a_deleted_certificate_keeps_its_name() {
    let place = place().await;
    let made = made();
    let id = place.imported("a", &made).await;
    let deleted = place.delete("/certificates/a").await.json();
    assert_eq!(deleted["recoveryId"], format!("{URL}/deletedcertificates/a"));
    assert!(deleted["scheduledPurgeDate"].is_i64() && deleted["cer"].is_string(), "{deleted}");
    assert_eq!(place.get("/deletedcertificates/a").await.json(), deleted);
    let listed = place.get("/deletedcertificates").await.json();
    assert_eq!(listed["value"][0]["id"], format!("{URL}/certificates/a"));
    assert_eq!(refused(&place.get("/certificates/a").await), refusal(404, "CertificateNotFound", ""));
    assert_eq!(refused(&place.get("/secrets/a").await), refusal(404, "SecretNotFound", ""));
    let taken = place.import("a", &import(&made)).await;
    assert_eq!(refused(&taken), refusal(409, "Conflict", "ObjectIsDeletedButRecoverable"));
    let told = "Certificate a is currently in a deleted but recoverable state, and its name cannot be reused; in this \
                state, the certificate can only be recovered or purged.";
    assert_eq!(taken.json()["error"]["message"], told);
    let set = place.ask(Method::PUT, "/secrets/a", &json!({"value": "mine"})).await;
    assert_eq!(refused(&set), refusal(409, "Conflict", "ObjectIsDeletedButRecoverable"));

    assert_eq!(version(&place.recover("a").await.json()), id);
    assert_eq!(place.get("/secrets/a").await.json()["value"], bundle(&made));
    place.delete("/certificates/a").await;
    assert_eq!(place.delete("/deletedcertificates/a").await.status, 204);
    assert_eq!(refused(&place.get("/deletedcertificates/a").await), refusal(404, "CertificateNotFound", ""));
    place.put("a", "now a secret's").await;

    place.ask(Method::DELETE, "/secrets/a", &Value::Null).await;
    let in_the_way = place.import("a", &import(&made)).await;
    assert_eq!(refused(&in_the_way), refusal(409, "Conflict", "ObjectIsDeletedButRecoverable"));
    assert!(in_the_way.text.contains("Secret a is currently in a deleted"), "{}", in_the_way.text);
    assert_eq!(refused(&place.recover("a").await), refusal(404, "CertificateNotFound", ""), "it is a secret");
}

/// AZURE 6: deletion and recovery take a while.
#[tokio::test]
async fn deletion_and_recovery_take_a_while() {
    let place = place().await;
    place.imported("a", &made()).await;
    place.imported("b", &made()).await;
    place.delete("/certificates/b").await;
    place.azure.edit_vault(VAULT, |settings| (settings.deletion_lag, settings.recovery_lag) = (LONG, LONG)).unwrap();
    place.delete("/certificates/a").await;
    assert_eq!(place.get("/deletedcertificates/a").await.status, 404);
    let again = place.import("a", &import(&made())).await;
    assert_eq!(refused(&again), refusal(409, "Conflict", "ObjectIsBeingDeleted"));
    assert_eq!(place.recover("b").await.status, 200);
    let again = place.import("b", &import(&made())).await;
    assert_eq!(refused(&again), refusal(409, "Conflict", "ObjectIsBeingRecovered"));
}

/// AZURE 6: PATCH changes tags and whether it can be read, of the secret too; its times are its own.
#[tokio::test]
async fn a_patch_changes_what_is_written_about_a_version() {
    let place = place().await;
    let id = place.imported("a", &made()).await;
    let path = format!("/certificates/a/{id}");
    let change = json!({"tags": {"keyId": "9f00"}, "attributes": {"enabled": false, "exp": 1}});
    let patched = place.ask(Method::PATCH, &path, &change).await.json();
    assert_eq!((&patched["tags"]["keyId"], &patched["attributes"]["enabled"]), (&json!("9f00"), &json!(false)));
    assert!(patched["attributes"]["exp"].as_i64().unwrap() > 1, "{patched}");
    assert_eq!(refused(&place.get("/secrets/a").await), refusal(403, "Forbidden", "SecretDisabled"));
    assert_eq!(
        place.get("/certificates/a").await.json()["tags"]["keyId"],
        "9f00",
        "the certificate is told all the same"
    );
    let policy = json!({"policy": {"secret_props": {"contentType": "application/x-pkcs12"}}});
    assert_eq!(place.ask(Method::PATCH, &path, &policy).await.status, 400);
}

/// AZURE 6: what is no PEM with one key and its certificate, or has no policy that says so, is refused in its words.
#[tokio::test]
async fn what_is_imported_is_read_strictly() {
    let place = place().await;
    let (made, other) = (made(), made());
    let pem = |text: String| {
        let mut body = import(&made);
        body["value"] = text.into();
        body
    };
    let unexpected = "The specified PEM X.509 certificate content is in an unexpected format.";
    let mut pfx = import(&made);
    pfx["policy"] = Value::Null;
    for (body, words) in [
        (pem(made.pem()), unexpected),
        (pem(made.key_pem() + &other.pem()), unexpected),
        (pem(bundle(&made).replace('\n', "\r\n")), unexpected),
        (pfx, "The specified PKCS#12 X.509 certificate content can not be read."),
    ] {
        let reply = place.import("a", &body).await;
        assert_eq!(refused(&reply), refusal(400, "BadParameter", ""));
        assert!(reply.json()["error"]["message"].as_str().unwrap().starts_with(words), "{}", reply.text);
    }
    assert!(place.azure.secret_changes(place.tenant).is_empty());
    assert_eq!(place.import("a", &pem(bundle(&made))).await.status, 200, "PEM as it is");
}

/// AZURE 6: a role for secrets is none for certificates, and the other way round; each refusal has its inner code.
#[tokio::test]
async fn rights_on_certificates_are_rights_of_their_own() {
    let place = at_once().await;
    let made = made();
    let reply = place.import("a", &import(&made)).await;
    assert_eq!(refused(&reply), refusal(403, "Forbidden", "ForbiddenByRbac"), "a Secrets Officer imports nothing");
    let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("\r\nAction: 'Microsoft.KeyVault/vaults/certificates/import/action'\r\n"), "{message}");
    assert!(message.contains("/certificates/a'"), "{message}");
    let principal = place.reader.application.principal;
    let one = Grant::role(principal, Role::CertificatesOfficer, Some("a"));
    place.azure.seed_grant(VAULT, one).unwrap();
    let body = import(&made);
    let as_reader = async |method, path: &str, body| place.ask_as(&place.reader, method, path, body).await;
    assert_eq!(as_reader(Method::POST, "/certificates/a/import", &body).await.status, 200);
    assert_eq!(as_reader(Method::POST, "/certificates/b/import", &body).await.status, 403);
    assert_eq!(as_reader(Method::GET, "/certificates/a", &Value::Null).await.status, 200);
    assert_eq!(as_reader(Method::GET, "/certificates", &Value::Null).await.status, 403);
    let secret = as_reader(Method::GET, "/secrets/a", &Value::Null).await;
    assert_eq!(refused(&secret), refusal(403, "Forbidden", "ForbiddenByRbac"), "of its secret nothing is told");

    place.azure.edit_vault(VAULT, |settings| settings.access = Access::Policies).unwrap();
    let mut inner = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let reply = place.import("a", &import(&made)).await;
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(
            message.contains("does not have certificates import permission on key vault 'kv-payments;"),
            "{message}"
        );
        inner.insert(refused(&reply));
    }
    assert_eq!(inner, ["AccessDenied", "ForbiddenByPolicy"].map(|inner| refusal(403, "Forbidden", inner)).into());
    let may = |actions: &[Action]| {
        let grant = Grant { principal: place.operator.application.principal, actions: actions.to_vec(), secret: None };
        place.azure.grant(VAULT, grant).unwrap();
    };
    may(&[Action::ImportCertificate]);
    let id = version(&place.import("a", &import(&made)).await.json());
    assert_eq!(place.get("/certificates/a").await.status, 403, "with policies, reading is granted apart");
    may(&[Action::GetCertificate]);
    assert_eq!((place.get("/certificates/a").await.status, place.get("/certificates").await.status), (200, 403));
    let patch = place.ask(Method::PATCH, &format!("/certificates/a/{id}"), &json!({"tags": {}})).await;
    assert!(patch.text.contains("certificates update permission"), "{}", patch.text);
    may(&[Action::UpdateCertificate, Action::ListCertificates]);
    let patch = place.ask(Method::PATCH, &format!("/certificates/a/{id}"), &json!({"tags": {}})).await;
    assert_eq!((patch.status, place.get("/certificates").await.status), (200, 200));
}

/// AZURE 2: imports count with all that is created.
#[tokio::test]
async fn an_import_counts_as_a_new_version() {
    let place = place().await;
    place.azure.edit_vault(VAULT, |settings| settings.creates = Limit::new(2, SignedDuration::from_mins(5))).unwrap();
    place.put("a", "value").await;
    place.imported("b", &made()).await;
    assert_eq!(refused(&place.import("b", &import(&made())).await), refusal(429, "Throttled", ""));
    assert_eq!(place.get("/certificates/b").await.status, 200);
}

/// Every change is in the log by the certificate's own fingerprint; the ledger knows it published, and searches its key.
#[tokio::test]
async fn a_stored_key_is_in_no_log_and_searched_for() {
    let place = place().await;
    let made = made();
    place.azure.journal().keep_bodies(true);
    place.imported("a", &made).await;
    let x509 = X509::read(made.der()).unwrap();
    let told = serde_json::to_value(place.azure.secret_changes(place.tenant)).unwrap();
    assert_eq!(told[0]["what"]["stored"]["fingerprint"], Fingerprint::of(made.der()).to_string());
    let inspected = place.azure.inspect_vaults().to_string();
    assert!(inspected.contains(&x509.thumbprint()));
    let ledger = place.azure.ledger(place.tenant, &Witnesses::default()).unwrap();
    assert!(ledger.leaks([("changes", told.to_string()), ("inspect", inspected)]).is_empty());
    let asked = place.azure.journal().entries().into_iter().filter(|entry| entry.service == VAULT_SERVICE);
    let bodies = format!("{:?}", asked.collect::<Vec<_>>());
    let found = ledger.leaks([("a journal with bodies", bodies), ("a certificate", made.pem())]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].output.as_str(), found[0].key_id), ("a journal with bodies", Uuid::nil()));
    let held = place.azure.seed_certificate(&place.reader.application, made.entry("payments")).unwrap();
    let ledger = place.azure.ledger(place.tenant, &Witnesses::default()).unwrap();
    let line = made.key_pem().lines().collect::<String>();
    assert_eq!(ledger.leaks([("a log", line)])[0].key_id, held.key_id);
    place.delete("/certificates/a").await;
    place.delete("/deletedcertificates/a").await;
    let ledger = place.azure.ledger(place.tenant, &Witnesses::default()).unwrap();
    assert_eq!(ledger.leaks([("a log", made.key_pem())]).len(), 1, "purged, and searched for all the same");
}

/// What an administrator does by hand.
#[tokio::test]
async fn an_administrator_has_the_same_by_hand() {
    let place = place().await;
    let made = made();
    let edit = keywright_sandbox::azure::SecretEdit::default;
    let id = place.azure.import_certificate(VAULT, "a", &bundle(&made), edit()).unwrap();
    assert_eq!(version(&place.get("/certificates/a").await.json()), id);
    let off = keywright_sandbox::azure::SecretEdit { enabled: Some(false), ..edit() };
    place.azure.edit_certificate(VAULT, "a", None, off).unwrap();
    assert_eq!(place.get("/secrets/a").await.status, 403);
    assert!(place.azure.delete_secret(VAULT, "a").is_err(), "it is the certificate's");
    place.azure.delete_certificate(VAULT, "a").unwrap();
    place.azure.recover_certificate(VAULT, "a").unwrap();
    assert_eq!(place.get("/certificates/a").await.status, 200);
    place.azure.delete_certificate(VAULT, "a").unwrap();
    place.azure.purge_certificate(VAULT, "a").unwrap();
    assert_eq!(place.get("/deletedcertificates/a").await.status, 404);
    assert!(place.azure.import_certificate(VAULT, "a", &made.pem(), edit()).is_err());
}
