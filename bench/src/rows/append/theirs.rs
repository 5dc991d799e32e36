//! cqrs-es over postgres-es as published: its event store, its framework, its table.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cqrs_es::CqrsFramework;
use cqrs_es::persist::PersistedEventStore;
use domain::conversation::Conversation;
use domain::{Actor, Asked, Asker};
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use super::super::stack::database;
use super::CONVERSATION;
use super::ours::command;
use crate::Error;
use crate::fleet::Fleet;
use crate::load::seed::TENANT;
use crate::load::{Client, Done, closed_loop};

/// As its documentation has it.
const TABLE: &str = "
create table events (
    aggregate_type text not null, aggregate_id text not null, sequence bigint check (sequence >= 0) not null,
    event_type text not null, event_version text not null, payload json not null, metadata json not null,
    primary key (aggregate_type, aggregate_id, sequence))";
/// As many as the most clients.
const CONNECTIONS: u32 = 64;

type Framework = CqrsFramework<Conversation, PersistedEventStore<PostgresEventRepository, Conversation>>;

/// The framework over a database of its own.
pub(super) struct Theirs {
    framework: Arc<Framework>,
}

impl Theirs {
    pub(super) async fn over(fleet: &Fleet) -> Result<Self, Error> {
        sqlx::query("create database peer").execute(&fleet.pool).await?;
        // As ours: a ping before each use would cost it a round trip more.
        let options = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
        let pool: PgPool = options.connect(&database(fleet, "peer")).await?;
        sqlx::query(TABLE).execute(&pool).await?;
        let store = PersistedEventStore::new_event_store(PostgresEventRepository::new(pool));
        Ok(Self { framework: Arc::new(CqrsFramework::new(store, Vec::new(), ())) })
    }

    /// So many clients, each with conversations of its own.
    pub(super) async fn run(&self, clients: usize, warm_up: Duration, time: Duration) -> Result<Done, Error> {
        let user = "ann".parse().map_err(Error::other)?;
        let asker = Asker { tenant: Some(TENANT.parse().map_err(Error::other)?), actor: Actor::User(user) };
        let framework = || Arc::clone(&self.framework);
        let client = |_| One { framework: framework(), asker: asker.clone(), conversation: String::new(), told: 0 };
        let (_, done) = closed_loop((0..clients).map(client).collect(), warm_up, time).await?;
        Ok(done)
    }
}

struct One {
    framework: Arc<Framework>,
    asker: Asker,
    conversation: String,
    told: usize,
}

impl Client for One {
    async fn step(&mut self) -> Result<Duration, Error> {
        if self.told.is_multiple_of(CONVERSATION) {
            self.conversation = Uuid::new_v4().to_string();
        }
        let asked = Asked { asker: self.asker.clone(), command: command(self.told, CONVERSATION) };
        self.told += 1;
        let begun = Instant::now();
        self.framework.execute(&self.conversation, asked).await.map_err(Error::other)?;
        Ok(begun.elapsed())
    }
}
