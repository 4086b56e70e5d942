//! What resources and tenants are told, and when.

use keywright_sandbox::{KUBERNETES, Rule, faults::Action};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    manifests::OTHER,
    town::{PATIENCE, Place, Town, chain, change, condition, insist, read, said, same},
};

const VAULT: &str = "https://kv-payments.vault.azure.net";

fn spec(patch: Value) -> Value {
    json!({ "spec": patch })
}

/// Each refusal: the resource, the reason, and words that its message must have.
fn refusals() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let issuer = json!({"name": "github", "external": {"issuer": "https://issuer.example", "subject": "repo:a"}});
    let federated = json!({"clientSecret": null, "federated": {"identities": [issuer]}});
    vec![
        ("good", json!({}), "InvalidTemplate", "nothingOfTheKind"),
        ("tenantless", spec(json!({"tenantRef": {"name": "nowhere"}})), "TenantNotFound", "EntraTenant nowhere"),
        ("not-ours", spec(json!({"clientId": OTHER})), "ApplicationNotGranted", OTHER),
        ("operators-own", spec(json!({"clientId": OWN})), "OwnApplication", "signs in as"),
        (
            "wrong-kind",
            spec(json!({"clientSecret": null, "certificate": {"generate": {}}})),
            "KindNotGranted",
            "Certificate",
        ),
        ("outsider", spec(federated), "IssuerNotGranted", "https://issuer.example with subject repo:a"),
        (
            "vault",
            spec(json!({"publish": {"keyVaults": [{"vaultUrl": VAULT, "name": "a"}]}})),
            "VaultNotGranted",
            VAULT,
        ),
        ("name", spec(json!({"publish": {"secret": {"name": "elsewhere"}}})), "SecretNameNotGranted", "elsewhere"),
        ("retiring", spec(json!({"retirement": {"foreignKeyIds": [OTHER]}})), "RetirementNotGranted", "RetireForeign"),
        ("too-long", spec(json!({"clientSecret": {"validity": "365d"}})), "InvalidPolicy", "spec.limits.maxValidity"),
        ("senseless", spec(json!({"clientSecret": {"validity": "36h"}})), "InvalidPolicy", "which is built in"),
    ]
}

/// The application that the operator itself signs in as here.
const OWN: &str = "99999999-2222-3333-4444-555555555555";

pub async fn every_refusal_is_told_with_what_to_do(town: Town) -> Result<(), Failed> {
    let (place, _operator) = town.open_place("refusals").await?;
    let names: Vec<&str> = refusals().iter().map(|(name, ..)| *name).filter(|name| *name != "name").collect();
    let grant = json!([
        {
            "name": "most", "namespaces": {"names": [place.name]}, "clientIds": [crate::manifests::CLIENT, OWN],
            "kinds": ["ClientSecret", "Federated"], "secretNames": names,
        },
    ]);
    let identity = json!({"clientSecret": {"clientId": OWN, "secretRef": {"name": "own"}}});
    place.tenant(&spec(json!({"grants": grant, "identity": identity}))).await?;
    for (name, patch, ..) in refusals() {
        place.resource(name, &patch).await?;
    }
    for (name, _, reason, words) in refusals() {
        let ready = place.told(name, reason).await?;
        same(&format!("Ready of {name}"), ready.status.as_str(), "False")?;
        insist(ready.message.contains(words), format!("{name} is told: {}", ready.message))?;
        let object = place.read(name).await?;
        let stalled = condition(Some(&object), "Stalled").ok_or("no condition Stalled")?;
        same(&format!("Stalled of {name}"), (stalled.status.as_str(), stalled.reason.as_str()), ("True", reason))?;
        let effective: Option<Value> = read(&object, "/status/effective");
        same(&format!("{name} shows its policy"), effective.is_some(), reason != "TenantNotFound")?;
    }
    events_say_the_same(&place).await
}

/// One Event for each resource, with the reason and the message of its condition.
async fn events_say_the_same(place: &Place) -> Result<(), Failed> {
    for (name, _, reason, words) in refusals() {
        let events = eventful(place, name).await?;
        same(&format!("Events about {name}"), events.len(), 1)?;
        let (told, note) = &events[0];
        same(&format!("the Event about {name}"), told.as_str(), reason)?;
        insist(note.contains(words), format!("the Event about {name} notes: {note}"))?;
    }
    Ok(())
}

/// What is found as soon as anything is, where nobody tells when: Events are written, and looks counted, just after the
/// status that was waited for.
pub async fn eventually<T>(find: impl AsyncFn() -> Result<Option<T>, Failed>) -> Result<Option<T>, Failed> {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = find().await?;
        if found.is_some() || tokio::time::Instant::now() > until {
            return Ok(found);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The Events about an object, as soon as there are any.
async fn eventful(place: &Place, about: &str) -> Result<Vec<(String, String)>, Failed> {
    let events = eventually(async || Ok(Some(place.events(about).await?).filter(|events| !events.is_empty())));
    Ok(events.await?.unwrap_or_default())
}

pub async fn a_tenant_that_comes_and_changes_wakes_its_resources(town: Town) -> Result<(), Failed> {
    let (place, _operator) = town.open_place("waking").await?;
    place.resource("payments-api", &json!({})).await?;
    place.told("payments-api", "TenantNotFound").await?;
    place.settled("first").await?;
    place.tenant(&spec(json!({"grants": []}))).await?;
    place.told("payments-api", "NamespaceNotGranted").await?;
    place.settled("second").await?;
    place.tenant(&json!({})).await?;
    place.told("payments-api", "InvalidTemplate").await?;
    place.settled("third").await?;
    place.tenants().delete(&place.name, &kube::api::DeleteParams::default()).await?;
    place.told("payments-api", "TenantNotFound").await?;
    Ok(())
}

pub async fn a_tenant_that_no_watch_has_brought_yet_is_looked_up(town: Town) -> Result<(), Failed> {
    let place = town.place("late-watches").await?;
    for late in ["/apis/keywright.dev/v1alpha1/entratenants", "/api/v1/namespaces"] {
        place.proxy.faults().add(Rule::at(KUBERNETES, "watch", late).hang());
    }
    let _operator = place.operator().await?;
    place.tenant(&json!({})).await?;
    place.resource("payments-api", &json!({})).await?;
    place.told("payments-api", "InvalidTemplate").await?;
    same("Events", eventful(&place, "payments-api").await?.len(), 1)
}

pub async fn a_namespace_that_no_watch_has_brought_yet_is_looked_up(town: Town) -> Result<(), Failed> {
    let place = town.place("late-namespaces").await?;
    change(&place.namespaces(), &place.name, &json!({"metadata": {"labels": {"team": "payments"}}})).await?;
    let none = json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": {"resourceVersion": "1"}, "items": [],
    });
    let none = Action::Answer { status: 200, retry_after: None, body: Some(none.to_string()) };
    place.proxy.faults().add(Rule::at(KUBERNETES, "list", "/api/v1/namespaces").then(none));
    place.proxy.faults().add(Rule::at(KUBERNETES, "watch", "/api/v1/namespaces").hang());
    let _operator = place.operator().await?;
    let selector = json!({"matchLabels": {"team": "payments"}});
    let grant = crate::manifests::merged(place.grant(), &json!({"namespaces": {"names": null, "selector": selector}}));
    place.tenant(&spec(json!({"grants": [grant]}))).await?;
    place.resource("payments-api", &json!({})).await?;
    place.told("payments-api", "InvalidTemplate").await?;
    Ok(())
}

pub async fn a_namespace_that_is_labelled_wakes_its_resources(town: Town) -> Result<(), Failed> {
    let (place, _operator) = town.open_place("labels").await?;
    let selector = json!({"matchLabels": {"team": "payments"}});
    let grant = crate::manifests::merged(place.grant(), &json!({"namespaces": {"names": null, "selector": selector}}));
    place.tenant(&spec(json!({"grants": [grant]}))).await?;
    place.resource("payments-api", &json!({})).await?;
    place.told("payments-api", "NamespaceNotGranted").await?;
    place.settled("first").await?;
    change(&place.namespaces(), &place.name, &json!({"metadata": {"labels": {"team": "payments"}}})).await?;
    place.told("payments-api", "InvalidTemplate").await?;
    place.settled("second").await?;
    change(&place.namespaces(), &place.name, &json!({"metadata": {"labels": {"team": null}}})).await?;
    place.told("payments-api", "NamespaceNotGranted").await?;
    Ok(())
}

pub async fn nothing_is_written_when_nothing_has_changed(town: Town) -> Result<(), Failed> {
    let (place, operator) = town.open_place("quiet").await?;
    place.tenant(&json!({})).await?;
    place.resource("payments-api", &json!({})).await?;
    place.told("payments-api", "InvalidTemplate").await?;
    place.tenant_told("OperatorCannotSignIn").await?;
    let tenant = format!("entratenants/{}", place.name);
    let written = || (place.writes("entraappcredentials/payments-api"), place.writes(&tenant));
    place.settled("settled").await?;
    let before = written();

    // Everything is looked at again, for four reasons, and says the same.
    change(&place.resources(), "payments-api", &json!({"metadata": {"annotations": {"touched": "yes"}}})).await?;
    change(&place.tenants(), &place.name, &json!({"metadata": {"annotations": {"touched": "yes"}}})).await?;
    change(&place.namespaces(), &place.name, &json!({"metadata": {"labels": {"touched": "yes"}}})).await?;
    place.settled("touched").await?;
    operator.kill().await.map_err(chain)?;
    let _operator = place.operator().await?;

    // A resource that comes last is told last.
    place.resource("last", &json!({})).await?;
    place.told("last", "InvalidTemplate").await?;
    same("writes about the old ones", written(), before)?;
    same("Events", place.events("payments-api").await?.len(), 1)
}

pub async fn a_status_that_was_wiped_or_scribbled_on_comes_back(town: Town) -> Result<(), Failed> {
    let (place, _operator) = town.open_place("scribbles").await?;
    place.tenant(&json!({})).await?;
    place.resource("payments-api", &json!({})).await?;
    place.told("payments-api", "InvalidTemplate").await?;
    let right: Value = read(&place.read("payments-api").await?, "/status/effective").ok_or("no policy")?;

    place.settled("first").await?;
    let mut object = place.read("payments-api").await?;
    object.data["status"] = json!({});
    place.resources().replace_status("payments-api", &kube::api::PostParams::default(), &object).await?;
    place.told("payments-api", "InvalidTemplate").await?;

    place.settled("second").await?;
    let mut object = place.read("payments-api").await?;
    object.data["status"] = json!({
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "Wish", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    });
    place.resources().replace_status("payments-api", &kube::api::PostParams::default(), &object).await?;
    let ready = place.told("payments-api", "InvalidTemplate").await?;
    same("Ready", ready.status.as_str(), "False")?;
    same("the policy", read(&place.read("payments-api").await?, "/status/effective"), Some(right))
}

pub async fn other_namespaces_are_left_alone(town: Town) -> Result<(), Failed> {
    let elsewhere = town.place("elsewhere").await?;
    elsewhere.resource("theirs", &json!({})).await?;
    let (place, _operator) = town.open_place("here").await?;
    place.resource("ours", &json!({})).await?;
    place.told("ours", "TenantNotFound").await?;
    let status: Option<Value> = read(&elsewhere.read("theirs").await?, "/status");
    same("what theirs is told", status, None)
}

pub async fn metrics_and_probes_say_what_goes_on(town: Town) -> Result<(), Failed> {
    let (place, operator) = town.open_place("probes").await?;
    place.resource("payments-api", &json!({})).await?;
    place.told("payments-api", "TenantNotFound").await?;
    let admin = crate::lifecycle::Admin::of(&operator).await?;
    same("/livez", admin.get("/livez").await?, (200, "ok\n".to_owned()))?;
    same("/readyz", admin.get("/readyz").await?, (200, "ok\n".to_owned()))?;
    // A look is counted when it has ended, a moment after its status was seen here.
    let looks = r#"keywright_reconciles_total{kind="EntraAppCredential",result="ok"}"#;
    let counted = eventually(async || {
        let (status, text) = admin.get("/metrics").await?;
        same("/metrics", status, 200)?;
        // It is at rest then: nobody waits, and for whom it waited is told.
        let idle = [r#"keywright_queue_waiting{kind="EntraAppCredential"} 0"#, "keywright_queue_wait_seconds_count{"];
        Ok(Some(text).filter(|text| text.contains(looks) && idle.iter().all(|line| text.contains(line))))
    });
    let metrics = counted.await?.ok_or_else(|| format!("{looks} is missing, or what is told of the queue"))?;
    insist(metrics.ends_with("# EOF\n"), "OpenMetrics end with # EOF")?;
    insist(operator.lines().iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "every log line is JSON")?;
    insist(operator.lines().iter().any(|line| said(line, "watching")), "the log says that it watches")
}
