//! The HTTP clients of a process. All calls to providers share them, so that a connection that one call has opened is warm
//! for the next, whoever asks and with whatever key: a key goes with its request and is no part of a connection.
//!
//! Where calls are multiplexed (HTTP/2, so over TLS), a client keeps one connection to each server, and providers allow about
//! a hundred calls at a time on it. So there are several clients of a kind, and a call takes the one with the fewest calls
//! under way; at rest that is always the first, whose connections are the warmest.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::join_all;
use reqwest::{Client, ClientBuilder, Url};

use super::endpoint::root;
use crate::provider::Deadlines;
use crate::provider::address::Reach;

/// How many clients share the calls where calls are multiplexed.
const SHARDS: usize = 4;
/// How long a connection that no call uses is kept.
const KEPT: Duration = Duration::from_mins(10);
/// The same where people say the address: whoever names ever new ones shall not pile connections up.
const KEPT_FOR_PEOPLE: Duration = Duration::from_secs(90);
/// The most idle connections of a client to a server that does not multiplex.
const MAX_IDLE: usize = 64;
/// How long opening connections ahead of calls may take.
const WARM_DEADLINE: Duration = Duration::from_secs(10);
/// To how many servers they are opened at most.
const MAX_WARMED: usize = 32;

/// All of them, each kind made when it is first needed.
pub(crate) struct Clients {
    deadlines: Deadlines,
    operators: Kind,
    /// Without TLS, where nothing is multiplexed.
    plain: Kind,
    peoples: Kind,
}

type Kind = OnceLock<Result<Pool, String>>;

/// Clients of a kind.
#[derive(Clone)]
pub(super) struct Pool(Arc<[Shard]>);

struct Shard {
    client: Client,
    /// Calls under way.
    calls: AtomicUsize,
}

/// A client that a call has taken: until this is dropped, the call is under way.
pub(super) struct Taken {
    pool: Pool,
    nth: usize,
}

impl Clients {
    /// For calls that may take this long.
    pub(crate) fn new(deadlines: Deadlines) -> Self {
        Self { deadlines, operators: Kind::new(), plain: Kind::new(), peoples: Kind::new() }
    }

    /// How long calls may take.
    pub(super) fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    /// Those for an address that may lead so far. Needs the process's TLS provider installed.
    ///
    /// # Errors
    /// Why there are none, for people.
    pub(super) fn of(&self, reach: Reach, address: &Url) -> Result<Pool, String> {
        let connect = self.deadlines.connect;
        let client = |kept| reach.guard(Client::builder()).connect_timeout(connect).pool_idle_timeout(kept);
        match (reach, address.scheme()) {
            (Reach::Public, _) => self.peoples.get_or_init(|| Pool::new(SHARDS, || client(KEPT_FOR_PEOPLE))),
            // Must work on a machine that has no certificate authorities installed.
            (Reach::Anywhere, "http") => self.plain.get_or_init(|| Pool::new(1, || client(KEPT).tls_certs_only([]))),
            (Reach::Anywhere, _) => self.operators.get_or_init(|| Pool::new(SHARDS, || client(KEPT))),
        }
        .clone()
    }

    /// Opens connections to these servers of the operator's, so that no first call waits for a name, TCP and TLS. Nothing is
    /// told but that somebody may call, and what is answered does not matter. A server without TLS is as good as warm.
    pub(crate) async fn warm(&self, addresses: impl Iterator<Item = &str>) {
        let urls = addresses.filter_map(|address| Reach::Anywhere.check(address).ok());
        let origins: BTreeSet<String> =
            urls.filter(|url| url.scheme() == "https").map(|url| url.origin().ascii_serialization()).collect();
        let open = async |origin: String| {
            let url = Url::parse(&origin).ok()?;
            let client = self.of(Reach::Anywhere, &url).ok()?.0.first()?.client.clone();
            client.head(url).timeout(WARM_DEADLINE).send().await.ok()
        };
        join_all(origins.into_iter().take(MAX_WARMED).map(open)).await;
    }
}

impl Pool {
    fn new(shards: usize, client: impl Fn() -> ClientBuilder) -> Result<Self, String> {
        // Without one, reqwest panics.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err("no TLS provider is installed in this process".to_owned());
        }
        let shard = |_| Ok(Shard { client: usual(client()).build()?, calls: AtomicUsize::new(0) });
        let shards: Result<Arc<[Shard]>, reqwest::Error> = (0..shards).map(shard).collect();
        shards
            .map(Self)
            .map_err(|error| format!("no TLS client can be made ({}); is ca-certificates installed?", root(&error)))
    }

    /// Takes the client with the fewest calls under way, for one more.
    pub(super) fn take(&self) -> Taken {
        let calls = |nth: &usize| self.0[*nth].calls.load(Ordering::Relaxed);
        let nth = (0..self.0.len()).min_by_key(calls).unwrap_or_default();
        self.0[nth].calls.fetch_add(1, Ordering::Relaxed);
        Taken { pool: self.clone(), nth }
    }
}

impl Taken {
    pub(super) fn client(&self) -> &Client {
        &self.pool.0[self.nth].client
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.pool.0[self.nth].calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What clients of all kinds have in common.
fn usual(client: ClientBuilder) -> ClientBuilder {
    client
        .user_agent(concat!("bestchat/", env!("CARGO_PKG_VERSION")))
        .referer(false)
        .pool_max_idle_per_host(MAX_IDLE)
        .tcp_nodelay(true)
        // Finds out that a kept connection is dead, which otherwise every next call would have to; also while none is under
        // way, which is when middleboxes forget it.
        .tcp_keepalive(Duration::from_secs(15))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .http2_keep_alive_while_idle(true)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn clients() -> Clients {
        _ = rustls::crypto::ring::default_provider().install_default();
        Clients::new(Deadlines::default())
    }

    fn pool(clients: &Clients, reach: Reach, address: &str) -> Pool {
        clients.of(reach, &Url::parse(address).unwrap()).unwrap()
    }

    #[test]
    fn a_call_takes_the_client_with_the_fewest_calls_and_gives_it_back() {
        let pool = pool(&clients(), Reach::Public, "https://api.example");
        let mut taken: Vec<Taken> = (0..=SHARDS).map(|_| pool.take()).collect();
        let nth: Vec<usize> = taken.iter().map(|taken| taken.nth).collect();
        assert_eq!(nth, [0, 1, 2, 3, 0]);
        drop(taken.remove(2));
        assert_eq!(pool.take().nth, 2, "it is free again");
        assert_eq!(pool.take().nth, 2, "and again");
        drop(taken);
        assert_eq!(pool.take().nth, 0, "the warmest");
    }

    #[test]
    fn whose_address_it_is_says_which_clients_are_used() {
        let clients = clients();
        let same = |one: &Pool, other: &Pool| Arc::ptr_eq(&one.0, &other.0);
        let operators = pool(&clients, Reach::Anywhere, "https://api.example");
        let plain = pool(&clients, Reach::Anywhere, "http://127.0.0.1:1");
        let peoples = pool(&clients, Reach::Public, "https://api.example");
        assert!(same(&operators, &pool(&clients, Reach::Anywhere, "https://other.example")));
        assert!(!same(&operators, &plain) && !same(&operators, &peoples) && !same(&plain, &peoples));
        assert_eq!((operators.0.len(), plain.0.len()), (SHARDS, 1));
    }

    async fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn connections_are_opened_ahead_of_calls_and_tell_nothing() {
        let ((tls, secure), (open, plain)) = (listen().await, listen().await);
        let greeted = tokio::spawn(async move {
            let (mut socket, _) = tls.accept().await.unwrap();
            let mut bytes = vec![0; 3];
            socket.read_exact(&mut bytes).await.unwrap();
            bytes
        });
        let (secure, plain) = (format!("https://{secure}/v1"), format!("http://{plain}/v1"));
        clients().warm([secure.as_str(), secure.as_str(), "nonsense", plain.as_str()].into_iter()).await;
        assert_eq!(greeted.await.unwrap()[..2], [22, 3], "a greeting of TLS");
        let nobody = tokio::time::timeout(Duration::from_millis(50), open.accept()).await;
        assert!(nobody.is_err(), "nobody calls where there is nothing to warm");
    }
    #[tokio::test]
    async fn a_redirect_is_not_followed_by_anyones_client() {
        _ = rustls::crypto::ring::default_provider().install_default();
        for reach in [Reach::Anywhere, Reach::Public] {
            let (server, address) = listen().await;
            let serving = tokio::spawn(async move {
                let (mut socket, _) = server.accept().await.unwrap();
                assert!(socket.read(&mut [0; 4096]).await.unwrap() > 0);
                let head = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{address}/elsewhere\r\n");
                socket.write_all(format!("{head}content-length: 0\r\n\r\n").as_bytes()).await.unwrap();
            });
            // As it is made for calls, but that it may do without TLS, which this server does not speak.
            let client = usual(reach.guard(Client::builder())).https_only(false).build().unwrap();
            let answer = client.get(format!("http://{address}/")).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 307, "{reach:?}");
            serving.await.unwrap();
        }
    }
}
