//! Microsoft's report of when the credentials of an application were last used (AZURE 1.7). It is in the beta of Graph, of
//! which the words have changed before, so only what is needed is read, and whatever cannot be read makes the whole useless:
//! half a report would be taken for evidence.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    graph::Directory,
    refusal::{About, Asked},
};
use crate::{
    api::{ClientId, KeyId},
    facts::{Trouble, Usage},
    wire::Scope,
};

/// A line: a credential may have several, such as one for each resource that it was used for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(alias = "appID")]
    app_id: Option<ClientId>,
    #[serde(alias = "keyID")]
    key_id: KeyId,
    sign_in_activity: Option<Activity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Activity {
    #[serde(alias = "lastSignInDate")]
    last_sign_in_date_time: Option<Timestamp>,
}

impl Directory {
    /// When each credential of an application was last used, as far as the report knows.
    pub async fn usage(&self, client_id: ClientId) -> Result<Usage, Trouble> {
        let doing = format!("read the sign-in report of application {client_id} in tenant {}", self.0.tenant);
        let counts = vec![Scope::Reports(self.0.tenant)];
        let asked = Asked { operation: "read_usage", doing, about: About::Report, counts };
        // All of them at once: what is compared is then of one moment.
        let first = format!("{}/reports/appCredentialSignInActivities?$filter=appId%20eq%20'{client_id}'", self.0.beta);
        let mut usage = Usage::default();
        self.pages(&asked, first, |entry| add(&mut usage, client_id, entry)).await?;
        Ok(usage)
    }
}

fn add(usage: &mut Usage, client_id: ClientId, entry: Value) -> Result<(), &'static str> {
    let line: Line = serde_json::from_value(entry).map_err(|_| "a line of the report is not as it should be")?;
    let at = line.sign_in_activity.and_then(|activity| activity.last_sign_in_date_time);
    // Graph writes the year 1 for never.
    let at = at.filter(|at| *at > Timestamp::UNIX_EPOCH);
    if let Some(at) = at.filter(|_| line.app_id.is_none_or(|app_id| app_id == client_id)) {
        usage.add(line.key_id, at);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const CLIENT: ClientId = ClientId(Uuid::from_u128(1));
    const KEY: KeyId = KeyId(Uuid::from_u128(2));

    fn read(lines: &[Value]) -> Result<Option<String>, &'static str> {
        let mut usage = Usage::default();
        lines.iter().try_for_each(|line| add(&mut usage, CLIENT, line.clone()))?;
        Ok(usage.last(KEY).map(|at| at.to_string()))
    }

    fn line(at: &Value) -> Value {
        json!({"appId": CLIENT, "keyId": KEY, "signInActivity": {"lastSignInDateTime": at}})
    }

    #[test]
    fn the_last_of_several_lines_about_a_credential_counts() {
        let (first, last) = (line(&json!("2026-11-20T08:00:00Z")), line(&json!("2026-11-21T08:00:00.123Z")));
        let expected = Ok(Some("2026-11-21T08:00:00.123Z".to_owned()));
        assert_eq!(read(&[first.clone(), last.clone()]), expected);
        assert_eq!(read(&[last, first]), expected);
    }

    /// AZURE 1.7: the examples of the documentation differ from its own description.
    #[test]
    fn neither_spelling_of_the_documentation_is_in_the_way() {
        let said = json!({
            "@odata.type": "#microsoft.graph.appCredentialSignInActivity", "id": "ODNmN2M", "appId": CLIENT,
            "appObjectId": Uuid::nil(), "credentialOrigin": "application", "expirationDate": "2027-11-21T08:00:00Z",
            "keyId": KEY, "keyType": "secret", "keyUsage": "sign", "resourceId": Uuid::nil(),
            "servicePrincipalObjectId": Uuid::nil(),
            "signInActivity": {"lastSignInDateTime": "2026-11-21T08:00:00Z", "lastSignInRequestId": Uuid::nil()},
        });
        assert_eq!(read(&[said]), Ok(Some("2026-11-21T08:00:00Z".to_owned())));
    }

    #[test]
    fn what_was_never_used_or_is_of_another_application_is_not_in_it() {
        let other = json!({"appId": Uuid::max(), "keyId": KEY, "signInActivity": {"lastSignInDateTime": "2026-11-21T08:00:00Z"}});
        for never in [line(&Value::Null), line(&json!("0001-01-01T00:00:00Z")), json!({"keyId": KEY}), other] {
            assert_eq!(read(std::slice::from_ref(&never)), Ok(None), "{never}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_spoils_the_whole() {
        for odd in [line(&json!("yesterday")), json!({"appId": CLIENT}), json!("a line")] {
            assert!(read(&[line(&json!("2026-11-21T08:00:00Z")), odd.clone()]).is_err(), "{odd}");
        }
    }
}
