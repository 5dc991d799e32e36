//! Waiting replies that no wake-up brings: whose event the bus lost, whose attempt failed or expired, or that a person
//! wants tried again from the dead letters. A process with free slots looks for them in the table of open replies.

use std::sync::Arc;
use std::time::Duration;

use domain::Shard;
use nats::consume::Failure;
use store::{dead_letter, log};
use tokio::sync::OwnedSemaphorePermit;

use super::{WAKE, Worker};
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
    let found = open_replies::find_waiting(&worker.replies.pool, slots.len(), FOUND_FOR).await?;
    for OpenReply { conversation, reply, attempt } in found {
        let slot = slots.pop();
        let this = Arc::clone(worker);
        worker.tasks.spawn(async move {
            if let Err(failure) = this.answer(conversation, reply, attempt + 1).await {
                tracing::warn!(%reply, %failure, "a waiting reply could not be answered; it is found again");
            }
            drop(slot);
        });
    }
    Ok(())
}

fn free_slots(worker: &Worker) -> Vec<OwnedSemaphorePermit> {
    std::iter::from_fn(|| Arc::clone(&worker.slots).try_acquire_owned().ok()).take(MAX_FOUND).collect()
}

async fn retry_parked(worker: &Arc<Worker>) -> Result<(), store::Error> {
    let pool = &worker.replies.pool;
    for shard in 0..worker.replies.shards {
        for parked in dead_letter::asked_for(pool, WAKE.role, shard).await? {
            dead_letter::remove(pool, WAKE.role, parked.position).await?;
            retry(worker, shard, parked.position.pos).await?;
        }
    }
    Ok(())
}

async fn retry(worker: &Arc<Worker>, shard: Shard, pos: u64) -> Result<(), store::Error> {
    let pool = worker.replies.pool.clone();
    let Some(event) = log::read(&pool, shard, pos - 1, 1).await?.pop() else { return Ok(()) };
    let this = Arc::clone(worker);
    worker.tasks.spawn(async move {
        let Err(Failure::Retry(reason) | Failure::Fatal(reason)) = this.wake(event.clone()).await else { return };
        if let Err(error) = dead_letter::park(&pool, WAKE.role, &event, &reason).await {
            tracing::error!(%error, position = %event.position(), "an event could not be parked again");
        }
    });
    Ok(())
}
