//! A cluster as an issuer (AZURE 7): the token of a ServiceAccount is a sign-in where the cluster's certificate is trusted
//! and its keys are public, and with no other audience.

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use keywright_sandbox::Plane;
use keywright_sandbox::azure::{NewFederated, Options};
use kube::Api;
use kube::api::{DeleteParams, PostParams};

use crate::federation::{AUDIENCE, exchange, told};
use crate::places::{Place, place};

const SUBJECT: &str = "system:serviceaccount:default:default";

async fn token(cluster: &Plane, audience: &str) -> String {
    let spec = TokenRequestSpec {
        audiences: Some(vec![audience.into()]),
        expiration_seconds: Some(600),
        ..TokenRequestSpec::default()
    };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.admin(), "default");
    let issued = accounts.create_token_request("default", &PostParams::default(), &request).await.unwrap();
    issued.status.unwrap().token.unwrap()
}

#[tokio::test]
async fn the_token_of_a_service_account_is_a_sign_in() {
    let cluster = Plane::start(keywright_sandbox::Options::default()).await.unwrap();
    // Nothing is kept, so that every sign-in shows what the cluster publishes.
    let options = Options { scale: 0.0, keys_kept: SignedDuration::ZERO, ..Options::default() };
    let place = place(options, "Application.ReadWrite.OwnedBy").await;
    let federated = NewFederated {
        name: "default".into(),
        issuer: cluster.url(),
        subject: Some(SUBJECT.into()),
        ..NewFederated::default()
    };
    place.azure.seed_federated(&place.payments, federated).unwrap();
    let right = token(&cluster, AUDIENCE).await;
    assert_eq!(told(&exchange(&place, &right).await), "90061", "its certificate is not trusted");
    place.azure.trust_issuers(&cluster.ca_pem()).unwrap();

    let bindings: Api<ClusterRoleBinding> = Api::all(cluster.admin());
    let public = bindings.get("sandbox:issuer-is-public").await.unwrap();
    bindings.delete("sandbox:issuer-is-public", &DeleteParams::default()).await.unwrap();
    until_it_is(&place, &right, "90061", "its keys are not public").await;
    let again = ClusterRoleBinding {
        metadata: kube::api::ObjectMeta { name: public.metadata.name, ..Default::default() },
        ..public
    };
    bindings.create(&PostParams::default(), &again).await.unwrap();
    until_it_is(&place, &right, "200", "they are public again").await;

    assert_eq!(told(&exchange(&place, &token(&cluster, "api://other").await).await), "700212");
    cluster.stop_api().await.unwrap();
    assert_eq!(told(&exchange(&place, &right).await), "90061", "nobody is there to be asked");
    cluster.stop().await.unwrap();
}

/// Asks until it is so: when an API server has learned of a binding is told by nothing else.
async fn until_it_is(place: &Place, assertion: &str, expected: &str, why: &str) {
    let asking = async {
        while told(&exchange(place, assertion).await) != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.expect(why);
}
