//! Our writers: shards in this process, over connections like a worker's.

use std::time::{Duration, Instant};

use domain::conversation::{Command, Conversation, Parent, Part};
use domain::{Actor, Asked, Asker, CommandId, MessageId, Shard, shard_of};
use sqlx::PgPool;
use store::writer::{self, Execute, Handle};
use store::{Role, log};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::super::stack::database;
use crate::Error;
use crate::fleet::Fleet;
use crate::load::seed::TENANT;
use crate::load::{Client, Done, closed_loop};

/// As many connections as a worker process has.
const CONNECTIONS: u32 = 32;
/// What may wait for a relay.
const TO_RELAY: usize = 64;
/// As long as the text that pgbench inserts.
const TEXT: &str = "How do the tides follow the moon, and why are there two of them a day?";

/// The writers of a database's shards.
pub(super) struct Ours {
    pool: PgPool,
    handles: Vec<Handle<Conversation>>,
}

impl Ours {
    /// The database `name`, made and migrated if need be.
    pub(super) async fn over(fleet: &Fleet, name: &str, shards: Shard) -> Result<Self, Error> {
        let url = database(fleet, name);
        let exists = sqlx::query("select 1 from pg_database where datname = $1").bind(name);
        if exists.fetch_optional(&fleet.pool).await?.is_none() {
            sqlx::query(&format!("create database {name}")).execute(&fleet.pool).await?;
            let owner = PgPool::connect(&url).await?;
            store::migrate(&owner, Some(shards), shards).await.map_err(Error::other)?;
            owner.close().await;
        }
        let pool = store::connect(&url, Role::Worker, CONNECTIONS).map_err(Error::other)?;
        let spawn = |shard| {
            let (committed, mut relayed) = mpsc::channel(TO_RELAY);
            tokio::spawn(async move { while relayed.recv().await.is_some() {} });
            writer::spawn(pool.clone(), shard, committed)
        };
        let handles = (0..shards).map(spawn).collect();
        Ok(Self { pool, handles })
    }

    /// So many clients, each with conversations of its own that get `length` events each.
    pub(super) async fn run(
        &self,
        clients: usize,
        length: usize,
        warm_up: Duration,
        time: Duration,
    ) -> Result<Done, Error> {
        let user = "ann".parse().map_err(Error::other)?;
        let asker = Asker { tenant: Some(TENANT.parse().map_err(Error::other)?), actor: Actor::User(user) };
        let (handles, conversation, told) = (&self.handles, Uuid::nil(), 0);
        let client = || One { handles: handles.clone(), asker: asker.clone(), conversation, told, length };
        let (_, done) = closed_loop((0..clients).map(|_| client()).collect(), warm_up, time).await?;
        Ok(done)
    }

    /// Whether a reader sees the last position, now that all is acknowledged.
    pub(super) async fn is_readable_to_the_end(&self) -> Result<(), Error> {
        for shard in (0..).take(self.handles.len()) {
            let head = log::head(&self.pool, shard).await.map_err(Error::other)?;
            let last = log::read(&self.pool, shard, head.saturating_sub(1), 1).await.map_err(Error::other)?;
            if head > 0 && last.first().map(|event| event.pos) != Some(head) {
                return Err(Error(format!("position {head} of shard {shard} is acknowledged and cannot be read")));
            }
        }
        Ok(())
    }
}

struct One {
    handles: Vec<Handle<Conversation>>,
    asker: Asker,
    conversation: Uuid,
    told: usize,
    length: usize,
}

impl Client for One {
    async fn step(&mut self) -> Result<Duration, Error> {
        let execute = self.next();
        let shard = shard_of(&execute.aggregate_id, Shard::try_from(self.handles.len()).map_err(Error::other)?);
        let begun = Instant::now();
        let outcome = self.handles[usize::from(shard)].execute(execute).await;
        outcome.map_err(|refusal| Error(format!("an append is refused: {refusal}")))?;
        Ok(begun.elapsed())
    }
}

impl One {
    fn next(&mut self) -> Execute<Conversation> {
        if self.told.is_multiple_of(self.length) {
            self.conversation = Uuid::new_v4();
        }
        let command = command(self.told, self.length);
        self.told += 1;
        Execute {
            traceparent: None,
            command_id: CommandId(Uuid::now_v7()),
            aggregate_id: self.conversation.to_string(),
            expected_sequence: None,
            actor: self.asker.actor.clone(),
            command: Asked { asker: self.asker.clone(), command },
        }
    }
}

/// The `nth` command of a writer: begins a conversation, or says something in it.
pub(super) fn command(nth: usize, length: usize) -> Command {
    if nth.is_multiple_of(length) {
        return Command::StartConversation { title: None, model: None, system_prompt: None };
    }
    let parts = vec![Part::Text { text: TEXT.to_owned() }];
    Command::SubmitMessage { message: MessageId(Uuid::now_v7()), parent: Parent::ActiveLeaf, parts, reply: None }
}
