//! The `commands` role: owns shards and answers what is asked of them.
//!
//! Every half second the process renews its leases; for each shard that it newly owns it starts an owner, which serves
//! the shard's commands, relays its events to the bus and looks after its open replies. An owner whose lease was not
//! renewed in time answers nothing, not even a refusal: another one may own the shard by now. Should two own it all the
//! same, the append's compare-and-set keeps the log right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::conversation::{self, Conversation};
use domain::{Ask, Shard, account};
use nats::ask::Asking;
use nats::serve::{Incoming, Serving};
use nats::signal::Freed;
use sqlx::PgPool;
use store::lease::{Leases, Owned, RENEW_EVERY};
use store::writer::{self, Execute, Handle};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

use crate::reaper;

/// The role's name among leases.
const ROLE: &str = "commands";
/// The batches that may wait for the relay; more are read from the log again.
const RELAY_QUEUE: usize = 64;
/// How long an owner may take to finish what it has begun when it gives its shard up: less than the term of the leases
/// that the process keeps, which are not renewed meanwhile.
const STOP_DEADLINE: Duration = Duration::from_secs(1);

/// How long the bus may take to bring what was asked before an owner stopped listening.
const DRAIN_DEADLINE: Duration = Duration::from_millis(500);

/// The connections to Postgres that stand before a process takes shards, for each shard that there is, and at most.
const WARM_CONNECTIONS: (u32, u32) = (2, 16);

/// What the role works with.
#[derive(Clone, Debug)]
pub struct Commands {
    /// Postgres, as a worker.
    pub pool: PgPool,
    /// NATS, inside CORE.
    pub client: nats::Client,
    /// How many shards there are.
    pub shards: Shard,
    /// This process.
    pub process: Uuid,
    /// Cancelled when the process begins to stop: it keeps what it owns until its turn comes, and takes nothing more.
    pub stopping: CancellationToken,
}

impl Commands {
    /// Owns and serves shards until cancelled, then gives them up. `ready` is told once it has its part in sharing them out,
    /// however small: from then on it takes what others give up.
    pub async fn run(self, ready: watch::Sender<bool>, cancelled: CancellationToken) {
        let (each, most) = WARM_CONNECTIONS;
        // A shard is taken from a process that serves it well: whoever takes it must not begin by connecting.
        store::warm(&self.pool, most.min(each * u32::from(self.shards))).await;
        let leases = Leases::new(&self.pool, ROLE, self.process);
        let mut owners: BTreeMap<Shard, Owner> = BTreeMap::new();
        let mut freed = Freed::listen(&self.client, ROLE).await;
        let mut tick = tokio::time::interval(RENEW_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancelled.cancelled() => break,
                _ = tick.tick() => {}
                () = freed.heard() => {}
            }
            // Who cannot be asked must not keep others from answering.
            if !nats::is_connected(&self.client) {
                leases.lapse();
                continue;
            }
            let renewed =
                if self.stopping.is_cancelled() { leases.renew_taking_nothing().await } else { leases.renew().await };
            match renewed {
                Ok(owned) => {
                    self.adjust(&leases, &mut owners, &owned).await;
                    ready.send_replace(true);
                }
                Err(error) => tracing::warn!(%error, "the leases could not be renewed"),
            }
        }
        stop(owners.into_values().collect()).await;
        if let Err(error) = leases.leave().await {
            tracing::warn!(%error, "the leases end by themselves");
        }
        nats::signal::freed(&self.client, ROLE).await;
    }

    async fn adjust(&self, leases: &Leases, owners: &mut BTreeMap<Shard, Owner>, owned: &Owned) {
        // First of all, and of those alone that are kept: the others have nothing more to say.
        for owner in owned.keep.iter().filter_map(|shard| owners.get(shard)) {
            owner.valid_until.send_replace(owned.valid_until.into());
        }
        let lost: Vec<Shard> = owners.keys().filter(|shard| !owned.keep.contains(shard)).copied().collect();
        let stopping: Vec<Owner> = lost.iter().filter_map(|shard| owners.remove(shard)).collect();
        if !stopping.is_empty() {
            tracing::info!(shards = ?lost, "shards given up");
            stop(stopping).await;
        }
        if !owned.give_up.is_empty() {
            release(leases, &owned.give_up).await;
            nats::signal::freed(&self.client, ROLE).await;
        }
        for shard in &owned.keep {
            // An owner that ended by itself lost its connection to the bus for good; a new one takes over.
            if owners.get(shard).is_some_and(|owner| !owner.task.is_finished()) {
                continue;
            }
            tracing::info!(shard, "shard owned");
            owners.insert(*shard, self.start(*shard, owned.valid_until.into()));
        }
    }

    fn start(&self, shard: Shard, valid_until: Instant) -> Owner {
        let cancelled = CancellationToken::new();
        let (renewed, valid_until) = watch::channel(valid_until);
        let owner = self.clone().own(shard, valid_until, cancelled.clone());
        Owner { valid_until: renewed, cancelled, task: tokio::spawn(owner) }
    }

    async fn own(self, shard: Shard, valid_until: watch::Receiver<Instant>, cancelled: CancellationToken) {
        let (committed, to_relay) = mpsc::channel(RELAY_QUEUE);
        let writer = writer::spawn(self.pool.clone(), shard, committed);
        let jetstream = nats::relay::jetstream(&self.client);
        let background = TaskTracker::new();
        // On a clean stop the relay ends once the writer has, having published all it was given; with this task at the latest.
        let relaying = CancellationToken::new();
        let _with_this_task = relaying.clone().drop_guard();
        background.spawn(nats::relay::run(jetstream, self.pool.clone(), shard, to_relay, relaying));
        let asking = Asking::for_workers(self.client.clone(), self.shards);
        let reaper = reaper::Reaper { pool: self.pool.clone(), client: self.client.clone(), asking, shard };
        background.spawn(reaper.run(cancelled.child_token()));
        background.close();
        if let Err(error) = serve(self.client, shard, writer, valid_until, &cancelled).await {
            tracing::warn!(shard, %error, "commands cannot be listened to");
        }
        cancelled.cancel();
        background.wait().await;
    }
}

async fn serve(
    client: nats::Client,
    shard: Shard,
    writer: Handle<Conversation>,
    valid_until: watch::Receiver<Instant>,
    cancelled: &CancellationToken,
) -> Result<(), nats::Error> {
    let mut serving = Serving::start(client, shard).await?;
    let valid_until = Arc::new(valid_until);
    let answers = TaskTracker::new();
    loop {
        let incoming = tokio::select! {
            () = cancelled.cancelled() => break,
            incoming = serving.next() => match incoming {
                Some(incoming) => incoming,
                None => break,
            },
        };
        dispatch(&writer, incoming, &valid_until, &answers);
    }
    let drained = async {
        serving.stop().await;
        while let Some(incoming) = serving.next().await {
            dispatch(&writer, incoming, &valid_until, &answers);
        }
    };
    // Whoever asked before this would otherwise wait for an answer until they ask again.
    let _ = tokio::time::timeout(DRAIN_DEADLINE, drained).await;
    answers.close();
    answers.wait().await;
    Ok(())
}

/// Each aggregate's commands to its handle; behind them is one writer.
fn dispatch(
    writer: &Handle<Conversation>,
    incoming: Incoming,
    valid_until: &Arc<watch::Receiver<Instant>>,
    answers: &TaskTracker,
) {
    match incoming.aggregate() {
        Some(conversation::TYPE) => answer::<conversation::Command>(writer, incoming, valid_until, answers),
        Some(account::TYPE) => answer::<account::Command>(&writer.of(), incoming, valid_until, answers),
        _ => tracing::warn!("something is asked of no aggregate that there is"),
    }
}

fn answer<C: Ask>(
    writer: &Handle<C::Aggregate>,
    incoming: Incoming,
    valid_until: &Arc<watch::Receiver<Instant>>,
    answers: &TaskTracker,
) {
    let Some(request) = incoming.request::<C>() else {
        tracing::warn!("something on a command subject is no command");
        return;
    };
    if Instant::now() >= *valid_until.borrow() {
        return;
    }
    let span = incoming.span();
    let execute = Execute {
        // So that nobody can take the id of someone else's command, or of a worker's.
        command_id: request.command_id.derive(&request.asked.asker.to_string()).into(),
        aggregate_id: request.id.to_string(),
        expected_sequence: request.expected_sequence,
        actor: request.asked.asker.actor.clone(),
        traceparent: nats::trace::of(&span),
        command: request.asked,
    };
    let outcome = span.in_scope(|| writer.submit(execute));
    let valid_until = Arc::clone(valid_until);
    let answering = async move {
        let outcome = outcome.await;
        let still_owner = Instant::now() < *valid_until.borrow();
        if still_owner {
            incoming.answer(&outcome).await;
        }
    };
    answers.spawn(answering.instrument(span));
}

/// A shard's owner at work.
struct Owner {
    /// Until when the shard is its own.
    valid_until: watch::Sender<Instant>,
    cancelled: CancellationToken,
    task: JoinHandle<()>,
}

/// Stops owners, all at once, within a deadline.
async fn stop(owners: Vec<Owner>) {
    for owner in &owners {
        owner.cancelled.cancel();
    }
    let deadline = Instant::now() + STOP_DEADLINE;
    for mut owner in owners {
        if timeout_at(deadline, &mut owner.task).await.is_err() {
            owner.task.abort();
        }
    }
}

async fn release(leases: &Leases, shards: &BTreeSet<Shard>) {
    if let Err(error) = leases.release(shards).await {
        tracing::warn!(%error, "shards given up end by themselves");
    }
}
