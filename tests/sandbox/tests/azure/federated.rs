//! Federated credentials in Graph: list, create, get, PATCH, upsert and DELETE, and what forbids them (AZURE 1.5).

use hyper::Method;
use jiff::SignedDuration;
use keywright_sandbox::Rule;
use keywright_sandbox::azure::{Lag, Limit, NewFederated};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Reply;
use crate::places::{Place, at_once};

const ISSUER: &str = "https://issuer.example/";
const AUDIENCE: &str = "api://AzureADTokenExchange";

pub fn wanted(name: &str) -> Value {
    json!({
        "name": name,
        "issuer": ISSUER,
        "subject": format!("system:serviceaccount:shop:{name}"),
        "audiences": [AUDIENCE],
        "description": "kw1:",
    })
}

impl Place {
    /// Asks for the federated credentials of `payments`, or for what follows their path.
    pub async fn federated(&self, method: Method, rest: &str, body: &Value) -> Reply {
        let path = format!("/applications/{}/federatedIdentityCredentials{rest}", self.payments.object_id);
        self.graph(method, &path, body).await
    }

    pub async fn create(&self, body: &Value) -> Reply {
        self.federated(Method::POST, "", body).await
    }

    async fn upsert(&self, name: &str, body: &Value) -> Reply {
        let of = format!("/applications/{}/federatedIdentityCredentials", self.payments.object_id);
        let prefer = [("prefer", "create-if-missing")];
        self.graph_with(Method::PATCH, &format!("{of}(name='{name}')"), &prefer, body).await
    }

    async fn names(&self) -> Vec<String> {
        let listed = self.federated(Method::GET, "", &Value::Null).await.json();
        let mut names: Vec<String> =
            listed["value"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        names.sort_unstable();
        names
    }
}

fn refused(reply: &Reply) -> (u16, String) {
    (reply.status, reply.code())
}

fn bad_request() -> (u16, String) {
    (400, "Request_BadRequest".to_owned())
}

#[tokio::test]
async fn one_is_created_and_found_by_id_and_by_name() {
    let place = at_once().await;
    let created = place.create(&wanted("web")).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let created = created.json();
    let id = created["id"].as_str().unwrap();
    assert!(Uuid::try_parse(id).is_ok());
    let of = format!("applications('{}')/federatedIdentityCredentials", place.payments.object_id);
    let context = format!("https://graph.microsoft.com/v1.0/$metadata#{of}");
    assert_eq!(created["@odata.context"], format!("{context}/$entity"));
    for (property, value) in wanted("web").as_object().unwrap() {
        assert_eq!(&created[property], value);
    }
    for key in [format!("/{id}"), "/web".into(), "(name='web')".into(), "(name=%27web%27)".into()] {
        let read = place.federated(Method::GET, &key, &Value::Null).await;
        assert_eq!((read.status, read.json()), (200, created.clone()), "{key}");
    }
    let by_app_id = format!("/applications(appId='{}')/federatedIdentityCredentials", place.payments.client_id);
    let listed = place.get(&by_app_id).await.json();
    assert_eq!((&listed["@odata.context"], listed["value"][0]["id"].as_str()), (&context.into(), Some(id)));
    let missing = place.federated(Method::GET, "/other", &Value::Null).await;
    assert_eq!(refused(&missing), (404, "Request_ResourceNotFound".into()));
}

/// `$filter` eq on name and subject, and nothing else; `$select`.
#[tokio::test]
async fn they_are_filtered_by_name_and_subject() {
    let place = at_once().await;
    for name in ["web", "worker"] {
        assert_eq!(place.create(&wanted(name)).await.status, 201);
    }
    for filter in ["name eq 'web'", "subject eq 'system:serviceaccount:shop:web'"] {
        let query = form_urlencoded::byte_serialize(filter.as_bytes()).collect::<String>();
        let found = place.federated(Method::GET, &format!("?$filter={query}&$select=name"), &Value::Null).await.json();
        assert_eq!(found["value"], json!([{"name": "web"}]), "{filter}");
    }
    for filter in ["issuer%20eq%20'a'", "startswith(name,'w')", "name%20ne%20'web'"] {
        let odd = place.federated(Method::GET, &format!("?$filter={filter}"), &Value::Null).await;
        assert_eq!(refused(&odd), (400, "Request_UnsupportedQuery".into()), "{filter}");
    }
    assert_eq!(place.federated(Method::GET, "?$select=claimsMatchingExpression", &Value::Null).await.status, 400);
}

#[tokio::test]
async fn patch_changes_everything_but_the_name() {
    let place = at_once().await;
    let id = place.create(&wanted("web")).await.json()["id"].as_str().unwrap().to_owned();
    let change = json!({"name": "web", "subject": "system:serviceaccount:shop:other", "description": null});
    let patched = place.federated(Method::PATCH, &format!("/{id}"), &change).await;
    assert_eq!((patched.status, patched.text.as_str()), (204, ""));
    let read = place.federated(Method::GET, "/web", &Value::Null).await.json();
    assert_eq!((&read["subject"], &read["description"]), (&change["subject"], &Value::Null));
    assert_eq!((&read["issuer"], &read["audiences"]), (&ISSUER.into(), &json!([AUDIENCE])));
    for odd in [json!({"name": "other"}), json!({"id": id}), json!({"subject": null}), json!({"issuer": ""})] {
        let odd_one = place.federated(Method::PATCH, "/web", &odd).await;
        assert_eq!(refused(&odd_one), bad_request(), "{odd}");
    }
    let missing = place.federated(Method::PATCH, "(name='other')", &wanted("other")).await;
    assert_eq!(refused(&missing), (404, "Request_ResourceNotFound".into()), "without the header nothing is created");
}

#[tokio::test]
async fn an_upsert_creates_or_changes() {
    let place = at_once().await;
    let mut body = wanted("web");
    body.as_object_mut().unwrap().remove("name");
    let created = place.upsert("web", &body).await;
    assert_eq!((created.status, &created.json()["name"]), (201, &"web".into()), "{}", created.text);
    body["description"] = "another".into();
    assert_eq!(place.upsert("web", &body).await.status, 204);
    let read = place.federated(Method::GET, "/web", &Value::Null).await.json();
    assert_eq!((&read["id"], &read["description"]), (&created.json()["id"], &body["description"]));
    assert_eq!(refused(&place.upsert("web-2", &wanted("web")).await), bad_request(), "two names");
    assert_eq!(refused(&place.upsert("web-2", &json!({"issuer": ISSUER})).await), bad_request(), "not whole");
    assert_eq!(place.names().await, ["web"]);
}

#[tokio::test]
async fn one_is_deleted_once() {
    let place = at_once().await;
    place.create(&wanted("web")).await;
    let gone = place.federated(Method::DELETE, "/web", &Value::Null).await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    let again = place.federated(Method::DELETE, "/web", &Value::Null).await;
    assert_eq!(refused(&again), (404, "Request_ResourceNotFound".into()));
    assert!(place.names().await.is_empty());
    assert_eq!(place.create(&wanted("web")).await.status, 201, "its name is free again");
}

/// What cannot be created, each with its code and its words.
#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_code() {
    let place = at_once().await;
    place.create(&wanted("web")).await;
    let but = |name: &str, value: Value| {
        let mut body = wanted("worker");
        body[name] = value;
        body
    };
    let twice = place.create(&but("name", "web".into())).await;
    assert_eq!(refused(&twice), (409, "Request_MultipleObjectsWithSameKeyValue".into()));
    let told = &twice.json()["error"]["message"];
    assert_eq!(told, "FederatedIdentityCredential with name web already exists.");
    let same = place.create(&but("subject", wanted("web")["subject"].clone())).await;
    assert_eq!(refused(&same), (400, "InvalidFederatedIdentityCredentialValue".into()));
    for (name, value, told) in [
        ("audiences", json!([]), "Federated identity credentials must have exactly one audience."),
        ("audiences", json!([AUDIENCE, "b"]), "Federated identity credentials must have exactly one audience."),
        ("name", "-web".into(), "Federated Identity Credential name '-web' is invalid."),
        ("subject", Value::Null, "Federated identity credential has empty properties."),
        ("issuer", "".into(), "Federated identity credential has empty properties."),
        ("claimsMatchingExpression", json!({"languageVersion": 1}), "Invalid property 'claimsMatchingExpression'."),
    ] {
        let odd = place.create(&but(name, value)).await;
        assert_eq!((refused(&odd), &odd.json()["error"]["message"]), (bad_request(), &told.into()));
    }
    assert_eq!(place.create(&but("description", "x".repeat(601).into())).await.status, 400);
    assert_eq!(place.names().await, ["web"]);
}

#[tokio::test]
async fn an_application_has_twenty() {
    let place = at_once().await;
    for number in 0..20 {
        assert_eq!(place.create(&wanted(&format!("web-{number}"))).await.status, 201);
    }
    assert_eq!(refused(&place.create(&wanted("web-20")).await), bad_request());
    assert_eq!(place.upsert("web-7", &json!({"description": "changed"})).await.status, 204);
    place.federated(Method::DELETE, "/web-3", &Value::Null).await;
    assert_eq!(place.create(&wanted("web-20")).await.status, 201);
}

/// AZURE 1.1: who owns the application writes, and who may read it lists; an application may read its own.
#[tokio::test]
async fn permissions_are_those_of_the_application() {
    let place = at_once().await;
    let own = format!("/applications/{}/federatedIdentityCredentials", place.operator.object_id);
    assert_eq!(place.get(&own).await.status, 200);
    let denied = (403, "Authorization_RequestDenied".to_owned());
    assert_eq!(refused(&place.graph(Method::POST, &own, &wanted("web")).await), denied, "it does not own itself");
    place.create(&wanted("web")).await;
    place.azure.set_principal(&place.operator, |principal| principal.roles.clear()).unwrap();
    assert_eq!(place.get(&own).await.status, 200);
    assert_eq!(refused(&place.federated(Method::GET, "", &Value::Null).await), denied);
    assert_eq!(refused(&place.create(&wanted("worker")).await), denied);
    assert_eq!(refused(&place.federated(Method::PATCH, "/web", &json!({})).await), denied);
    assert_eq!(refused(&place.federated(Method::DELETE, "/web", &Value::Null).await), denied);
    assert_eq!(refused(&place.upsert("worker", &wanted("worker")).await), denied);
}

/// AZURE 2: they count as writes; AZURE 1.2: and meet writes of secrets.
#[tokio::test]
async fn writes_are_counted_and_meet_each_other() {
    let place = at_once().await;
    let window = |millis| {
        let window = SignedDuration::from_secs(millis);
        place.azure.set_weather(place.tenant, |weather| weather.write_window = window).unwrap();
    };
    window(300);
    assert_eq!(place.act("addPassword", &Value::Null).await.status, 200);
    let conflict = (409, "Directory_ConcurrencyViolation".to_owned());
    assert_eq!(refused(&place.create(&wanted("web")).await), conflict);
    window(0);
    assert_eq!(place.create(&wanted("web")).await.status, 201);
    window(300);
    place.federated(Method::PATCH, "/web", &json!({})).await;
    assert_eq!(refused(&place.federated(Method::DELETE, "/web", &Value::Null).await), conflict);
    place.azure.set_limits(|limits| limits.writes = Limit::new(2, SignedDuration::from_mins(1)));
    assert_eq!(place.federated(Method::DELETE, "/web", &Value::Null).await.status, 429);
    assert_eq!(place.federated(Method::GET, "", &Value::Null).await.status, 200, "reads have another limit");
}

/// AZURE 3: what was created is not read, changed or deleted where it is not known yet.
#[tokio::test]
async fn reads_lag() {
    let place = at_once().await;
    let lag = Lag { least: SignedDuration::from_mins(1), most: SignedDuration::from_mins(2) };
    place.azure.set_weather(place.tenant, |weather| weather.reads = lag).unwrap();
    assert_eq!(place.create(&wanted("web")).await.status, 201);
    assert!(place.names().await.is_empty());
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        assert_eq!(place.federated(method, "/web", &json!({})).await.status, 404);
    }
    let twice = place.create(&wanted("web")).await;
    assert_eq!(refused(&twice), (409, "Request_MultipleObjectsWithSameKeyValue".into()), "and cannot be created twice");
}

/// AZURE 1.5: what others made in beta has no subject; it is listed, and cannot be given one.
#[tokio::test]
async fn one_with_an_expression_has_no_subject() {
    let place = at_once().await;
    let expression = NewFederated {
        name: "flexible".into(),
        issuer: "https://token.actions.githubusercontent.com".into(),
        ..NewFederated::default()
    };
    let seeded = place.azure.seed_federated(&place.payments, expression).unwrap();
    let listed = place.federated(Method::GET, "", &Value::Null).await.json();
    assert_eq!((&listed["value"][0]["id"], &listed["value"][0]["subject"]), (&json!(seeded.id), &Value::Null));
    assert_eq!(refused(&place.federated(Method::PATCH, "/flexible", &json!({"subject": "a"})).await), bad_request());
    assert_eq!(place.federated(Method::PATCH, "/flexible", &json!({"description": "a"})).await.status, 204);
    assert_eq!(place.federated(Method::DELETE, "/flexible", &Value::Null).await.status, 204);
}

/// AZURE 3: what is seeded is known at once, what a person does later becomes known in time.
#[tokio::test]
async fn a_person_adds_edits_and_removes() {
    let place = at_once().await;
    let lag = Lag { least: SignedDuration::from_mins(1), most: SignedDuration::from_mins(2) };
    place.azure.set_weather(place.tenant, |weather| weather.reads = lag).unwrap();
    let new = |name: &str| NewFederated {
        name: name.into(),
        issuer: ISSUER.into(),
        subject: Some(name.into()),
        ..NewFederated::default()
    };
    let seeded = place.azure.seed_federated(&place.payments, new("web")).unwrap();
    assert_eq!((place.names().await, seeded.audience.as_str()), (vec!["web".to_owned()], AUDIENCE));
    place.azure.add_federated(&place.payments, new("web")).unwrap_err();
    let added = place.azure.add_federated(&place.payments, new("worker")).unwrap();
    place.azure.edit_federated(&place.payments, seeded.id, |one| one.subject = Some("changed".into())).unwrap();
    assert_eq!(place.names().await, ["web"]);
    let truly = place.azure.federated(&place.payments).unwrap();
    let subjects: Vec<_> = truly.iter().map(|one| one.subject.as_deref().unwrap()).collect();
    assert_eq!(subjects, ["changed", "worker"]);
    place.azure.remove_federated(&place.payments, added.id).unwrap();
    place.azure.remove_federated(&place.payments, added.id).unwrap_err();
    assert_eq!(place.azure.federated(&place.payments).unwrap().len(), 1);
    let inspected = place.azure.inspect();
    let told = &inspected["tenants"][0]["federated"][place.payments.client_id.to_string()];
    assert_eq!(told[0]["subject"], "changed");
}

#[tokio::test]
async fn rules_know_their_verbs() {
    let place = at_once().await;
    for (verb, method, rest) in [
        ("listFederated", Method::GET, ""),
        ("createFederated", Method::POST, ""),
        ("getFederated", Method::GET, "/web"),
        ("patchFederated", Method::PATCH, "/web"),
        ("deleteFederated", Method::DELETE, "/web"),
    ] {
        let rule = place.azure.faults().add(Rule::at("graph", verb, "**").answer(503));
        assert_eq!(place.federated(method.clone(), rest, &wanted("web")).await.status, 503, "{verb}");
        rule.lift();
        assert!(place.federated(method, rest, &wanted("web")).await.status < 300, "{verb}");
    }
}

#[tokio::test]
async fn a_cut_after_the_effect_leaves_one_that_is_found_by_its_name() {
    let place = at_once().await;
    let rule = Rule::at("graph", "createFederated", "**").times(1);
    place.azure.faults().add(rule.cut_after());
    let bearer = place.bearer().await;
    let url =
        format!("{}/applications/{}/federatedIdentityCredentials", crate::places::GRAPH, place.payments.object_id);
    let headers = [("authorization", bearer.as_str())];
    place.client.try_send(Method::POST, &url, &headers, &wanted("web").to_string()).await.err().unwrap();
    assert_eq!(place.federated(Method::GET, "(name='web')", &Value::Null).await.status, 200);
}
