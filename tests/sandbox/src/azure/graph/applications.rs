//! Applications in Graph: list, get, PATCH, owners. Reads see what one replica knows. Certificates are written here, all
//! at once (AZURE 1.4); secrets are not (AZURE 1.2).

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::errors::Error;
use super::query::{Kind, Query};
use super::{Answered, Object, Request, access, certificates, shape};
use crate::azure::applications::{Application, Refusal};
use crate::azure::log::{Actor, What};
use crate::azure::tenants::Tenant;

/// What may be asked about them by a query.
pub(super) const KIND: Kind =
    Kind { properties: &shape::APPLICATION, filters: &["id", "appId", "displayName"], equality_only: false };

pub(super) fn query(request: &Request<'_>) -> Result<Query, Error> {
    Query::read(request.call.parameters(), &KIND)
}

pub(super) fn list(tenant: &mut Tenant, request: &Request<'_>) -> Answered {
    access::reads_all(&request.caller)?;
    let query = query(request)?;
    let known = tenant.read_all(request.now);
    let objects = known.iter().map(|application| (application.object_id, shape::application(application)));
    Ok(page(request, &query, "applications", objects))
}

/// A page of a collection.
pub(super) fn page(
    request: &Request<'_>,
    query: &Query,
    collection: &str,
    objects: impl Iterator<Item = (Uuid, Value)>,
) -> (StatusCode, Option<Value>) {
    let wanted: Vec<(Uuid, Value)> = objects.filter(|(_, object)| query.wants(object)).collect();
    let count = wanted.len();
    let (page, next) = query.page(wanted);
    let base = format!("{}/v1.0", request.call.origin);
    let mut body = json!({"@odata.context": format!("{base}/$metadata#{collection}"), "value": page});
    if query.count && request.call.header("consistencylevel").is_some_and(|level| level == "eventual") {
        body["@odata.count"] = count.into();
    }
    if let Some(next) = next {
        body["@odata.nextLink"] = format!("{base}/{collection}?{next}").into();
    }
    (StatusCode::OK, Some(body))
}

pub(super) fn get(tenant: &mut Tenant, object: &Object, request: &Request<'_>) -> Answered {
    let query = query(request)?;
    let seen = seen(tenant, object, request)?;
    access::reads(&request.caller, &seen)?;
    let mut object = shape::application(&seen);
    if query.names("keyCredentials") {
        object["keyCredentials"] = shape::certificates(&seen, true);
    }
    let mut body = query.pick(object);
    body["@odata.context"] = format!("{}/v1.0/$metadata#applications/$entity", request.call.origin).into();
    Ok((StatusCode::OK, Some(body)))
}

pub(super) fn owners(tenant: &mut Tenant, object: &Object, request: &Request<'_>) -> Answered {
    let seen = seen(tenant, object, request)?;
    access::reads(&request.caller, &seen)?;
    let known = tenant.read_principals(request.now);
    let owners = known.iter().filter(|principal| seen.owners.contains(&principal.object_id)).map(|principal| {
        let mut object = shape::principal(principal, tenant.id);
        object["@odata.type"] = "#microsoft.graph.servicePrincipal".into();
        object
    });
    let context = format!("{}/v1.0/$metadata#directoryObjects", request.call.origin);
    Ok((StatusCode::OK, Some(json!({"@odata.context": context, "value": owners.collect::<Vec<_>>()}))))
}

/// The application as one replica knows it.
pub(super) fn seen(tenant: &mut Tenant, object: &Object, request: &Request<'_>) -> Result<Arc<Application>, Error> {
    let object_id = object.application(tenant)?;
    tenant.read(object_id, request.now).ok_or_else(|| Error::not_found(object.name()))
}

/// The application that is to be written, if the caller may do so.
pub(super) fn writable(tenant: &mut Tenant, object: &Object, request: &Request<'_>) -> Result<Uuid, Error> {
    let seen = seen(tenant, object, request)?;
    access::writes(&request.caller, &seen)?;
    Ok(seen.object_id)
}

/// The JSON that was sent along; nothing is an empty object.
pub(super) fn sent(request: &Request<'_>) -> Result<Map<String, Value>, Error> {
    if request.call.body.is_empty() {
        return Ok(Map::new());
    }
    let sent = serde_json::from_slice(&request.call.body);
    sent.map_err(|error| Error::bad_request(format!("Unable to read JSON request payload: {error}.")))
}

pub(super) fn patch(tenant: &mut Tenant, object: &Object, request: &Request<'_>) -> Answered {
    let object_id = writable(tenant, object, request)?;
    let sent = sent(request)?;
    if let Some(odd) = sent.keys().find(|key| !shape::PATCHABLE.contains(&key.as_str())) {
        return Err(Error::bad_request(format!("Property '{odd}' is read-only and cannot be set.")));
    }
    let refused = |refusal: Refusal| Error::refused(refusal, object.name());
    let mut application = Application::clone(&*tenant.claim(object_id, request.now).map_err(refused)?);
    let mut changes = vec![];
    for (name, value) in sent {
        let invalid =
            || Error::bad_request(format!("Invalid value specified for property '{name}' of resource 'Application'."));
        match name.as_str() {
            "displayName" => value.as_str().ok_or_else(invalid)?.clone_into(&mut application.display_name),
            "keyCredentials" => {
                let list = certificates::read(&value)?;
                changes.extend(tenant.certify(&mut application, list, request.now).map_err(refused)?);
                continue;
            }
            "signInAudience" => application.audience = serde_json::from_value(value).map_err(|_| invalid())?,
            _ => _ = application.properties.insert(name, value),
        }
        changes.push(What::Patched);
    }
    tenant.write_all(application, Actor::Application(request.caller.client_id), changes, request.now);
    Ok((StatusCode::NO_CONTENT, None))
}

/// An ID in a request's JSON.
pub(super) fn id_in(sent: &Map<String, Value>, name: &str) -> Result<Uuid, Error> {
    let id = sent.get(name).and_then(Value::as_str).and_then(|text| Uuid::try_parse(text).ok());
    id.ok_or_else(|| Error::bad_request(format!("A value of type Edm.Guid is required for parameter '{name}'.")))
}
