//! The administrator over HTTP, for those who drive the sandbox from another process.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use keywright_sandbox::azure::{Options, X509};
use keywright_sandbox::{Azure, Rule};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::certificates::made;
use crate::client::Client;
use crate::federation::{AUDIENCE, exchange, told};
use crate::places::{GRAPH_SCOPE, LOGIN, form};

async fn ask(azure: &Azure, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let authority = azure.endpoints().admin.strip_prefix("http://").unwrap().to_owned();
    let (mut sender, connection) =
        handshake(TokioIo::new(TcpStream::connect(&authority).await.unwrap())).await.unwrap();
    tokio::spawn(connection);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder().method(method).uri(path).header("host", authority);
    let response = sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn done(azure: &Azure, method: Method, path: &str, body: Value) -> Value {
    let (status, answer) = ask(azure, method, path, &body).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

#[tokio::test]
async fn everything_can_be_done_from_outside() {
    let azure = Azure::start(Options { scale: 0.0, ..Options::default() }).await.unwrap();
    let (azure, client) = (&azure, &Client::of(&azure));
    let tenant = done(azure, Method::POST, "/tenants", Value::Null).await["id"].as_str().unwrap().to_owned();
    done(azure, Method::PATCH, &format!("/tenants/{tenant}"), json!({"domain": "contoso.com", "noise": 0.0})).await;
    let applications = format!("/tenants/{tenant}/applications");
    let new = json!({"displayName": "payments", "audience": "AzureADMultipleOrgs"});
    let seeded = done(azure, Method::POST, &applications, new).await;
    let client_id = seeded["clientId"].as_str().unwrap();
    let application = format!("{applications}/{client_id}");
    let added = done(azure, Method::POST, &format!("{application}/passwords"), json!({"displayName": "by hand"})).await;
    let password = format!("{application}/passwords/{}", added["keyId"].as_str().unwrap());

    let sign_in = async || {
        let form = form(client_id.parse().unwrap(), added["secretText"].as_str().unwrap(), GRAPH_SCOPE);
        let url = format!("{LOGIN}/contoso.com/oauth2/v2.0/token");
        let reply = client.send(Method::POST, &url, &[], &form).await;
        if reply.status == 200 { "200".to_owned() } else { reply.code() }
    };
    assert_eq!(sign_in().await, "200");
    done(azure, Method::PATCH, &application, json!({"blocked": true})).await;
    assert_eq!(sign_in().await, "53003");
    done(azure, Method::PATCH, &application, json!({"blocked": false})).await;

    let rule = json!({"service": "token", "verb": "signIn", "path": "**", "action": {"answer": {"status": 503}}});
    let rule = done(azure, Method::POST, "/faults", rule).await["id"].to_string();
    assert_eq!(sign_in().await, "90033");
    done(azure, Method::DELETE, &format!("/faults/{rule}"), Value::Null).await;
    assert_eq!(sign_in().await, "200");

    done(azure, Method::PATCH, &password, json!({"endDateTime": "2020-01-01T00:00:00Z"})).await;
    assert_eq!(sign_in().await, "7000222");
    done(azure, Method::DELETE, &password, Value::Null).await;
    assert_eq!(sign_in().await, "7000215");
    done(azure, Method::DELETE, &application, Value::Null).await;
    assert_eq!(sign_in().await, "700016");

    let inspected = done(azure, Method::GET, "/inspect", Value::Null).await;
    assert_eq!(inspected["refused"].as_array().unwrap().len(), 4, "made up ones are not Azure's: {inspected}");
    let journal = done(azure, Method::GET, "/journal", Value::Null).await;
    assert!(journal.as_array().unwrap().iter().any(|entry| entry["fault"] == "answer 503"));
}

/// AZURE 1.5 and 7: federated credentials are seeded, edited and removed from outside, and outside issuers opened, told to
/// sign, to change their keys and to go away.
#[tokio::test]
async fn federated_sign_ins_are_driven_from_outside() {
    let place = crate::places::at_once().await;
    let azure = &place.azure;
    let post = async |path: &str, body: Value| done(azure, Method::POST, path, body).await;
    let opened = post("/issuers", Value::Null).await;
    let issuer = format!("/issuers/{}", opened["id"]);
    let of = format!("/tenants/{}/applications/{}/federated", place.tenant, place.payments.client_id);
    let added = post(&of, json!({"name": "github", "issuer": opened["url"], "subject": "main"})).await;
    let one = format!("{of}/{}", added["id"].as_str().unwrap());
    let comes_of = async |body: Value| {
        let token = post(&format!("{issuer}/tokens"), body).await["token"].as_str().unwrap().to_owned();
        told(&exchange(&place, &token).await)
    };
    let main = json!({"subject": "main", "audience": AUDIENCE});
    assert_eq!(comes_of(main.clone()).await, "200");
    assert_eq!(comes_of(json!({"claims": {"iss": opened["url"], "sub": "main"}})).await, "50027");
    done(azure, Method::PATCH, &one, json!({"subject": "other"})).await;
    assert_eq!(comes_of(main.clone()).await, "700213");
    done(azure, Method::PATCH, &one, json!({"subject": "main"})).await;
    post(&format!("{issuer}/goAway"), Value::Null).await;
    assert_eq!(comes_of(main.clone()).await, "200", "its keys are kept");
    post(&format!("{issuer}/rotate"), Value::Null).await;
    assert_eq!(comes_of(main.clone()).await, "90061");
    post(&format!("{issuer}/comeBack"), Value::Null).await;
    assert_eq!(comes_of(main.clone()).await, "200");
    assert_eq!(done(azure, Method::GET, &of, Value::Null).await[0]["name"], "github");
    done(azure, Method::DELETE, &one, Value::Null).await;
    assert_eq!(comes_of(main).await, "70021");
    post("/issuers/trust", json!({"pem": azure.ca_pem()})).await;
    for (path, body) in
        [("/issuers/7/rotate", Value::Null), ("/issuers/0/dance", Value::Null), (&of, json!({"nam": 1}))]
    {
        assert!(ask(azure, Method::POST, path, &body).await.0 >= 400, "{path}");
    }
}

/// AZURE 1.4: certificates are seeded, listed, removed and rewritten from outside.
#[tokio::test]
async fn certificates_are_driven_from_outside() {
    let place = crate::places::at_once().await;
    let of = format!("/tenants/{}/applications/{}/certificates", place.tenant, place.payments.client_id);
    let (seeded, other) = (made(), made());
    let post = async |path: &str, body: Value| done(&place.azure, Method::POST, path, body).await;
    let listed = async || done(&place.azure, Method::GET, &of, Value::Null).await;
    let added = post(&of, json!({"pem": seeded.pem(), "displayName": "by hand"})).await;
    assert_eq!((&added["displayName"], &listed().await), (&"by hand".into(), &json!([added])));
    assert_eq!(added["key"], STANDARD.encode(seeded.der()));
    let key_id = added["keyId"].as_str().unwrap();
    let wanted = json!({"add": [{"pem": other.pem()}], "remove": [key_id], "pause": 1});
    post(&format!("{of}/rewrite"), wanted).await;
    let rewritten = listed().await;
    assert_eq!((rewritten.as_array().unwrap().len(), &rewritten[0]["key"]), (1, &STANDARD.encode(other.der()).into()));
    let one = format!("{of}/{}", rewritten[0]["keyId"].as_str().unwrap());
    done(&place.azure, Method::DELETE, &one, Value::Null).await;
    let end = X509::read(seeded.der()).unwrap().end().to_string();
    post(&of, json!({"pem": seeded.pem(), "endDateTime": end, "keyId": key_id, "lagging": true})).await;
    assert_eq!(listed().await[0]["keyId"], key_id);
    let month = json!({"longestCertificateLife": 30 * 24 * 3_600});
    done(&place.azure, Method::PATCH, &format!("/tenants/{}", place.tenant), month).await;
    for body in [json!({"pem": other.pem(), "lagging": true}), json!({"pem": "gibberish"}), json!({"key": "MII"})] {
        assert_eq!(ask(&place.azure, Method::POST, &of, &body).await.0, 400, "{body}");
    }
    assert_eq!(ask(&place.azure, Method::POST, &format!("{of}/dance"), &Value::Null).await.0, 404);
}

/// AZURE 2 and 1.2: limits are narrowed from outside; and what was minted by a script and lost is told as an orphan.
#[tokio::test]
async fn limits_are_set_and_the_ledger_read_from_outside() {
    let place = crate::places::at_once().await;
    let (azure, tenant) = (&place.azure, place.tenant);
    let judge = async || done(azure, Method::GET, &format!("/tenants/{tenant}/ledger"), Value::Null).await;
    assert_eq!(judge().await["offences"], json!([]));
    let added = place.add("new").await;
    let verdict = judge().await;
    assert_eq!((&verdict["offences"], &verdict["orphans"]), (&json!(["Orphan"]), &json!([added["keyId"]])));
    assert_eq!(verdict["calls"]["graph addPassword"], 1);
    assert!(verdict["story"].as_str().unwrap().contains("ORPHAN"));
    assert!(!verdict.to_string().contains(added["secretText"].as_str().unwrap()), "it tells no secret");

    done(azure, Method::PATCH, "/limits", json!({"writes": [2, 60_000]})).await;
    assert_eq!(place.act("addPassword", &Value::Null).await.status, 200);
    let throttled = place.act("addPassword", &Value::Null).await;
    assert_eq!((throttled.status, throttled.header("x-ms-throttle-information")), (429, "WriteLimitExceeded"));
    done(azure, Method::PATCH, "/limits", json!({"signIns": [1, 60_000]})).await;
    assert_eq!([place.sign_in("any").await.status, place.sign_in("any").await.status], [401, 429]);
}

#[tokio::test]
async fn what_cannot_be_done_is_told() {
    let azure = Azure::start(Options { scale: 0.0, ..Options::default() }).await.unwrap();
    for (method, path, body, told) in [
        (Method::GET, "/nonsense", Value::Null, "the administrator has no GET /nonsense"),
        (Method::PATCH, "/tenants/contoso", Value::Null, "\"contoso\" is no ID"),
        (Method::DELETE, "/faults/7", Value::Null, "there is no rule 7 to lift"),
        (Method::POST, "/faults", json!({"servise": 1}), "could not read what was sent to the administrator"),
    ] {
        let (status, answer) = ask(&azure, method, path, &body).await;
        assert!(status >= 400 && answer["error"].as_str().unwrap().starts_with(told), "{answer}");
    }
    azure.faults().add(Rule::at("admin", "*", "**").hang());
    let (status, _) = ask(&azure, Method::GET, "/inspect", &Value::Null).await;
    assert_eq!(status, 200, "the administrator is above the weather");
}
