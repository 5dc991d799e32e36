//! The roles that a process takes on, and how it lays them down.

use std::net::SocketAddr;
use std::sync::Arc;

use api::auth::DevLogin;
use api::{Backstage, ModelView};
use projections::Projector;
use sqlx::PgPool;
use store::Role;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workers::commands::Commands;
use workers::probe::Probes;
use workers::provider::Catalog;
use workers::reply::Replies;

use crate::config::{Settings, WorkerRole};
use crate::drain::Roles;
use crate::metrics::Metrics;
use crate::wire::{self, Error};
use crate::{edge, providers, sealing};

/// What one process of a distributed installation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// Serves clients.
    Api,
    /// Carries out commands, answers.
    Worker,
    /// Keeps the read models.
    Projector,
}

/// Roles at work.
#[derive(Default)]
pub struct Running {
    roles: Roles,
    clients: Vec<nats::Client>,
    address: Option<SocketAddr>,
    metrics: Option<Metrics>,
    /// Ends when this is dropped: the last thing that a process does is to tell that it is not ready.
    health: JoinSet<()>,
}

/// Starts a process's roles.
///
/// # Errors
/// When what they need is not there.
pub async fn start(settings: &Settings, worker_roles: &[WorkerRole], process: Process) -> Result<Running, Error> {
    let mut running = Running::new(settings).await?;
    match process {
        Process::Api => {
            edge::warn_of_too_many_rights(settings);
            let listener = edge::listen(settings.listen).await?;
            let catalog = providers::catalog(settings).await?;
            let models = edge::models(&catalog, providers::default_is_configured(settings));
            running.start_api(settings, models, listener, None).await?;
        }
        Process::Worker => {
            let roles = if worker_roles.is_empty() { &settings.worker_roles } else { worker_roles };
            let catalog = Arc::new(providers::catalog(settings).await?);
            running.start_workers(settings, catalog, roles).await?;
        }
        Process::Projector => running.start_projector(settings).await?,
    }
    Ok(running)
}

/// Starts every role in this process.
pub(crate) async fn start_all(
    settings: &Settings,
    listener: TcpListener,
    dev_login: Option<DevLogin>,
) -> Result<Running, Error> {
    let mut running = Running::new(settings).await?;
    // One look around, so that what the edge lists is what the workers have.
    let catalog = Arc::new(providers::catalog(settings).await?);
    running.start_api(settings, edge::models(&catalog, true), listener, dev_login).await?;
    running.start_workers(settings, catalog, &[WorkerRole::Reply, WorkerRole::Commands]).await?;
    running.start_projector(settings).await?;
    Ok(running)
}

impl Running {
    async fn new(settings: &Settings) -> Result<Self, Error> {
        let metrics = match settings.metrics_listen {
            Some(address) => Some(Metrics::start(address).await?),
            None => None,
        };
        Ok(Self { metrics, ..Self::default() })
    }

    /// Where clients connect, if they can.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Lays every role down, within a deadline: what is under way is finished or handed back.
    pub async fn stop(self) {
        self.roles.stop().await;
        futures::future::join_all(self.clients.iter().map(nats::close)).await;
    }

    async fn start_api(
        &mut self,
        settings: &Settings,
        models: Vec<ModelView>,
        listener: TcpListener,
        dev_login: Option<DevLogin>,
    ) -> Result<(), Error> {
        let stopping = self.roles.stopping.clone();
        let pool = wire::pool(settings, Role::Edge).await?;
        let edge = edge::edge(settings, pool.clone(), models, dev_login, stopping.clone()).await?;
        if let Some(metrics) = &mut self.metrics {
            metrics.look_at_log(pool, "edge");
            metrics.look_at_edge(Arc::clone(&edge));
        }
        self.address = Some(listener.local_addr().map_err(Error::other)?);
        let serving = tokio::spawn(async move {
            if let Err(error) = api::serve(edge, listener).await {
                tracing::error!(%error, "the edge cannot serve");
            }
        });
        self.roles.first.push((stopping, serving));
        Ok(())
    }

    async fn start_workers(
        &mut self,
        settings: &Settings,
        catalog: Arc<Catalog>,
        roles: &[WorkerRole],
    ) -> Result<(), Error> {
        let pool = wire::pool(settings, Role::Worker).await?;
        let shards = wire::shards(&pool).await?;
        let client = wire::nats(settings.nats_url.as_ref(), "bestchat worker", nats::Inbox::Core).await?;
        if let Some(metrics) = &mut self.metrics {
            metrics.look_at_log(pool.clone(), "worker");
            metrics.look_at_bus(&client, pool.clone(), shards, "worker");
        }
        let process = Uuid::new_v4();
        // Replies come last: until then a start that fails leaves nothing behind that someone waits for.
        for role in [WorkerRole::Commands, WorkerRole::Reply].iter().filter(|role| roles.contains(role)) {
            let (pool, client, cancelled) = (pool.clone(), client.clone(), CancellationToken::new());
            match role {
                WorkerRole::Reply => {
                    let catalog = Arc::clone(&catalog);
                    let (sealing, concurrency) = (sealing::of(settings)?, settings.reply_concurrency);
                    let circuit_breakers = settings.circuit_breakers;
                    let replies =
                        Replies { pool, client, shards, catalog, sealing, circuit_breakers, concurrency, process };
                    let probes = Probes {
                        pool: replies.pool.clone(),
                        client: replies.client.clone(),
                        catalog: Arc::clone(&replies.catalog),
                        sealing: replies.sealing.clone(),
                    };
                    self.roles.first.push((cancelled.clone(), tokio::spawn(probes.run(cancelled.clone()))));
                    self.roles.first.push((cancelled.clone(), tokio::spawn(replies.run(cancelled))));
                }
                WorkerRole::Commands => {
                    let stopping = self.roles.stopping.clone();
                    let commands = Commands { pool, client, shards, process, stopping };
                    let (ready, is_ready) = watch::channel(false);
                    self.roles.owners.push((cancelled.clone(), tokio::spawn(commands.run(ready, cancelled))));
                    until_ready(is_ready).await?;
                }
            }
        }
        self.tell_health(settings, pool, client.clone()).await?;
        self.clients.push(client);
        Ok(())
    }

    async fn start_projector(&mut self, settings: &Settings) -> Result<(), Error> {
        let pool = wire::pool(settings, Role::Projector).await?;
        wire::shards(&pool).await?;
        let client = wire::nats(settings.nats_url.as_ref(), "bestchat projector", nats::Inbox::Core).await?;
        if let Some(metrics) = &mut self.metrics {
            metrics.look_at_log(pool.clone(), "projector");
        }
        let projector = Projector { pool: pool.clone(), client: client.clone(), process: Uuid::new_v4() };
        let (cancelled, (ready, is_ready)) = (CancellationToken::new(), watch::channel(false));
        self.roles.first.push((cancelled.clone(), tokio::spawn(projector.run(ready, cancelled))));
        until_ready(is_ready).await?;
        self.tell_health(settings, pool, client.clone()).await?;
        self.clients.push(client);
        Ok(())
    }

    /// Lets whoever runs the process ask how it is, where the settings say so; with an edge in it, the edge tells.
    async fn tell_health(&mut self, settings: &Settings, pool: PgPool, client: nats::Client) -> Result<(), Error> {
        match settings.health_listen {
            Some(address) if self.address.is_none() => {
                let stopping = self.roles.stopping.clone();
                let listener = edge::listen(address).await?;
                let address = listener.local_addr().map_err(Error::other)?;
                tracing::info!(%address, "health is told");
                let serving = api::serve_health(Backstage { pool, client, stopping }, listener);
                self.health.spawn(async move {
                    if let Err(error) = serving.await {
                        tracing::error!(%error, "health cannot be asked");
                    }
                });
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Returns once a role has its part in sharing out the shards: before that, nobody may count on it to take what others give
/// up, and so no process is ready.
async fn until_ready(mut ready: watch::Receiver<bool>) -> Result<(), Error> {
    match timeout(wire::START_DEADLINE, ready.wait_for(|ready| *ready)).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(Error::other("the leases of shards could not be renewed in time")),
    }
}
