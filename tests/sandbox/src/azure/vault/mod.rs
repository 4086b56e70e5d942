//! Key Vault's secrets and certificates (AZURE 6). Whoever asks without a token is told where to get one; with one, it must
//! come from where the vault can be reached, is counted, and must be allowed to do it. Each vault is asked by its own host
//! name. It tells values to whoever may read them, and to nobody else.

mod access;
mod administrator;
mod asked;
mod bounds;
mod certificates;
mod errors;
mod log;
mod operations;
mod refusal;
mod secrets;
mod shape;
mod told;
mod vaults;

use hyper::StatusCode;
use jiff::Timestamp;
use uuid::Uuid;

pub use self::access::{Access, Action, Grant, Network, Role};
pub(super) use self::administrator::act as administer;
pub(super) use self::asked::verb;
use self::asked::{Asked, Collection, Wish};
use self::errors::{Error, LOCATION, Whom};
pub use self::log::{SecretChange, SecretWhat};
use self::operations::Answered;
use self::refusal::Refusal;
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
    let asked = Asked::of(&call.method, &call.path).ok_or_else(no_such_operation)?;
    if let Some(name) = asked.name().filter(|name| !bounds::is_name(name)) {
        return Err(Refusal::BadName(name.to_owned()).into());
    }
    if !vault.admits(matches!(asked.wish, Wish::Put(_)), now) {
        return Err(Error::throttled());
    }
    let (action, whom) = (asked.action(), Whom { caller, vault: &vault.name });
    if !vault.grants.allow(caller.object_id, action, asked.name(), now, dice) {
        return Err(match vault.settings.access {
            Access::Roles => Error::by_role(whom, action, asked.of, asked.name()),
            // Both inner codes are seen for the same thing (AZURE 6).
            Access::Policies => Error::by_policy(whom, action, asked.of, dice.chance(0.5)),
        });
    }
    let by = By { actor: Actor::Application(caller.client_id), now };
    match asked.of {
        Collection::Secrets => operations::carry_out(vault, asked.wish, call, by, dice),
        Collection::Certificates => certificates::carry_out(vault, asked.wish, call, by, dice),
        Collection::Keys => certificates::tell_key(vault, &asked.wish, call, by),
    }
}

#[cfg(test)]
mod tests {
    use hyper::body::Bytes;
    use hyper::{HeaderMap, Method};
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
}
