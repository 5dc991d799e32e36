//! One batch of commands: decided, appended, answered.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use domain::{CommandId, Shard, shard_of};
use futures::{FutureExt, StreamExt};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::asked::{AnyAsked, AnyState, Refused};
use super::decided::Decided;
use super::recent::{First, Recent};
use super::warm::{Key, Warm};
use super::{Accepted, BATCH_DEADLINE, MAX_BATCH, MAX_TRIES, Pending, RETRY_PAUSE, Refusal};
use crate::append::{AppendError, NewEvent, append};
use crate::load::begun;
use crate::own::Own;
use crate::{Error, Position, Recorded, log, metrics, snapshot};

/// How many cold aggregates are loaded at once.
const LOADS_AT_ONCE: usize = 8;

pub(super) struct Writer {
    pool: PgPool,
    shard: Shard,
    committed: mpsc::Sender<Vec<Recorded>>,
    warm: Warm<Box<dyn AnyState>>,
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

impl Writer {
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

    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Pending>) {
        // Not only when the first who asks waits for it.
        self.connection.stand().await;
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while queue.recv_many(&mut batch, MAX_BATCH).await > 0 {
            self.carry_out(std::mem::take(&mut batch)).await;
            self.warm.trim();
        }
    }

    async fn carry_out(&mut self, batch: Vec<Pending>) {
        for attempt in 1..=MAX_TRIES {
            let tried = timeout(BATCH_DEADLINE, self.try_batch(&batch)).await;
            match tried.unwrap_or(Err(Again::Silent(Error::Silent))) {
                Ok(decided) => {
                    // Signed: of other numbers spans make texts.
                    let size = i64::try_from(batch.len()).unwrap_or(i64::MAX);
                    for (pending, decided) in batch.into_iter().zip(decided) {
                        pending.span.record("db.operation.batch.size", size);
                        pending.asked.answer(decided.into_outcome());
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
    async fn one_by_one(&mut self, batch: Vec<Pending>) {
        if batch.len() == 1 {
            return refuse_all(batch);
        }
        for pending in batch {
            Box::pin(self.carry_out(vec![pending])).await;
        }
    }

    /// Decides and appends; on success every command has its result, durable.
    async fn try_batch(&mut self, batch: &[Pending]) -> Result<Vec<Decided>, Again> {
        let head = match self.head {
            Some(head) => head,
            None => log::head(&self.pool, self.shard).await.map_err(Again::Silent)?,
        };
        let unreadable = self.load_cold(batch).await.map_err(Again::Silent)?;
        let mut events = Vec::new();
        let mut decided = Vec::with_capacity(batch.len());
        for pending in batch {
            decided.push(if unreadable.contains(&pending.key) {
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
            self.warm.drop_unborn(&pending.key);
        }
        if !recorded.is_empty() && self.committed.try_send(recorded).is_err() {
            tracing::debug!(shard = self.shard, "the relay is behind and will read the log");
        }
        Ok(decided)
    }

    async fn load_cold(&mut self, batch: &[Pending]) -> Result<HashSet<Key>, Error> {
        let shards = match self.shards {
            Some(shards) => shards,
            None => *self.shards.insert(crate::shard_count(&self.pool).await?),
        };
        let mut cold: HashMap<&Key, &dyn AnyAsked> = HashMap::new();
        for Pending { key, asked, .. } in batch {
            if !self.warm.contains(key) && may_lie_in(self.shard, shards, &key.id) {
                cold.entry(key).or_insert(asked.as_ref());
            }
        }
        let mut unreadable = HashSet::new();
        if cold.is_empty() {
            return Ok(unreadable);
        }
        let mut connection = self.connection.take().await?;
        let begun = begun(&mut connection, cold.keys().copied()).await?;
        self.connection.give_back(connection);
        let (cold, new): (Vec<_>, Vec<_>) = cold.into_iter().partition(|(key, _)| begun.contains(*key));
        for (key, asked) in new {
            self.warm.insert(key.clone(), asked.unborn());
        }
        let loads: Vec<_> = cold
            .into_iter()
            .map(|(key, asked)| asked.load(self.pool.clone()).map(move |loaded| (loaded, key)))
            .collect();
        let mut loads = futures::stream::iter(loads).buffer_unordered(LOADS_AT_ONCE);
        while let Some((loaded, key)) = loads.next().await {
            match loaded {
                Ok(loaded) => self.warm.insert(key.clone(), loaded),
                Err(error @ Error::Undecodable { .. }) => {
                    tracing::error!(shard = self.shard, %error, "an aggregate is halted");
                    unreadable.insert(key.clone());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(unreadable)
    }

    fn decide(&mut self, pending: &Pending, head: u64, events: &mut Vec<NewEvent>) -> Decided {
        if let Some(first) = self.recent.get(pending.command_id) {
            let answer = first.answer(&pending.digest);
            // The one in this batch that it repeats may itself turn out to be a repeat.
            return if first.eventless { Decided::Eventless(answer) } else { Decided::Settled(answer) };
        }
        let Some(aggregate) = self.warm.get_mut(&pending.key) else {
            tracing::error!(shard = self.shard, id = pending.key.id, "no aggregate of this shard");
            return Decided::Settled(Err(Refusal::Unavailable));
        };
        let mut rows = match pending.asked.decide(aggregate, &pending.digest) {
            Ok(rows) => rows,
            Err(Refused::ByState(refusal)) => return Decided::Eventless(Err(refusal)),
            Err(Refused::Unwritable(error)) => {
                tracing::error!(shard = self.shard, %error, "an event cannot be written");
                return Decided::Settled(Err(Refusal::Unavailable));
            }
        };
        let sequence = aggregate.sequence;
        let (eventless, bytes) = (rows.is_empty(), rows.iter().map(|row| row.payload.get().len()).sum());
        events.append(&mut rows);
        let pos = head + events.len() as u64;
        let accepted = Accepted { sequence, position: Position { shard: self.shard, pos } };
        self.warm.grew(&pending.key, bytes);
        // Seen by repeats within the batch; a batch that does not become durable takes it back.
        self.recent.insert(pending.command_id, First { digest: pending.digest.clone(), accepted, eventless });
        if eventless { Decided::Eventless(Ok(accepted)) } else { Decided::Appended(accepted) }
    }

    /// A command that makes nothing happen may be one that was carried out long ago: then its first result is the answer.
    async fn answer_repeated(&mut self, batch: &[Pending], decided: &mut [Decided]) -> Result<(), Error> {
        let suspects: Vec<CommandId> = batch
            .iter()
            .zip(&*decided)
            .filter(|(_, decided)| decided.is_eventless())
            .map(|(pending, _)| pending.command_id)
            .collect();
        if suspects.is_empty() {
            return Ok(());
        }
        let found = self.recent.look_up(&self.pool, self.shard, &suspects).await?;
        for (pending, decided) in batch.iter().zip(decided) {
            if decided.is_eventless()
                && let Some(first) = found.get(&pending.command_id)
            {
                *decided = Decided::Settled(first.answer(&pending.digest));
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
    fn forget(&mut self, batch: &[Pending]) {
        self.head = None;
        self.warm.clear();
        for pending in batch {
            self.recent.remove(pending.command_id);
        }
    }

    fn keep_snapshots(&mut self, batch: &[Pending]) {
        let keys: HashSet<&Key> = batch.iter().map(|pending| &pending.key).collect();
        for key in keys {
            let Some(aggregate) = self.warm.get_mut(key) else { continue };
            if aggregate.sequence < aggregate.snapshot + snapshot::EVERY {
                continue;
            }
            aggregate.snapshot = aggregate.sequence;
            let keeping = aggregate.state.keep(self.pool.clone(), key.id.clone(), aggregate.sequence);
            tokio::spawn(async move {
                if let Err(error) = keeping.await {
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

fn ids(batch: &[Pending]) -> Vec<CommandId> {
    batch.iter().map(|pending| pending.command_id).collect()
}

fn refuse_all(batch: Vec<Pending>) {
    for pending in batch {
        pending.asked.answer(Err(Refusal::Unavailable));
    }
}
