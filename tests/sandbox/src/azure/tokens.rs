//! Access tokens as Entra issues them to applications: JSON Web Tokens in the form of version 1.0, signed with RS256 by
//! a key of the run. It issues and verifies, and publishes its key; who may have one, and for what, is decided by others.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::signing::{Algorithm, SigningKey};
use crate::pki;

/// How long a token is good for, by default: an hour.
const LIFE: SignedDuration = SignedDuration::from_hours(1);
/// Entra dates a token back, for clocks that are late.
const DATED_BACK: SignedDuration = SignedDuration::from_mins(5);

/// Who has been let in: what a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The tenant that issued the token.
    pub tenant: Uuid,
    /// The application's client ID.
    pub client_id: Uuid,
    /// The object ID of the application's service principal in that tenant.
    pub object_id: Uuid,
    /// The application permissions granted for the audience.
    pub roles: Vec<String>,
}

/// Why a bearer token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is empty.
    Empty,
    /// It is not a JSON Web Token of ours.
    Malformed,
    /// Somebody else has signed it, or it was changed.
    Signature,
    /// It is for another audience: this one.
    Audience(String),
    /// It is good only later.
    NotYet(Timestamp),
    /// It was good until then.
    Expired(Timestamp),
}

/// Issues and verifies access tokens; the key is made for one run.
pub struct Tokens {
    key: SigningKey,
}

/// What Entra says about a caller in a token for one audience.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    appid: Uuid,
    appidacr: String,
    idp: String,
    idtyp: String,
    oid: Uuid,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    sub: Uuid,
    tid: Uuid,
    uti: String,
    ver: String,
}

impl Tokens {
    /// Makes a key to sign with.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { key: SigningKey::new()? })
    }

    /// Issues a token to a caller for an audience; it is valid for an hour from `now`, and in that form a resource
    /// such as Graph or Key Vault asks for.
    pub fn issue(&self, caller: &Caller, audience: &str, now: Timestamp) -> anyhow::Result<String> {
        self.issue_until(caller, audience, now, now + LIFE)
    }

    /// Issues a token that is valid until a certain moment.
    pub fn issue_until(
        &self,
        caller: &Caller,
        audience: &str,
        now: Timestamp,
        end: Timestamp,
    ) -> anyhow::Result<String> {
        let issuer = format!("https://sts.windows.net/{}/", caller.tenant);
        let begin = (now - DATED_BACK).as_second();
        let claims = Claims {
            aud: audience.to_owned(),
            iss: issuer.clone(),
            iat: begin,
            nbf: begin,
            exp: end.as_second(),
            appid: caller.client_id,
            appidacr: "1".into(), // signed in with a secret; a certificate or a federated token is "2"
            idp: issuer,
            idtyp: "app".into(),
            oid: caller.object_id,
            roles: caller.roles.clone(),
            sub: caller.object_id,
            tid: caller.tenant,
            uti: URL_SAFE_NO_PAD.encode(pki::random::<16>()?),
            ver: "1.0".into(),
        };
        let head = json!({"typ": "JWT", "alg": "RS256", "x5t": self.key.id(), "kid": self.key.id()});
        let claims = serde_json::to_value(&claims).context("could not write the claims of an access token")?;
        self.key.sign(&head, &claims)
    }

    /// Who bears this token (what follows `Bearer ` in the header), if it is ours, in time, and for one of these
    /// audiences, letter by letter.
    pub fn verify(&self, bearer: &str, audience: &[&str], now: Timestamp) -> Result<Caller, Refused> {
        if bearer.is_empty() {
            return Err(Refused::Empty);
        }
        let claims = self.signed_by_us(bearer)?;
        if !audience.contains(&claims.aud.as_str()) {
            return Err(Refused::Audience(claims.aud));
        }
        let second = |second| Timestamp::from_second(second).map_err(|_| Refused::Malformed);
        let (begin, end) = (second(claims.nbf)?, second(claims.exp)?);
        if now < begin {
            return Err(Refused::NotYet(begin));
        }
        if now >= end {
            return Err(Refused::Expired(end));
        }
        Ok(Caller { tenant: claims.tid, client_id: claims.appid, object_id: claims.oid, roles: claims.roles })
    }

    /// The key, as a JSON Web Key Set.
    #[must_use]
    pub fn keys(&self) -> Value {
        let mut key = self.key.jwk();
        key["x5t"] = self.key.id().into();
        json!({"keys": [key]})
    }

    fn signed_by_us(&self, token: &str) -> Result<Claims, Refused> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (_, claims) = signed.split_once('.').ok_or(Refused::Malformed)?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Malformed);
        if !self.key.public().has_signed(Algorithm::Rs256, signed, &decoded(signature)?) {
            return Err(Refused::Signature);
        }
        serde_json::from_slice(&decoded(claims)?).map_err(|_| Refused::Malformed)
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.key.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRAPH: &str = "https://graph.microsoft.com";

    fn caller() -> Caller {
        Caller {
            tenant: Uuid::from_u128(1),
            client_id: Uuid::from_u128(2),
            object_id: Uuid::from_u128(3),
            roles: vec!["Application.ReadWrite.OwnedBy".into()],
        }
    }

    #[test]
    fn what_was_issued_is_accepted_until_it_expires() {
        let (tokens, now) = (Tokens::new().unwrap(), Timestamp::now());
        let token = tokens.issue(&caller(), GRAPH, now).unwrap();
        assert_eq!(tokens.verify(&token, &["https://vault.azure.net", GRAPH], now), Ok(caller()));
        let later = now + SignedDuration::from_mins(61);
        assert!(matches!(tokens.verify(&token, &[GRAPH], later), Err(Refused::Expired(_))));
        let earlier = now - SignedDuration::from_mins(6);
        assert!(matches!(tokens.verify(&token, &[GRAPH], earlier), Err(Refused::NotYet(_))));
    }

    #[test]
    fn what_is_for_others_or_of_others_is_refused() {
        let (tokens, other, now) = (Tokens::new().unwrap(), Tokens::new().unwrap(), Timestamp::now());
        let token = tokens.issue(&caller(), GRAPH, now).unwrap();
        let vault = tokens.verify(&token, &["https://vault.azure.net"], now);
        assert_eq!(vault, Err(Refused::Audience(GRAPH.into())));
        let slash = tokens.verify(&token, &["https://graph.microsoft.com/"], now);
        assert_eq!(slash, Err(Refused::Audience(GRAPH.into())), "a slash is a letter");
        assert_eq!(other.verify(&token, &[GRAPH], now), Err(Refused::Signature));
        let (head, rest) = token.split_once('.').unwrap();
        let (_, signature) = rest.split_once('.').unwrap();
        let forged = format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode("{}"));
        assert_eq!(tokens.verify(&forged, &[GRAPH], now), Err(Refused::Signature));
        assert_eq!(tokens.verify("gibberish", &[GRAPH], now), Err(Refused::Malformed));
        assert_eq!(tokens.verify("", &[GRAPH], now), Err(Refused::Empty));
    }
}
