//! Key Vault's secrets (AZURE 6). Whoever asks without a token is told where to get one; with one, it must come from
//! where the vault can be reached, is counted, and must be allowed to do it. Each vault is asked by its own host name.
//! It tells values to whoever may read them, and to nobody else.

mod access;
mod administrator;
mod bounds;
mod errors;
mod log;
mod operations;
mod secrets;
mod shape;
mod told;
mod vaults;

use hyper::{Method, StatusCode};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

pub use self::access::{Access, Action, Grant, Network, Role};
pub(super) use self::administrator::act as administer;
use self::errors::{Error, LOCATION, Whom};
pub use self::log::{SecretChange, SecretWhat};
use self::operations::Answered;
use self::secrets::Refusal;
pub use self::secrets::SecretEdit;
pub use self::vaults::VaultSettings;
pub(crate) use self::vaults::Vaults;
use self::vaults::{By, State, Vault};
use super::call::{self, Answer, Call, with};
use super::clouds::{CLOUDS, FREE_VAULTS};
use super::dice::Dice;
use super::log::Actor;
use super::server::Free;
use super::tokens::{Caller, Tokens};

/// The application that Key Vault is, which is an audience as well as its address.
const KEY_VAULT: &str = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093";

/// Key Vault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint<'a> {
    pub(crate) vaults: &'a Vaults,
    pub(crate) tokens: &'a Tokens,
    /// The addresses of the free endpoint.
    pub(crate) free: &'a Free,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    List,
    Versions(String),
    Get(String, Option<String>),
    Put(String),
    Edit(String, Option<String>),
    Delete(String),
    ListDeleted,
    GetDeleted(String),
    Purge(String),
    Recover(String),
}

impl Asked {
    /// The secret that is meant; none for a list of all.
    fn name(&self) -> Option<&str> {
        match self {
            Self::List | Self::ListDeleted => None,
            Self::Versions(name)
            | Self::Get(name, _)
            | Self::Put(name)
            | Self::Edit(name, _)
            | Self::Delete(name)
            | Self::GetDeleted(name)
            | Self::Purge(name)
            | Self::Recover(name) => Some(name),
        }
    }

    /// What one must be allowed to do.
    const fn action(&self) -> Action {
        match self {
            Self::List | Self::Versions(_) | Self::ListDeleted | Self::GetDeleted(_) => Action::List,
            Self::Get(..) => Action::Get,
            Self::Put(_) => Action::Set,
            Self::Edit(..) => Action::Update,
            Self::Delete(_) => Action::Delete,
            Self::Purge(_) => Action::Purge,
            Self::Recover(_) => Action::Recover,
        }
    }
}

fn asked(method: &Method, path: &str) -> Option<Asked> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let segments: Vec<&str> = decoded.split('/').filter(|segment| !segment.is_empty()).collect();
    let owned = |text: &str| text.to_owned();
    Some(match (method.as_str(), &segments[..]) {
        ("GET", ["secrets"]) => Asked::List,
        ("GET", ["secrets", name, "versions"]) => Asked::Versions(owned(name)),
        ("GET", ["secrets", name]) => Asked::Get(owned(name), None),
        ("GET", ["secrets", name, version]) => Asked::Get(owned(name), Some(owned(version))),
        ("PUT", ["secrets", name]) => Asked::Put(owned(name)),
        ("PATCH", ["secrets", name]) => Asked::Edit(owned(name), None),
        ("PATCH", ["secrets", name, version]) => Asked::Edit(owned(name), Some(owned(version))),
        ("DELETE", ["secrets", name]) => Asked::Delete(owned(name)),
        ("GET", ["deletedsecrets"]) => Asked::ListDeleted,
        ("GET", ["deletedsecrets", name]) => Asked::GetDeleted(owned(name)),
        ("DELETE", ["deletedsecrets", name]) => Asked::Purge(owned(name)),
        ("POST", ["deletedsecrets", name, "recover"]) => Asked::Recover(owned(name)),
        _ => return None,
    })
}

/// How the journal and the rules call a request.
pub(crate) fn verb(method: &Method, path: &str) -> &'static str {
    match asked(method, path) {
        Some(Asked::List) => "listSecrets",
        Some(Asked::Versions(_)) => "listSecretVersions",
        Some(Asked::Get(..)) => "getSecret",
        Some(Asked::Put(_)) => "setSecret",
        Some(Asked::Edit(..)) => "updateSecret",
        Some(Asked::Delete(_)) => "deleteSecret",
        Some(Asked::ListDeleted) => "listDeletedSecrets",
        Some(Asked::GetDeleted(_)) => "getDeletedSecret",
        Some(Asked::Purge(_)) => "purgeDeletedSecret",
        Some(Asked::Recover(_)) => "recoverDeletedSecret",
        None => "unknown",
    }
}

impl Endpoint<'_> {
    /// Answers a request.
    pub(crate) fn answer(self, call: &Call, now: Timestamp) -> Answer {
        let mut state = self.vaults.lock();
        let State { vaults, dice, .. } = &mut *state;
        let id = dice.uuid();
        let name = call.host.split('.').next().unwrap_or_default().to_ascii_lowercase();
        // The proxy lets nobody through to such a host; at a free endpoint there is none before us.
        let Some(vault) = vaults.get_mut(&name) else { return call::empty(StatusCode::BAD_GATEWAY) };
        let answered = self.let_in(vault, call, now).and_then(|caller| admit(vault, &caller, call, dice, now));
        drop(state);
        let answer = match answered {
            Ok((status, Some(body))) => call::json(status, &body),
            Ok((status, None)) => call::empty(status),
            Err(error) => error.answer(),
        };
        headed(answer, call, id)
    }

    /// Whoever asks must bear a token of the vault's tenant, for the vault's cloud.
    fn let_in(self, vault: &Vault, call: &Call, now: Timestamp) -> Result<Caller, Error> {
        let cloud = CLOUDS.iter().find(|cloud| call.host.ends_with(&format!(".{}", cloud.vaults)));
        let (authority, resource) = match cloud {
            Some(cloud) => {
                let authority = cloud.authorities.first().copied().unwrap_or_default();
                (format!("https://{authority}"), format!("https://{}", cloud.vaults))
            }
            // Whose name is a part of the host, its clients look for the rest of that in the challenge.
            None if call.origin.contains(FREE_VAULTS) => (self.vaults.authority.clone(), self.free.vaults.clone()),
            None => (self.vaults.authority.clone(), self.free.vault.clone()),
        };
        let challenge = format!(r#"Bearer authorization="{authority}/{}", resource="{resource}""#, vault.tenant);
        let verified = self.tokens.verify(call.bearer().unwrap_or_default(), &[&resource, KEY_VAULT], now);
        match verified {
            Err(refused) => Err(Error::not_let_in(&refused, &resource, challenge)),
            Ok(caller) if caller.tenant != vault.tenant => {
                Err(Error::of_another_tenant(vault.tenant, caller.tenant, challenge))
            }
            Ok(caller) => Ok(caller),
        }
    }
}

fn headed(answer: Answer, call: &Call, id: Uuid) -> Answer {
    let client = call.header("x-ms-client-request-id").map(str::to_owned).unwrap_or_default();
    let headers = [
        ("cache-control", "no-cache"),
        ("pragma", "no-cache"),
        ("x-ms-keyvault-region", LOCATION),
        ("x-ms-keyvault-service-version", "1.9.2764.1"),
        ("x-ms-client-request-id", client.as_str()),
        ("x-content-type-options", "nosniff"),
    ];
    let said = headers.into_iter().filter(|(_, value)| !value.is_empty());
    said.fold(with(answer, "x-ms-request-id", &id.to_string()), |answer, (name, value)| with(answer, name, value))
}

/// What everybody is asked before anything is done.
fn admit(vault: &mut Vault, caller: &Caller, call: &Call, dice: &mut Dice, now: Timestamp) -> Answered {
    let whom = Whom { caller, vault: &vault.name };
    match vault.settings.network {
        Network::Open => {}
        Network::Firewall => return Err(Error::by_firewall(whom)),
        Network::Private => return Err(Error::by_connection(whom)),
    }
    match call.parameters().get("api-version").map_or("", String::as_str) {
        "" => return Err(Error::no_version()),
        version if !bounds::is_version(version) => return Err(Error::unknown_version(version)),
        _ => {}
    }
    let no_such_operation = || Error::no_such_operation(call.method.as_str(), &call.path);
    let asked = asked(&call.method, &call.path).ok_or_else(no_such_operation)?;
    if let Some(name) = asked.name().filter(|name| !bounds::is_name(name)) {
        return Err(Refusal::BadName(name.to_owned()).into());
    }
    if !vault.admits(matches!(asked, Asked::Put(_)), now) {
        return Err(Error::throttled());
    }
    let (action, whom) = (asked.action(), Whom { caller, vault: &vault.name });
    if !vault.grants.allow(caller.object_id, action, asked.name(), now, dice) {
        return Err(match vault.settings.access {
            Access::Roles => Error::by_role(whom, action, asked.name()),
            // Both inner codes are seen for the same thing (AZURE 6).
            Access::Policies => Error::by_policy(whom, action, dice.chance(0.5)),
        });
    }
    let by = By { actor: Actor::Application(caller.client_id), now };
    operations::carry_out(vault, asked, call, by, dice)
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::body::Bytes;
    use jiff::SignedDuration;

    use super::*;

    /// AZURE 6: 401 for a token that has expired, or that somebody else has signed; with the challenge.
    #[test]
    fn a_token_that_is_no_longer_good_is_challenged() {
        let now = Timestamp::now();
        let caller = Caller { tenant: Uuid::nil(), client_id: Uuid::nil(), object_id: Uuid::nil(), roles: vec![] };
        let (vaults, free) = (Vaults::new(0.0, 1, String::new()), Free::default());
        vaults.lock().add("kv", caller.tenant);
        let (ours, others) = (Tokens::new().unwrap(), Tokens::new().unwrap());
        let told = |tokens: &Tokens, end: Timestamp| {
            let token = tokens.issue_until(&caller, "https://vault.azure.net", now, end).unwrap();
            let mut call = Call {
                method: Method::GET,
                origin: "https://kv.vault.azure.net".into(),
                host: "kv.vault.azure.net".into(),
                path: "/secrets/a".into(),
                query: "api-version=7.6".into(),
                headers: HeaderMap::new(),
                body: Bytes::new(),
            };
            call.headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
            let answer = Endpoint { vaults: &vaults, tokens: &ours, free: &free }.answer(&call, now);
            let challenged = answer.headers().contains_key("www-authenticate");
            (answer.status().as_u16(), challenged, String::from_utf8_lossy(answer.body()).into_owned())
        };
        let hour = SignedDuration::from_hours(1);
        for (tokens, end, word) in [(&ours, now, "[TokenExpired]"), (&others, now + hour, "AKV10046")] {
            let (status, challenged, body) = told(tokens, end);
            assert!(status == 401 && challenged && body.contains(word), "{status} {body}");
        }
        let (status, challenged, body) = told(&ours, now + hour);
        assert!(status == 403 && !challenged && body.contains("ForbiddenByRbac"), "{status} {body}");
    }

    /// AZURE 6: the routes; a slash at the end is the latest version, as Microsoft's SDKs ask for it.
    #[test]
    fn paths_have_verbs() {
        let get = |path| verb(&Method::GET, path);
        assert_eq!(get("/secrets"), "listSecrets");
        assert_eq!(get("/secrets/a/versions"), "listSecretVersions");
        assert_eq!([get("/secrets/a"), get("/secrets/a/"), get("/secrets/a/8f3c")], ["getSecret"; 3]);
        assert_eq!(verb(&Method::PUT, "/secrets/a"), "setSecret");
        assert_eq!(verb(&Method::PATCH, "/secrets/a/8f3c"), "updateSecret");
        assert_eq!(verb(&Method::DELETE, "/secrets/a"), "deleteSecret");
        assert_eq!(get("/deletedsecrets"), "listDeletedSecrets");
        assert_eq!(get("/deletedsecrets/a"), "getDeletedSecret");
        assert_eq!(verb(&Method::DELETE, "/deletedsecrets/a"), "purgeDeletedSecret");
        assert_eq!(verb(&Method::POST, "/deletedsecrets/a/recover"), "recoverDeletedSecret");
        assert_eq!([verb(&Method::DELETE, "/secrets/a/8f3c"), get("/keys/a"), get("/")], ["unknown"; 3]);
    }
}
