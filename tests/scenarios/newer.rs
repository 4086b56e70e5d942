//! A newer definition than the operator's: what it cannot read is told, what it does not know is left as it is.

use keywright::cli::crds;
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::town::{Town, chain, read, same};

pub async fn what_a_newer_definition_allows_is_told_and_never_lost(_: Town) -> Result<(), Failed> {
    let town = Town::build().await?;
    let [credentials, tenants] = crds::definitions();
    let mut credentials = serde_json::to_value(credentials)?;
    let spec = &mut credentials["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    spec["someday"] = json!({"type": "string"});
    spec["deletionPolicy"]["enum"] = json!(["Retain", "Revoke", "Archive"]);
    town.install(serde_json::from_value(credentials)?).await?;
    let mut tenants = serde_json::to_value(tenants)?;
    let spec = &mut tenants["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    spec["cloud"]["enum"] = json!(["Public", "Moon"]);
    town.install(serde_json::from_value(tenants)?).await?;

    let (place, _operator) = town.open_place("newer").await?;
    place.tenant(&json!({})).await?;
    place.resource("archived", &json!({"spec": {"deletionPolicy": "Archive"}})).await?;
    place.resource("someday", &json!({"spec": {"someday": "soon"}})).await?;
    place.told("archived", "SpecUndecodable").await?;
    place.told("someday", "InvalidTemplate").await?;
    let field = |pointer: &str, name: &'static str| {
        let (place, pointer) = (&place, pointer.to_owned());
        async move { Ok::<Option<String>, Failed>(read(&place.read(name).await?, &pointer)) }
    };
    same("the unknown field", field("/spec/someday", "someday").await?.as_deref(), Some("soon"))?;
    same("the unknown value", field("/spec/deletionPolicy", "archived").await?.as_deref(), Some("Archive"))?;

    // The unreadable one is answered once, not for ever.
    place.resource("archived", &json!({"spec": {"deletionPolicy": "Revoke"}})).await?;
    place.told("archived", "InvalidTemplate").await?;
    same("writes about it", place.writes("entraappcredentials/archived"), 2)?;

    place.tenants().delete(&place.name, &kube::api::DeleteParams::default()).await?;
    place.tenant(&json!({"spec": {"cloud": "Moon"}})).await?;
    place.tenant_told("SpecUndecodable").await?;
    place.told("someday", "TenantUndecodable").await?;
    let tenant = place.tenants().get(&place.name).await?;
    same("the tenant's cloud", read::<Value>(&tenant, "/spec/cloud"), Some(json!("Moon")))?;
    town.end().await.map_err(chain)
}
