//! Lists, filters, selects and pages (AZURE 1.1), service principals, owners.

use keywright_sandbox::azure::NewApplication;

use crate::places::at_once;

#[tokio::test]
async fn applications_are_found_by_what_clients_ask_for() {
    let place = at_once().await;
    let (object_id, client_id) = (place.payments.object_id, place.payments.client_id);
    for filter in [
        format!("appId eq '{client_id}'"),
        format!("id in ('{object_id}')"),
        "displayName eq 'payments'".to_owned(),
        "startswith(displayName,'pay')".to_owned(),
    ] {
        let query = form_urlencoded::byte_serialize(filter.as_bytes()).collect::<String>();
        let found = place.get(&format!("/applications?$filter={query}&$select=id,appId,displayName")).await.json();
        let found = found["value"].as_array().unwrap().clone();
        assert_eq!(found.len(), 1, "{filter}");
        assert_eq!(found[0].as_object().unwrap().len(), 3, "{found:?}");
        assert_eq!(found[0]["appId"], client_id.to_string());
    }
    let refused = place.get("/applications?$filter=appId%20ne%20'1'").await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "Request_UnsupportedQuery"));
}

#[tokio::test]
async fn pages_are_followed_to_the_end() {
    let place = at_once().await;
    for number in 0..23 {
        let new = NewApplication { display_name: format!("app-{number}"), ..NewApplication::default() };
        place.azure.seed_application(place.tenant, new).unwrap();
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut next = Some("/applications?$top=10&$select=id,passwordCredentials".to_owned());
    let mut pages = 0;
    while let Some(path) = next {
        let reply = place.get(&path).await;
        assert_eq!(reply.header("x-ms-resource-unit"), "1", "2, less 1 for $select, less 1 for $top, at least 1");
        let page = reply.json();
        seen.extend(page["value"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
        pages += 1;
    }
    assert_eq!((pages, seen.len()), (3, 25));
}

/// AZURE 1.1: a service principal by its ID and by its application's; AZURE 1.1: owners are service principals.
#[tokio::test]
async fn service_principals_and_owners_are_told() {
    let place = at_once().await;
    let principal = place.payments.principal;
    let by_app_id = place.get(&format!("/servicePrincipals(appId='{}')", place.payments.client_id)).await.json();
    assert_eq!(by_app_id["id"], principal.to_string());
    assert_eq!(place.get(&format!("/servicePrincipals/{principal}")).await.json()["accountEnabled"], true);
    let listed = place.get(&format!("/servicePrincipals?$filter=appId%20eq%20'{}'", place.payments.client_id)).await;
    assert_eq!(listed.json()["value"].as_array().unwrap().len(), 1);
    let owners = place.get(&format!("/applications/{}/owners", place.payments.object_id)).await.json();
    assert_eq!(owners["value"][0]["id"], place.operator.principal.to_string());
    assert_eq!(place.get("/groups").await.status, 400);
}
