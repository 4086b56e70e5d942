//! Service principals in Graph, as far as somebody needs to find one: list and get.

use std::sync::Arc;

use hyper::StatusCode;
use uuid::Uuid;

use super::errors::Error;
use super::query::{Kind, Query};
use super::{Answered, Object, Request, access, applications, shape};
use crate::azure::applications::Principal;
use crate::azure::tenants::Tenant;

/// What may be asked about them by a query.
const KIND: Kind =
    Kind { properties: &shape::PRINCIPAL, filters: &["id", "appId", "displayName"], equality_only: false };

pub(super) fn list(tenant: &mut Tenant, request: &Request<'_>) -> Answered {
    access::reads_all(&request.caller)?;
    let query = Query::read(request.call.parameters(), &KIND)?;
    let seen = tenant.read_principals(request.now);
    let objects = seen.iter().map(|one| (one.object_id, shape::principal(one, tenant.id)));
    Ok(applications::page(request, &query, "servicePrincipals", objects))
}

pub(super) fn get(tenant: &mut Tenant, object: &Object, request: &Request<'_>) -> Answered {
    let query = Query::read(request.call.parameters(), &KIND)?;
    let missing = || Error::not_found(object.name());
    let id = Uuid::try_parse(object.name()).map_err(|_| missing())?;
    let is_it = |principal: &&Arc<Principal>| match object {
        Object::Id(_) => principal.object_id == id,
        Object::AppId(_) => principal.client_id == id,
    };
    let seen = tenant.read_principals(request.now);
    let principal = seen.iter().find(is_it).ok_or_else(missing)?;
    if principal.client_id != request.caller.client_id {
        access::reads_all(&request.caller)?;
    }
    let mut body = query.pick(shape::principal(principal, tenant.id));
    body["@odata.context"] = format!("{}/v1.0/$metadata#servicePrincipals/$entity", request.call.origin).into();
    Ok((StatusCode::OK, Some(body)))
}
