//! The writer of a shard: commands in, durable events out.
//!
//! It drains whatever waits (no timer), decides every command in memory, each upon the state that those before it in the
//! batch leave behind, and appends all their events in one statement. Answers are given only after that statement has
//! committed, refusals too, because a refusal may rest on an event of the same batch. When the append does not go
//! through, nothing is believed any more: warm states and the head are dropped, the command ids of the batch are looked
//! up in the log, and the batch is decided anew. That covers a rival owner, a repeated command and a lost connection
//! alike: whatever did reach the log is found there by its command id and answered with its first result.
//!
//! A command that makes nothing happen is appended nowhere, so no append finds out that it was decided upon an old state.
//! It is looked up first, for it may have been carried out long ago, and answered only if the head is still where it was.
//!
//! One writer serves every aggregate of its shard, so that what is asked of different ones shares a batch, and there is one
//! head to be right about. What it need not know of an aggregate stands behind the two traits of `asked`.

mod asked;
mod batch;
mod decided;
mod recent;
mod warm;

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use domain::{CommandId, Decide, Shard};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use crate::{Position, Recorded, TRACE_TARGET};
use asked::{AnyAsked, Asked};
use batch::Writer;
pub(crate) use warm::Key;

/// The most commands decided and appended together.
const MAX_BATCH: usize = 256;
/// The most commands that wait; further ones are refused as unavailable.
const MAX_WAITING: usize = 4_096;
/// How often a batch is decided anew before its commands are refused as unavailable.
const MAX_TRIES: u32 = 5;
/// The pause before a batch that Postgres did not answer is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long Postgres may take over a batch: a connection that has died without a word would hold a shard up for ever.
const BATCH_DEADLINE: Duration = Duration::from_secs(10);

/// A command to carry out.
#[derive(Clone, Debug)]
pub struct Execute<A: Decide> {
    /// Its id.
    pub command_id: CommandId,
    /// The aggregate that it is asked of.
    pub aggregate_id: String,
    /// The sequence that the aggregate must stand at, if the asker cares.
    pub expected_sequence: Option<u64>,
    /// Who asked, for the events' metadata.
    pub actor: domain::Actor,
    /// The trace that it belongs to, for the events' metadata, if there is one and it is sampled.
    pub traceparent: Option<String>,
    /// What is asked.
    pub command: A::Command,
}

/// A command that was carried out and is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The aggregate's sequence after it.
    pub sequence: u64,
    /// The place in the log that a reader must have reached to see it.
    pub position: Position,
}

/// A command that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal<E: fmt::Display> {
    /// The aggregate refused.
    #[error("{error}")]
    Domain {
        /// Why.
        error: E,
    },
    /// The aggregate does not stand at the expected sequence.
    #[error("the sequence is {actual} by now")]
    StaleSequence {
        /// Where it stands.
        actual: u64,
    },
    /// The command's id was used for another command before.
    #[error("this command id was used for another command")]
    CommandIdReused,
    /// The aggregate's log holds an event that cannot be read.
    #[error("the log of this aggregate cannot be read")]
    Unreadable,
    /// The command cannot be carried out now; the same one may be sent again.
    #[error("the command cannot be carried out now")]
    Unavailable,
}

/// What became of a command.
pub type Outcome<A> = Result<Accepted, Refusal<<A as cqrs_es::Aggregate>::Error>>;

/// A command that waits for its batch.
struct Pending {
    command_id: CommandId,
    key: Key,
    digest: String,
    asked: Box<dyn AnyAsked>,
    /// Ends with the answer.
    span: Span,
}

/// A shard's writer, to be asked commands of one type of aggregate.
#[derive(Debug)]
pub struct Handle<A: Decide> {
    waiting: mpsc::Sender<Pending>,
    aggregate: PhantomData<fn(A)>,
}

impl<A: Decide> Clone for Handle<A> {
    fn clone(&self) -> Self {
        self.of()
    }
}

/// Starts the writer of a shard; [`Handle::of`] gives handles for its other aggregates. It ends when the last handle is gone
/// and what waited has been answered.
///
/// What it commits goes to `committed` in order; when that is full, a batch is left out, and the receiver finds the gap
/// in the positions and reads it from the log.
pub fn spawn<A: Decide>(pool: PgPool, shard: Shard, committed: mpsc::Sender<Vec<Recorded>>) -> Handle<A> {
    let (waiting, queue) = mpsc::channel(MAX_WAITING);
    tokio::spawn(Writer::new(pool, shard, committed).run(queue));
    Handle { waiting, aggregate: PhantomData }
}

impl<A: Decide> Handle<A> {
    /// The same writer, to be asked commands of another type of aggregate.
    #[must_use]
    pub fn of<B: Decide>(&self) -> Handle<B> {
        Handle { waiting: self.waiting.clone(), aggregate: PhantomData }
    }
}

impl<A> Handle<A>
where
    A: Decide + Clone + 'static,
    A::Command: Clone + Serialize + Send + Sync,
    A::Error: Clone + Send,
{
    /// Carries a command out.
    ///
    /// # Errors
    /// The refusal.
    pub async fn execute(&self, execute: Execute<A>) -> Outcome<A> {
        self.submit(execute).await
    }

    /// Puts a command into the queue at once, so that commands are carried out in the order of these calls; what it
    /// returns waits for the outcome.
    pub fn submit(&self, execute: Execute<A>) -> impl Future<Output = Outcome<A>> + use<A> {
        let digest = digest(&execute);
        let (answer, outcome) = oneshot::channel();
        let key = Key { aggregate: A::TYPE, id: execute.aggregate_id.clone() };
        let (command_id, asked) = (execute.command_id, Box::new(Asked::<A> { execute, answer }));
        let queued = self.waiting.try_send(Pending { command_id, key, digest, asked, span: span() }).is_ok();
        async move { if queued { outcome.await.unwrap_or(Err(Refusal::Unavailable)) } else { Err(Refusal::Unavailable) } }
    }
}

/// From the queue to the answer, if what is being done belongs to a trace.
fn span() -> Span {
    if Span::current().is_disabled() {
        return Span::none();
    }
    let batch = tracing::field::Empty;
    tracing::info_span!(target: TRACE_TARGET, "command.append", db.system.name = "postgresql", db.operation.batch.size = batch)
}

/// What tells a repeated command from another one under the same id: 128 bits of SHA-256 over what is asked of whom.
fn digest<A: Decide>(execute: &Execute<A>) -> String
where
    A::Command: Serialize,
{
    let mut hash = Sha256::new();
    hash.update(A::TYPE);
    hash.update([0]);
    hash.update(&execute.aggregate_id);
    hash.update([0]);
    // A command that came over the bus as JSON goes back into JSON.
    hash.update(serde_json::to_vec(&execute.command).unwrap_or_default());
    let mut first = [0; 16];
    first.copy_from_slice(&hash.finalize()[..16]);
    format!("{:032x}", u128::from_be_bytes(first))
}
