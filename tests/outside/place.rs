//! A tenant to try things in, and clients that reach it as a cluster behind a proxy reaches the real one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use keywright::{
    api::{
        ClientId, TenantId,
        values::{HttpsUrl, Scope},
    },
    entra::{
        Key,
        sign_in::{for_proofs, sign_in},
    },
    facts::{Trouble, Verdict},
};
use keywright_sandbox::{
    Azure,
    azure::{NewApplication, NewPassword, Options, Password, Seeded},
};
use reqwest::{Certificate, Client, ClientBuilder, Proxy};
use secrecy::SecretString;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

pub const AUTHORITY: &str = "https://login.microsoftonline.com";
pub const GRAPH_SCOPE: &str = "https://graph.microsoft.com/.default";
/// What a client here waits for an answer: long for a busy machine, short for a test that hangs on purpose.
pub const PATIENCE: Duration = Duration::from_secs(5);

pub struct Place {
    pub azure: Azure,
    pub tenant: Uuid,
    pub payments: Seeded,
    pub secret: Password,
    pub authority: HttpsUrl,
    pub http: Client,
}

/// A place where everything is known at once.
pub async fn at_once() -> Place {
    place(Options { scale: 0.0, ..Options::default() }).await
}

pub async fn place(options: Options) -> Place {
    let azure = Azure::start(options).await.unwrap();
    let tenant = azure.seed_tenant();
    let (payments, secret) = application(&azure, tenant, "payments");
    let http = for_proofs(through(&azure, &azure.endpoints().proxy)).build().unwrap();
    Place { azure, tenant, payments, secret, authority: AUTHORITY.into(), http }
}

/// An application, and what it signs in with.
pub fn application(azure: &Azure, tenant: Uuid, name: &str) -> (Seeded, Password) {
    let new = NewApplication { display_name: name.into(), ..NewApplication::default() };
    let application = azure.seed_application(tenant, new).unwrap();
    let secret = azure.seed_password(&application, NewPassword::default()).unwrap();
    (application, secret)
}

/// A client that goes through a proxy and trusts the sandbox.
pub fn through(azure: &Azure, proxy: &str) -> ClientBuilder {
    let ca = Certificate::from_pem(azure.ca_pem().as_bytes()).unwrap();
    Client::builder().proxy(Proxy::all(proxy).unwrap()).tls_certs_only([ca]).timeout(PATIENCE)
}

/// A proxy before the proxy that counts connections.
pub async fn counting(proxy: &str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = format!("http://{}", listener.local_addr().unwrap());
    let (count, there) = (Arc::new(AtomicUsize::new(0)), proxy.strip_prefix("http://").unwrap().to_owned());
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut far = TcpStream::connect(&there).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        }
    });
    (here, count)
}

impl Place {
    pub async fn sign_in(&self, secret: &str) -> Verdict {
        self.sign_in_for(self.tenant, self.payments.client_id, secret, GRAPH_SCOPE).await
    }

    pub async fn sign_in_for(&self, tenant: Uuid, client_id: Uuid, secret: &str, scope: &str) -> Verdict {
        let (secret, scope) = (SecretString::from(secret), Scope::from(scope));
        sign_in(&self.http, &self.authority, TenantId(tenant), ClientId(client_id), &Key::Secret(secret), &scope).await
    }

    pub async fn prove(&self) -> Verdict {
        self.sign_in(&self.secret.value).await
    }
}

/// A verdict by its name, and what it has to say.
pub fn told(verdict: Verdict) -> (&'static str, Trouble) {
    match verdict {
        Verdict::Accepted => panic!("accepted"),
        Verdict::Blocked(trouble) => ("blocked", trouble),
        Verdict::Refused(trouble) => ("refused", trouble),
        Verdict::Misasked(trouble) => ("misasked", trouble),
        Verdict::Unheard(trouble) => ("unheard", trouble),
    }
}
