//! A list of certificates as PATCH sends it (AZURE 1.4): read, and refused where Graph cannot read it either. Whether the
//! list can be written is decided by others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::errors::Error;
use super::passwords::time;
use crate::azure::certificates::CertificateEntry;

pub(super) fn read(list: &Value) -> Result<Vec<CertificateEntry>, Error> {
    let list = list.as_array().ok_or_else(|| {
        Error::bad_request("Invalid value specified for property 'keyCredentials' of resource 'Application'.")
    })?;
    list.iter().map(|one| entry(one.as_object().ok_or_else(|| invalid("keyCredentials"))?)).collect()
}

fn entry(sent: &Map<String, Value>) -> Result<CertificateEntry, Error> {
    let mut entry = CertificateEntry::default();
    // Those that are there already are asked for both, too (microsoftgraph/msgraph-sdk-java#1823).
    one_of(sent, "type", "AsymmetricX509Cert", "AsymmetricX509Cert, X509CertAndPassword, Symmetric")?;
    one_of(sent, "usage", "Verify", "Sign, Verify")?;
    for (name, value) in sent.iter().filter(|(_, value)| !value.is_null()) {
        let text = value.as_str().ok_or_else(|| invalid(name))?;
        match name.as_str() {
            "keyId" => entry.key_id = Some(Uuid::try_parse(text).map_err(|_| invalid(name))?),
            "displayName" => entry.display_name = Some(text.to_owned()),
            "startDateTime" => entry.start = Some(time(name, text)?),
            "endDateTime" => entry.end = Some(time(name, text)?),
            "key" => entry.key = Some(binary(text)?),
            "customKeyIdentifier" => {
                binary(text)?;
                entry.identifier = Some(text.to_owned());
            }
            "type" | "usage" | "@odata.type" => {}
            odd => return Err(Error::bad_request(format!("Invalid property '{odd}'."))),
        }
    }
    Ok(entry)
}

/// Of all that Graph knows, only certificates that signatures are verified by are found here.
fn one_of(sent: &Map<String, Value>, name: &str, here: &str, known: &str) -> Result<(), Error> {
    if sent.get(name).and_then(Value::as_str) == Some(here) {
        return Ok(());
    }
    Err(Error::bad_request(format!(
        "The value for the property \"{name}\" in one of your credentials is invalid. Acceptable values are {known}."
    )))
}

/// Base64 of the plain kind; a thumbprint in 40 hexadecimal digits passes for it. Seen in the field:
/// microsoftgraph/microsoft-graph-docs#10556.
fn binary(text: &str) -> Result<Vec<u8>, Error> {
    STANDARD.decode(text).map_err(|_| {
        Error::bad_request(
            "Cannot convert a primitive value to the expected type 'Edm.Binary'. See the inner exception for more \
             details.",
        )
    })
}

fn invalid(name: &str) -> Error {
    Error::bad_request(format!("Invalid value specified for property '{name}' of resource 'KeyCredential'."))
}
