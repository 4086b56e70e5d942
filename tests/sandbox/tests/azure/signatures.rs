//! Sign-ins by certificates: which assertions are accepted, and with which code the others are refused (AZURE 4.3, 5).

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use keywright_sandbox::azure::{Cause, Certificate, CertificateEntry, Lag, Options, SelfSigned, X509};
use keywright_sandbox::witness::Fingerprint;
use serde_json::{Value, json};

use crate::certificates::{made, new};
use crate::client::Reply;
use crate::federation::{exchange, told};
use crate::places::{LOGIN, Place, at_once, place};

/// A place where `payments` has a certificate of old.
struct Signatures {
    place: Place,
    made: SelfSigned,
    certificate: Certificate,
}

impl Signatures {
    fn of(place: Place) -> Self {
        let made = made();
        let certificate = place.azure.seed_certificate(&place.payments, made.entry("by hand")).unwrap();
        Self { place, made, certificate }
    }

    async fn at_once() -> Self {
        Self::of(at_once().await)
    }

    fn claims(&self) -> Value {
        let (client, now) = (self.place.payments.client_id.to_string(), Timestamp::now().as_second());
        let audience = self.place.token_url();
        json!({"iss": client, "sub": client, "aud": audience, "jti": "1", "nbf": now, "exp": now + 600})
    }

    fn thumbprint(&self, algorithm: &'static Algorithm) -> Vec<u8> {
        digest(algorithm, self.made.der()).as_ref().to_vec()
    }

    fn head(&self) -> Value {
        json!({"alg": "PS256", "x5t#S256": URL_SAFE_NO_PAD.encode(self.thumbprint(&SHA256))})
    }

    async fn reply(&self, head: &Value, claims: &Value) -> Reply {
        exchange(&self.place, &self.made.sign(head, claims).unwrap()).await
    }

    /// What comes of an assertion: 200, or the code.
    async fn comes_of(&self, head: &Value, claims: &Value) -> String {
        told(&self.reply(head, claims).await)
    }

    /// What comes of the usual assertion.
    async fn sign_in(&self) -> String {
        told(&assert_as(&self.place, &self.made).await)
    }

    fn causes(&self) -> Vec<Cause> {
        self.place.azure.refused_sign_ins().iter().map(|refused| refused.cause).collect()
    }
}

/// Signs in as `payments` by the key of a certificate.
async fn assert_as(place: &Place, made: &SelfSigned) -> Reply {
    let assertion = made.assertion(&place.payments.client_id.to_string(), &place.token_url()).unwrap();
    exchange(place, &assertion).await
}

fn but(mut part: Value, name: &str, value: Value) -> Value {
    part[name] = value;
    part
}

/// What official clients send; what is accepted is counted by the entry's ID.
#[tokio::test]
async fn every_form_that_official_clients_send_is_accepted() {
    let it = Signatures::at_once().await;
    let (old, new) = (it.thumbprint(&SHA1_FOR_LEGACY_USE_ONLY), it.thumbprint(&SHA256));
    let heads = [
        json!({"alg": "RS256", "typ": "JWT", "x5t": URL_SAFE.encode(&old)}),
        json!({"alg": "RS256", "typ": "JWT", "x5t": URL_SAFE_NO_PAD.encode(&old), "x5c": [STANDARD.encode(it.made.der())]}),
        json!({"alg": "RS256", "x5t#S256": URL_SAFE_NO_PAD.encode(&new)}),
        json!({"alg": "PS256", "x5t#S256": URL_SAFE.encode(&new)}),
        it.head(),
    ];
    for head in &heads {
        assert_eq!(it.comes_of(head, &it.claims()).await, "200", "{head}");
    }
    let now = Timestamp::now().as_second();
    let seconds = but(but(it.claims(), "nbf", now.to_string().into()), "exp", (now + 300).to_string().into());
    assert_eq!(it.comes_of(&it.head(), &seconds).await, "200");
    for audience in ["common/oauth2/v2.0/token".to_owned(), format!("{}/oauth2/token", it.place.tenant)] {
        let audience = but(it.claims(), "aud", format!("{LOGIN}/{audience}").into());
        assert_eq!(it.comes_of(&it.head(), &audience).await, "200", "{audience}");
    }
    let reply = assert_as(&it.place, &it.made).await.json();
    assert!(reply["access_token"].is_string());
    let accepted = it.place.azure.inspect()["accepted"].clone();
    let counted = accepted.as_array().unwrap().iter().find(|one| one["keyId"] == it.certificate.key_id.to_string());
    assert_eq!(counted.unwrap()["count"], heads.len() + 4);
}

/// 700027 with the thumbprint, and without where nobody can read it.
#[tokio::test]
async fn a_certificate_that_is_not_registered_is_named() {
    let it = Signatures::at_once().await;
    let other = made();
    let refused = assert_as(&it.place, &other).await;
    assert_eq!((refused.status, told(&refused)), (401, "700027".to_owned()));
    let text = refused.json()["error_description"].as_str().unwrap().to_owned();
    assert!(text.contains("is not registered on application. [Reason - The key was not found., Thumbprint of key"));
    assert!(text.contains(&Fingerprint::of(other.der()).to_string().to_uppercase()), "{text}");
    let old = it.thumbprint(&SHA1_FOR_LEGACY_USE_ONLY);
    let known = X509::read(it.made.der()).unwrap().thumbprint();
    let standard = format!("{}+/", &STANDARD.encode(&old)[..26]);
    for odd in [standard, known] {
        let refused = it.reply(&json!({"alg": "RS256", "x5t": odd}), &it.claims()).await;
        let text = refused.json()["error_description"].as_str().unwrap().to_owned();
        assert_eq!(told(&refused), "700027");
        assert!(text.contains("[Reason - The key was not found., Please visit"), "{text}");
    }
    assert_eq!(it.causes(), [Cause::WrongValue; 3]);
}

#[tokio::test]
async fn every_other_refusal_has_its_code() {
    let it = Signatures::at_once().await;
    let now = Timestamp::now().as_second();
    let (head, claims) = (|| it.head(), || it.claims());
    let elsewhere = format!("{LOGIN}/fabrikam.com/oauth2/v2.0/token");
    for (head, claims, code) in [
        (head(), but(but(claims(), "nbf", (now - 900).into()), "exp", (now - 301).into()), "700024"),
        (head(), but(but(claims(), "nbf", (now + 600).into()), "exp", (now + 900).into()), "700024"),
        (head(), but(claims(), "jti", Value::Null), "50027"),
        (head(), but(claims(), "exp", Value::Null), "50027"),
        (head(), but(claims(), "aud", elsewhere.into()), "50027"),
        (but(head(), "x5t#S256", Value::Null), claims(), "50027"),
        (head(), but(claims(), "sub", it.place.operator.client_id.to_string().into()), "50048"),
        (head(), but(claims(), "iss", it.place.operator.client_id.to_string().into()), "50027"),
    ] {
        let refused = it.reply(&head, &claims).await;
        assert_eq!((refused.status, told(&refused).as_str()), (401, code), "{claims}");
    }
    let forged = made().sign(&head(), &claims()).unwrap();
    assert_eq!(told(&exchange(&it.place, &forged).await), "50012");
    assert_eq!(it.sign_in().await, "200");
}

/// What was a good one: 700027 that says from when to when it was good.
#[tokio::test]
async fn a_certificate_is_good_as_long_as_its_entry_says() {
    let it = Signatures::at_once().await;
    let hours = |hours| Some(Timestamp::now() + SignedDuration::from_hours(hours));
    let begin = Timestamp::now() - SignedDuration::from_hours(48);
    let soon = SelfSigned::new("payments", begin, hours(48).unwrap()).unwrap();
    let expired = CertificateEntry { end: hours(-1), ..soon.entry("was good") };
    place_one(&it, expired);
    let refused = assert_as(&it.place, &soon).await;
    let text = refused.json()["error_description"].as_str().unwrap().to_owned();
    assert_eq!(told(&refused), "700027");
    assert!(text.contains("[Reason - The key used is expired., Thumbprint of key used by client: '"), "{text}");
    assert!(text.contains("Found key 'Start="), "{text}");
    assert_eq!(it.causes(), [Cause::Expired]);
    place_one(&it, soon.entry("the same once more"));
    assert_eq!(told(&assert_as(&it.place, &soon).await), "200", "for other times");

    let later = made();
    place_one(&it, CertificateEntry { start: hours(1), ..later.entry("will be good") });
    assert_eq!(told(&assert_as(&it.place, &later).await), "1000502");
    assert_eq!(it.causes()[1], Cause::NotYetValid);
}

fn place_one(it: &Signatures, entry: CertificateEntry) {
    it.place.azure.seed_certificate(&it.place.payments, entry).unwrap();
}

/// AZURE 3: known by turns, and for a while after it was removed; the log tells why in truth.
#[tokio::test]
async fn replicas_learn_of_certificates_in_their_own_time() {
    let it = Signatures::of(place(Options { scale: 0.0, ..Options::default() }, "Application.ReadWrite.OwnedBy").await);
    let lag = |least, most| Lag { least: SignedDuration::from_mins(least), most: SignedDuration::from_mins(most) };
    let set = |lag| it.place.azure.set_weather(it.place.tenant, |weather| weather.sign_ins = lag).unwrap();
    set(lag(5, 6));
    let ours = made();
    let kept = it.place.certificates().await;
    let list: Vec<Value> = kept.iter().cloned().chain([new(&ours, "kw1:")]).collect();
    assert_eq!(it.place.certify(&list).await.status, 204);
    let refused = assert_as(&it.place, &ours).await;
    assert_eq!((told(&refused), it.causes()), ("700027".to_owned(), vec![Cause::NotYetKnown]));
    let refused = it.place.azure.refused_sign_ins().pop().unwrap();
    assert_eq!(refused.fingerprint, Some(Fingerprint::of(ours.der())));
    assert_eq!(it.place.certify(&[]).await.status, 204);
    assert_eq!(it.sign_in().await, "200", "accepted for a while");
    set(Lag::NONE);
    it.place.azure.edit_application(&it.place.payments, |_| {}).unwrap();
    assert_eq!([it.sign_in().await, told(&assert_as(&it.place, &ours).await)], ["700027", "700027"]);
    assert_eq!(it.causes()[1..], [Cause::Removed; 2]);
}

/// A share of what is right is refused; who is blocked was right all the same.
#[tokio::test]
async fn noise_and_blocks_are_as_for_secrets() {
    let it = Signatures::at_once().await;
    let noise = |noise| it.place.azure.set_weather(it.place.tenant, |weather| weather.noise = noise).unwrap();
    noise(1.0);
    assert_eq!((it.sign_in().await, it.causes()), ("700027".to_owned(), vec![Cause::Noise]));
    noise(0.0);
    it.place.azure.set_principal(&it.place.payments, |principal| principal.blocked = true).unwrap();
    assert_eq!(it.sign_in().await, "53003");
    assert_eq!(told(&assert_as(&it.place, &made()).await), "700027");
}
