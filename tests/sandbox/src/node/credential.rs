//! What a container would sign in with at a moment: the variables that every Azure SDK reads, in the order in which they
//! read them; or a file that the pod names, with the rest of the set beside it. Nothing is trimmed, mended or checked: what
//! is wrong in a container is wrong at the sign-in. Pure. A kind of credential that is added is a variant of [`Proof`].

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::body::Bytes;
use serde_json::Value;

use super::environment::Environment;
use crate::witness::{Fingerprint, Presented};

/// The pod's annotation that names the file with the secret: an absolute path, seen from the container.
pub const SECRET_FILE: &str = "sandbox.keywright.dev/secret-file";

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
}

impl Credential {
    /// What a container holds, if it is enough to sign in. `secret_file` is what [`SECRET_FILE`] names.
    pub(crate) fn of(
        environment: &Environment,
        secret_file: Option<&str>,
        read: impl Fn(&str) -> Option<Bytes>,
    ) -> Option<Self> {
        let text = |path: &str| read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let variable = |name: &str| environment.get(name).cloned().filter(|value| !value.is_empty());
        let folder = secret_file.and_then(|file| file.rsplit_once('/')).map(|(folder, _)| folder);
        let beside = |name: &str| folder.and_then(|folder| text(&format!("{folder}/{name}")));
        let value = |name: &str| beside(name).or_else(|| variable(name));
        let proof = match secret_file {
            Some(file) => Proof::Secret(text(file)?),
            None => Proof::of(variable, text)?,
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
        };
        Presented { tenant: self.tenant.clone(), client: self.client.clone(), fingerprint }
    }

    /// A text of others, without the secret that it may repeat.
    pub(crate) fn without_secret(&self, text: &str) -> String {
        let (Proof::Secret(secret) | Proof::Federated(secret)) = &self.proof;
        if secret.is_empty() { text.to_owned() } else { text.replace(secret.as_str(), "(the secret)") }
    }
}

impl Proof {
    /// What SDKs try first is what they stay with: their `EnvironmentCredential` comes before the
    /// `WorkloadIdentityCredential`, and in it the secret before the certificate. Nobody here signs in with a certificate
    /// yet, and whoever has one does not go on to the token.
    fn of(variable: impl Fn(&str) -> Option<String>, text: impl Fn(&str) -> Option<String>) -> Option<Self> {
        if let Some(secret) = variable("AZURE_CLIENT_SECRET") {
            return Some(Self::Secret(secret));
        }
        if variable("AZURE_CLIENT_CERTIFICATE_PATH").is_some() {
            return None;
        }
        text(&variable("AZURE_FEDERATED_TOKEN_FILE")?).map(Self::Federated)
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

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const WHOLE: [(&str, &str); 4] = [
        ("AZURE_AUTHORITY_HOST", "https://login.example/"),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "s~1"),
    ];

    fn nothing(_: &str) -> Option<Bytes> {
        None
    }

    #[test]
    fn the_variables_of_every_sdk_are_read() {
        let held = Credential::of(&environment(&WHOLE), None, nothing).unwrap();
        assert_eq!(held.endpoint(), "https://login.example/t/oauth2/v2.0/token");
        assert_eq!(held.presented().fingerprint, Fingerprint::of("s~1"));
        let public = Credential::of(&environment(&WHOLE[1..]), None, nothing).unwrap();
        assert_eq!(public.endpoint(), "https://login.microsoftonline.com/t/oauth2/v2.0/token");
    }

    #[test]
    fn what_is_not_enough_does_not_sign_in() {
        for (name, _) in &WHOLE[1..] {
            let mut some: Vec<_> = WHOLE.iter().copied().filter(|(other, _)| other != name).collect();
            assert_eq!(Credential::of(&environment(&some), None, nothing), None);
            some.push((name, ""));
            assert_eq!(Credential::of(&environment(&some), None, nothing), None);
        }
    }

    #[test]
    fn a_file_is_read_with_what_is_beside_it_and_as_it_is() {
        let read = |path: &str| match path {
            "/etc/entra/key" => Some(Bytes::from("from a file\n")),
            "/etc/entra/AZURE_CLIENT_ID" => Some(Bytes::from("beside")),
            _ => None,
        };
        let held = Credential::of(&environment(&WHOLE), Some("/etc/entra/key"), read).unwrap();
        assert_eq!((held.client.as_str(), held.tenant.as_str()), ("beside", "t"));
        assert!(held.proof == Proof::Secret("from a file\n".into()), "a line break at the end is sent, and refused");
        assert_eq!(Credential::of(&environment(&WHOLE), Some("/etc/entra/other"), read), None);
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
        let held = |id| Credential::of(&environment(&FEDERATED), None, in_its_file(token(&claims(id)))).unwrap();
        assert_eq!(held(1).presented().fingerprint, Fingerprint::of_federated("c", "https://i/", "s", "a"));
        assert_eq!(held(1).presented(), held(2).presented());
        assert!(held(1).proof == Proof::Federated(token(&claims(1))) && held(1) != held(2), "each is sent as it is");
        let single = token(&json!({"iss": "https://i/", "sub": "s", "aud": "a"}));
        let single = Credential::of(&environment(&FEDERATED), None, in_its_file(single)).unwrap();
        assert_eq!(single.presented(), held(1).presented());
    }

    #[test]
    fn what_is_no_token_is_presented_all_the_same() {
        let held = Credential::of(&environment(&FEDERATED), None, in_its_file("nonsense".into())).unwrap();
        assert_eq!(held.presented().fingerprint, Fingerprint::of("nonsense"));
        assert_eq!(Credential::of(&environment(&FEDERATED), None, nothing), None);
    }

    #[test]
    fn a_secret_is_used_before_a_token_and_a_certificate_too() {
        let with = |name, value| [&FEDERATED[..], &[(name, value)]].concat();
        let held = |variables: &[_]| Credential::of(&environment(variables), None, in_its_file("t".into()));
        let held = |variables: &[_]| held(variables).map(|held| held.proof);
        assert!(held(&with("AZURE_CLIENT_SECRET", "s")) == Some(Proof::Secret("s".into())));
        assert!(held(&with("AZURE_CLIENT_SECRET", "")) == Some(Proof::Federated("t".into())));
        assert!(held(&with("AZURE_CLIENT_CERTIFICATE_PATH", "/tls/credential.pem")).is_none());
    }

    #[test]
    fn a_token_without_a_client_id_signs_nobody_in() {
        for (name, _) in &FEDERATED[1..3] {
            let some: Vec<_> = FEDERATED.iter().copied().filter(|(other, _)| other != name).collect();
            assert_eq!(Credential::of(&environment(&some), None, in_its_file("t".into())), None);
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let held = Credential::of(&environment(&WHOLE), None, nothing).unwrap();
        assert!(!format!("{held:?}").contains("s~1"));
        assert_eq!(held.without_secret("wrong: s~1!"), "wrong: (the secret)!");
    }
}
