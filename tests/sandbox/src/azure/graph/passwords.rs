//! Secrets in Graph: addPassword, the only place where a value is told, and removePassword (AZURE 1.2).

use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::errors::Error;
use super::{Answered, Object, Request, applications, shape};
use crate::azure::applications::{NewPassword, Refusal};
use crate::azure::log::Actor;
use crate::azure::tenants::Tenant;

pub(super) fn add(tenant: &mut Tenant, object: &Object, request: &Request<'_>) -> Answered {
    let object_id = applications::writable(tenant, object, request)?;
    let sent = applications::sent(request)?;
    let wanted = match sent.get("passwordCredential") {
        None | Some(Value::Null) => NewPassword::default(),
        Some(Value::Object(wanted)) => read(wanted)?,
        Some(_) => return Err(Error::bad_request("Invalid value specified for parameter 'passwordCredential'.")),
    };
    if let Some(odd) = sent.keys().find(|key| *key != "passwordCredential") {
        return Err(Error::bad_request(format!("The parameter '{odd}' is not a parameter of 'addPassword'.")));
    }
    let by = Actor::Application(request.caller.client_id);
    let added = tenant.add_password(object_id, wanted, by, request.now);
    let added = added.map_err(|refusal: Refusal| Error::refused(refusal, object.name()))?;
    let mut body = shape::password(&added, Some(&added.value));
    body["@odata.context"] =
        format!("{}/v1.0/$metadata#microsoft.graph.passwordCredential", request.call.origin).into();
    Ok((StatusCode::OK, Some(body)))
}

pub(super) fn remove(tenant: &mut Tenant, object: &Object, request: &Request<'_>) -> Answered {
    let object_id = applications::writable(tenant, object, request)?;
    let key_id = applications::id_in(&applications::sent(request)?, "keyId")?;
    let by = Actor::Application(request.caller.client_id);
    let removed = tenant.remove_password(object_id, key_id, by, request.now);
    removed.map_err(|refusal| Error::refused(refusal, object.name()))?;
    Ok((StatusCode::NO_CONTENT, None))
}

/// What a new secret shall be like; a value cannot be brought along.
fn read(wanted: &Map<String, Value>) -> Result<NewPassword, Error> {
    let mut new = NewPassword::default();
    for (name, value) in wanted.iter().filter(|(_, value)| !value.is_null()) {
        let text = || {
            let invalid = format!("Invalid value specified for property '{name}' of resource 'PasswordCredential'.");
            value.as_str().ok_or_else(|| Error::bad_request(invalid))
        };
        match name.as_str() {
            "displayName" => new.display_name = Some(text()?.to_owned()),
            "startDateTime" => new.start = Some(time(name, text()?)?),
            "endDateTime" => new.end = Some(time(name, text()?)?),
            "@odata.type" => {}
            odd => return Err(Error::bad_request(format!("Property '{odd}' is read-only and cannot be set."))),
        }
    }
    Ok(new)
}

/// Entra's clock has ticks of 100 ns.
pub(super) fn time(name: &str, text: &str) -> Result<Timestamp, Error> {
    let parsed: Result<Timestamp, _> = text.parse();
    let invalid = |_| {
        Error::bad_request(format!(
            "Cannot convert the literal '{text}' to the expected type 'Edm.DateTimeOffset' of '{name}'."
        ))
    };
    parsed.map_err(invalid)
}
