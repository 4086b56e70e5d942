//! The API server fails in every way it can; the same end is reached.

use std::time::Duration;

use keywright_sandbox::{KUBERNETES, Rule};
use libtest_mimic::Failed;
use serde_json::json;

use crate::town::{Town, chain, insist, same};

/// Where the operator writes about resources.
const STATUS: &str = "/apis/keywright.dev/v1alpha1/namespaces/*/entraappcredentials/*/status";

pub async fn every_fault_of_the_api_server_ends_the_same(town: Town) -> Result<(), Failed> {
    let (place, _operator) = town.open_place("weather").await?;
    let at = |name: &str| {
        Rule::at(KUBERNETES, "update", &STATUS.replace("entraappcredentials/*", &format!("entraappcredentials/{name}")))
    };
    let weather = [
        ("refused", at("refused").times(2).answer(500)),
        ("throttled", at("throttled").times(1).throttle(429, Duration::from_secs(1))),
        ("forbidden", at("forbidden").times(1).answer(403)),
        ("conflicting", at("conflicting").times(1).answer(409)),
        ("delayed", at("delayed").times(1).delay(Duration::from_secs(2))),
        ("hanging", at("hanging").times(1).hang()),
        ("cut-before", at("cut-before").times(1).cut_before()),
        ("cut-after", at("cut-after").times(1).cut_after()),
        ("truncated", at("truncated").times(1).truncate(20)),
    ];
    let mut met = Vec::new();
    for (name, rule) in weather {
        met.push((name, place.proxy.faults().add(rule)));
        place.resource(name, &json!({})).await?;
    }
    for (name, fault) in met {
        place.told(name, "TenantNotFound").await?;
        insist(fault.applied() > 0, format!("the fault {name} was never met"))?;
    }
    Ok(())
}

pub async fn a_crash_around_every_write_ends_the_same(town: Town) -> Result<(), Failed> {
    let place = town.place("crashes").await?;
    place.tenant(&json!({})).await?;
    let events = "/apis/events.k8s.io/v1/namespaces/*/events";
    for (verb, path, after) in
        [("update", STATUS, false), ("update", STATUS, true), ("create", events, false), ("create", events, true)]
    {
        let name = format!("{verb}-{}", if after { "after" } else { "before" });
        place.resource(&name, &json!({})).await?;
        let operator = place.starting_operator().await?;
        let point = Rule::at(KUBERNETES, verb, path).nth(1);
        let switch = operator.kill_switch();
        let added = place.proxy.faults().add(if after { point.kill_after(switch) } else { point.kill_before(switch) });
        let ended = operator.exited(crate::town::PATIENCE).await.map_err(chain)?;
        insist(!ended.success(), format!("{verb} {path}: killed, not ended"))?;
        same("kills", added.applied(), 1)?;
        added.lift();

        let again = place.operator().await?;
        place.told(&name, "InvalidTemplate").await?;
        same(&format!("Events about {name}"), place.events(&name).await?.len(), 1)?;
        again.kill().await.map_err(chain)?;
    }
    Ok(())
}

pub async fn a_resource_that_cannot_be_written_holds_up_nobody_else(town: Town) -> Result<(), Failed> {
    let (place, _operator) = town.open_place("one-broken").await?;
    let stuck = STATUS.replace("entraappcredentials/*", "entraappcredentials/stuck");
    let added = place.proxy.faults().add(Rule::at(KUBERNETES, "update", &stuck).hang());
    place.resource("stuck", &json!({})).await?;
    for number in 0..20 {
        place.resource(&format!("free-{number}"), &json!({})).await?;
    }
    for number in 0..20 {
        place.told(&format!("free-{number}"), "TenantNotFound").await?;
    }
    added.lift();
    place.told("stuck", "TenantNotFound").await?;
    Ok(())
}
