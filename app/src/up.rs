//! `bestchat up`: everything in one process, with a private Postgres and NATS where no other is set.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use api::auth::DevLogin;
use store::Role;
use tokio::net::TcpListener;

use crate::config::{Secret, Settings};
use crate::local::{Nats, NatsOptions, Postgres, PostgresOptions};
use crate::roles::{self, Running};
use crate::wire::{self, Error};
use crate::{cli, sealing, shutdown};

/// How many ports after a taken one are tried.
const PORTS_TRIED: u16 = 100;

/// The servers that belong to this run.
#[derive(Default)]
struct Private {
    postgres: Option<Postgres>,
    nats: Option<Nats>,
}

/// Runs everything until it is told to stop.
pub(crate) async fn up(mut settings: Settings) -> Result<(), Error> {
    // Listened for from here on, so that a signal during the start leaves no server behind.
    let mut signals = shutdown::Signals::listen().map_err(Error::other)?;
    std::fs::create_dir_all(&settings.data)
        .map_err(|error| Error::other(format!("cannot make {}: {error}", settings.data.display())))?;
    let mut private = Private::default();
    let outcome = run(&mut settings, &mut private, &mut signals).await;
    private.stop(&settings.data).await;
    outcome
}

async fn run(settings: &mut Settings, private: &mut Private, signals: &mut shutdown::Signals) -> Result<(), Error> {
    let running = tokio::select! {
        () = signals.received() => return Ok(()),
        started = start(settings, private) => started?,
    };
    let outcome = tokio::select! {
        () = signals.received() => Ok(()),
        () = private.ended() => Err(Error::other("a private server ended by itself; its log is in the data folder")),
    };
    tokio::select! {
        () = running.stop() => {}
        () = signals.received() => {}
    }
    outcome
}

async fn start(settings: &mut Settings, private: &mut Private) -> Result<Running, Error> {
    private.start(settings).await?;
    let owner = wire::pool(settings, Role::Owner).await?;
    store::migrate(&owner, settings.shards, wire::UP_SHARDS).await?;
    owner.close().await;
    sealing::keep(settings)?;
    let listener = listen(settings.listen).await?;
    let address = listener.local_addr().map_err(Error::other)?;
    // Whoever can connect can log in as anyone, so only this machine may.
    let dev_login = if address.ip().is_loopback() { Some(DevLogin::new(dev_secret(&settings.data)?)) } else { None };
    let login = match (&dev_login, settings.auth.issuers.is_empty()) {
        (Some(_), _) => "log in with any name",
        (None, false) => "log in with a token of a configured issuer",
        (None, true) => "nobody can log in: configure [[auth.issuers]], or listen on a loopback address",
    };
    let running = roles::start_all(settings, listener, dev_login).await?;
    cli::print(&format!("BestChat is ready: http://{address} ({login}). Ctrl-C stops it."))?;
    Ok(running)
}

impl Private {
    async fn start(&mut self, settings: &mut Settings) -> Result<(), Error> {
        if settings.database_url.is_none() {
            let postgres = Postgres::start(&settings.data.join("postgres"), PostgresOptions::default()).await;
            let postgres = self.postgres.insert(postgres.map_err(Error::other)?);
            write_private(&settings.data.join(wire::DATABASE_URL_FILE), postgres.url().as_bytes())?;
            settings.database_url = Some(Secret::from(postgres.url()));
        }
        if settings.nats_url.is_none() {
            let nats = Nats::start(&settings.data.join("nats"), NatsOptions::default()).await.map_err(Error::other)?;
            let nats = self.nats.insert(nats);
            settings.nats_url = Some(Secret::from(nats.core_url()));
            settings.nats_edge_url = Some(Secret::from(nats.edge_url()));
        }
        Ok(())
    }

    /// Returns when one of them has ended by itself; never when there is none.
    async fn ended(&self) {
        let postgres = async {
            match &self.postgres {
                Some(postgres) => postgres.ended().await,
                None => std::future::pending().await,
            }
        };
        let nats = async {
            match &self.nats {
                Some(nats) => nats.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = postgres => {}
            () = nats => {}
        }
    }

    async fn stop(&mut self, data: &Path) {
        if let Some(nats) = &mut self.nats {
            nats.stop().await;
        }
        if let Some(postgres) = &mut self.postgres {
            postgres.stop().await;
            // Nobody shall look for a server that is gone.
            let _ = std::fs::remove_file(data.join(wire::DATABASE_URL_FILE));
        }
    }
}

/// Listens at `address`, or at the next free port after it.
async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let last = address.port().saturating_add(PORTS_TRIED);
    for port in address.port()..=last {
        match TcpListener::bind(SocketAddr::new(address.ip(), port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(Error::other(format!("cannot listen on {address}: {error}"))),
        }
    }
    Err(Error::other(format!("no port is free on {} from {} to {last}", address.ip(), address.port())))
}

/// What tokens of the dev login are signed with; kept, so that a restart logs nobody out.
fn dev_secret(data: &Path) -> Result<Vec<u8>, Error> {
    let path = data.join("dev-login-secret");
    match std::fs::read(&path) {
        Ok(secret) if secret.len() >= 32 => Ok(secret),
        _ => {
            let secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple()).into_bytes();
            write_private(&path, &secret)?;
            Ok(secret)
        }
    }
}

fn write_private(path: &Path, content: &[u8]) -> Result<(), Error> {
    let write = || {
        let _ = std::fs::remove_file(path);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content)
    };
    write().map_err(|error: std::io::Error| Error::other(format!("cannot write {}: {error}", path.display())))
}
