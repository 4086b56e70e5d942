//! The federated credentials of an application in Microsoft Graph (AZURE 1.5): see them, add one, take one away. One that is
//! there is never rewritten: while it changes, neither what it was nor what it becomes may be accepted.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    graph::{Directory, Removal},
    refusal::{self, About, Failure},
};
use crate::{
    api::{ClientId, KeyId},
    facts::{Claims, Federated, Trouble},
    wire::InTime,
};

/// One as Graph writes it; others have made some of these, in forms that we do not make.
#[derive(Deserialize)]
struct Told {
    id: KeyId,
    name: String,
    issuer: Option<String>,
    subject: Option<String>,
    audiences: Option<Vec<String>>,
    description: Option<String>,
}

/// A new one.
#[derive(Serialize)]
struct New<'a> {
    name: &'a str,
    issuer: &'a str,
    subject: &'a str,
    audiences: [&'a str; 1],
    description: &'a str,
}

impl Directory {
    /// The federated credentials of an application, as one server knows them.
    pub async fn federated(&self, client_id: ClientId) -> Result<Vec<Federated>, Trouble> {
        let doing = format!("list the federated credentials of application {client_id}");
        let asked = self.read("list_federated", doing, About::Federation);
        let mut all = vec![];
        let first = format!("{}/{}", self.0.base, of(client_id));
        let one = |entry| {
            all.push(read(entry).ok_or("a federated credential has no ID or no name")?);
            Ok(())
        };
        self.pages(&asked, first, one).await?;
        Ok(all)
    }

    /// Adds one. Sent exactly once, if at all in time: unless it is refused or was not sent, there may be one of this name.
    pub async fn establish(
        &self,
        client_id: ClientId,
        name: &str,
        claims: &Claims,
        description: &str,
        in_time: InTime,
    ) -> Result<Federated, Trouble> {
        let doing = format!("add a federated credential ({claims}) to application {client_id}");
        let asked = self.change("add_federated", &doing, About::Federation, self.is_personal(client_id));
        let Claims { issuer, subject, audience } = claims;
        let body = New { name, issuer, subject, audiences: [audience], description };
        let answer = self.post(&asked, &of(client_id), &body, in_time).await?;
        let told = serde_json::from_slice(&answer.body).ok().and_then(read);
        told.ok_or_else(|| refusal::unreadable(&asked, &answer, "it is no federated credential"))
    }

    /// Takes one away, if that is still in time. An application that is not there has none either.
    pub async fn withdraw(&self, client_id: ClientId, id: KeyId, in_time: InTime) -> Result<Removal, Trouble> {
        let doing = format!("remove federated credential {id} from application {client_id}");
        let asked = self.change("remove_federated", &doing, About::Federation, self.is_personal(client_id));
        match self.delete(&asked, &format!("{}/{id}", of(client_id)), in_time).await {
            Ok(_) => Ok(Removal::Removed),
            Err(failure) if is_not_there(&failure) => Ok(Removal::WasNotThere),
            Err(failure) => Err(failure.into()),
        }
    }
}

/// Where those of an application are.
fn of(client_id: ClientId) -> String {
    format!("applications(appId='{client_id}')/federatedIdentityCredentials")
}

/// Whether it is Graph that says so: a proxy has a 404 of its own.
fn is_not_there(failure: &Failure) -> bool {
    failure.status == Some(404) && failure.trouble.code.is_some()
}

fn read(entry: Value) -> Option<Federated> {
    let Told { id, name, issuer, subject, audiences, description } = serde_json::from_value(entry).ok()?;
    let audience = audiences.and_then(|all| <[String; 1]>::try_from(all).ok());
    let claims = issuer.zip(subject).zip(audience);
    let claims = claims.map(|((issuer, subject), [audience])| Claims { issuer, subject, audience });
    Some(Federated { id, name, claims, description })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn told() -> Value {
        json!({
            "@odata.context": "…", "id": Uuid::from_u128(9), "name": "testing02",
            "issuer": "https://oidc.example/A/", "subject": "system:serviceaccount:payments:api",
            "audiences": ["api://AzureADTokenExchange"], "description": null,
        })
    }

    fn with(field: &str, value: Value) -> Option<Federated> {
        let mut told = told();
        told[field] = value;
        read(told)
    }

    /// AZURE 1.5.
    #[test]
    fn one_is_read_as_graph_writes_it_byte_for_byte() {
        let claims = Claims::of_account("https://oidc.example/A/", "payments", "api", "api://AzureADTokenExchange");
        let expected = Federated {
            id: KeyId(Uuid::from_u128(9)),
            name: "testing02".into(),
            claims: Some(claims),
            description: None,
        };
        assert_eq!(read(told()), Some(expected));
    }

    #[test]
    fn what_accepts_something_else_than_a_subject_for_an_audience_is_seen_and_has_no_claims() {
        for (field, value) in [
            ("subject", json!(null)),
            ("issuer", json!(null)),
            ("audiences", json!([])),
            ("audiences", json!(["one", "two"])),
            ("audiences", json!(null)),
        ] {
            let read = with(field, value.clone()).unwrap();
            assert_eq!((read.name.as_str(), read.claims), ("testing02", None), "{field} {value}");
        }
        assert_eq!(with("id", json!("x")), None);
    }
}
