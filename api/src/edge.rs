//! What every request of the edge works with.

use std::sync::Arc;
use std::time::Duration;

use domain::{ProviderId, Shard};
use nats::ask::Asking;
use serde::Serialize;
use sqlx::PgPool;
use store::sealing::Sealing;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use ts_rs::TS;

use crate::auth::{DevLogin, Verifier};
use crate::hub::Hub;
use crate::provider_catalog::Providers;

/// How an edge is set up.
pub struct EdgeConfig {
    /// Postgres, as an edge: it can read and nothing else.
    pub pool: PgPool,
    /// NATS, with an edge's rights.
    pub client: nats::Client,
    /// How many shards there are.
    pub shards: Shard,
    /// Who may log in.
    pub verifier: Verifier,
    /// Other origins than our own whose pages may connect.
    pub allowed_origins: Vec<String>,
    /// Logging in without a login, on a developer's own machine.
    pub dev_login: Option<DevLogin>,
    /// The models that a conversation can choose.
    pub models: Vec<ModelView>,
    /// The providers that people can configure.
    pub providers: Providers,
    /// What seals people's keys of providers; without it none are taken.
    pub sealing: Option<Arc<Sealing>>,
    /// Whether a provider of a person's own may be at an address.
    pub check_address: AddressCheck,
    /// How long clients may take.
    pub limits: Limits,
    /// Cancelled when the process stops: it is no longer ready, and sockets are closed with the advice to reconnect.
    pub stopping: CancellationToken,
}

/// Says why a provider of this name cannot be called at this address, or, without one, where it is known to be. What
/// workers will not call is refused when it is saved; an edge itself calls nobody.
pub type AddressCheck = Box<dyn Fn(&ProviderId, Option<&str>) -> Result<(), String> + Send + Sync>;

/// A model that a conversation can choose.
#[derive(Clone, Debug, Serialize, TS)]
pub struct ModelView {
    /// Its reference, `provider/model`.
    pub id: String,
    /// How people read it.
    pub label: String,
    /// How many tokens it can read and write in one call, if known.
    #[ts(type = "number | null")]
    pub context_window: Option<u64>,
    /// Whether it answers where nobody chose a model. None is marked where the workers alone know.
    pub default: bool,
}

/// What an edge holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Open sockets.
    pub sockets: usize,
    /// Conversations that someone follows.
    pub conversations: usize,
    /// People who are logged in on a socket.
    pub people: usize,
}

/// How long a client may take over what. A client is told of the first two in `hello`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How often the server pings.
    pub ping_every: Duration,
    /// How long a client has to log in.
    pub log_in: Duration,
    /// How long nothing need be heard of a client.
    pub silence: Duration,
    /// How long a client may leave a frame unread.
    pub unread: Duration,
    /// How long a client may take to be told that the socket is closed, and then to hang up: whoever hangs up first while
    /// the other still sends takes the reason away from it.
    pub close: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(25),
            log_in: Duration::from_secs(5),
            silence: Duration::from_mins(1),
            unread: Duration::from_secs(10),
            close: Duration::from_secs(2),
        }
    }
}

/// An edge, shared by its requests.
pub struct Edge {
    pub(crate) pool: PgPool,
    pub(crate) client: nats::Client,
    pub(crate) asking: Asking,
    pub(crate) verifier: Verifier,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) dev_login: Option<DevLogin>,
    pub(crate) models: Vec<ModelView>,
    pub(crate) providers: Providers,
    pub(crate) sealing: Option<Arc<Sealing>>,
    pub(crate) check_address: AddressCheck,
    pub(crate) limits: Limits,
    pub(crate) stopping: CancellationToken,
    pub(crate) hub: Hub,
    /// The sockets open now.
    pub(crate) sockets: TaskTracker,
    /// Ends the hub's listening, which the sockets need until the last of them is closed.
    _listening: DropGuard,
}

impl Edge {
    /// An edge.
    pub fn new(config: EdgeConfig) -> Arc<Self> {
        let EdgeConfig { pool, client, shards, verifier, allowed_origins, dev_login, models, limits, stopping, .. } =
            config;
        let over = CancellationToken::new();
        Arc::new(Self {
            hub: Hub::new(pool.clone(), client.clone(), shards, over.clone()),
            asking: Asking::for_people(client.clone(), shards),
            sockets: TaskTracker::new(),
            pool,
            client,
            verifier,
            allowed_origins,
            dev_login,
            models,
            providers: config.providers,
            sealing: config.sealing,
            check_address: config.check_address,
            limits,
            stopping,
            _listening: over.drop_guard(),
        })
    }

    /// What it holds just now.
    pub fn load(&self) -> Load {
        let (conversations, people) = self.hub.held();
        Load { sockets: self.sockets.len(), conversations, people }
    }

    /// Waits until every socket has been closed, once the process is stopping.
    pub async fn closed(&self) {
        self.sockets.close();
        self.sockets.wait().await;
    }
}
