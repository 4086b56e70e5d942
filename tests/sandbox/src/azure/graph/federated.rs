//! Federated credentials in Graph (AZURE 1.5): list, get, create, PATCH with or without `Prefer: create-if-missing`, and
//! DELETE. Version 1.0 knows no expressions: where others made one in beta, the subject is null.

use hyper::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::errors::Error;
use super::query::{Kind, Query};
use super::{Answered, Object, Request, access, applications, shape};
use crate::azure::applications::Refusal;
use crate::azure::federated::{Federated, Key, NewFederated, Unfit};
use crate::azure::log::Actor;
use crate::azure::tenants::Tenant;

/// What may be asked of them by a query.
const KIND: Kind = Kind { properties: &shape::FEDERATED, filters: &["name", "subject"], equality_only: true };

/// What is wanted of the federated credentials of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    List,
    Create,
    Get(Key),
    Patch(Key),
    Delete(Key),
}

impl Wish {
    /// Of a method, and of what follows the application in a path.
    pub(super) fn read(method: &str, rest: &[&str]) -> Option<Self> {
        const COLLECTION: &str = "federatedIdentityCredentials";
        let key = match rest {
            [COLLECTION] => None,
            [COLLECTION, key] => Some(Key::Either((*key).to_owned())),
            [keyed] => {
                let name = keyed.strip_prefix(COLLECTION)?.strip_prefix("(name='")?.strip_suffix("')")?;
                Some(Key::Name(name.to_owned()))
            }
            _ => return None,
        };
        match (method, key) {
            ("GET", None) => Some(Self::List),
            ("POST", None) => Some(Self::Create),
            ("GET", Some(key)) => Some(Self::Get(key)),
            ("PATCH", Some(key)) => Some(Self::Patch(key)),
            ("DELETE", Some(key)) => Some(Self::Delete(key)),
            _ => None,
        }
    }

    /// How the journal and the rules call it.
    pub(super) const fn verb(&self) -> &'static str {
        match self {
            Self::List => "listFederated",
            Self::Create => "createFederated",
            Self::Get(_) => "getFederated",
            Self::Patch(_) => "patchFederated",
            Self::Delete(_) => "deleteFederated",
        }
    }

    /// Whether it counts as a write.
    pub(super) const fn is_write(&self) -> bool {
        !matches!(self, Self::List | Self::Get(_))
    }
}

pub(super) fn answer(tenant: &mut Tenant, object: &Object, wish: &Wish, request: &Request<'_>) -> Answered {
    match wish {
        Wish::List => list(tenant, object, request),
        Wish::Get(key) => get(tenant, object, key, request),
        Wish::Create => {
            let object_id = applications::writable(tenant, object, request)?;
            let wanted = new(&applications::sent(request)?, None)?;
            create(tenant, object, object_id, wanted, request)
        }
        Wish::Patch(key) => patch(tenant, object, key, request),
        Wish::Delete(key) => {
            let object_id = applications::writable(tenant, object, request)?;
            let removed = tenant.remove_federated(object_id, key, actor(request), request.now);
            removed.map_err(|refusal| Error::refused(refusal, object.name()))?;
            Ok((StatusCode::NO_CONTENT, None))
        }
    }
}

fn list(tenant: &mut Tenant, object: &Object, request: &Request<'_>) -> Answered {
    let query = Query::read(request.call.parameters(), &KIND)?;
    let (object_id, seen) = seen(tenant, object, request)?;
    let mut objects: Vec<(Uuid, Value)> = seen.iter().map(|one| (one.id, shape::federated(one))).collect();
    objects.sort_unstable_by_key(|(id, _)| *id);
    let collection = format!("applications/{object_id}/federatedIdentityCredentials");
    let (status, mut body) = applications::page(request, &query, &collection, objects.into_iter());
    if let Some(body) = &mut body {
        body["@odata.context"] = context(request, object_id, "").into();
    }
    Ok((status, body))
}

fn get(tenant: &mut Tenant, object: &Object, key: &Key, request: &Request<'_>) -> Answered {
    let query = Query::read(request.call.parameters(), &KIND)?;
    let (object_id, seen) = seen(tenant, object, request)?;
    let one = seen.iter().find(|one| key.is(one)).ok_or_else(|| Error::not_found(key.text()))?;
    let mut body = query.pick(shape::federated(one));
    body["@odata.context"] = context(request, object_id, "/$entity").into();
    Ok((StatusCode::OK, Some(body)))
}

fn create(
    tenant: &mut Tenant,
    object: &Object,
    object_id: Uuid,
    wanted: NewFederated,
    request: &Request<'_>,
) -> Answered {
    let added = tenant.add_federated(object_id, wanted, actor(request), request.now);
    let added = added.map_err(|refusal| Error::refused(refusal, object.name()))?;
    let mut body = shape::federated(&added);
    body["@odata.context"] = context(request, object_id, "/$entity").into();
    Ok((StatusCode::CREATED, Some(body)))
}

/// Changes what is there; what is not, is created only if the client prefers so and asks by name.
fn patch(tenant: &mut Tenant, object: &Object, key: &Key, request: &Request<'_>) -> Answered {
    let object_id = applications::writable(tenant, object, request)?;
    let sent = applications::sent(request)?;
    if let Key::Name(name) = key
        && prefers_to_create(request)
        && !tenant.federated(object_id).iter().any(|one| key.is(one))
    {
        return create(tenant, object, object_id, new(&sent, Some(name))?, request);
    }
    let changes = Changes::read(&sent)?;
    let edited = tenant.edit_federated(object_id, key, |one| changes.apply(one), actor(request), request.now);
    edited.map_err(|refusal| Error::refused(refusal, object.name()))?;
    Ok((StatusCode::NO_CONTENT, None))
}

fn prefers_to_create(request: &Request<'_>) -> bool {
    let prefer = request.call.header("prefer").unwrap_or_default();
    prefer.split(',').any(|preference| preference.trim() == "create-if-missing")
}

/// The application's object ID and federated credentials, as one replica knows them, if the caller may read them.
fn seen(
    tenant: &mut Tenant,
    object: &Object,
    request: &Request<'_>,
) -> Result<(Uuid, crate::azure::tenants::AllFederated), Error> {
    let object_id = object.application(tenant)?;
    let known = tenant.read_federated(object_id, request.now);
    let (application, seen) = known.ok_or_else(|| Error::not_found(object.name()))?;
    access::reads(&request.caller, &application)?;
    Ok((object_id, seen))
}

fn actor(request: &Request<'_>) -> Actor {
    Actor::Application(request.caller.client_id)
}

fn context(request: &Request<'_>, object_id: Uuid, what: &str) -> String {
    let origin = &request.call.origin;
    format!("{origin}/v1.0/$metadata#applications('{object_id}')/federatedIdentityCredentials{what}")
}

/// What was sent about one; none is what was not said.
#[derive(Debug, Default)]
struct Changes {
    name: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
    audience: Option<String>,
    /// A text, or null to take it away.
    description: Option<Value>,
}

impl Changes {
    fn read(sent: &Map<String, Value>) -> Result<Self, Error> {
        let mut changes = Self::default();
        for (name, value) in sent {
            let text = || value.as_str().map(str::to_owned).ok_or_else(|| invalid(name));
            match name.as_str() {
                "@odata.type" | "@odata.context" => {}
                "description" if value.is_null() || value.is_string() => changes.description = Some(value.clone()),
                "description" => return Err(invalid(name)),
                "name" | "issuer" | "subject" | "audiences" if value.is_null() => {
                    return Err(Error::unfit(Unfit::Empty));
                }
                "name" => changes.name = Some(text()?),
                "issuer" => changes.issuer = Some(text()?),
                "subject" => changes.subject = Some(text()?),
                "audiences" => changes.audience = Some(only_one(value)?),
                "id" => return Err(Error::bad_request("Property 'id' is read-only and cannot be set.")),
                odd => {
                    let message = format!("Invalid property '{odd}'.");
                    return Err(Error::bad_request(message));
                }
            }
        }
        Ok(changes)
    }

    fn apply(self, one: &mut Federated) -> Result<(), Refusal> {
        if self.name.is_some_and(|name| name != one.name) {
            return Err(Refusal::Unfit(Unfit::Renamed));
        }
        if self.subject.is_some() && one.subject.is_none() {
            return Err(Refusal::Unfit(Unfit::HasExpression));
        }
        one.issuer = self.issuer.unwrap_or_else(|| std::mem::take(&mut one.issuer));
        one.subject = self.subject.or_else(|| one.subject.take());
        one.audience = self.audience.unwrap_or_else(|| std::mem::take(&mut one.audience));
        if let Some(description) = self.description {
            one.description = description.as_str().map(str::to_owned);
        }
        Ok(())
    }
}

/// What is sent for a new one; an upsert has its name in the address.
fn new(sent: &Map<String, Value>, addressed: Option<&str>) -> Result<NewFederated, Error> {
    let Changes { name, issuer, subject, audience, description } = Changes::read(sent)?;
    let name = match (addressed, name) {
        (Some(addressed), Some(name)) if name != addressed => return Err(Error::unfit(Unfit::Renamed)),
        (Some(addressed), _) => Some(addressed.to_owned()),
        (None, name) => name,
    };
    let there = |part: Option<String>| part.ok_or_else(|| Error::unfit(Unfit::Empty));
    Ok(NewFederated {
        name: there(name)?,
        issuer: there(issuer)?,
        subject: Some(there(subject)?),
        audience: there(audience)?,
        description: description.and_then(|text| text.as_str().map(str::to_owned)),
    })
}

fn only_one(value: &Value) -> Result<String, Error> {
    let audiences = value.as_array().ok_or_else(|| invalid("audiences"))?;
    let [audience] = &audiences[..] else {
        return Err(Error::bad_request("Federated identity credentials must have exactly one audience."));
    };
    audience.as_str().map(str::to_owned).ok_or_else(|| invalid("audiences"))
}

fn invalid(name: &str) -> Error {
    let resource = "FederatedIdentityCredential";
    Error::bad_request(format!("Invalid value specified for property '{name}' of resource '{resource}'."))
}
