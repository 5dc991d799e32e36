//! The `reply` role: answers what is asked of the model.
//!
//! A `ReplyRequested` event wakes one process of the role. It claims the reply's next attempt, builds the prompt from the
//! log, streams the answer to whoever listens and ends the attempt with a command. Whatever else may happen (a wake-up
//! twice, a worker frozen or killed, a stop at any moment), the aggregate's fence lets exactly one attempt count.

mod asked;
mod attempt;
mod breaker;
mod choice;
pub(crate) mod continuation;
mod live_text;
mod parts;
mod pending;
mod prompt;
mod running;
mod said;
mod shares;
mod spans;
pub(crate) mod spending;

use std::sync::Arc;
use std::time::Duration;

use domain::conversation::{self, Conversation, Event};
use domain::{ConversationId, MessageId, Shard};
use nats::ask::Asking;
use nats::consume::{self, Delivery, Failure, Wake};
use sqlx::PgPool;
use store::sealing::Sealing;
use store::{Recorded, codec};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

use crate::offer::Offer;
use crate::provider::Catalog;
use asked::Asked;
pub(crate) use asked::Person;
use attempt::{Attempt, Gate};
use breaker::Breakers;
use choice::Tried;
use running::Running;
use shares::Shares;

/// How long an attempt counts as alive without a renewal: a reply goes on elsewhere this long after its worker's end.
pub const ATTEMPT_LEASE: Duration = Duration::from_secs(10);
/// How long replies that are under way may go on when the process stops: most are whole by then, and none is asked twice.
const FINISH_GRACE: Duration = Duration::from_secs(5);
/// How long those that are not may take to be handed back.
const HAND_BACK_DEADLINE: Duration = Duration::from_secs(5);

const WAKE: Wake = Wake {
    role: "reply",
    aggregate: conversation::TYPE,
    event_types: &["ReplyRequested"],
    ack_wait: Duration::from_secs(30),
};

/// What the role works with.
#[derive(Clone)]
pub struct Replies {
    /// Postgres, as a worker.
    pub pool: PgPool,
    /// NATS, inside CORE.
    pub client: nats::Client,
    /// How many shards there are.
    pub shards: Shard,
    /// The installation's providers.
    pub catalog: Arc<Catalog>,
    /// What opens people's keys of their own; without it these are not used.
    pub sealing: Option<Arc<Sealing>>,
    /// Whether a model that keeps failing is left alone for a while.
    pub circuit_breakers: bool,
    /// The most replies that this process answers at once; for one person, a quarter of them.
    pub concurrency: usize,
    /// This process.
    pub process: Uuid,
}

impl Replies {
    /// Answers until cancelled; then takes nothing more, and finishes what is under way or hands it back.
    pub async fn run(self, cancelled: CancellationToken) {
        let worker = Arc::new(Worker {
            asking: Asking::for_workers(self.client.clone(), self.shards),
            slots: Arc::new(Semaphore::new(self.concurrency)),
            shares: Shares::new(self.concurrency),
            running: Running::default(),
            breakers: Arc::default(),
            tasks: TaskTracker::new(),
            cancelled,
            hand_back: CancellationToken::new(),
            replies: self,
        });
        // Until the last reply is over, for it can still be stopped, and joined by who comes late.
        let over = CancellationToken::new();
        let catalog = Arc::clone(&worker.replies.catalog);
        tokio::spawn(async move { catalog.warm().await });
        tokio::spawn(running::listen_for_stops(Arc::clone(&worker), over.clone()));
        tokio::spawn(nats::live::serve_resumes(worker.replies.client.clone(), over.clone()));
        if worker.replies.circuit_breakers {
            let (worker, over) = (Arc::clone(&worker), over.clone());
            tokio::spawn(async move { worker.breakers.share(&worker.replies.client, over).await });
        }
        worker.take_wake_ups().await;
        worker.tasks.close();
        if tokio::time::timeout(FINISH_GRACE, worker.tasks.wait()).await.is_err() {
            worker.hand_back.cancel();
            if tokio::time::timeout(HAND_BACK_DEADLINE, worker.tasks.wait()).await.is_err() {
                tracing::warn!("some replies were not handed back in time; the reaper does it");
            }
        }
        over.cancel();
    }
}

/// A process of the role at work.
struct Worker {
    replies: Replies,
    asking: Asking,
    slots: Arc<Semaphore>,
    shares: Shares,
    running: Running,
    /// Closed, all of them, as long as they are not shared.
    breakers: Arc<Breakers>,
    tasks: TaskTracker,
    /// Nothing more is taken.
    cancelled: CancellationToken,
    /// What is under way shall go on elsewhere.
    hand_back: CancellationToken,
}

impl Worker {
    /// Takes wake-ups of every shard, and what no wake-up brings, until cancelled.
    async fn take_wake_ups(self: &Arc<Self>) {
        let taking = TaskTracker::new();
        let (deliveries, delivered) = mpsc::channel(1);
        for shard in 0..self.replies.shards {
            let Replies { client, pool, .. } = &self.replies;
            let jetstream = nats::relay::jetstream(client);
            let (slots, cancelled) = (Arc::clone(&self.slots), self.cancelled.clone());
            taking.spawn(consume::run(jetstream, pool.clone(), WAKE, shard, slots, deliveries.clone(), cancelled));
        }
        drop(deliveries);
        taking.spawn(Arc::clone(self).take(delivered));
        taking.spawn(pending::find(Arc::clone(self)));
        taking.close();
        taking.wait().await;
    }

    /// Takes wake-ups, for each of which there is room.
    async fn take(self: Arc<Self>, mut delivered: mpsc::Receiver<Delivery>) {
        while let Some(delivery) = delivered.recv().await {
            if self.cancelled.is_cancelled() {
                delivery.give_back().await;
                continue;
            }
            let worker = Arc::clone(&self);
            self.tasks.spawn(async move {
                let event = delivery.event.clone();
                delivery.work_on(worker.wake(event)).await;
            });
        }
    }

    async fn wake(self: Arc<Self>, recorded: Recorded) -> Result<(), Failure> {
        let event = codec::decode::<Conversation>(&recorded).map_err(|e| Failure::Fatal(e.to_string()))?;
        let conversation: ConversationId =
            recorded.aggregate_id.parse().map_err(|_| Failure::Fatal("the aggregate's id is no uuid".to_owned()))?;
        let Event::ReplyRequested { reply, model, .. } = event else { return Ok(()) };
        let asked = Asked { by: Person::who_asked_for(&recorded), model, tried: Tried::default() };
        self.answer(conversation, reply, 1, asked, spans::traceparent(&recorded)).await
    }

    /// Claims an attempt at what was asked and carries it through, and those that follow at once; nothing to do when it is not
    /// to be had, or not yet.
    async fn answer(
        self: &Arc<Self>,
        id: ConversationId,
        reply: MessageId,
        number: u32,
        asked: Asked,
        traceparent: Option<String>,
    ) -> Result<(), Failure> {
        // Beyond its asker's share a reply waits among the open ones, where this or another process finds it once there is room.
        // That is no failure: those are parked when they last for long.
        let Some(_share) = self.shares.take(asked.by.as_ref().map(Person::account)) else { return Ok(()) };
        let Some(stopped) = self.running.enter((id, reply)) else { return Ok(()) };
        let done = match self.offer(asked.by.as_ref()).await {
            Ok(offer) => {
                let gate = Gate::default();
                let attempt =
                    Attempt { worker: self, conversation: id, reply, number, asked, traceparent, offer, stopped, gate };
                Box::pin(self.carry_out(attempt)).await
            }
            Err(error) => Err(Failure::Retry(error.to_string())),
        };
        self.running.leave((id, reply));
        done
    }

    /// What whoever asked may use; before the claim, which says the model.
    async fn offer(&self, asker: Option<&Person>) -> Result<Offer, store::Error> {
        let Replies { pool, sealing, catalog, .. } = &self.replies;
        Offer::of(pool, sealing.as_ref(), catalog, asker).await
    }

    async fn carry_out(&self, mut attempt: Attempt<'_>) -> Result<(), Failure> {
        // The aggregate bounds how often.
        loop {
            let span = spans::attempt(attempt.traceparent.as_deref(), attempt.conversation, attempt.number);
            match attempt.carry_out().instrument(span).await? {
                Some(next) if !self.cancelled.is_cancelled() => attempt = next,
                _ => return Ok(()),
            }
        }
    }
}
