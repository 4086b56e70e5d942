//! The way to the API server: two clients of one cluster, over the same connections, and the clock that both keep.

use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response, header::DATE};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, DynBody, retry::RetryPolicy},
};
use tower::{BoxError, retry::Retry, service_fn, util::MapFutureLayer};

use super::{Error, clock::ApiClock};

/// How long a connection may be silent. Longer than the pause that a watch takes for granted (295 s in kube); what it ends
/// is a list, or the opening of a watch, that an address has accepted and never answers.
const SILENCE: Duration = Duration::from_mins(5);

/// The way to one cluster.
#[derive(Clone)]
pub struct Connection {
    /// For watches, reads, and what may be written twice: asks again when the API server says that it cannot now.
    pub client: Client,
    /// For records, and everything else that is compared and swapped: sends each request once. To a second one the API
    /// server would answer that the first had come in between, and nobody could tell whose that was.
    pub once: Client,
    /// The API server's clock.
    pub clock: ApiClock,
}

/// The cluster that `KUBECONFIG` names, else the one that this process runs in.
pub async fn connect() -> Result<Connection, Error> {
    let mut config = Config::infer().await.map_err(|error| Error::NoCluster(error.to_string()))?;
    config.proxy_url = None; // HTTPS_PROXY is for the way out of the cluster, and kube would take it without NO_PROXY
    Connection::to(config)
}

impl Connection {
    /// The cluster of a configuration.
    pub fn to(mut config: Config) -> Result<Self, Error> {
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true; // a connection that was idle in the pool begins anew
        config.default_retry = false;
        let clock = ApiClock::default();
        let once = client(config, &clock)?;
        Ok(Self { client: asking_again(once.clone()), once, clock })
    }
}

/// The same client, which asks again when the API server says that it cannot now. Not one of its own: each connection takes
/// some 80 KiB, and there may be as many as there are looks.
fn asking_again(once: Client) -> Client {
    let namespace = once.default_namespace().to_owned();
    let ask = move |request: Request<Body>| {
        let once = once.clone();
        async move { once.send(request).await.map_err(BoxError::from) }
    };
    Client::new(Retry::new(RetryPolicy::server_retry(), service_fn(ask)), namespace)
}

/// What a request is becoming.
type Answer = BoxFuture<'static, Result<Response<Box<DynBody>>, BoxError>>;

/// A client whose every answer sets the clock.
fn client(config: Config, clock: &ApiClock) -> Result<Client, Error> {
    let clock = clock.clone();
    let listening = MapFutureLayer::new(move |answer: Answer| {
        let (clock, sent) = (clock.clone(), clock.local());
        async move {
            let answer = answer.await?;
            clock.hear(answer.headers().get(DATE).map(http::HeaderValue::as_bytes), sent);
            Ok::<_, BoxError>(answer)
        }
    });
    let builder = ClientBuilder::try_from(config).map_err(|error| Error::NoCluster(error.to_string()))?;
    Ok(builder.with_layer(&listening).build())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use jiff::{SignedDuration, Timestamp};

    use super::*;

    /// A server of long ago that answers each of so many connections once.
    fn server_of_long_ago(connections: usize) -> std::net::SocketAddr {
        let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = door.local_addr().unwrap();
        std::thread::spawn(move || {
            for _ in 0..connections {
                let (mut client, _) = door.accept().unwrap();
                assert!(client.read(&mut [0; 4096]).unwrap() > 0);
                let answer = "HTTP/1.1 404 Not Found\r\nDate: Sat, 01 Jan 2011 00:00:00 GMT\r\n\
                              Content-Length: 0\r\nConnection: close\r\n\r\n";
                client.write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn every_answer_to_either_client_sets_the_clock_even_a_refusal() {
        for which in [|way: &Connection| way.client.clone(), |way: &Connection| way.once.clone()] {
            let address = server_of_long_ago(1);
            let way = Connection::to(Config::new(format!("http://{address}").parse().unwrap())).unwrap();
            let before = way.clock.now();
            assert!(Timestamp::now().duration_since(before) < SignedDuration::from_mins(1), "nothing was heard yet");
            assert!(which(&way).apiserver_version().await.is_err());
            let then: Timestamp = "2011-01-01T00:00:00Z".parse().unwrap();
            let late = way.clock.now().duration_since(then);
            assert!(late >= SignedDuration::ZERO && late < SignedDuration::from_mins(1), "{late:?}");
        }
    }
}
