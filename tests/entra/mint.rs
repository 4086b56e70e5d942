//! Looking at an application, adding a secret to it, taking one away; and who may not.

use jiff::SignedDuration;
use keywright::{
    api::{KeyId, Reason},
    entra::Removal,
    facts::{Effect, ObjectId},
    wire::{InTime, Limits, Settings, quotas::Limit},
};
use keywright_sandbox::azure::{Audience, Policies};
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::place::{OWNED, Place, in_ninety_days, refused};

#[tokio::test]
async fn a_secret_comes_and_goes() {
    let place = Place::new(OWNED).await;
    let directory = place.directory();
    let before = directory.application(place.client_id()).await.unwrap();
    assert_eq!((before.object_id, before.credentials.len()), (place.object_id(), 1));
    let end = in_ninety_days();
    let minted = directory.add_password(before.object_id, "kw1:abc", end, InTime::always()).await.unwrap();
    assert_eq!(minted.end, end);
    let value = minted.value.expose_secret();
    assert!(!format!("{minted:?}").contains(value));
    let after = directory.application(place.client_id()).await.unwrap();
    let seen = after.credentials.iter().find(|credential| credential.key_id == minted.key_id).unwrap();
    assert_eq!((seen.display_name.as_deref(), seen.end, seen.start), (Some("kw1:abc"), Some(end), Some(minted.start)));
    assert_eq!(seen.hint.as_deref(), Some(&value[..3]));
    assert_eq!(
        directory.remove_password(before.object_id, minted.key_id, InTime::always()).await.unwrap(),
        Removal::Removed
    );
    assert!(!place.has(minted.key_id));
    assert_eq!(
        directory.remove_password(before.object_id, minted.key_id, InTime::always()).await.unwrap(),
        Removal::WasNotThere
    );
    assert_eq!(place.sign_ins(), 1, "one token for all of it");
}

#[tokio::test]
async fn whoever_owns_nothing_is_told_so() {
    let place = Place::new(OWNED).await;
    let directory = place.directory();
    let own = ObjectId(place.operator.object_id);
    let trouble = refused(directory.add_password(own, "kw1:abc", in_ninety_days(), InTime::always()).await);
    assert_eq!((trouble.reason, trouble.effect), (Reason::NotOwner, Effect::Refused));
    assert_eq!(trouble.code.as_deref(), Some("Authorization_RequestDenied"));
    assert!(trouble.at.is_some() && trouble.correlation_id.is_some());
    let request = trouble.trace_id.unwrap();
    assert!(trouble.message.contains(&format!("request {request}")), "{}", trouble.message);
}

#[tokio::test]
async fn messages_name_the_client_id_once_it_is_known() {
    let place = Place::new(OWNED).await;
    let directory = place.directory();
    let nobody = KeyId(Uuid::nil());
    directory.application(place.client_id()).await.unwrap();
    place.azure.delete_application(&place.payments).unwrap();
    let trouble = refused(directory.remove_password(place.object_id(), nobody, InTime::always()).await);
    assert_eq!(trouble.reason, Reason::ApplicationNotFound);
    let told = format!("from application {} in tenant {}", place.client_id(), place.tenant);
    assert!(trouble.message.contains(&told), "{}", trouble.message);
}

#[tokio::test]
async fn an_application_that_does_not_exist_is_not_found() {
    let place = Place::new(OWNED).await;
    let nobody = keywright::api::ClientId(Uuid::nil());
    let trouble = refused(place.directory().application(nobody).await);
    assert_eq!((trouble.reason, trouble.effect), (Reason::ApplicationNotFound, Effect::Refused));
}

/// AZURE 1.8.
#[tokio::test]
async fn policies_of_the_tenant_are_told_apart() {
    let place = Place::new(OWNED).await;
    let directory = place.directory();
    let week = SignedDuration::from_hours(24 * 7);
    place.azure.set_policies(place.tenant, Policies { longest_life: Some(week), ..Policies::default() }).unwrap();
    assert_eq!(refused(place.mint(&directory).await).reason, Reason::LifetimeForbidden);
    place.azure.set_policies(place.tenant, Policies { passwords_banned: true, ..Policies::default() }).unwrap();
    assert_eq!(refused(place.mint(&directory).await).reason, Reason::SecretsForbidden);
}

/// AZURE 1.2: two secrets where personal accounts sign in; AZURE 2: and sixty writes a minute, which we keep to.
#[tokio::test]
async fn an_application_for_personal_accounts_is_narrow() {
    let place = Place::new(OWNED).await;
    place
        .azure
        .edit_application(&place.payments, |application| application.audience = Audience::OrgsAndPersonal)
        .unwrap();
    let most = Limit { most: 2, per: std::time::Duration::from_mins(1) };
    let limits = Limits { personal_writes: most, ..Limits::default() };
    let directory = place.directory_with(Settings { limits, ..place.settings() });
    assert_eq!(directory.application(place.client_id()).await.unwrap().most_secrets, Some(2));
    place.mint(&directory).await.unwrap();
    assert_eq!(refused(place.mint(&directory).await).reason, Reason::TooManyCredentials);
    let beyond = refused(place.mint(&directory).await);
    assert_eq!((beyond.reason, beyond.effect), (Reason::Throttled, Effect::NotSent));
    assert!(beyond.retry_after.is_some());
    assert_eq!(place.calls("addPassword"), 2, "the third was never sent");
}

/// AZURE 1.2: writes that follow each other at once.
#[tokio::test]
async fn a_concurrent_write_is_told_as_such() {
    let place = Place::new(OWNED).await;
    let window = SignedDuration::from_mins(5);
    place.azure.set_weather(place.tenant, |weather| weather.write_window = window).unwrap();
    let directory = place.directory();
    place.mint(&directory).await.unwrap();
    let trouble = refused(place.mint(&directory).await);
    assert_eq!((trouble.reason, trouble.effect), (Reason::ConcurrentWrite, Effect::Refused));
}
