//! Connections: which are kept, which are new, and which never come.

use std::{
    fmt::Debug,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use keywright::{
    api::{ClientId, EntraTenantSpec, Reason, TenantId},
    entra::{Cloud, Directory, Identity},
    facts::Effect,
    wire::{Client, Patience, Settings, effect::of_error},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    process::Command,
};

use crate::place::{OWNED, Place, refused};

/// A door before Graph that counts who comes in.
async fn counted(place: &Place) -> (String, Arc<AtomicUsize>) {
    let graph = place.azure.endpoints().graph.strip_prefix("https://").unwrap().to_owned();
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", door.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = door.accept().await {
            counting.fetch_add(1, Ordering::SeqCst);
            let mut server = TcpStream::connect(&graph).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    (address, count)
}

#[tokio::test]
async fn a_proof_has_a_connection_of_its_own_and_everything_else_shares_one() {
    let place = Place::new(OWNED).await;
    let client = Client::new(place.settings()).unwrap();
    for (http, connections) in [(client.fresh(), 3), (client.http(), 1)] {
        let (door, count) = counted(&place).await;
        for _ in 0..3 {
            assert_eq!(http.get(format!("{door}/v1.0/applications")).send().await.unwrap().status(), 401);
        }
        assert_eq!(count.load(Ordering::SeqCst), connections);
    }
}

#[tokio::test]
async fn nothing_is_said_without_tls() {
    let place = Place::new(OWNED).await;
    let client = Client::new(place.settings()).unwrap();
    for http in [client.http(), client.fresh()] {
        assert!(http.get("http://127.0.0.1:1/").send().await.unwrap_err().is_builder());
    }
}

#[tokio::test]
async fn a_connection_that_never_comes_is_known_as_not_sent() {
    let place = Place::new(OWNED).await;
    // It takes connections, and never says a word of TLS.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let patience = Patience { connect: Duration::from_millis(300), ..Patience::default() };
    let client = Client::new(Settings { patience, ..place.settings() }).unwrap();
    for http in [client.http(), client.fresh()] {
        let error = http.post(&url).send().await.unwrap_err();
        assert_eq!(of_error(&error), Effect::NotSent, "{error}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_show_who_it_is_is_told_nothing() {
    let (place, stranger) = (Place::new(OWNED).await, Place::new(OWNED).await);
    let ca_file = Some(stranger.azure.ca_file().to_owned());
    let directory = place.directory_with(Settings { ca_file, ..Settings::default() });
    let trouble = refused(place.mint(&directory).await);
    assert_eq!((trouble.reason, trouble.effect), (Reason::Unreachable, Effect::NotSent));
    assert!(trouble.message.contains("certificate"), "{}", trouble.message);
    assert!(place.azure.journal().is_empty());
}

#[tokio::test]
async fn the_default_cloud_is_reached_as_the_environment_says() {
    let place = Place::new(OWNED).await;
    let me = std::env::current_exe().unwrap();
    let mut asking = Command::new(me);
    asking
        .args(["wire::inside_an_environment", "--exact", "--ignored"])
        .env("HTTPS_PROXY", &place.azure.endpoints().proxy)
        .env("SSL_CERT_FILE", place.azure.ca_file())
        .env("TENANT", place.tenant.to_string())
        .env("OPERATOR", place.operator.client_id.to_string())
        .env("SECRET", &place.secret.value)
        .env("APPLICATION", place.client_id().to_string())
        .env_remove("NO_PROXY")
        .kill_on_drop(true);
    let said = asking.output().await.unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    assert_eq!((place.sign_ins(), place.calls("getApplication")), (1, 1));
}

/// With nothing set but what a user would set.
#[tokio::test]
#[ignore = "run by the test above, in an environment of its own"]
async fn inside_an_environment() {
    fn given<T: FromStr<Err: Debug>>(name: &str) -> T {
        std::env::var(name).unwrap().parse().unwrap()
    }
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    let tenant = TenantId(given("TENANT"));
    let spec: EntraTenantSpec = serde_json::from_value(serde_json::json!({"tenantId": tenant})).unwrap();
    let secret = given::<String>("SECRET").into();
    let identity = Identity::ClientSecret { client_id: ClientId(given("OPERATOR")), secret };
    let client = Client::new(Settings::default()).unwrap();
    let directory = Directory::new(&client, tenant, &Cloud::of(&spec).unwrap(), identity).unwrap();
    directory.application(ClientId(given("APPLICATION"))).await.unwrap();
}
