//! The chart, and the rights that it gives. Every scenario runs with them and with no others, so one that is missing is
//! a scenario that fails; here is kept what was asked with them, so that one which nobody needs fails too.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    core::v1::{Namespace, Pod, ServiceAccount},
};
use keywright_sandbox::{Journal, Right, Via};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{Patch, PatchParams, PostParams, ValidationDirective},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    manifests::{self, merged},
    town::{PATIENCE, Place, Town, chain, change, insist, same},
};

/// What a place is called in the balance, whatever it is called.
const WATCHED: &str = "a watched namespace";
const HOME: &str = "the operator's namespace";

/// What was given to an operator, and what it asked for.
struct Book {
    given: BTreeSet<Right>,
    journal: Journal,
    names: [(String, &'static str); 2],
}

static BOOKS: Mutex<Vec<Book>> = Mutex::new(vec![]);

/// Remember what is given to the operators of a place, and what they will ask for. Those for all namespaces are left out:
/// they have the same rights, everywhere, which is shown below.
pub fn keep_books(place: &Place) -> Result<(), Failed> {
    let given = place.release.rights().map_err(chain)?;
    if given.iter().any(|right| right.resource == "entraappcredentials" && right.namespace.is_none()) {
        return Ok(());
    }
    let names = [(place.name.clone(), WATCHED), (place.home.clone(), HOME)];
    let book = Book { given, journal: place.proxy.journal().clone(), names };
    BOOKS.lock().unwrap_or_else(PoisonError::into_inner).push(book);
    Ok(())
}

/// What is left over, of all that was given and asked for, on either side.
pub fn imbalance() -> Vec<String> {
    let (mut given, mut needed) = (BTreeSet::new(), BTreeSet::new());
    for Book { given: rights, journal, names } in &*BOOKS.lock().unwrap_or_else(PoisonError::into_inner) {
        let called = |right: Right| names.iter().fold(right, |right, (name, called)| right.renamed(name, called));
        given.extend(rights.iter().cloned().map(called));
        needed.extend(journal.entries().iter().filter_map(Right::needed_by).map(called));
    }
    let is_used = |given: &Right| needed.iter().any(|needed| given.is_enough_for(needed));
    let is_given = |needed: &Right| given.iter().any(|given| given.is_enough_for(needed));
    let unused = given.iter().filter(|right| !is_used(right));
    let missing = needed.iter().filter(|right| !is_given(right));
    let unused = unused.map(|right| format!("the chart gives what no scenario uses: {right}"));
    let missing = missing.map(|right| format!("a scenario uses what the chart does not give: {right}"));
    unused.chain(missing).collect()
}

/// Everything that can be said in the values.
fn everything(namespace: &str) -> Result<Value, Failed> {
    let values: Value = serde_saphyr::from_str(include_str!("../../charts/keywright/ci/everything-values.yaml"))?;
    Ok(merged(values, &json!({"watchNamespaces": [namespace], "crds": {"install": true}})))
}

/// Have the API server check an object without keeping it, to the last unknown field.
async fn try_out(town: &Town, object: &DynamicObject) -> Result<(), Failed> {
    let types = object.types.as_ref().ok_or("an object without a kind")?;
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types)?);
    let api: Api<DynamicObject> = match object.namespace() {
        Some(namespace) => Api::namespaced_with(town.admin(), &namespace, &resource),
        None => Api::all_with(town.admin(), &resource),
    };
    let strict = PatchParams {
        dry_run: true,
        field_validation: Some(ValidationDirective::Strict),
        force: true,
        ..PatchParams::apply("helm")
    };
    let tried = api.patch(&object.name_any(), &strict, &Patch::Apply(object)).await;
    tried.map(drop).map_err(|error| format!("{} {}: {error}", types.kind, object.name_any()).into())
}

pub async fn what_the_chart_has_is_accepted_and_its_pod_restricted_no_further(town: Town) -> Result<(), Failed> {
    let namespace = manifests::namespace(&town.admin(), "charted").await?;
    let restricted = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    change(&Api::<Namespace>::all(town.admin()), &namespace, &restricted).await?;
    for values in [json!({}), everything(&namespace)?] {
        let release = town.chart().render("charted", &namespace, &values).await.map_err(chain)?;
        release.permit(&town.admin()).await.map_err(chain)?; // a pod's account is looked up
        let unknown =
            |object: &&DynamicObject| object.types.as_ref().is_some_and(|types| types.kind == "ServiceMonitor");
        for object in release.objects.iter().filter(|object| !unknown(object)) {
            try_out(&town, object).await?;
        }
        let pod: Pod =
            serde_json::from_value(json!({"metadata": {"name": "keywright"}, "spec": release.pod().map_err(chain)?}))?;
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        Api::<Pod>::namespaced(town.admin(), &namespace).create(&dry, &pod).await?;
    }
    Ok(())
}

pub async fn values_that_make_no_sense_are_refused(town: Town) -> Result<(), Failed> {
    for (values, named) in [
        (json!({"watchNamespace": ["payments"]}), "watchNamespace"),
        (json!({"watchNamespaces": "payments"}), "watchNamespaces"),
        (json!({"watchNamespaces": ["Payments"]}), "watchNamespaces"),
        (json!({"clusterId": "prod/eu"}), "clusterId"),
        (json!({"workloadIdentity": {"clientId": "payments-api"}}), "clientId"),
        (json!({"log": {"format": "xml"}}), "format"),
        (json!({"image": {"digest": "latest"}}), "digest"),
        (json!({"terminationGracePeriodSeconds": 5}), "terminationGracePeriodSeconds"),
        (json!({"federation": {"audiences": ["https://kubernetes.default.svc"]}}), "audiences"),
        (json!({"federation": {"audiences": []}}), "audiences"),
    ] {
        let refused = town.chart().render("refused", "refused", &values).await.err();
        let said = refused.map(|error| format!("{error:#}")).unwrap_or_default();
        insist(said.contains("schema") && said.contains(named), format!("{values}: {said:?}"))?;
    }
    Ok(())
}

pub async fn definitions_come_with_the_chart_and_outlive_it(town: Town) -> Result<(), Failed> {
    let with = town.chart().render("defined", "defined", &json!({})).await.map_err(chain)?;
    for definition in keywright::cli::crds::definitions() {
        let name = definition.metadata.name.clone().unwrap_or_default();
        let rendered = with.of_kind("CustomResourceDefinition").find(|object| object.name_any() == name);
        let rendered = rendered.ok_or_else(|| format!("the chart lacks {name}"))?;
        let kept = rendered.annotations().get("helm.sh/resource-policy").map(String::as_str);
        same(&format!("what an uninstall does to {name}"), kept, Some("keep"))?;
    }
    let without = json!({"crds": {"install": false}});
    let without = town.chart().render("defined", "defined", &without).await.map_err(chain)?;
    same("definitions of a chart without them", without.of_kind("CustomResourceDefinition").count(), 0)
}

pub async fn all_namespaces_give_the_rights_of_each_and_no_others(town: Town) -> Result<(), Failed> {
    let mut rights = vec![];
    for values in [json!({}), json!({"watchNamespaces": ["payments"]}), json!({"watchNamespaces": ["default"]})] {
        let release = town.chart().render("keywright", "keywright", &values).await.map_err(chain)?;
        let kind = |right: Right| (right.group, right.resource, right.verb);
        rights.push(release.rights().map_err(chain)?.into_iter().map(kind).collect::<BTreeSet<_>>());
    }
    same("for one namespace", &rights[1], &rights[0])?;
    same("for the one with Events about tenants", &rights[2], &rights[0])?;

    let named = json!({"watchNamespaces": ["payments"], "clusterId": "one"});
    let named = town.chart().render("keywright", "keywright", &named).await.map_err(chain)?.rights().map_err(chain)?;
    insist(named.iter().all(|right| right.name.as_deref() != Some("kube-system")), "kube-system is read for nothing")
}

pub async fn an_operator_for_all_namespaces_needs_no_more_than_it_is_given(_: Town) -> Result<(), Failed> {
    // It would work on the places of all others, so it has a plane of its own.
    let town = Town::build().await?;
    let place = town.place_with("everywhere", &json!({})).await?;
    let _operator = place.operator().await?;
    place.tenant(&json!({})).await?;
    place.resource("payments-api", &json!({})).await?;
    place.told("payments-api", "InvalidTemplate").await?;
    let given = place.release.rights().map_err(chain)?;
    for entry in place.proxy.journal().entries() {
        let needed = Right::needed_by(&entry).ok_or_else(|| format!("{entry} is about no resource"))?;
        insist(given.iter().any(|given| given.is_enough_for(&needed)), format!("{needed} is not given"))?;
        insist(entry.status != Some(403), format!("{entry}"))?;
    }
    town.end().await.map_err(chain)
}

pub async fn an_operator_reads_its_own_secret_where_it_runs(town: Town) -> Result<(), Failed> {
    let mut firm = town.firm("own-secret").await?;
    firm.home = manifests::namespace(&town.admin(), "own-secret-home").await?;
    let values = json!({"watchNamespaces": [firm.name]});
    firm.release = town.chart().render("own-secret-home", &firm.home, &values).await.map_err(chain)?;
    firm.release.permit(&town.admin()).await.map_err(chain)?;
    firm.move_identity(&firm.home).await?;

    let _operator = firm.operator().await?;
    firm.tenant(&json!({})).await?;
    // An operator that is limited to namespaces looks at the tenants that are named there.
    firm.resource("payments-api", &json!({})).await?;
    firm.tenant_told("Reached").await?;
    let secrets = format!("/api/v1/namespaces/{}/secrets/", firm.home);
    let read = firm.proxy.journal().count(|entry| entry.verb == "get" && entry.path.starts_with(&secrets));
    insist(read > 0, "its own Secret was not read where it runs")
}

pub async fn tokens_are_for_federation_and_only_where_that_is_allowed(town: Town) -> Result<(), Failed> {
    let namespace = manifests::namespace(&town.admin(), "tokens").await?;
    let values = |allowed: bool| json!({"watchNamespaces": [namespace], "federation": {"allowTokenRequests": allowed}});
    let release =
        async |allowed: bool| town.chart().render("tokens", &namespace, &values(allowed)).await.map_err(chain);
    let without = release(false).await?;
    without.permit(&town.admin()).await.map_err(chain)?;
    same("policies where nothing is to be bounded", without.of_kind("ValidatingAdmissionPolicy").count(), 0)?;

    let account = without.account().map_err(chain)?;
    let way = town.plane().kubeconfig_for(&namespace, &account, Via::Direct).await.map_err(chain)?;
    let config = Config::from_custom_kubeconfig(Kubeconfig::read_from(way)?, &KubeConfigOptions::default()).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(Client::try_from(config)?, &namespace);
    let asked = async |audiences: &[&str], seconds: i64| {
        let spec = json!({"spec": {"audiences": audiences, "expirationSeconds": seconds}});
        let request = serde_json::from_value(spec)?;
        let answered = accounts.create_token_request(&account, &PostParams::default(), &request).await;
        Ok::<_, Failed>(answered.map(drop).map_err(|error| error.to_string()))
    };
    let federation = "api://AzureADTokenExchange";
    let refused = |answer: Result<(), String>, words: &str| {
        let said = answer.err().unwrap_or_default();
        insist(said.contains(words), format!("not {words:?}, but {said:?}"))
    };
    refused(asked(&[federation], 600).await?, "serviceaccounts/token")?;

    release(true).await?.permit(&town.admin()).await.map_err(chain)?;
    // No event tells when a policy is in force, and before the right is known everything is refused.
    let in_force = async {
        while !asked(&[], 600).await?.is_err_and(|said| said.contains("for federation only")) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok::<_, Failed>(())
    };
    tokio::time::timeout(PATIENCE, in_force).await??;
    asked(&[federation], 600).await??;
    asked(&[federation], 3600).await??;
    refused(asked(&["https://kubernetes.default.svc"], 600).await?, "for federation only")?;
    refused(asked(&[federation, "another"], 600).await?, "for federation only")?;
    refused(asked(&[federation], 7200).await?, "an hour at most")?;
    // Whoever else asks for tokens is not bounded: a kubelet does.
    let of_admin: Api<ServiceAccount> = Api::namespaced(town.admin(), &namespace);
    of_admin.create_token_request(&account, &PostParams::default(), &TokenRequest::default()).await?;
    Ok(())
}
