//! One tenant's applications in Microsoft Graph: look at one, add a secret to it, take one away. A look may be seconds
//! behind what was written. Each call is sent once, and each may be dropped at any moment. (Their federated credentials
//! are collections of their own, in `federation`.)

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use azure_core::http::{
    Method, Request, Url,
    headers::{ACCEPT, CONTENT_TYPE},
};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;

use super::{
    Cloud, Identity,
    call::Caller,
    refusal::{self, About, Asked, Failure},
    shape::{Add, Added, New, Remove, Told},
    tokens::Tokens,
};
use crate::{
    api::{ClientId, KeyId, TenantId},
    facts::{Application, ObjectId, Trouble},
    wire::{self, InTime, Scope},
};

/// The applications of a tenant. Clones are the same, with one token.
#[derive(Debug, Clone)]
pub struct Directory(pub(super) Arc<Inside>);

#[derive(Debug)]
pub(super) struct Inside {
    pub(super) tenant: TenantId,
    pub(super) base: String,
    /// Where Graph has what is not in its first version.
    pub(super) beta: String,
    caller: Caller,
    /// The applications that were looked at, by what Graph calls them in writes.
    known: Mutex<HashMap<ObjectId, Known>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    client_id: ClientId,
    /// For personal accounts: Graph lets us write to such applications sixty times a minute.
    personal: bool,
}

/// A secret that was added. Its value is nowhere else.
#[derive(Debug)]
pub struct Minted {
    /// Its key ID.
    pub key_id: KeyId,
    /// Its value.
    pub value: SecretString,
    /// From when on it is valid.
    pub start: Timestamp,
    /// Until when.
    pub end: Timestamp,
}

/// What became of a credential that was to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It was removed.
    Removed,
    /// Graph knows no such credential on the application: it is gone, or the server that was asked has yet to hear of it.
    WasNotThere,
}

impl Directory {
    /// Calls nothing yet, but says at once if the identity cannot be used at all.
    pub fn new(wire: &wire::Client, tenant: TenantId, cloud: &Cloud, identity: Identity) -> Result<Self, Trouble> {
        let tokens = Tokens::new(wire.clone(), tenant, cloud.clone(), identity)?;
        let caller = Caller::new(wire.clone(), cloud, tokens);
        let base = format!("{}/v1.0", cloud.graph());
        let beta = format!("{}/beta", cloud.graph());
        Ok(Self(Arc::new(Inside { tenant, base, beta, caller, known: Mutex::default() })))
    }

    /// An application and its secrets and certificates, as one server knows them.
    pub async fn application(&self, client_id: ClientId) -> Result<Application, Trouble> {
        let asked = self.read("get_application", format!("read application {client_id}"), About::Application);
        // Without a choice of properties: Graph limits reads that name its certificates to 150 a minute in a whole tenant.
        let answer = self.get(&asked, &format!("{}/applications(appId='{client_id}')", self.0.base)).await?;
        let told: Option<Told> = serde_json::from_slice(&answer.body).ok();
        let whole = told.and_then(Told::whole).filter(|(told, _)| *told == client_id);
        let (_, application) = whole
            .ok_or_else(|| refusal::unreadable(&asked, &answer, "it is not this application, or not all of it"))?;
        self.know(client_id, &application);
        Ok(application)
    }

    pub(super) fn know(&self, client_id: ClientId, application: &Application) {
        let known = Known { client_id, personal: application.most_secrets.is_some() };
        self.known().insert(application.object_id, known);
    }

    /// Adds a secret that ends then. Sent exactly once, if at all in time: unless it is refused or was not sent, there may
    /// be a secret whose value nobody has.
    pub async fn add_password(
        &self,
        object_id: ObjectId,
        display_name: &str,
        end: Timestamp,
        in_time: InTime,
    ) -> Result<Minted, Trouble> {
        let asked = self.write("add_password", "add a secret to", object_id);
        let body = Add { password_credential: New::until(display_name, end) };
        let answer = self.post(&asked, &format!("applications/{object_id}/addPassword"), &body, in_time).await?;
        // What serde has to say could quote the value.
        let unreadable = |why| refusal::unreadable(&asked, &answer, why);
        let added: Result<Added, _> = serde_json::from_slice(&answer.body);
        let mut added = added.map_err(|_| unreadable("it is no secret"))?;
        let value = added.value().ok_or_else(|| unreadable("it has no value"))?;
        Ok(Minted {
            key_id: added.key_id,
            value,
            start: added.start_date_time.or(answer.told.at).unwrap_or_else(Timestamp::now),
            end: added.end_date_time.unwrap_or(end),
        })
    }

    /// Takes a secret away, if that is still in time.
    pub async fn remove_password(
        &self,
        object_id: ObjectId,
        key_id: KeyId,
        in_time: InTime,
    ) -> Result<Removal, Trouble> {
        let asked = self.write("remove_password", &format!("remove secret {key_id} from"), object_id);
        let path = format!("applications/{object_id}/removePassword");
        match self.post(&asked, &path, &Remove { key_id }, in_time).await {
            Ok(_) => Ok(Removal::Removed),
            // The code is that of every request with something wrong in it; in this one only the key ID can be.
            Err(failure) if failure.status == Some(400) && is_bad_request(&failure.trouble) => Ok(Removal::WasNotThere),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The map is whole at any moment, so a panic elsewhere does not spoil it.
    fn known(&self) -> MutexGuard<'_, HashMap<ObjectId, Known>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn read(&self, operation: &'static str, doing: impl fmt::Display, about: About) -> Asked {
        Asked { operation, doing: format!("{doing} in tenant {}", self.0.tenant), about, counts: vec![] }
    }

    pub(super) fn write(&self, operation: &'static str, doing: &str, object_id: ObjectId) -> Asked {
        let known = self.known().get(&object_id).copied();
        let which = known.map_or_else(|| format!("with object ID {object_id}"), |known| known.client_id.to_string());
        let doing = format!("{doing} application {which}");
        self.change(operation, &doing, About::Application, known.is_some_and(|known| known.personal))
    }

    /// A change of an application, which counts as one for personal accounts too if it is.
    pub(super) fn change(&self, operation: &'static str, doing: &str, about: About, is_personal: bool) -> Asked {
        let tenant = self.0.tenant;
        let mut counts = vec![Scope::Writes(tenant), Scope::AllWrites];
        counts.extend(is_personal.then_some(Scope::PersonalWrites(tenant)));
        Asked { operation, doing: format!("{doing} in tenant {tenant}"), about, counts }
    }

    /// Whether an application that was looked at is for personal accounts.
    pub(super) fn is_personal(&self, client_id: ClientId) -> bool {
        self.known().values().any(|known| known.client_id == client_id && known.personal)
    }

    pub(super) async fn get(&self, asked: &Asked, url: &str) -> Result<refusal::Answer, Failure> {
        let mut request = request(asked, url, Method::Get)?;
        request.insert_header(ACCEPT, "application/json");
        self.0.caller.send(asked, request, InTime::always()).await
    }

    pub(super) async fn post(
        &self,
        asked: &Asked,
        path: &str,
        body: &impl Serialize,
        in_time: InTime,
    ) -> Result<refusal::Answer, Failure> {
        self.send(asked, Method::Post, path, body, in_time).await
    }

    pub(super) async fn send(
        &self,
        asked: &Asked,
        method: Method,
        path: &str,
        body: &impl Serialize,
        in_time: InTime,
    ) -> Result<refusal::Answer, Failure> {
        let mut request = request(asked, &format!("{}/{path}", self.0.base), method)?;
        request.insert_header(ACCEPT, "application/json");
        request.insert_header(CONTENT_TYPE, "application/json");
        request.set_json(body).map_err(|_| refusal::unsendable(asked))?;
        self.0.caller.send(asked, request, in_time).await
    }

    pub(super) async fn delete(&self, asked: &Asked, path: &str, in_time: InTime) -> Result<refusal::Answer, Failure> {
        let request = request(asked, &format!("{}/{path}", self.0.base), Method::Delete)?;
        self.0.caller.send(asked, request, in_time).await
    }
}

fn request(asked: &Asked, url: &str, method: Method) -> Result<Request, Trouble> {
    let url = Url::parse(url).map_err(|_| refusal::unsendable(asked))?;
    Ok(Request::new(url, method))
}

fn is_bad_request(trouble: &Trouble) -> bool {
    trouble.code.as_deref() == Some("Request_BadRequest")
}
