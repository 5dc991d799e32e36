//! Connections, each with no more rights than its role needs.

use std::str::FromStr;
use std::time::Duration;

use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::Error;

/// How long to wait for a free connection before giving up.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a transaction may wait for its process before Postgres ends it, in milliseconds: one that was frozen in the
/// middle would hold its locks, and with them everyone who takes its work over.
const IDLE_TRANSACTION_MS: u32 = 2_000;
/// How long a statement may take, in milliseconds; the longest read a page.
const STATEMENT_MS: u32 = 30_000;

/// What a connection is for. Each but the owner acts as a Postgres role of its own (`migrations/0004_roles.sql`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The schema's owner: migrates and rebuilds.
    Owner,
    /// Appends events, runs workers.
    Worker,
    /// Writes read models.
    Projector,
    /// Reads what clients may see; writes nothing.
    Edge,
}

impl Role {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Owner => None,
            Self::Worker => Some("bestchat_worker"),
            Self::Projector => Some("bestchat_projector"),
            Self::Edge => Some("bestchat_edge"),
        }
    }
}

/// A pool of at most `max` connections that act in `role`. Connects lazily.
///
/// # Errors
/// When the URL cannot be read.
pub fn connect(url: &str, role: Role, max: u32) -> Result<PgPool, Error> {
    let mut options = PgConnectOptions::from_str(url)?.application_name("bestchat").options([("jit", "off")]);
    // The owner migrates and rebuilds, which takes as long as it takes.
    if role != Role::Owner {
        options = options.options([
            ("idle_in_transaction_session_timeout", IDLE_TRANSACTION_MS.to_string()),
            ("statement_timeout", STATEMENT_MS.to_string()),
        ]);
    }
    let pool = PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A dead connection shows as an error on use, which those who work handle; a ping on each use would double their
        // cost. People who read would be told to try again.
        .test_before_acquire(role == Role::Edge)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                // An acknowledged command survives: whatever the server's default is.
                connection.execute("set synchronous_commit = on").await?;
                if let Some(name) = role.name() {
                    connection.execute(format!("set role {name}").as_str()).await?;
                }
                Ok(())
            })
        })
        .connect_lazy_with(options);
    Ok(pool)
}

/// Has at least this many connections stand before work needs them: each costs Postgres a process, and on a busy machine
/// a second may pass until all of them are there. What cannot be had is left to be made when it is needed.
pub async fn warm(pool: &PgPool, connections: u32) {
    let connections = connections.min(pool.options().get_max_connections());
    // Held until the last one is there, or the same one would be had again and again.
    let _held = futures::future::join_all((0..connections).map(|_| pool.acquire())).await;
}
