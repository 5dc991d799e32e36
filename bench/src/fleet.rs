//! A whole installation: Postgres, NATS, and the binary in its roles, each a process of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use app::local::{Nats, NatsOptions, Postgres, PostgresOptions};
use serde_json::Value;
use sqlx::PgPool;
use tempfile::TempDir;

use crate::Error;
use crate::login::{AUDIENCE, ISSUER, SECRET};
use crate::process::Process;

/// The provider's and model's names in the settings.
pub const MODEL: &str = "bench/m1";

/// How an installation is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The number of shards.
    pub shards: u16,
    /// The base URL of a provider that speaks `OpenAI`'s chat completions.
    pub provider: String,
    /// Whether Postgres flushes commits to the disk: always when figures are to mean anything.
    pub durable: bool,
    /// The model of conversations that name none.
    pub model: String,
    /// Further lines of `bestchat.toml`, before its tables.
    pub settings: String,
}

/// Servers, settings, and how to start processes over them.
#[derive(Debug)]
pub struct Fleet {
    /// Postgres.
    pub postgres: Postgres,
    /// NATS.
    pub nats: Nats,
    /// Postgres, as its owner.
    pub pool: PgPool,
    options: Options,
    folder: TempDir,
    started: AtomicU32,
}

/// A running edge.
#[derive(Debug)]
pub struct Api {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Fleet {
    /// The servers with an empty, migrated database, and no process yet.
    ///
    /// # Errors
    /// When a server does not start, or the database cannot be migrated.
    pub async fn start(options: Options) -> Result<Self, Error> {
        // Whoever else in this process has chosen a provider of cryptography before has chosen the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir()?;
        let servers = PostgresOptions { durable: options.durable, max_connections: 300, ..PostgresOptions::default() };
        let (postgres, nats) = (folder.path().join("postgres"), folder.path().join("nats"));
        let postgres = Postgres::start(&postgres, servers).await.map_err(Error::other)?;
        let nats = Nats::start(&nats, NatsOptions::default()).await.map_err(Error::other)?;
        std::fs::write(folder.path().join("bestchat.toml"), settings(&options))?;
        let pool = PgPool::connect_lazy(&postgres.url())?;
        let fleet = Self { postgres, nats, pool, options, folder, started: AtomicU32::new(0) };
        let migrated = fleet.process("migrate", &["migrate"], &[])?.ended().await?;
        if migrated { Ok(fleet) } else { Err(Error("the database cannot be migrated".to_owned())) }
    }

    /// Where the servers, the settings and the processes' logs lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How it is set up.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// An edge at a port of its own choice.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn api(&self) -> Result<Api, Error> {
        let mut process = self.process("api", &["api"], &[])?;
        let ready: Value = serde_json::from_str(&process.says(r#""message":"ready""#).await?).map_err(Error::other)?;
        let address = ready["address"].as_str().and_then(|address| address.parse().ok());
        let address = address.ok_or_else(|| Error(format!("no address in {ready}")))?;
        Ok(Api { process, address })
    }

    /// A worker in these roles, divided by commas.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn worker(&self, roles: &str) -> Result<Process, Error> {
        self.ready("worker", &["worker", "--roles", roles]).await
    }

    /// A projector.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn projector(&self) -> Result<Process, Error> {
        self.ready("projector", &["projector"]).await
    }

    async fn ready(&self, name: &str, arguments: &[&str]) -> Result<Process, Error> {
        let mut process = self.process(name, arguments, &[])?;
        process.says(r#""message":"ready""#).await?;
        Ok(process)
    }

    /// The binary with these arguments and further environment; its log is named after `name` and a number.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn process(&self, name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Process, Error> {
        let mut command = Command::new(binary()?);
        command.args(arguments).envs([
            ("DATABASE_URL", self.postgres.url()),
            ("NATS_URL", self.nats.core_url()),
            ("NATS_EDGE_URL", self.nats.edge_url()),
            ("BESTCHAT_CONFIG", "bestchat.toml".to_owned()),
            ("BESTCHAT_LISTEN", "127.0.0.1:0".to_owned()),
            ("BESTCHAT_SHARDS", self.options.shards.to_string()),
            ("BESTCHAT_LOG_FORMAT", "json".to_owned()),
        ]);
        command.envs(environment.iter().copied());
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        Process::start(&format!("{name}-{number}"), command, self.folder.path())
    }
}

/// The binary beside this one, built in the same profile.
fn binary() -> Result<PathBuf, Error> {
    let here = std::env::current_exe()?;
    let folders = here.ancestors().skip(1).take(2);
    folders.map(|folder| folder.join("bestchat")).find(|path| path.is_file()).ok_or_else(|| {
        Error(format!("there is no `bestchat` beside {}: build it first, in the same profile", here.display()))
    })
}

fn settings(options: &Options) -> String {
    let Options { provider, settings, model, .. } = options;
    format!(
        r#"default_model = "{model}"
{settings}

[[providers]]
id = "bench"
protocol = "openai-chat"
base_url = "{provider}"
api_key = "none"
models = [{{ id = "m1", context_window = 1000000 }}]

[[auth.issuers]]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
secret = "{SECRET}"
"#
    )
}
