//! What the bus tells of itself in figures. docs/operations.md lists them; no label holds content or anyone's id.

use std::fmt::Display;
use std::time::Duration;

use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use async_nats::jetstream::consumer::Info;
use async_nats::jetstream::context::{ConsumerInfoErrorKind, Context};
use domain::Shard;
use futures::future::join_all;
use sqlx::PgPool;
use store::log;
use store::writer::{Accepted, Refusal};

use crate::{Error, streams};

const COMMANDS: &str = "bestchat_commands_total";
const COMMAND_DURATION: &str = "bestchat_command_duration_seconds";
const COMMAND_REPEATS: &str = "bestchat_command_repeats_total";
const RELAY_LAG: &str = "bestchat_relay_lag_events";
const RELAY_RESTARTS: &str = "bestchat_relay_restarts_total";
const PENDING: &str = "bestchat_consumer_pending";
const UNDER_WAY: &str = "bestchat_consumer_under_way";
const DELIVERIES: &str = "bestchat_deliveries_total";
const SLOW_CONSUMERS: &str = "bestchat_nats_slow_consumers_total";
const CONNECTS: &str = "bestchat_nats_connects_total";
const DISCONNECTS: &str = "bestchat_nats_disconnects_total";

/// Says what each figure means, once a process has someone to tell.
pub fn describe() {
    describe_counter!(COMMANDS, "Commands asked by this process, by who asked and by outcome.");
    describe_histogram!(COMMAND_DURATION, "From asking for a command to its outcome, repeats included.");
    describe_counter!(COMMAND_REPEATS, "Commands sent again because no owner answered.");
    describe_gauge!(RELAY_LAG, "Events of a shard that the bus does not hold yet; every worker says the same.");
    describe_counter!(RELAY_RESTARTS, "How often a relay began anew from the log.");
    describe_gauge!(PENDING, "Wake-ups that wait for a worker, by role and shard; every worker says the same.");
    describe_gauge!(UNDER_WAY, "Wake-ups that a worker has taken and not settled; every worker says the same.");
    describe_counter!(DELIVERIES, "Wake-ups that this process was given, by role and by what became of them.");
    describe_counter!(SLOW_CONSUMERS, "Times that a subscription was read too slowly and lost messages.");
    describe_counter!(CONNECTS, "Connections to NATS that came about, the first and every further one.");
    describe_counter!(DISCONNECTS, "Connections to NATS that were lost.");
}

/// Settles a command's figures.
pub(crate) fn asked<E: Display>(asker: &'static str, outcome: &Result<Accepted, Refusal<E>>, took: Duration) {
    let outcome = match outcome {
        Ok(_) => "accepted",
        Err(Refusal::Domain { .. }) => "refused",
        Err(Refusal::StaleSequence { .. }) => "stale_sequence",
        Err(Refusal::CommandIdReused) => "command_id_reused",
        Err(Refusal::Unreadable) => "unreadable",
        Err(Refusal::Unavailable) => "unavailable",
    };
    counter!(COMMANDS, "asker" => asker, "outcome" => outcome).increment(1);
    histogram!(COMMAND_DURATION, "asker" => asker).record(took);
}

pub(crate) fn asked_again(asker: &'static str) {
    counter!(COMMAND_REPEATS, "asker" => asker).increment(1);
}

pub(crate) fn relay_restarted(shard: Shard) {
    counter!(RELAY_RESTARTS, "shard" => shard.to_string()).increment(1);
}

pub(crate) fn delivered(role: &'static str, outcome: &'static str) {
    counter!(DELIVERIES, "role" => role, "outcome" => outcome).increment(1);
}

pub(crate) fn slow_consumer() {
    counter!(SLOW_CONSUMERS).increment(1);
}

pub(crate) fn connected() {
    counter!(CONNECTS).increment(1);
}

pub(crate) fn disconnected() {
    counter!(DISCONNECTS).increment(1);
}

/// Looks at every shard's stream, and at the wake-ups of `role` in it.
///
/// # Errors
/// When the bus or Postgres does not answer.
pub async fn look(jetstream: &Context, pool: &PgPool, shards: Shard, role: &'static str) -> Result<(), Error> {
    join_all((0..shards).map(|shard| look_at_shard(jetstream, pool, shard, role))).await.into_iter().collect()
}

async fn look_at_shard(jetstream: &Context, pool: &PgPool, shard: Shard, role: &'static str) -> Result<(), Error> {
    let stream = streams::find_events(jetstream, shard).await?;
    // Asked after the stream, so that what was published in between does not count as ahead of the log.
    let head = log::head(pool, shard).await.map_err(Error::from_any)?;
    let last = stream.as_ref().map_or(0, |stream| stream.cached_info().state.last_sequence);
    gauge!(RELAY_LAG, "shard" => shard.to_string()).set(float(head.saturating_sub(last)));
    let Some(stream) = stream else { return Ok(()) };
    let Info { num_pending, num_ack_pending, .. } =
        match stream.consumer_info(crate::consume::durable(role, shard)).await {
            Ok(info) => info,
            // Its maker may not have come to it yet.
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::from_any(error)),
        };
    gauge!(PENDING, "role" => role, "shard" => shard.to_string()).set(float(num_pending));
    gauge!(UNDER_WAY, "role" => role, "shard" => shard.to_string()).set(float(num_ack_pending as u64));
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; a count that high has long been rounded by its reader"
)]
fn float(count: u64) -> f64 {
    count as f64
}
