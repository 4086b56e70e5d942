//! Certificates in Graph: the whole list by PATCH, what is told of them, and what forbids them (AZURE 1.4).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use keywright_sandbox::Rule;
use keywright_sandbox::azure::{Audience, Lag, Limit, Policies, SelfSigned, X509};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Reply;
use crate::places::{Place, at_once};

pub fn made() -> SelfSigned {
    SelfSigned::for_days("payments", 90).unwrap()
}

/// What is sent for a new one.
pub fn new(made: &SelfSigned, name: &str) -> Value {
    let key = STANDARD.encode(made.der());
    json!({"type": "AsymmetricX509Cert", "usage": "Verify", "key": key, "displayName": name})
}

fn but(mut entry: Value, name: &str, value: Value) -> Value {
    entry[name] = value;
    entry
}

fn refused(reply: &Reply) -> (u16, String) {
    (reply.status, reply.code())
}

impl Place {
    fn payments(&self) -> String {
        format!("/applications/{}", self.payments.object_id)
    }

    /// Writes the list.
    pub async fn certify(&self, list: &[Value]) -> Reply {
        self.graph(Method::PATCH, &self.payments(), &json!({"keyCredentials": list})).await
    }

    /// The list as a plain GET tells it.
    pub async fn certificates(&self) -> Vec<Value> {
        self.get(&self.payments()).await.json()["keyCredentials"].as_array().unwrap().clone()
    }
}

/// A plain GET, a list and a delta never tell the key; `$select` on a single object does.
#[tokio::test]
async fn a_certificate_is_told_whole_only_if_it_is_asked_for() {
    let place = at_once().await;
    let made = made();
    let written = place.certify(&[new(&made, "kw1:abc")]).await;
    assert_eq!((written.status, written.text.as_str()), (204, ""));
    let read = &place.certificates().await[0];
    let x509 = X509::read(made.der()).unwrap();
    assert_eq!(read["customKeyIdentifier"], x509.thumbprint());
    assert_eq!([&read["type"], &read["usage"]], ["AsymmetricX509Cert", "Verify"]);
    assert_eq!([&read["displayName"], &read["key"]], [&"kw1:abc".into(), &Value::Null]);
    let time = |name: &str| read[name].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!((time("startDateTime"), time("endDateTime")), (x509.begin(), x509.end()));
    assert!(Uuid::try_parse(read["keyId"].as_str().unwrap()).is_ok());

    let one = format!("/applications(appId='{}')?$select=id,keyCredentials", place.payments.client_id);
    let whole = place.get(&one).await.json();
    assert_eq!(whole["keyCredentials"], json!([but(read.clone(), "key", STANDARD.encode(made.der()).into())]));
    let listed = place.get("/applications?$select=id,keyCredentials").await.json();
    let listed = listed["value"].as_array().unwrap().iter().find(|one| one["id"] == whole["id"]).unwrap().clone();
    assert_eq!(listed["keyCredentials"], json!([read]));
}

/// Base64 of PEM is a certificate, too; whoever brings an ID gets it.
#[tokio::test]
async fn what_may_be_said_of_a_certificate() {
    let place = at_once().await;
    let made = made();
    let end = (Timestamp::now() + SignedDuration::from_hours(24)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut wanted = new(&made, &"n".repeat(91));
    wanted["key"] = STANDARD.encode(made.pem()).into();
    wanted["keyId"] = Uuid::from_u128(7).to_string().into();
    wanted["endDateTime"] = end.as_str().into();
    wanted["customKeyIdentifier"] = "52ED9B5038A47B9E2E2190715CC238359D4F8F73".into();
    assert_eq!(place.certify(&[wanted.clone()]).await.status, 204);
    let read = place.certificates().await;
    for name in ["keyId", "endDateTime", "customKeyIdentifier"] {
        assert_eq!(read[0][name], wanted[name], "{name}");
    }
    assert_eq!(read[0]["displayName"], "n".repeat(90), "shortened, and nobody is told");
    assert_eq!(place.certify(&[wanted]).await.status, 204, "sent once more, it is the same one");
    assert_eq!(place.certificates().await, read);
}

/// As Terraform does it: what a plain GET has told, and one more or one less.
#[tokio::test]
async fn the_list_is_replaced_and_what_was_read_may_be_sent_back() {
    let place = at_once().await;
    assert_eq!(place.certify(&[new(&made(), "first"), new(&made(), "second")]).await.status, 204);
    let read = place.certificates().await;
    let with_one_more: Vec<Value> = read.iter().cloned().chain([new(&made(), "third")]).collect();
    assert_eq!(place.certify(&with_one_more).await.status, 204);
    let now = place.certificates().await;
    assert_eq!((&now[..2], &now[2]["displayName"]), (&read[..], &"third".into()));
    assert_eq!(place.certify(&now[1..]).await.status, 204);
    assert_eq!(place.certificates().await, now[1..]);
    let other = json!({"notes": "no list at all"});
    assert_eq!(place.graph(Method::PATCH, &place.payments(), &other).await.status, 204);
    assert_eq!(place.certificates().await.len(), 2, "a PATCH of something else leaves it alone");
    assert_eq!(place.certify(&read).await.code(), "KeyCredentialsInvalidValue", "the first is gone");
    assert_eq!(place.certify(&[]).await.status, 204);
    assert!(place.certificates().await.is_empty());
}

/// There is no `ETag`: of two who read before either wrote, the later one takes away what the earlier one has added.
#[tokio::test]
async fn an_update_is_lost_and_nobody_is_told() {
    let place = at_once().await;
    place.certify(&[new(&made(), "there before")]).await;
    let read = place.certificates().await;
    for name in ["ours", "theirs"] {
        let list: Vec<Value> = read.iter().cloned().chain([new(&made(), name)]).collect();
        assert_eq!(place.certify(&list).await.status, 204);
    }
    let names: Vec<Value> = place.certificates().await.iter().map(|one| one["displayName"].clone()).collect();
    assert_eq!(names, ["there before", "theirs"]);
    let got = place.get(&place.payments()).await;
    assert!(!got.headers.contains_key("etag") && !got.text.contains("@odata.etag"));
}

/// What cannot be written, each with its code and its words; nothing of such a list is written.
#[tokio::test]
async fn what_is_unsound_is_refused_with_its_code() {
    let place = at_once().await;
    let made = made();
    let good = || new(&made, "new");
    place.certify(&[good()]).await;
    let read = place.certificates().await[0].clone();
    let later = (Timestamp::now() + SignedDuration::from_hours(24 * 91)).to_string();
    let not_base64 = URL_SAFE_NO_PAD.encode([0xff; 4]);
    let plain = "Request_BadRequest";
    for (odd, code, told) in [
        (but(good(), "key", Value::Null), "KeyCredentialsInvalidValue", "KeyValue cannot be null or empty."),
        (but(good(), "key", "Z2liYmVyaXNo".into()), "KeyCredentialsInvalidValue", "Key credential value is invalid."),
        (but(good(), "key", not_base64.into()), plain, "Cannot convert a primitive value"),
        (but(good(), "customKeyIdentifier", "52ED".repeat(10)[1..].into()), plain, "Cannot convert a primitive value"),
        (but(good(), "endDateTime", later.into()), "KeyCredentialsInvalidEndDate", "Key credential end date"),
        (
            but(good(), "startDateTime", "2020-01-01T00:00:00Z".into()),
            "KeyCredentialsInvalidStartDate",
            "Key credential start date is invalid.",
        ),
        (but(good(), "endDateTime", "tomorrow".into()), plain, "Cannot convert the literal 'tomorrow'"),
        (but(good(), "usage", "Sign".into()), plain, "The value for the property \"usage\""),
        (but(read.clone(), "type", Value::Null), plain, "The value for the property \"type\""),
        (but(good(), "keyId", "seven".into()), plain, "Invalid value specified for property 'keyId'"),
        (but(good(), "thumbprint", "AA".into()), plain, "Invalid property 'thumbprint'."),
        (but(read.clone(), "endDateTime", "2026-01-01T00:00:00Z".into()), plain, "Update to existing credential"),
        (but(read.clone(), "keyId", Uuid::from_u128(7).to_string().into()), "KeyCredentialsInvalidValue", "KeyValue"),
    ] {
        let reply = place.certify(&[new(&made, "beside it"), odd.clone()]).await;
        assert_eq!(refused(&reply), (400, code.to_owned()), "{odd}");
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(told), "{odd}: {message}");
    }
    let twice = place.certify(&[read.clone(), read.clone()]).await;
    assert_eq!(refused(&twice), (400, plain.to_owned()));
    for odd in [json!(null), json!({}), json!(["MII"])] {
        let odd = place.graph(Method::PATCH, &place.payments(), &json!({"keyCredentials": odd})).await;
        assert_eq!(refused(&odd), (400, plain.to_owned()));
    }
    assert_eq!(place.certificates().await, [read]);
    let ends = place.certify(&[but(good(), "endDateTime", "2020-01-01T00:00:00Z".into())]).await.json();
    let details = json!([{
        "code": "InvalidKeyEndDate",
        "message": "Key credential end date is invalid.",
        "target": "keyCredentials.endDateTime",
    }]);
    assert_eq!(ends["error"]["details"], details);
}

/// AZURE 1.8: `asymmetricKeyLifetime` looks at what is added; what is there may be sent back.
#[tokio::test]
async fn a_policy_limits_the_life_of_new_ones() {
    let place = at_once().await;
    place.certify(&[new(&made(), "there before")]).await;
    let month = Some(SignedDuration::from_hours(24 * 30));
    let policies = Policies { longest_certificate_life: month, ..Policies::default() };
    place.azure.set_policies(place.tenant, policies).unwrap();
    let mut list = place.certificates().await;
    assert_eq!(place.certify(&list).await.status, 204);
    list.push(new(&made(), "new"));
    assert_eq!(refused(&place.certify(&list).await), (400, "CredentialInvalidLifetimeAsPerAppPolicy".into()));
    list[1] = new(&SelfSigned::for_days("payments", 30).unwrap(), "new");
    assert_eq!(place.certify(&list).await.status, 204);
}

/// AZURE 1.1: who owns the application writes.
#[tokio::test]
async fn permissions_are_those_of_the_application() {
    let place = at_once().await;
    let denied = (403, "Authorization_RequestDenied".to_owned());
    let own = format!("/applications/{}", place.operator.object_id);
    let list = json!({"keyCredentials": [new(&made(), "new")]});
    assert_eq!(refused(&place.graph(Method::PATCH, &own, &list).await), denied, "it does not own itself");
    place.azure.set_principal(&place.operator, |principal| principal.roles.clear()).unwrap();
    assert_eq!(refused(&place.certify(&[new(&made(), "new")]).await), denied);
    assert_eq!(place.get(&format!("{own}?$select=keyCredentials")).await.status, 200);
}

/// AZURE 2: a list is one write; keys may be read 150 times a minute in a tenant, whoever reads.
#[tokio::test]
async fn writes_and_reads_of_keys_are_counted() {
    let place = at_once().await;
    let minute = SignedDuration::from_mins(1);
    let conflict = (409, "Directory_ConcurrencyViolation".to_owned());
    place.azure.set_weather(place.tenant, |weather| weather.write_window = minute).unwrap();
    assert_eq!(place.certify(&[new(&made(), "new")]).await.status, 204);
    assert_eq!(refused(&place.act("addPassword", &Value::Null).await), conflict);
    assert_eq!(refused(&place.certify(&[]).await), conflict);
    place.azure.set_limits(|limits| limits.writes = Limit::new(4, minute));
    assert_eq!(place.certify(&[]).await.status, 409);
    let throttled = place.certify(&[]).await;
    assert_eq!((throttled.status, throttled.header("x-ms-throttle-information")), (429, "WriteLimitExceeded"));

    place.azure.set_limits(|limits| limits.certificate_reads = Limit::new(1, minute));
    let keys = format!("{}?$select=keyCredentials", place.payments());
    assert_eq!([place.get(&keys).await.status, place.get(&keys).await.status], [200, 429]);
    assert_eq!(place.get(&place.payments()).await.status, 200, "what has no key in it is not counted");
    assert_eq!(place.get("/applications?$select=keyCredentials").await.status, 200);
    let other = format!("/applications/{}?$select=keyCredentials", place.operator.object_id);
    assert_eq!(place.get(&other).await.status, 429, "the limit is the tenant's");
}

/// AZURE 2: sixty a minute where personal accounts sign in.
#[tokio::test]
async fn applications_for_personal_accounts_are_written_less_often() {
    let place = at_once().await;
    place.azure.edit_application(&place.payments, |it| it.audience = Audience::PersonalOnly).unwrap();
    place.azure.set_limits(|limits| limits.personal_writes = Limit::new(1, SignedDuration::from_mins(1)));
    assert_eq!([place.certify(&[]).await.status, place.certify(&[]).await.status], [204, 429]);
}

/// AZURE 3: a replica that has not heard of an entry can neither tell it nor keep it.
#[tokio::test]
async fn reads_lag() {
    let place = at_once().await;
    let lag = Lag { least: SignedDuration::from_mins(1), most: SignedDuration::from_mins(2) };
    place.azure.set_weather(place.tenant, |weather| weather.reads = lag).unwrap();
    let entry = but(new(&made(), "new"), "keyId", Uuid::from_u128(7).to_string().into());
    assert_eq!(place.certify(std::slice::from_ref(&entry)).await.status, 204);
    assert!(place.certificates().await.is_empty());
    let kept = but(entry.clone(), "key", Value::Null);
    assert_eq!(place.certify(&[kept]).await.code(), "KeyCredentialsInvalidValue");
    assert_eq!(place.certify(&[entry]).await.status, 204, "with its key it is told again, and is the same");
}

/// Faults find it under the verb of PATCH.
#[tokio::test]
async fn a_fault_may_cut_the_answer_of_a_write_that_was_done() {
    let place = at_once().await;
    place.azure.faults().add(Rule::at("graph", "patchApplication", "**").times(1).cut_after());
    let bearer = place.bearer().await;
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let url = format!("{}{}", crate::places::GRAPH, place.payments());
    let list = json!({"keyCredentials": [new(&made(), "new")]}).to_string();
    assert!(place.client.try_send(Method::PATCH, &url, &headers, &list).await.is_err());
    assert_eq!(place.certificates().await.len(), 1);
}
