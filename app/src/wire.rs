//! Connections, made from settings.

use std::fmt;
use std::time::Duration;

use sqlx::PgPool;
use store::Role;
use tokio::time::Instant;

use crate::config::{Secret, Settings};

/// The shards of a new database where nothing else is said: in `up`, and in production.
pub const UP_SHARDS: u16 = 4;
/// See [`UP_SHARDS`].
pub const PRODUCTION_SHARDS: u16 = 16;
/// The file in the data folder that tells other commands where the private Postgres of a running `up` is.
pub(crate) const DATABASE_URL_FILE: &str = "database-url";
/// How long to wait for servers that start at the same time as we do.
pub(crate) const START_DEADLINE: Duration = Duration::from_secs(30);
/// The pause between two looks for them.
const START_PAUSE: Duration = Duration::from_millis(200);

/// Why the program ends, in words for whoever started it.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    /// An error that says what `error` says.
    pub fn other(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::other(error)
    }
}

impl From<nats::Error> for Error {
    fn from(error: nats::Error) -> Self {
        Self::other(error)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        store::Error::from(error).into()
    }
}

/// How many connections a role may hold.
fn connections(role: Role) -> u32 {
    match role {
        Role::Owner => 5,
        Role::Projector => 10,
        Role::Edge => 16,
        // Each shard's writer has one of its own beside these.
        Role::Worker => 24,
    }
}

/// A pool in `role`, once Postgres answers.
///
/// # Errors
/// When no Postgres is set or it does not answer in time.
pub async fn pool(settings: &Settings, role: Role) -> Result<PgPool, Error> {
    let url = match &settings.database_url {
        Some(url) => url.expose().to_owned(),
        None => std::fs::read_to_string(settings.data.join(DATABASE_URL_FILE)).map_err(|_| {
            Error::other("no database is set (DATABASE_URL), and no `bestchat up` runs with this data folder")
        })?,
    };
    let pool = store::connect(url.trim(), role, connections(role))?;
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        match sqlx::query("select 1").execute(&pool).await {
            Ok(_) => return Ok(pool),
            Err(error) if Instant::now() >= deadline || !may_pass(&error) => {
                return Err(Error(format!("Postgres cannot be used: {error}")));
            }
            Err(_) => tokio::time::sleep(START_PAUSE).await,
        }
    }
}

/// Whether a server that is just starting gives such an error.
fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}

/// How many shards the database has, once it has been migrated.
///
/// # Errors
/// When it was not within the deadline.
pub async fn shards(pool: &PgPool) -> Result<u16, Error> {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        match store::shard_count(pool).await {
            Err(store::Error::NotMigrated) if Instant::now() < deadline => tokio::time::sleep(START_PAUSE).await,
            counted => return Ok(counted?),
        }
    }
}

/// A connection to NATS, once it answers.
///
/// # Errors
/// When no NATS is set or it does not let us in within the deadline.
pub async fn nats(url: Option<&Secret>, name: &str, inbox: nats::Inbox) -> Result<nats::Client, Error> {
    let url = url.ok_or_else(|| Error::other("no NATS is set (NATS_URL)"))?;
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        match nats::connect(url.expose(), name, inbox).await {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() >= deadline => return Err(error.into()),
            Err(_) => tokio::time::sleep(START_PAUSE).await,
        }
    }
}
