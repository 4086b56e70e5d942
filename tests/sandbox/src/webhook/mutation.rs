//! What the webhook makes of a pod: variables, a volume with a token, and where containers see it, as upstream's
//! v1.6 does it (AZURE 7); or why it refuses the pod. Pure: the ServiceAccount is read before. It adds to a pod and never
//! takes away: what a container names itself stays. The proxy sidecar and identity bindings are left out; a pod that asks
//! for the sidecar is refused, so that nobody takes it for one that has it.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use k8s_openapi::api::core::v1::{
    Container, EnvVar, Pod, PodSpec, ProjectedVolumeSource, ServiceAccount, ServiceAccountTokenProjection, Volume,
    VolumeMount, VolumeProjection,
};
use kube::ResourceExt;

use super::Defaults;

pub(super) const CLIENT_ID: &str = "azure.workload.identity/client-id";
const TENANT_ID: &str = "azure.workload.identity/tenant-id";
const EXPIRATION: &str = "azure.workload.identity/service-account-token-expiration";
const SKIP_CONTAINERS: &str = "azure.workload.identity/skip-containers";
const PROXY_SIDECAR: &str = "azure.workload.identity/inject-proxy-sidecar";

const VOLUME_PREFIX: &str = "azure-workload-identity-reserved-";
/// Longer names of volumes are no names of volumes.
const LONGEST_VOLUME_NAME: usize = 63;
const MOUNT_PATH: &str = "/var/run/secrets/azure/wi";
const TOKEN_PATH: &str = "token/azure-identity-token";

// How long tokens live, in seconds.
const LEAST: i64 = 3_600;
const USUAL: i64 = 3_600;
const MOST: i64 = 86_400;

/// The pod as it is to be, if it may be at all.
pub(crate) fn mutated(mut pod: Pod, account: &ServiceAccount, defaults: &Defaults) -> Result<Pod, String> {
    if pod.annotations().contains_key(PROXY_SIDECAR) {
        return Err(format!("the sandbox injects no proxy sidecar: remove the annotation {PROXY_SIDECAR}"));
    }
    let seconds = expiration(&pod, account)?;
    let volume = volume_name(&pod);
    let skipped = pod.annotations().get(SKIP_CONTAINERS).cloned().unwrap_or_default();
    let skipped: BTreeSet<&str> = skipped.split(';').map(str::trim).collect();
    let variables = variables(account, defaults);
    let spec = pod.spec.get_or_insert_with(PodSpec::default);
    let containers = spec.init_containers.iter_mut().flatten().chain(&mut spec.containers);
    for container in containers.filter(|container| !skipped.contains(container.name.as_str())) {
        add_variables(container, &variables);
        let mount = VolumeMount {
            name: volume.clone(),
            mount_path: MOUNT_PATH.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        };
        put(container.volume_mounts.get_or_insert_default(), mount, |mount| &mount.name);
    }
    let volume = token_volume(volume, &defaults.audience, seconds);
    put(spec.volumes.get_or_insert_default(), volume, |volume| &volume.name);
    Ok(pod)
}

/// Whether a pod has what is added here.
pub(crate) fn is_mutated(pod: &Pod) -> bool {
    let mut volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.any(|volume| volume.name.starts_with(VOLUME_PREFIX))
}

/// The pod's wish counts more than its account's; an empty one is none.
fn expiration(pod: &Pod, account: &ServiceAccount) -> Result<i64, String> {
    let wish = [pod.annotations(), account.annotations()]
        .into_iter()
        .find_map(|annotations| annotations.get(EXPIRATION).filter(|wish| !wish.is_empty()));
    let Some(wish) = wish else { return Ok(USUAL) };
    let seconds = wish.parse().map_err(|_| format!("{EXPIRATION}: {wish:?} is no number of seconds"))?;
    if (LEAST..=MOST).contains(&seconds) {
        return Ok(seconds);
    }
    Err(format!("token expiration {seconds} not valid. Expected value to be between {LEAST} and {MOST}"))
}

/// The names that SDKs read, with their values; what has none is not added.
fn variables(account: &ServiceAccount, defaults: &Defaults) -> Vec<(&'static str, String)> {
    let annotated = |name: &str| account.annotations().get(name).cloned();
    let variables = [
        ("AZURE_CLIENT_ID", annotated(CLIENT_ID).unwrap_or_default()),
        ("AZURE_TENANT_ID", annotated(TENANT_ID).unwrap_or_else(|| defaults.tenant_id.clone())),
        ("AZURE_FEDERATED_TOKEN_FILE", format!("{MOUNT_PATH}/{TOKEN_PATH}")),
        ("AZURE_AUTHORITY_HOST", defaults.authority_host.clone()),
    ];
    variables.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// What comes by `envFrom` is not looked at, and so loses to what is added here.
fn add_variables(container: &mut Container, variables: &[(&'static str, String)]) {
    let env = container.env.get_or_insert_default();
    for (name, value) in variables {
        if !env.iter().any(|variable| variable.name == *name) {
            env.push(EnvVar { name: (*name).to_owned(), value: Some(value.clone()), ..EnvVar::default() });
        }
    }
}

/// A pod that a controller makes has no name yet, only what it will begin with.
fn volume_name(pod: &Pod) -> String {
    let begins = || format!("{} (prefix)", pod.metadata.generate_name.as_deref().unwrap_or_default());
    let name = pod.metadata.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(begins);
    let hash = digest::digest(&digest::SHA256, name.as_bytes());
    let digits = hash.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let digits = digits.filter_map(|digit| char::from_digit(digit.into(), 16));
    VOLUME_PREFIX.chars().chain(digits).take(LONGEST_VOLUME_NAME).collect()
}

fn token_volume(name: String, audience: &str, seconds: i64) -> Volume {
    let token = ServiceAccountTokenProjection {
        audience: Some(audience.to_owned()),
        expiration_seconds: Some(seconds),
        path: TOKEN_PATH.to_owned(),
        ..ServiceAccountTokenProjection::default()
    };
    let source = VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() };
    let projected = ProjectedVolumeSource { sources: Some(vec![source]), ..ProjectedVolumeSource::default() };
    Volume { name, projected: Some(projected), ..Volume::default() }
}

/// Adds it, or puts it in the place of one of the same name: the webhook may be asked about a pod twice.
fn put<T>(all: &mut Vec<T>, one: T, name: impl Fn(&T) -> &String) {
    match all.iter_mut().find(|other| name(other) == name(&one)) {
        Some(other) => *other = one,
        None => all.push(one),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const FILE: &str = "AZURE_FEDERATED_TOKEN_FILE=/var/run/secrets/azure/wi/token/azure-identity-token";
    const HOST: &str = "AZURE_AUTHORITY_HOST=https://login.example/";

    fn pod(more: &Value) -> Pod {
        let mut pod = json!({"metadata": {"name": "web-0"}, "spec": {"containers": [{"name": "app"}]}});
        pod.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(pod).unwrap()
    }

    fn account(annotations: &Value) -> ServiceAccount {
        serde_json::from_value(json!({"metadata": {"name": "web", "annotations": annotations}})).unwrap()
    }

    fn defaults() -> Defaults {
        Defaults { authority_host: "https://login.example/".into(), ..Defaults::public("contoso") }
    }

    fn made(pod: Pod, annotations: &Value) -> Pod {
        mutated(pod, &account(annotations), &defaults()).unwrap()
    }

    fn env(container: &Container) -> Vec<String> {
        let told = |one: &EnvVar| format!("{}={}", one.name, one.value.clone().unwrap_or_default());
        container.env.iter().flatten().map(told).collect()
    }

    fn app(pod: &Pod) -> Container {
        pod.spec.as_ref().unwrap().containers[0].clone()
    }

    fn seconds(pod: &Pod) -> Value {
        let spec = serde_json::to_value(&pod.spec).unwrap();
        spec["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"].clone()
    }

    #[test]
    fn an_annotated_account_gives_four_variables() {
        let made = made(pod(&json!({})), &json!({CLIENT_ID: "c"}));
        assert_eq!(env(&app(&made)), ["AZURE_CLIENT_ID=c", "AZURE_TENANT_ID=contoso", FILE, HOST]);
    }

    #[test]
    fn an_account_without_annotations_gives_all_but_the_client_id() {
        let made = made(pod(&json!({})), &json!({}));
        assert_eq!(env(&app(&made)), ["AZURE_TENANT_ID=contoso", FILE, HOST]);
        assert_eq!(app(&made).volume_mounts.unwrap().len(), 1);
    }

    #[test]
    fn the_account_s_tenant_counts_more_than_the_default() {
        let made = made(pod(&json!({})), &json!({TENANT_ID: "fabrikam"}));
        assert_eq!(env(&app(&made))[0], "AZURE_TENANT_ID=fabrikam");
    }

    #[test]
    fn the_token_is_in_a_volume_of_upstream_s_names() {
        let made = made(pod(&json!({})), &json!({}));
        // sha256("web-0")
        let name = "azure-workload-identity-reserved-1ae6fac6e0a6c45234c7f9a125d492";
        let token = json!({"audience": "api://AzureADTokenExchange", "expirationSeconds": 3600, "path": "token/azure-identity-token"});
        let volume = json!({"name": name, "projected": {"sources": [{"serviceAccountToken": token}]}});
        assert_eq!(serde_json::to_value(&made.spec.as_ref().unwrap().volumes).unwrap(), json!([volume]));
        let mount = json!({"name": name, "mountPath": "/var/run/secrets/azure/wi", "readOnly": true});
        assert_eq!(serde_json::to_value(app(&made).volume_mounts).unwrap(), json!([mount]));
    }

    #[test]
    fn pods_of_one_controller_have_the_volume_s_name_in_common() {
        let of = |metadata: Value| made(pod(&json!({"metadata": metadata})), &json!({})).spec.unwrap().volumes;
        let names = |pod: Value| of(pod).unwrap().remove(0).name;
        let by_prefix = names(json!({"generateName": "web-"}));
        assert_eq!(by_prefix, names(json!({"generateName": "web-", "name": ""})));
        assert_eq!(by_prefix, names(json!({"name": "web- (prefix)"})));
        assert_ne!(by_prefix, names(json!({"name": "web-"})));
    }

    #[test]
    fn what_a_container_names_itself_stays() {
        let own = json!([{"name": "AZURE_CLIENT_ID", "value": "mine"}, {"name": "AZURE_TENANT_ID", "value": ""}]);
        let made = made(pod(&json!({"spec": {"containers": [{"name": "app", "env": own}]}})), &json!({CLIENT_ID: "c"}));
        assert_eq!(env(&app(&made)), ["AZURE_CLIENT_ID=mine", "AZURE_TENANT_ID=", FILE, HOST]);
    }

    #[test]
    fn init_containers_are_given_it_too_and_skipped_ones_are_not() {
        let containers = |names: [&str; 2]| names.map(|name| json!({"name": name}));
        let spec = json!({"initContainers": containers(["prepare", "no"]), "containers": containers(["app", "log"])});
        let metadata = json!({"name": "web-0", "annotations": {SKIP_CONTAINERS: "log; no;unknown"}});
        let spec = made(pod(&json!({"metadata": metadata, "spec": spec})), &json!({})).spec.unwrap();
        let given = spec.init_containers.iter().flatten().chain(&spec.containers);
        let given = given.filter(|container| !env(container).is_empty() && container.volume_mounts.is_some());
        assert_eq!(given.map(|container| container.name.as_str()).collect::<Vec<_>>(), ["prepare", "app"]);
        assert_eq!(spec.volumes.unwrap().len(), 1);
    }

    #[test]
    fn the_pod_s_wish_for_the_token_s_life_counts_more_than_the_account_s() {
        let asking = |wish: &str| pod(&json!({"metadata": {"name": "web-0", "annotations": {EXPIRATION: wish}}}));
        let account_s = json!({EXPIRATION: "7200"});
        assert_eq!(seconds(&made(asking("86400"), &account_s)), 86_400);
        assert_eq!(seconds(&made(asking(""), &account_s)), 7_200);
        assert_eq!(seconds(&made(asking(""), &json!({EXPIRATION: ""}))), 3_600);
    }

    #[test]
    fn a_life_of_less_than_an_hour_or_more_than_a_day_refuses_the_pod() {
        for (wish, expected) in [
            ("3599", "token expiration 3599 not valid. Expected value to be between 3600 and 86400"),
            ("86401", "token expiration 86401 not valid. Expected value to be between 3600 and 86400"),
            ("1h", "azure.workload.identity/service-account-token-expiration: \"1h\" is no number of seconds"),
        ] {
            let refused = mutated(pod(&json!({})), &account(&json!({EXPIRATION: wish})), &defaults());
            assert_eq!(refused.unwrap_err(), expected);
        }
    }

    #[test]
    fn a_pod_that_asks_for_the_proxy_is_refused() {
        let asking = pod(&json!({"metadata": {"name": "web-0", "annotations": {PROXY_SIDECAR: "true"}}}));
        let refused = mutated(asking, &account(&json!({})), &defaults()).unwrap_err();
        assert!(refused.contains("no proxy sidecar"), "{refused}");
    }

    #[test]
    fn a_pod_that_is_looked_at_twice_is_the_same() {
        let once = made(pod(&json!({})), &json!({CLIENT_ID: "c"}));
        assert_eq!(made(once.clone(), &json!({CLIENT_ID: "c"})), once);
    }
}
