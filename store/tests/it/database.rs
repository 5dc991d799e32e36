//! A test's own database, reached as in production.

use domain::Shard;
use sqlx::{ConnectOptions, PgPool};
use store::Role;
use store::writer::{self, Handle};
use tokio::sync::mpsc;

use crate::tally::Tally;

/// How many may wait between writer and relay: none of these tests fills it.
const COMMITTED: usize = 10_000;

pub(crate) struct Database {
    /// As the schema's owner has it.
    pub(crate) owner: PgPool,
    /// As a worker has it, with no more rights than that.
    pub(crate) pool: PgPool,
    url: String,
}

impl Database {
    /// Migrated, with that many shards.
    pub(crate) async fn new(owner: PgPool, shards: Shard) -> Self {
        store::migrate(&owner, Some(shards), shards).await.unwrap();
        let url = owner.connect_options().to_url_lossy().to_string();
        let pool = store::connect(&url, Role::Worker, 8).unwrap();
        Self { owner, pool, url }
    }

    /// Connections of its own, as another worker has them.
    pub(crate) fn connect(&self) -> PgPool {
        self.connect_as(Role::Worker)
    }

    pub(crate) fn connect_with(&self, connections: u32) -> PgPool {
        store::connect(&self.url, Role::Worker, connections).unwrap()
    }

    pub(crate) fn connect_as(&self, role: Role) -> PgPool {
        store::connect(&self.url, role, 4).unwrap()
    }

    /// A writer with connections of its own and no one who relays what it commits.
    pub(crate) fn writer(&self, shard: Shard) -> Handle<Tally> {
        let (committed, mut relay) = mpsc::channel(COMMITTED);
        tokio::spawn(async move { while relay.recv().await.is_some() {} });
        writer::spawn(self.connect(), shard, committed)
    }
}
