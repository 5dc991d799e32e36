//! Reading what a settled system holds: the log, the bus, the views, and what workers keep.

use async_nats::jetstream;
use async_nats::jetstream::stream::RawMessageErrorKind;
use domain::{AccountId, Tenant};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use sqlx::PgPool;
use store::Recorded;
use store::log;
use uuid::Uuid;

use super::Clock;
use super::history::{Books, History, Logged, Stream, Views};
use super::system::{SHARDS, System};
use crate::Error;

/// How many events are read at a time, and how many messages of a stream at once.
const PAGE: u32 = 5_000;
const AT_ONCE: usize = 64;

/// All that the system holds; then its views made anew.
///
/// # Errors
/// When it cannot be read, or a view cannot be made anew.
pub(super) async fn collect(system: &System, clock: Clock) -> Result<History, Error> {
    let pool = &system.fleet.pool;
    let mut history = History::default();
    for shard in 0..SHARDS {
        history.heads.push(log::head(pool, shard).await.map_err(Error::other)?);
        history.log.extend(shard_log(pool, shard, clock).await?);
    }
    history.streams = streams(system, clock).await?;
    history.views = views(pool).await?;
    history.books = books(pool).await?;
    history.dead_letters = sqlx::query_scalar(
        "select consumer || ' ' || shard || ':' || pos || ' ' || event_type || ': ' || error from dead_letters",
    )
    .fetch_all(pool)
    .await?;
    for name in ["conversation_list", "transcript", "usage"] {
        let well = system.fleet.process("rebuild", &["rebuild", name], &[])?.ended().await?;
        if !well {
            return Err(Error(format!("{name} cannot be made anew")));
        }
    }
    history.rebuilt = views(pool).await?;
    Ok(history)
}

/// A connection to the bus, inside CORE.
pub(super) async fn bus(system: &System) -> Result<nats::Client, Error> {
    nats::connect(&system.fleet.nats.core_url(), "chaos", nats::Inbox::Core).await.map_err(Error::other)
}

async fn shard_log(pool: &PgPool, shard: u16, clock: Clock) -> Result<Vec<Logged>, Error> {
    let mut rows = Vec::new();
    let mut after = 0;
    loop {
        let page = log::read(pool, shard, after, PAGE).await.map_err(Error::other)?;
        let Some(last) = page.last() else { return Ok(rows) };
        // By what was asked for, not by what was found: a row that is doubled or out of place shall be seen.
        after = last.pos;
        for recorded in &page {
            rows.push(logged(recorded, clock)?);
        }
    }
}

fn logged(recorded: &Recorded, clock: Clock) -> Result<Logged, Error> {
    let metadata = recorded.metadata();
    let user = metadata.as_ref().and_then(|metadata| metadata.actor.user());
    let account = recorded.tenant.parse::<Tenant>().ok().zip(user).map(|(tenant, user)| AccountId::of(&tenant, user).0);
    let (command, actor) =
        metadata.map_or((Uuid::nil(), String::new()), |metadata| (metadata.command.0, metadata.actor.to_string()));
    Ok(Logged {
        shard: recorded.shard,
        pos: recorded.pos,
        conversation: recorded.aggregate_id.clone(),
        sequence: recorded.sequence,
        event_id: recorded.event_id,
        command_id: recorded.command_id.map(|id| id.0),
        command,
        actor,
        account,
        at: clock.at(recorded.recorded_at),
        day: recorded.recorded_at.date_naive().to_string(),
        event: serde_json::from_str(recorded.payload.get()).map_err(Error::other)?,
    })
}

async fn streams(system: &System, clock: Clock) -> Result<Vec<Stream>, Error> {
    let client = bus(system).await?;
    let jetstream = nats::relay::jetstream(&client);
    let mut streams = Vec::new();
    for shard in 0..SHARDS {
        let Ok(found) = jetstream.get_stream(format!("EVT_{shard}")).await else {
            streams.push(Stream::default());
            continue;
        };
        let state = &found.cached_info().state;
        let (first, last) = (state.first_sequence.max(1), state.last_sequence);
        let reading = stream::iter(first..=last).map(|sequence| held(&found, sequence, clock));
        let messages: Vec<Option<(u64, Logged)>> = reading.buffered(AT_ONCE).try_collect().await?;
        streams.push(Stream { last: Some(last), messages: messages.into_iter().flatten().collect() });
    }
    Ok(streams)
}

/// The event that a stream holds there. None when it holds nothing, or no event: then the checker finds that it is not the log.
async fn held(found: &jetstream::stream::Stream, sequence: u64, clock: Clock) -> Result<Option<(u64, Logged)>, Error> {
    let message = match found.get_raw_message(sequence).await {
        Ok(message) => message,
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
        Err(error) => return Err(Error::other(error)),
    };
    let Ok(event) = serde_json::from_slice::<Recorded>(&message.payload) else { return Ok(None) };
    Ok(logged(&event, clock).ok().map(|event| (sequence, event)))
}

async fn views(pool: &PgPool) -> Result<Views, Error> {
    Ok(Views {
        conversations: rows(pool, "conversation_list.conversations").await?,
        members: rows(pool, "conversation_list.members").await?,
        messages: rows(pool, "transcript.messages").await?,
        spending: rows(pool, "usage.spending").await?,
        unended: rows(pool, "usage.replies").await?,
    })
}

async fn books(pool: &PgPool) -> Result<Books, Error> {
    Ok(Books {
        spent: rows(pool, "spent_by_day").await?,
        set_aside: rows(pool, "reservations").await?,
        open: rows(pool, "open_replies").await?,
    })
}

async fn rows(pool: &PgPool, table: &str) -> Result<Vec<Value>, Error> {
    let sql = format!("select to_jsonb(t)::text as row from {table} t order by row");
    let rows: Vec<String> = sqlx::query_scalar(&sql).fetch_all(pool).await?;
    rows.iter().map(|row| serde_json::from_str(row).map_err(Error::other)).collect()
}
