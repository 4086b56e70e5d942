//! The report of when the credentials of applications were last used (AZURE 1.7): in the beta only, in the public cloud only,
//! and for those only who may read the audit log.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::errors::Error;
use super::query::{Kind, Query};
use super::{Answered, Request, access, shape};
use crate::azure::clouds::CLOUDS;
use crate::azure::tenants::Tenant;
use crate::azure::usage::SignIn;

/// What may be asked about lines by a query.
const KIND: Kind = Kind { properties: &[], filters: &["keyId", "appId"], equality_only: true };

pub(super) fn credential_sign_ins(tenant: &mut Tenant, request: &Request<'_>) -> Answered {
    let call = request.call;
    if CLOUDS[1..].iter().any(|cloud| cloud.graphs.contains(&call.host.as_str())) {
        return Err(Error::no_such_segment("reports"));
    }
    access::reads_reports(&request.caller)?;
    let query = Query::read(call.parameters(), &KIND)?;
    let lag = tenant.weather.report;
    let known = tenant.usage.report(request.now, lag);
    let lines = known.into_iter().map(|((client_id, key_id), last)| (key_id, line(tenant, client_id, key_id, last)));
    let (page, next) = query.page(lines.filter(|(_, line)| query.wants(line)).collect());
    let base = format!("{}/beta", call.origin);
    let context = format!("{base}/$metadata#reports/appCredentialSignInActivities");
    let mut body = json!({"@odata.context": context, "value": page});
    if let Some(next) = next {
        body["@odata.nextLink"] = format!("{base}/reports/appCredentialSignInActivities?{next}").into();
    }
    Ok((StatusCode::OK, Some(body)))
}

fn line(tenant: &Tenant, client_id: Uuid, key_id: Uuid, last: SignIn) -> Value {
    let object_id = tenant.object_id(client_id);
    let secret = tenant.minted(client_id).find(|one| one.key_id == key_id).map(|one| one.end);
    let (kind, usage) = if secret.is_some() { ("clientSecret", "sign") } else { ("certificate", "verify") };
    let certificate = || {
        let application = tenant.truth(object_id?)?;
        application.certificates.iter().find(|one| one.key_id == key_id).map(|one| one.end)
    };
    let end: Option<Timestamp> = secret.or_else(certificate);
    json!({
        "id": STANDARD.encode(format!("{key_id}|application")),
        "appId": client_id,
        "appObjectId": object_id,
        "credentialOrigin": "application",
        "expirationDateTime": end.map(shape::time),
        "keyId": key_id,
        "keyType": kind,
        "keyUsage": usage,
        "resourceId": "00000003-0000-0000-c000-000000000000",
        "servicePrincipalObjectId": tenant.principals.truth_of(client_id).map(|principal| principal.object_id),
        "signInActivity": {"lastSignInDateTime": shape::time(last.at), "lastSignInRequestId": last.trace},
    })
}
