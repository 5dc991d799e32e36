//! An edge with all that it needs, in one process: a database and a nats-server of its own, the owner of the one shard,
//! a projector.

pub(crate) mod client;
pub(crate) mod owner;
pub(crate) mod rest;
pub(crate) mod token;
pub(crate) mod wait;

use std::sync::Arc;

use api::auth::{DevLogin, IssuerConfig, Verifier};
use api::{CatalogModel, Edge, EdgeConfig, Limits, ModelView, PriceView, ProviderView, Providers, RateView};
use domain::ConversationId;
use nats::signal::{ListChange, list_changed};
use projections::Projector;
use sqlx::{ConnectOptions, PgPool};
use store::Role;
use store::sealing::Sealing;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

pub(crate) use client::Client;
pub(crate) use rest::Rest;
pub(crate) use wait::until;

use nats::test_server::Server;
use owner::Owner;

/// The origin whose pages may connect.
pub(crate) const ORIGIN: &str = "https://chat.example";

/// Where a provider of a person's own may not be.
pub(crate) const PRIVATE_ADDRESS: &str = "http://127.0.0.1:1/v1";

pub(crate) struct TestEdge {
    pub(crate) edge: Arc<Edge>,
    pub(crate) address: String,
    pub(crate) owner: Owner,
    pub(crate) pool: PgPool,
    pub(crate) core: nats::Client,
    edge_pool: PgPool,
    projector: Option<DropGuard>,
    stopping: CancellationToken,
    _server: Server,
}

impl TestEdge {
    /// With users of two tenants.
    pub(crate) async fn start(pool: &PgPool) -> Self {
        Self::with_issuers(pool, token::issuers()).await
    }

    /// With clients that may take no longer than this.
    pub(crate) async fn with_limits(pool: &PgPool, limits: Limits) -> Self {
        Self::with(pool, token::issuers(), limits).await
    }

    pub(crate) async fn with_issuers(pool: &PgPool, issuers: Vec<IssuerConfig>) -> Self {
        Self::with(pool, issuers, Limits::default()).await
    }

    async fn with(pool: &PgPool, issuers: Vec<IssuerConfig>, limits: Limits) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        store::migrate(pool, Some(1), 1).await.unwrap();
        let url = pool.connect_options().to_url_lossy().to_string();
        let pool = store::connect(&url, Role::Owner, 8).unwrap();
        let server = Server::start().await;
        let core = server.core().await;
        let stopping = CancellationToken::new();
        let model = ModelView { id: "demo/demo".into(), label: "Demo".into(), context_window: None, default: true };
        let edge_pool = store::connect(&url, Role::Edge, 8).unwrap();
        let edge = Edge::new(EdgeConfig {
            pool: edge_pool.clone(),
            client: server.edge().await,
            shards: 1,
            verifier: Verifier::new(issuers).unwrap(),
            allowed_origins: vec![ORIGIN.to_owned()],
            dev_login: Some(DevLogin::new(b"a developer's secret".to_vec())),
            providers: Providers { providers: catalogue(), protocols: vec!["openai-chat".into()] },
            sealing: Some(sealing()),
            check_address: Box::new(|_, base_url| match base_url {
                Some(PRIVATE_ADDRESS) => Err("it is private".to_owned()),
                _ => Ok(()),
            }),
            models: vec![model],
            limits,
            stopping: stopping.clone(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(api::serve(edge.clone(), listener));
        let owner = Owner::start(&core, &pool).await;
        let mut test = Self { edge, address, owner, pool, core, edge_pool, projector: None, stopping, _server: server };
        test.project();
        test
    }

    /// Keeps the views.
    pub(crate) fn project(&mut self) {
        let cancelled = CancellationToken::new();
        let projector = Projector { pool: self.pool.clone(), client: self.core.clone(), process: Uuid::new_v4() };
        tokio::spawn(projector.run(watch::Sender::new(false), cancelled.clone()));
        self.projector = Some(cancelled.drop_guard());
    }

    /// Keeps them no longer.
    pub(crate) fn stop_projecting(&mut self) {
        self.projector = None;
    }

    pub(crate) fn stop(&self) {
        self.stopping.cancel();
    }

    /// A socket of `user`, logged in.
    pub(crate) async fn client(&self, user: &str) -> Client {
        let mut client = Client::connect(&self.address).await;
        client.log_in(&token::of(user)).await;
        client
    }

    /// Waits until the bus brings changes in the lists of `acme`'s `user` here: interest spreads in its own time.
    pub(crate) async fn hears_lists(&self, user: &str, client: &mut Client) {
        let (tenant, user) = ("acme".parse().unwrap(), user.parse().unwrap());
        let change = ListChange { id: ConversationId(Uuid::nil()), conversation: None };
        loop {
            list_changed(&self.core, &tenant, &user, &change).await.unwrap();
            if client.hears("conversation_changed").await {
                return;
            }
        }
    }

    /// Yesterday and today as a request names them: what is written just before midnight is read just after it.
    pub(crate) async fn two_days(&self) -> String {
        sqlx::query_scalar("select format('from=%s&to=%s', day - 1, day) from date((now() at time zone 'UTC')) day")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// `user`'s requests.
    pub(crate) fn rest(&self, user: &str) -> Rest {
        Rest::new(&self.address, Some(token::of(user)))
    }
}

/// One that is configured and needs nothing, one that is elsewhere for each account, one that only the operator can reach.
fn catalogue() -> Vec<ProviderView> {
    let provider = |id: &str| ProviderView { id: id.into(), name: id.to_uppercase(), ..ProviderView::default() };
    let model = CatalogModel { id: "demo/demo".into(), label: "Demo".into(), default: true, ..CatalogModel::default() };
    vec![
        ProviderView { configured: true, protocol: "demo".into(), models: vec![model], ..provider("demo") },
        ProviderView {
            protocol: "openai-chat".into(),
            needs_key: true,
            base_url: Some("https://{resource}.cloud.example/v1".into()),
            parameters: vec!["resource".into()],
            needs_base_url: true,
            models: vec![cloud_model()],
            ..provider("cloud")
        },
        ProviderView { configured: true, needs_base_url: true, protocol: "openai-chat".into(), ..provider("house") },
    ]
}

fn cloud_model() -> CatalogModel {
    let rate = RateView { above: 0, input: 2, cached_read: 1, cache_write: 2, output: 9, reasoning: 9 };
    CatalogModel {
        id: "cloud/large".into(),
        label: "cloud/large".into(),
        context_window: Some(32_000),
        max_output: Some(8_000),
        takes: vec!["image".into()],
        can: vec!["tools".into()],
        price: Some(PriceView { version: "list-1".into(), rates: vec![rate] }),
        ..CatalogModel::default()
    }
}

/// What keys are sealed with.
pub(crate) fn sealing() -> Arc<Sealing> {
    Arc::new(Sealing::new([(1, "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=")], 1).unwrap())
}

/// So that the database can be removed at once: Postgres waits five seconds for connections that stay.
impl Drop for TestEdge {
    fn drop(&mut self) {
        self.stopping.cancel();
        let (pool, edge_pool) = (self.pool.clone(), self.edge_pool.clone());
        tokio::spawn(async move { tokio::join!(pool.close(), edge_pool.close()) });
    }
}
