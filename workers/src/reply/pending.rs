//! Waiting replies that no wake-up brings: whose event the bus lost, whose attempt failed or expired, whose asker had their share
//! of the slots when it came, or that a person wants tried again from the dead letters. A process with free slots looks for them in the table of open replies.

use std::sync::Arc;
use std::time::Duration;

use nats::consume::Failure;
use store::{Position, dead_letter, log};
use tokio::sync::OwnedSemaphorePermit;

use super::asked::Asked;
use super::{WAKE, Worker, prompt, spans};
use crate::open_replies::{self, OpenReply};

/// How often they are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// For how long a reply that was found is left to the finder before others find it.
const FOUND_FOR: Duration = Duration::from_secs(5);
/// The most replies taken at a time.
const MAX_FOUND: usize = 16;

pub(super) async fn find(worker: Arc<Worker>) {
    loop {
        tokio::select! {
            () = worker.cancelled.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if let Err(error) = find_once(&worker).await {
            tracing::warn!(%error, "waiting replies could not be looked for");
        }
        if let Err(error) = retry_parked(&worker).await {
            tracing::warn!(%error, "parked events could not be looked for");
        }
    }
}

async fn find_once(worker: &Arc<Worker>) -> Result<(), sqlx::Error> {
    let mut slots = free_slots(worker);
    if slots.is_empty() {
        return Ok(());
    }
    let full = worker.shares.full();
    let found = open_replies::find_waiting(&worker.replies.pool, slots.len(), &full, FOUND_FOR).await?;
    for found in found {
        let slot = slots.pop();
        let this = Arc::clone(worker);
        worker.tasks.spawn(async move {
            if let Err(failure) = this.answer_found(found).await {
                let reply = found.reply;
                tracing::warn!(%reply, %failure, "a waiting reply could not be answered; it is found again");
            }
            drop(slot);
        });
    }
    Ok(())
}

impl Worker {
    async fn answer_found(self: &Arc<Self>, found: OpenReply) -> Result<(), Failure> {
        let OpenReply { conversation, reply, attempt } = found;
        let asked = match prompt::requested(&self.replies.pool, conversation, reply).await {
            Ok(asked) => asked,
            // The attempt says so when it builds its prompt.
            Err(store::Error::Undecodable { .. }) => Asked::default(),
            Err(error) => return Err(Failure::Retry(error.to_string())),
        };
        self.answer(conversation, reply, attempt + 1, asked, self.traceparent(found).await).await
    }

    /// The trace of the command that asked for a reply, which its further attempts belong to as well.
    async fn traceparent(&self, found: OpenReply) -> Option<String> {
        if !nats::trace::is_on() {
            return None;
        }
        let pool = &self.replies.pool;
        let Position { shard, pos } = open_replies::requested_at(pool, found).await.ok()??;
        let requested = log::read(pool, shard, pos.checked_sub(1)?, 1).await.ok()?.into_iter().next()?;
        spans::traceparent(&requested)
    }
}

fn free_slots(worker: &Worker) -> Vec<OwnedSemaphorePermit> {
    std::iter::from_fn(|| Arc::clone(&worker.slots).try_acquire_owned().ok()).take(MAX_FOUND).collect()
}

async fn retry_parked(worker: &Arc<Worker>) -> Result<(), store::Error> {
    for parked in dead_letter::take_up(&worker.replies.pool, WAKE.role).await? {
        let this = Arc::clone(worker);
        worker.tasks.spawn(async move {
            if let Err(error) = retry(&this, parked.position).await {
                tracing::error!(%error, position = %parked.position, "a parked event could not be retried");
            }
        });
    }
    Ok(())
}

/// Works on a parked event; it stays parked unless that goes well.
async fn retry(worker: &Arc<Worker>, position: Position) -> Result<(), store::Error> {
    let pool = &worker.replies.pool;
    let page = log::read(pool, position.shard, position.pos - 1, 1).await?;
    let Some(event) = page.into_iter().next() else { return Ok(()) };
    match Arc::clone(worker).wake(event.clone()).await {
        Ok(()) => dead_letter::remove(pool, WAKE.role, position).await,
        Err(Failure::Retry(reason) | Failure::Fatal(reason)) => {
            dead_letter::park(pool, WAKE.role, &event, &reason).await
        }
    }
}
