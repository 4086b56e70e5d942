//! Connections: which are kept, which are new, and which never come.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use keywright::{
    api::Reason,
    facts::Effect,
    wire::{Client, Patience, Settings, effect::of_error},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
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
