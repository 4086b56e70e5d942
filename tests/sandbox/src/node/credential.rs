//! What a container would sign in with at a moment: the variables that every Azure SDK reads, in the order in which they
//! read them; or files that the pod names, with the rest of the set beside them. Nothing is trimmed, mended or checked:
//! what is wrong in a container is wrong at the sign-in. Pure. A kind of credential that is added is a variant of [`Proof`].

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::body::Bytes;
use serde_json::Value;

use super::environment::Environment;
use crate::azure::Bearer;
use crate::witness::{Fingerprint, Presented};

/// The pod's annotation that names the file with the secret: an absolute path, seen from the container.
pub const SECRET_FILE: &str = "sandbox.keywright.dev/secret-file";

/// The pod's annotation that names the folder with `tls.crt` and `tls.key`, as programs have it that are none of
/// Microsoft's: an absolute path, seen from the container.
pub const CERTIFICATE_FOLDER: &str = "sandbox.keywright.dev/certificate-folder";

/// Where SDKs sign in when nothing names an authority.
const PUBLIC: &str = "https://login.microsoftonline.com";

/// All that a sign-in takes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) authority: String,
    pub(crate) tenant: String,
    pub(crate) client: String,
    pub(crate) proof: Proof,
}

/// How a client shows that it is itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    Secret(String),
    /// A token of somebody whom the application trusts, as it is in its file now.
    Federated(String),
    /// A certificate with its key, as they are in their files now.
    Certificate(Arc<Bearer>),
}

/// The files that a pod names in its annotations.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Files<'a> {
    /// What [`SECRET_FILE`] names.
    pub(crate) secret: Option<&'a str>,
    /// What [`CERTIFICATE_FOLDER`] names.
    pub(crate) certificate: Option<&'a str>,
}

impl Files<'_> {
    /// Where the rest of the set may be.
    fn folder(&self) -> Option<&str> {
        let of_secret = self.secret.and_then(|file| file.rsplit_once('/')).map(|(folder, _)| folder);
        of_secret.or(self.certificate).map(|folder| folder.trim_end_matches('/'))
    }
}

impl Credential {
    /// What a container holds, if it is enough to sign in.
    pub(crate) fn of(
        environment: &Environment,
        files: Files<'_>,
        read: impl Fn(&str) -> Option<Bytes>,
    ) -> Option<Self> {
        let text = |path: &str| read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let variable = |name: &str| environment.get(name).cloned().filter(|value| !value.is_empty());
        let beside = |name: &str| files.folder().and_then(|folder| text(&format!("{folder}/{name}")));
        let value = |name: &str| beside(name).or_else(|| variable(name));
        let proof = match files {
            Files { secret: Some(file), .. } => Proof::Secret(text(file)?),
            Files { certificate: Some(_), .. } => {
                Proof::certificate(&format!("{}{}", beside("tls.key")?, beside("tls.crt")?))?
            }
            _ => Proof::of(variable, text)?,
        };
        Some(Self {
            authority: value("AZURE_AUTHORITY_HOST").unwrap_or_else(|| PUBLIC.to_owned()),
            tenant: value("AZURE_TENANT_ID")?,
            client: value("AZURE_CLIENT_ID")?,
            proof,
        })
    }

    /// Where the token is asked for.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.authority.trim_end_matches('/'), self.tenant)
    }

    /// What may be told of it.
    pub(crate) fn presented(&self) -> Presented {
        let fingerprint = match &self.proof {
            Proof::Secret(secret) => Fingerprint::of(secret),
            Proof::Federated(token) => shown_by(&self.client, token).unwrap_or_else(|| Fingerprint::of(token)),
            Proof::Certificate(bearer) => bearer.fingerprint(),
        };
        Presented { tenant: self.tenant.clone(), client: self.client.clone(), fingerprint }
    }

    /// A text of others, without the secret that it may repeat. A private key is never sent, so nobody repeats it.
    pub(crate) fn without_secret(&self, text: &str) -> String {
        let (Proof::Secret(secret) | Proof::Federated(secret)) = &self.proof else { return text.to_owned() };
        if secret.is_empty() { text.to_owned() } else { text.replace(secret.as_str(), "(the secret)") }
    }
}

impl Proof {
    /// What SDKs try first is what they stay with: their `EnvironmentCredential` comes before the
    /// `WorkloadIdentityCredential`, and in it the secret before the certificate. Whoever names a certificate that cannot
    /// be read does not go on to the token.
    fn of(variable: impl Fn(&str) -> Option<String>, text: impl Fn(&str) -> Option<String>) -> Option<Self> {
        if let Some(secret) = variable("AZURE_CLIENT_SECRET") {
            return Some(Self::Secret(secret));
        }
        if let Some(path) = variable("AZURE_CLIENT_CERTIFICATE_PATH") {
            return Self::certificate(&text(&path)?);
        }
        text(&variable("AZURE_FEDERATED_TOKEN_FILE")?).map(Self::Federated)
    }

    fn certificate(pem: &str) -> Option<Self> {
        Bearer::read(pem).map(|bearer| Self::Certificate(Arc::new(bearer)))
    }
}

/// What a federated credential is compared with (AZURE 1.5), if this is a token.
fn shown_by(client: &str, token: &str) -> Option<Fingerprint> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    // Kubernetes writes a list even of one.
    let audience = claims["aud"].as_str().or_else(|| claims["aud"][0].as_str());
    Some(Fingerprint::of_federated(client, claims["iss"].as_str()?, claims["sub"].as_str()?, audience?))
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.presented().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::azure::{SelfSigned, X509};

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const WHOLE: [(&str, &str); 4] = [
        ("AZURE_AUTHORITY_HOST", "https://login.example/"),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "s~1"),
    ];

    fn secret(file: &str) -> Files<'_> {
        Files { secret: Some(file), ..Files::default() }
    }

    fn nothing(_: &str) -> Option<Bytes> {
        None
    }

    #[test]
    fn the_variables_of_every_sdk_are_read() {
        let held = Credential::of(&environment(&WHOLE), Files::default(), nothing).unwrap();
        assert_eq!(held.endpoint(), "https://login.example/t/oauth2/v2.0/token");
        assert_eq!(held.presented().fingerprint, Fingerprint::of("s~1"));
        let public = Credential::of(&environment(&WHOLE[1..]), Files::default(), nothing).unwrap();
        assert_eq!(public.endpoint(), "https://login.microsoftonline.com/t/oauth2/v2.0/token");
    }

    #[test]
    fn what_is_not_enough_does_not_sign_in() {
        for (name, _) in &WHOLE[1..] {
            let mut some: Vec<_> = WHOLE.iter().copied().filter(|(other, _)| other != name).collect();
            assert_eq!(Credential::of(&environment(&some), Files::default(), nothing), None);
            some.push((name, ""));
            assert_eq!(Credential::of(&environment(&some), Files::default(), nothing), None);
        }
    }

    #[test]
    fn a_file_is_read_with_what_is_beside_it_and_as_it_is() {
        let read = |path: &str| match path {
            "/etc/entra/key" => Some(Bytes::from("from a file\n")),
            "/etc/entra/AZURE_CLIENT_ID" => Some(Bytes::from("beside")),
            _ => None,
        };
        let held = Credential::of(&environment(&WHOLE), secret("/etc/entra/key"), read).unwrap();
        assert_eq!((held.client.as_str(), held.tenant.as_str()), ("beside", "t"));
        assert!(held.proof == Proof::Secret("from a file\n".into()), "a line break at the end is sent, and refused");
        assert_eq!(Credential::of(&environment(&WHOLE), secret("/etc/entra/other"), read), None);
    }

    const FEDERATED: [(&str, &str); 4] = [
        ("AZURE_AUTHORITY_HOST", "https://login.example/"),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/wi/token"),
    ];

    fn token(claims: &Value) -> String {
        format!("e30.{}.signed", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn in_its_file(token: String) -> impl Fn(&str) -> Option<Bytes> {
        move |path| (path == "/wi/token").then(|| Bytes::from(token.clone()))
    }

    #[test]
    fn a_token_is_known_by_issuer_subject_and_audience() {
        let claims = |id: u8| json!({"iss": "https://i/", "sub": "s", "aud": ["a"], "jti": id});
        let held =
            |id| Credential::of(&environment(&FEDERATED), Files::default(), in_its_file(token(&claims(id)))).unwrap();
        assert_eq!(held(1).presented().fingerprint, Fingerprint::of_federated("c", "https://i/", "s", "a"));
        assert_eq!(held(1).presented(), held(2).presented());
        assert!(held(1).proof == Proof::Federated(token(&claims(1))) && held(1) != held(2), "each is sent as it is");
        let single = token(&json!({"iss": "https://i/", "sub": "s", "aud": "a"}));
        let single = Credential::of(&environment(&FEDERATED), Files::default(), in_its_file(single)).unwrap();
        assert_eq!(single.presented(), held(1).presented());
    }

    #[test]
    fn what_is_no_token_is_presented_all_the_same() {
        let held = Credential::of(&environment(&FEDERATED), Files::default(), in_its_file("nonsense".into())).unwrap();
        assert_eq!(held.presented().fingerprint, Fingerprint::of("nonsense"));
        assert_eq!(Credential::of(&environment(&FEDERATED), Files::default(), nothing), None);
    }

    #[test]
    fn a_secret_is_used_before_a_token_and_a_certificate_too() {
        let with = |name, value| [&FEDERATED[..], &[(name, value)]].concat();
        let held = |variables: &[_]| Credential::of(&environment(variables), Files::default(), in_its_file("t".into()));
        let held = |variables: &[_]| held(variables).map(|held| held.proof);
        assert!(held(&with("AZURE_CLIENT_SECRET", "s")) == Some(Proof::Secret("s".into())));
        assert!(held(&with("AZURE_CLIENT_SECRET", "")) == Some(Proof::Federated("t".into())));
        let named = with("AZURE_CLIENT_CERTIFICATE_PATH", "/tls/credential.pem");
        assert!(held(&named).is_none(), "it is not there");
        let made = SelfSigned::for_days("payments", 90).unwrap();
        let both = |path: &str| Some(Bytes::from(if path == "/wi/token" { "t".into() } else { bundle(&made) }));
        let held = Credential::of(&environment(&named), Files::default(), both).unwrap();
        assert_eq!(held.presented().fingerprint, X509::read(made.der()).unwrap().fingerprint());
        let secret = [&named[..], &[("AZURE_CLIENT_SECRET", "s")]].concat();
        let held = Credential::of(&environment(&secret), Files::default(), both).unwrap();
        assert!(held.proof == Proof::Secret("s".into()));
    }

    fn bundle(made: &SelfSigned) -> String {
        made.key_pem() + &made.pem()
    }

    #[test]
    fn a_certificate_is_read_from_one_file_or_from_two() {
        let (made, other) = (SelfSigned::for_days("payments", 90).unwrap(), SelfSigned::for_days("other", 90).unwrap());
        let fingerprint = Some(X509::read(made.der()).unwrap().fingerprint());
        let read = |path: &str| match path {
            "/tls/credential.pem" => Some(Bytes::from(bundle(&made))),
            "/tls/key-only.pem" | "/tls/tls.key" => Some(Bytes::from(made.key_pem())),
            "/tls/tls.crt" | "/mixed/tls.crt" => Some(Bytes::from(made.pem())),
            "/mixed/tls.key" => Some(Bytes::from(other.key_pem())),
            "/tls/AZURE_CLIENT_ID" => Some(Bytes::from("beside")),
            _ => None,
        };
        let held = |variables: &[_], files| Credential::of(&environment(variables), files, read);
        let path = |path| [&WHOLE[..3], &[("AZURE_CLIENT_CERTIFICATE_PATH", path)]].concat();
        let one = held(&path("/tls/credential.pem"), Files::default());
        assert_eq!(one.as_ref().map(|held| held.presented().fingerprint), fingerprint);
        assert!(held(&path("/tls/key-only.pem"), Files::default()).is_none());
        assert!(held(&path("/elsewhere"), Files::default()).is_none());
        let folder = |folder| Files { certificate: Some(folder), ..Files::default() };
        let two = held(&WHOLE[..3], folder("/tls/")).unwrap();
        assert_eq!((Some(two.presented().fingerprint), two.client.as_str()), (fingerprint, "beside"));
        let mixed = held(&WHOLE[..3], folder("/mixed")).map(|held| held.presented().fingerprint);
        assert_eq!(mixed, fingerprint, "what does not belong together is seen at the sign-in");
        assert!(!format!("{one:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_token_without_a_client_id_signs_nobody_in() {
        for (name, _) in &FEDERATED[1..3] {
            let some: Vec<_> = FEDERATED.iter().copied().filter(|(other, _)| other != name).collect();
            assert_eq!(Credential::of(&environment(&some), Files::default(), in_its_file("t".into())), None);
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let held = Credential::of(&environment(&WHOLE), Files::default(), nothing).unwrap();
        assert!(!format!("{held:?}").contains("s~1"));
        assert_eq!(held.without_secret("wrong: s~1!"), "wrong: (the secret)!");
    }
}
