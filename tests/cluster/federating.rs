//! The cluster's part in federation: what a `ServiceAccount` says of its pods, who issues its tokens, and the tokens.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use k8s_openapi::api::core::v1::ServiceAccount;
use keywright::{
    api::{ClientId, Reason, TenantId},
    cluster::{
        Written,
        account_tokens::{AccountTokens, NoToken},
        accounts::Accounts,
        issuer::issuer,
    },
    facts::{AccountSeen, Effect, Exchange, Trouble, Verdict},
};
use keywright_sandbox::{KUBERNETES, Rule};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::place::{Place, outpaced, yes};

const NAME: &str = "payments-api";
const AUDIENCE: &str = "api://AzureADTokenExchange";
const CLIENT: &str = "azure.workload.identity/client-id";
const TENANT: &str = "azure.workload.identity/tenant-id";

fn application() -> (ClientId, TenantId) {
    (ClientId(Uuid::from_u128(2)), TenantId(Uuid::from_u128(1)))
}

fn api(place: &Place) -> Api<ServiceAccount> {
    Api::namespaced(place.admin.clone(), &place.namespace)
}

async fn seen(place: &Place) -> Option<AccountSeen> {
    Accounts::new(&place.way).read(&place.namespace, NAME, &place.owner()).await.unwrap()
}

async fn annotate(place: &Place, account: &AccountSeen) -> Result<Written<AccountSeen>, Trouble> {
    Accounts::new(&place.way).annotate(&place.namespace, (NAME, account), &place.owner(), application()).await
}

/// The account with an annotation of its team's.
async fn somebody_has_an_account(place: &Place) -> ServiceAccount {
    place.somebody_makes(NAME, json!({"metadata": {"annotations": {"team": "payments"}}})).await
}

/// What a tool applies to the account.
async fn somebody_applies(place: &Place, annotations: Value) {
    let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"annotations": annotations}});
    api(place).patch(NAME, &PatchParams::apply("gitops"), &Patch::Apply(body)).await.unwrap();
}

async fn annotations(place: &Place) -> Value {
    json!(api(place).get(NAME).await.unwrap().metadata.annotations)
}

pub async fn an_account_says_as_whom_its_pods_sign_in_and_no_more(place: Place) {
    assert_eq!(seen(&place).await, None);
    let made = somebody_has_an_account(&place).await;
    let before = seen(&place).await.unwrap();
    let bare = AccountSeen { uid: made.metadata.uid.unwrap(), client_id: None, tenant_id: None, managed_by_us: false };
    assert_eq!(before, bare);

    let after = yes(annotate(&place, &before).await);
    let (client_id, tenant_id) = application();
    let expected = AccountSeen {
        client_id: Some(client_id.to_string()),
        tenant_id: Some(tenant_id.to_string()),
        managed_by_us: true,
        ..bare.clone()
    };
    assert_eq!((&after, seen(&place).await), (&expected, Some(expected.clone())));
    let version = || async { api(&place).get(NAME).await.unwrap().metadata.resource_version };
    let once = version().await;
    yes(annotate(&place, &before).await);
    assert_eq!(version().await, once, "the same once more is no change");
    assert_eq!(annotations(&place).await, json!({"team": "payments", CLIENT: client_id, TENANT: tenant_id}));
    let another = keywright::facts::Owner::of("cluster", &place.namespace, "another");
    let for_another = Accounts::new(&place.way).read(&place.namespace, NAME, &another).await.unwrap().unwrap();
    assert!(!for_another.managed_by_us, "each resource for itself");

    let back = Accounts::new(&place.way).take_back(&place.namespace, (NAME, &after), &place.owner()).await;
    assert_eq!(yes(back), bare);
    assert_eq!(annotations(&place).await, json!({"team": "payments"}));
}

pub async fn what_somebody_else_says_of_an_account_is_theirs(place: Place) {
    somebody_has_an_account(&place).await;
    somebody_applies(&place, json!({CLIENT: "another"})).await;
    let account = seen(&place).await.unwrap();
    let trouble = annotate(&place, &account).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.effect), (Reason::AccountContested, Effect::Refused), "{trouble:?}");
    assert!(trouble.message.contains("gitops") && trouble.message.contains(CLIENT), "{}", trouble.message);
    assert_eq!(annotations(&place).await, json!({"team": "payments", CLIENT: "another"}));

    let (client_id, tenant_id) = application();
    let both = json!({CLIENT: client_id, TENANT: tenant_id});
    somebody_applies(&place, both).await;
    let account = yes(annotate(&place, &account).await);
    assert!(account.managed_by_us, "who says the same says it together");
    let back = Accounts::new(&place.way).take_back(&place.namespace, (NAME, &account), &place.owner()).await;
    let left = yes(back);
    assert_eq!((left.client_id, left.managed_by_us), (Some(client_id.to_string()), false), "theirs stays");
}

pub async fn an_account_that_has_gone_is_not_brought_back(place: Place) {
    somebody_has_an_account(&place).await;
    let account = seen(&place).await.unwrap();
    api(&place).delete(NAME, &DeleteParams::default()).await.unwrap();
    outpaced(&annotate(&place, &account).await);
    assert_eq!(seen(&place).await, None);
    somebody_has_an_account(&place).await;
    outpaced(&annotate(&place, &account).await);
    assert_eq!(annotations(&place).await, json!({"team": "payments"}), "it is another one of the same name");
}

pub async fn a_lost_answer_of_an_annotation_is_unknown(place: Place) {
    somebody_has_an_account(&place).await;
    let account = seen(&place).await.unwrap();
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/{NAME}", place.namespace);
    let at = || Rule::at(KUBERNETES, "patch", &path).times(1);
    for (rule, done) in [(at().answer(503), false), (at().cut_after(), true)] {
        let (before, _) = (place.sent("patch"), place.proxy.faults().add(rule));
        let trouble = annotate(&place, &account).await.unwrap_err();
        assert_eq!((trouble.effect, place.sent("patch") - before), (Effect::Unknown, 1), "{trouble:?}");
        assert_eq!(seen(&place).await.unwrap().managed_by_us, done);
    }
}

/// What a token says, unverified.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

pub async fn the_issuer_is_told_as_the_cluster_spells_it(place: Place) {
    let told = issuer(&place.way.client).await.unwrap();
    let token = AccountTokens::new(&place.way).issue(&place.namespace, "keywright", AUDIENCE).await.unwrap();
    assert_eq!(claims(token.expose_secret())["iss"], told);
}

pub async fn who_may_not_read_the_issuer_is_told_so(place: Place) {
    let trouble = issuer(&place.no_rights.client).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.effect), (Reason::IssuerUnknown, Effect::Refused), "{trouble:?}");
    assert!(trouble.remedy.contains("system:service-account-issuer-discovery"), "{}", trouble.remedy);
    place.proxy.faults().add(Rule::at(KUBERNETES, "get", "/.well-known/openid-configuration").times(1).answer(404));
    let trouble = issuer(&place.way.client).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.effect), (Reason::IssuerUnknown, Effect::Refused), "{trouble:?}");
    assert!(trouble.remedy.contains("--service-account-issuer"), "{}", trouble.remedy);
}

pub async fn a_token_is_for_one_audience_and_minutes(place: Place) {
    somebody_has_an_account(&place).await;
    let token = AccountTokens::new(&place.way).issue(&place.namespace, NAME, AUDIENCE).await.unwrap();
    let claims = claims(token.expose_secret());
    assert_eq!(claims["aud"], json!([AUDIENCE]));
    assert_eq!(claims["sub"], format!("system:serviceaccount:{}:{NAME}", place.namespace));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    assert!(!format!("{token:?}").contains(token.expose_secret()));
}

pub async fn without_a_token_it_is_told_why(place: Place) {
    let (namespace, tokens) = (place.namespace.as_str(), AccountTokens::new(&place.way));
    let no = tokens.issue(namespace, NAME, AUDIENCE).await.unwrap_err();
    let NoToken::NoAccount(trouble) = &no else { panic!("{no:?}") };
    assert_eq!((trouble.reason, trouble.effect), (Reason::AccountMissing, Effect::Refused));
    assert!(matches!(Exchange::from(no), Exchange::NoAccount(_)));

    somebody_has_an_account(&place).await;
    let no = AccountTokens::new(&place.no_rights).issue(namespace, NAME, AUDIENCE).await.unwrap_err();
    let NoToken::NotAllowed(trouble) = &no else { panic!("{no:?}") };
    assert_eq!((trouble.reason, trouble.effect), (Reason::TokenNotAllowed, Effect::Refused));
    assert!(trouble.remedy.contains("federation.allowTokenRequests"), "{}", trouble.remedy);

    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{NAME}/token");
    place.proxy.faults().add(Rule::at(KUBERNETES, "create", &path).times(1).cut_after());
    let no = tokens.issue(namespace, NAME, AUDIENCE).await.unwrap_err();
    assert!(matches!(Exchange::from(no), Exchange::Judged(Verdict::Unheard(_))));
}
