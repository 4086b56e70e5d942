//! The certificates of an application in Microsoft Graph (AZURE 1.4). They are written whole or not at all, so they are read
//! whole, each as Graph tells it: what is not ours goes back as it came. The certificates themselves are told only to whoever
//! names them, 150 times a minute in a tenant; to stay where it is, one needs only its key ID.

use azure_core::http::Method;
use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    graph::Directory,
    refusal::{self, About},
    shape::Told,
};
use crate::{
    api::{ClientId, KeyId},
    certificate::Bundle,
    facts::{Application, ListedKey, ObjectId, Trouble},
    wire::{InTime, Scope},
};

/// What is asked for where the certificates themselves are.
const WHOLE: &str = "?$select=id,appId,signInAudience,passwordCredentials,keyCredentials";

/// One as it is to be added: under which key ID, and by which name.
#[must_use]
pub fn new_key(key_id: KeyId, display_name: &str, bundle: &Bundle) -> ListedKey {
    let second = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let told = json!({
        "keyId": key_id,
        "displayName": display_name,
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
        "key": BASE64_STANDARD.encode(bundle.der()),
        "startDateTime": second(bundle.begins()),
        "endDateTime": second(bundle.ends()),
    });
    ListedKey { key_id, told: told.as_object().cloned().unwrap_or_default() }
}

impl Directory {
    /// An application with its list of certificates, as one server knows them; `whole` with the certificates themselves.
    pub async fn certificates(
        &self,
        client_id: ClientId,
        whole: bool,
    ) -> Result<(Application, Vec<ListedKey>), Trouble> {
        let doing = format!("read the certificates of application {client_id}");
        let mut asked = self.read("get_certificates", doing, About::Application);
        asked.counts.extend(whole.then_some(Scope::CertificateReads(self.0.tenant)));
        let options = if whole { WHOLE } else { "" };
        let answer = self.get(&asked, &format!("{}/applications(appId='{client_id}'){options}", self.0.base)).await?;
        let unreadable = |why| refusal::unreadable(&asked, &answer, why);
        let keys = listed(&answer.body).ok_or_else(|| unreadable("there is no list of certificates in it"))?;
        let told: Option<Told> = serde_json::from_slice(&answer.body).ok();
        let told = told.and_then(Told::whole).filter(|(told, _)| *told == client_id);
        let (_, application) = told.ok_or_else(|| unreadable("it is not this application, or not all of it"))?;
        self.know(client_id, &application);
        Ok((application, keys))
    }

    /// Writes the whole list, if that is still in time. Whatever is not in it is gone.
    pub async fn write_certificates(
        &self,
        object_id: ObjectId,
        doing: &str,
        list: &[ListedKey],
        in_time: InTime,
    ) -> Result<(), Trouble> {
        let asked = self.write("patch_certificates", doing, object_id);
        let list: Vec<&Map<String, Value>> = list.iter().map(|one| &one.told).collect();
        let body = json!({"keyCredentials": list});
        self.send(&asked, Method::Patch, &format!("applications/{object_id}"), &body, in_time).await?;
        Ok(())
    }
}

/// The list in an answer; nothing if any of it cannot be told apart.
fn listed(body: &[u8]) -> Option<Vec<ListedKey>> {
    let mut told: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let Value::Array(list) = told.remove("keyCredentials")? else { return None };
    list.into_iter().map(one).collect()
}

fn one(entry: Value) -> Option<ListedKey> {
    let Value::Object(mut told) = entry else { return None };
    let key_id = serde_json::from_value(told.get("keyId")?.clone()).ok()?;
    told.retain(|name, value| !name.starts_with("@odata.") && !value.is_null());
    Some(ListedKey { key_id, told })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::made::{Wish, make};

    #[test]
    fn a_list_is_read_as_graph_writes_it_and_goes_back_as_it_came() {
        let entry = json!({
            "customKeyIdentifier": "52ED9B50A1B2C3D4E5F60718293A4B5C6D7E8F90", "displayName": "CN=20230114",
            "endDateTime": "2024-01-11T15:31:26Z", "key": "MII=", "keyId": "00000000-0000-0000-0000-000000000009",
            "startDateTime": "2023-01-12T09:31:26Z", "type": "AsymmetricX509Cert", "usage": "Verify", "hasExtendedValue": null,
        });
        let body = json!({"keyCredentials": [entry]}).to_string();
        let [one] = &listed(body.as_bytes()).unwrap()[..] else { panic!() };
        assert_eq!(one.key_id.to_string(), "00000000-0000-0000-0000-000000000009");
        let mut expected = entry.as_object().unwrap().clone();
        expected.remove("hasExtendedValue");
        assert_eq!(one.told, expected);
    }

    #[test]
    fn a_list_of_which_anything_cannot_be_told_apart_is_none() {
        for odd in ["{}", "[]", r#"{"keyCredentials": null}"#, r#"{"keyCredentials": [{"displayName": "x"}]}"#, ""] {
            assert_eq!(listed(odd.as_bytes()), None, "{odd}");
        }
        assert_eq!(listed(br#"{"keyCredentials": []}"#), Some(vec![]));
    }

    #[test]
    fn a_new_one_says_what_its_certificate_says() {
        let wish = Wish {
            common_name: "x".into(),
            bits: 2048,
            begins: "2026-11-21T08:00:00Z".parse().unwrap(),
            ends: "2027-02-19T08:00:00Z".parse().unwrap(),
        };
        let bundle = make(&wish).unwrap();
        let key_id = KeyId(uuid::Uuid::from_u128(7));
        let told = new_key(key_id, "kw1:…", &bundle).told;
        assert_eq!(
            (&told["startDateTime"], &told["endDateTime"]),
            (&json!("2026-11-21T08:00:00Z"), &json!("2027-02-19T08:00:00Z"))
        );
        assert_eq!(told["key"], json!(BASE64_STANDARD.encode(bundle.der())));
        assert_eq!((&told["type"], &told["usage"]), (&json!("AsymmetricX509Cert"), &json!("Verify")));
    }
}
