//! Service principals in Graph, as far as somebody needs to find one: list and get.

use hyper::StatusCode;
use uuid::Uuid;

use super::errors::Error;
use super::query::Query;
use super::{Answered, Object, Request, access, applications, shape};
use crate::azure::tenants::Tenant;

pub(super) fn list(tenant: &Tenant, request: &Request<'_>) -> Answered {
    access::reads_all(&request.caller)?;
    let query = Query::read(request.call.parameters(), &shape::PRINCIPAL)?;
    let objects = tenant.principals.values().map(|one| (one.object_id, shape::principal(one, tenant.id)));
    Ok(applications::page(request, &query, "servicePrincipals", objects))
}

pub(super) fn get(tenant: &Tenant, object: &Object, request: &Request<'_>) -> Answered {
    let query = Query::read(request.call.parameters(), &shape::PRINCIPAL)?;
    let missing = || Error::not_found(object.name());
    let id = Uuid::try_parse(object.name()).map_err(|_| missing())?;
    let principal = match object {
        Object::Id(_) => tenant.principals.get(&id),
        Object::AppId(_) => tenant.principal_of(id),
    };
    let principal = principal.ok_or_else(missing)?;
    if principal.client_id != request.caller.client_id {
        access::reads_all(&request.caller)?;
    }
    let mut body = query.pick(shape::principal(principal, tenant.id));
    body["@odata.context"] = format!("{}/v1.0/$metadata#servicePrincipals/$entity", request.call.origin).into();
    Ok((StatusCode::OK, Some(body)))
}
