//! One batch of commands: decided, appended, answered.

use std::collections::HashSet;
use std::time::Instant;

use cqrs_es::DomainEvent;
use domain::{CommandId, Decide, Metadata, Shard, shard_of};
use futures::StreamExt;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

use super::decided::Decided;
use super::recent::{First, Recent};
use super::warm::Warm;
use super::{Accepted, BATCH_DEADLINE, MAX_BATCH, MAX_TRIES, Pending, RETRY_PAUSE, Refusal};
use crate::append::{AppendError, NewEvent, append};
use crate::load::{Loaded, begun, load};
use crate::own::Own;
use crate::{Error, Position, Recorded, codec, log, metrics, snapshot};

/// How many cold aggregates are loaded at once.
const LOADS_AT_ONCE: usize = 8;

pub(super) struct Writer<A: Decide> {
    pool: PgPool,
    shard: Shard,
    committed: mpsc::Sender<Vec<Recorded>>,
    warm: Warm<A>,
    recent: Recent,
    /// The position of the shard's last event, once known.
    head: Option<u64>,
    /// How many shards there are, once known.
    shards: Option<Shard>,
    connection: Own,
}

/// Why a batch must be decided anew.
enum Again {
    /// The log is ahead of us.
    Moved,
    /// Postgres did not answer.
    Silent(Error),
    /// Postgres will not have these rows.
    Unacceptable(sqlx::Error),
}

impl<A> Writer<A>
where
    A: Decide + Clone + 'static,
    A::Command: Clone + Send + Sync,
    A::Error: Clone + Send,
{
    pub(super) fn new(pool: PgPool, shard: Shard, committed: mpsc::Sender<Vec<Recorded>>) -> Self {
        Self {
            connection: Own::like(&pool),
            pool,
            shard,
            committed,
            warm: Warm::new(),
            recent: Recent::new(),
            head: None,
            shards: None,
        }
    }

    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Pending<A>>) {
        // Not only when the first who asks waits for it.
        self.connection.stand().await;
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while queue.recv_many(&mut batch, MAX_BATCH).await > 0 {
            self.carry_out(std::mem::take(&mut batch)).await;
            self.warm.trim();
        }
    }

    async fn carry_out(&mut self, batch: Vec<Pending<A>>) {
        for attempt in 1..=MAX_TRIES {
            let tried = timeout(BATCH_DEADLINE, self.try_batch(&batch)).await;
            match tried.unwrap_or(Err(Again::Silent(Error::Silent))) {
                Ok(decided) => {
                    let size = batch.len();
                    for (pending, decided) in batch.into_iter().zip(decided) {
                        pending.span.record("db.operation.batch.size", size);
                        // Whoever asked may have gone; the result stands all the same.
                        let _ = pending.answer.send(decided.into_outcome());
                    }
                    return;
                }
                Err(Again::Moved) => {
                    metrics::decided_anew("moved");
                    self.forget(&batch);
                }
                Err(Again::Silent(error)) => {
                    metrics::decided_anew("silent");
                    tracing::warn!(shard = self.shard, attempt, %error, "the log does not answer");
                    self.forget(&batch);
                    tokio::time::sleep(RETRY_PAUSE * attempt).await;
                }
                Err(Again::Unacceptable(error)) => {
                    metrics::decided_anew("unacceptable");
                    tracing::error!(shard = self.shard, commands = batch.len(), %error, "the log refuses an append");
                    self.forget(&batch);
                    return self.one_by_one(batch).await;
                }
            }
            let ids = ids(&batch);
            let looked_up = timeout(BATCH_DEADLINE, self.recent.look_up(&self.pool, self.shard, &ids)).await;
            if let Err(error) = looked_up.unwrap_or(Err(Error::Silent)) {
                tracing::warn!(shard = self.shard, %error, "commands could not be looked up");
            }
        }
        refuse_all(batch);
    }

    /// So that one command whose events Postgres will not take does not take the others with it.
    async fn one_by_one(&mut self, batch: Vec<Pending<A>>) {
        if batch.len() == 1 {
            return refuse_all(batch);
        }
        for pending in batch {
            Box::pin(self.carry_out(vec![pending])).await;
        }
    }

    /// Decides and appends; on success every command has its result, durable.
    async fn try_batch(&mut self, batch: &[Pending<A>]) -> Result<Vec<Decided<A>>, Again> {
        let head = match self.head {
            Some(head) => head,
            None => log::head(&self.pool, self.shard).await.map_err(Again::Silent)?,
        };
        let unreadable = self.load_cold(batch).await.map_err(Again::Silent)?;
        let mut events = Vec::new();
        let mut decided = Vec::with_capacity(batch.len());
        for pending in batch {
            decided.push(if unreadable.contains(pending.execute.aggregate_id.as_str()) {
                Decided::Settled(Err(Refusal::Unreadable))
            } else {
                self.decide(pending, head, &mut events)
            });
        }
        self.answer_repeated(batch, &mut decided).await.map_err(Again::Silent)?;
        if events.is_empty() && decided.iter().any(Decided::is_eventless) {
            self.confirm(head).await?;
        }
        let recorded = self.append(head, events).await?;
        self.head = Some(head + recorded.len() as u64);
        self.keep_snapshots(batch);
        for pending in batch {
            self.warm.drop_unborn(&pending.execute.aggregate_id);
        }
        if !recorded.is_empty() && self.committed.try_send(recorded).is_err() {
            tracing::debug!(shard = self.shard, "the relay is behind and will read the log");
        }
        Ok(decided)
    }

    async fn load_cold(&mut self, batch: &[Pending<A>]) -> Result<HashSet<String>, Error> {
        let shards = match self.shards {
            Some(shards) => shards,
            None => *self.shards.insert(crate::shard_count(&self.pool).await?),
        };
        let cold: HashSet<&String> = batch
            .iter()
            .map(|pending| &pending.execute.aggregate_id)
            .filter(|id| !self.warm.contains(id) && may_lie_in(self.shard, shards, id))
            .collect();
        let mut unreadable = HashSet::new();
        if cold.is_empty() {
            return Ok(unreadable);
        }
        let cold: Vec<String> = cold.into_iter().cloned().collect();
        let mut connection = self.connection.take().await?;
        let begun = begun::<A>(&mut connection, &cold).await?;
        self.connection.give_back(connection);
        let (cold, new): (Vec<_>, Vec<_>) = cold.into_iter().partition(|id| begun.contains(id));
        for id in new {
            self.warm.insert(id, Loaded::default());
        }
        let pool = &self.pool;
        let mut loads = futures::stream::iter(cold)
            .map(|id| async move { (load::<A>(pool, &id).await, id) })
            .buffer_unordered(LOADS_AT_ONCE);
        while let Some((loaded, id)) = loads.next().await {
            match loaded {
                Ok(loaded) => self.warm.insert(id, loaded),
                Err(error @ Error::Undecodable { .. }) => {
                    tracing::error!(shard = self.shard, %error, "an aggregate is halted");
                    unreadable.insert(id);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(unreadable)
    }

    fn decide(&mut self, pending: &Pending<A>, head: u64, events: &mut Vec<NewEvent>) -> Decided<A> {
        let execute = &pending.execute;
        if let Some(first) = self.recent.get(execute.command_id) {
            let answer = first.answer::<A>(&pending.digest);
            // The one in this batch that it repeats may itself turn out to be a repeat.
            return if first.eventless { Decided::Eventless(answer) } else { Decided::Settled(answer) };
        }
        let Some(aggregate) = self.warm.get_mut(&execute.aggregate_id) else {
            tracing::error!(shard = self.shard, id = execute.aggregate_id, "no aggregate of this shard");
            return Decided::Settled(Err(Refusal::Unavailable));
        };
        let news = match aggregate.state.decide(&execute.command) {
            Ok(news) => news,
            Err(error) => return Decided::Eventless(Err(Refusal::Domain { error })),
        };
        // After the decision, so that whoever may not know of the aggregate does not learn where it stands.
        if execute.expected_sequence.is_some_and(|expected| expected != aggregate.sequence) {
            return Decided::Eventless(Err(Refusal::StaleSequence { actual: aggregate.sequence }));
        }
        let mut rows = match rows(pending, aggregate.sequence, &news) {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(shard = self.shard, %error, "an event cannot be written");
                return Decided::Settled(Err(Refusal::Unavailable));
            }
        };
        let added = news.len() as u64;
        aggregate.sequence += added;
        for event in news {
            aggregate.state.apply(event);
        }
        // Only now does an aggregate that this command began have a tenant.
        let tenant = aggregate.state.tenant().map(ToString::to_string).unwrap_or_default();
        for row in &mut rows {
            row.tenant.clone_from(&tenant);
        }
        let bytes = rows.iter().map(|row| row.payload.get().len()).sum();
        events.append(&mut rows);
        let pos = head + events.len() as u64;
        let accepted = Accepted { sequence: aggregate.sequence, position: Position { shard: self.shard, pos } };
        self.warm.grew(&execute.aggregate_id, bytes);
        // Seen by repeats within the batch; a batch that does not become durable takes it back.
        let eventless = added == 0;
        self.recent.insert(execute.command_id, First { digest: pending.digest.clone(), accepted, eventless });
        if eventless { Decided::Eventless(Ok(accepted)) } else { Decided::Appended(accepted) }
    }

    /// A command that makes nothing happen may be one that was carried out long ago: then its first result is the answer.
    async fn answer_repeated(&mut self, batch: &[Pending<A>], decided: &mut [Decided<A>]) -> Result<(), Error> {
        let suspects: Vec<CommandId> = batch
            .iter()
            .zip(&*decided)
            .filter(|(_, decided)| decided.is_eventless())
            .map(|(pending, _)| pending.execute.command_id)
            .collect();
        if suspects.is_empty() {
            return Ok(());
        }
        let found = self.recent.look_up(&self.pool, self.shard, &suspects).await?;
        for (pending, decided) in batch.iter().zip(decided) {
            if decided.is_eventless()
                && let Some(first) = found.get(&pending.execute.command_id)
            {
                *decided = Decided::Settled(first.answer::<A>(&pending.digest));
            }
        }
        Ok(())
    }

    /// An append confirms the state that its batch was decided upon. Without one, the head must still be where it was: the
    /// state may have grown old under a rival owner, or by someone else's commit.
    async fn confirm(&self, head: u64) -> Result<(), Again> {
        let now = log::head(&self.pool, self.shard).await.map_err(Again::Silent)?;
        if now == head { Ok(()) } else { Err(Again::Moved) }
    }

    async fn append(&mut self, head: u64, events: Vec<NewEvent>) -> Result<Vec<Recorded>, Again> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.connection.take().await.map_err(|error| Again::Silent(error.into()))?;
        let (count, began) = (events.len(), Instant::now());
        let appended = append(&mut connection, self.shard, head, events).await;
        metrics::appended(count, began.elapsed());
        if !matches!(appended, Err(AppendError::Unknown(_))) {
            self.connection.give_back(connection);
        }
        appended.map_err(|error| match error {
            AppendError::HeadMoved | AppendError::AlreadyThere => Again::Moved,
            AppendError::Unacceptable(error) => Again::Unacceptable(error),
            AppendError::Unknown(error) => Again::Silent(error.into()),
        })
    }

    /// Believes nothing any more that a batch may have changed.
    fn forget(&mut self, batch: &[Pending<A>]) {
        self.head = None;
        self.warm.clear();
        for pending in batch {
            self.recent.remove(pending.execute.command_id);
        }
    }

    fn keep_snapshots(&mut self, batch: &[Pending<A>]) {
        let ids: HashSet<&str> = batch.iter().map(|pending| pending.execute.aggregate_id.as_str()).collect();
        for id in ids {
            let Some(aggregate) = self.warm.get_mut(id) else { continue };
            if aggregate.sequence < aggregate.snapshot + snapshot::EVERY {
                continue;
            }
            aggregate.snapshot = aggregate.sequence;
            let (pool, id, sequence, state) =
                (self.pool.clone(), id.to_owned(), aggregate.sequence, aggregate.state.clone());
            tokio::spawn(async move {
                if let Err(error) = snapshot::write(&pool, &id, sequence, &state).await {
                    tracing::debug!(%error, "a snapshot was not kept; the log is read instead");
                }
            });
        }
    }
}

/// Whether a shard may hold an aggregate of this id. One in two shards would have two writers and no order; one whose id
/// holds U+0000 cannot even be asked for.
fn may_lie_in(shard: Shard, shards: Shard, id: &str) -> bool {
    shard_of(id, shards) == shard && !id.contains('\0')
}

fn ids<A: Decide>(batch: &[Pending<A>]) -> Vec<CommandId> {
    batch.iter().map(|pending| pending.execute.command_id).collect()
}

fn refuse_all<A: Decide>(batch: Vec<Pending<A>>) {
    for pending in batch {
        let _ = pending.answer.send(Err(Refusal::Unavailable));
    }
}

/// A command's events as rows, the tenant still to be filled in.
fn rows<A: Decide>(pending: &Pending<A>, sequence: u64, news: &[A::Event]) -> Result<Vec<NewEvent>, Error> {
    let execute = &pending.execute;
    let metadata = Metadata {
        actor: execute.actor.clone(),
        command: execute.command_id,
        digest: pending.digest.clone(),
        traceparent: execute.traceparent.clone(),
    };
    let metadata = serde_json::value::to_raw_value(&metadata).map_err(|e| Error::Unencodable(e.to_string()))?;
    let row = |(event, nth): (&A::Event, u64)| {
        Ok(NewEvent {
            aggregate_type: A::TYPE,
            aggregate_id: execute.aggregate_id.clone(),
            sequence: sequence + nth,
            event_type: event.event_type(),
            event_version: event.event_version(),
            payload: codec::encode::<A>(event)?,
            metadata: metadata.clone(),
            tenant: String::new(),
            event_id: Uuid::now_v7(),
            command_id: (nth == 1).then_some(execute.command_id),
        })
    };
    news.iter().zip(1..).map(row).collect()
}
