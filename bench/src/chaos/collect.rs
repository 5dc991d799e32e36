//! Reading what a settled system holds: the log, the bus, the views.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use sqlx::PgPool;
use store::Recorded;
use store::log;
use uuid::Uuid;

use super::Clock;
use super::history::{History, Logged, Stream, Views};
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
    history.streams = streams(system).await?;
    history.views = views(pool).await?;
    history.dead_letters = sqlx::query_scalar(
        "select consumer || ' ' || shard || ':' || pos || ' ' || event_type || ': ' || error from dead_letters",
    )
    .fetch_all(pool)
    .await?;
    for name in ["conversation_list", "transcript"] {
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
        at: clock.at(recorded.recorded_at),
        event: serde_json::from_str(recorded.payload.get()).map_err(Error::other)?,
    })
}

async fn streams(system: &System) -> Result<Vec<Stream>, Error> {
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
        let reading = stream::iter(first..=last).map(async |sequence| {
            let message = found.get_raw_message(sequence).await.map_err(Error::other)?;
            let event: Recorded = serde_json::from_slice(&message.payload).map_err(Error::other)?;
            Ok::<_, Error>((sequence, event.event_id, event.pos))
        });
        let messages = reading.buffered(AT_ONCE).try_collect().await?;
        streams.push(Stream { last: Some(last), messages });
    }
    Ok(streams)
}

async fn views(pool: &PgPool) -> Result<Views, Error> {
    Ok(Views {
        conversations: rows(pool, "conversation_list.conversations").await?,
        members: rows(pool, "conversation_list.members").await?,
        messages: rows(pool, "transcript.messages").await?,
    })
}

async fn rows(pool: &PgPool, table: &str) -> Result<Vec<Value>, Error> {
    let sql = format!("select to_jsonb(t)::text as row from {table} t order by row");
    let rows: Vec<String> = sqlx::query_scalar(&sql).fetch_all(pool).await?;
    rows.iter().map(|row| serde_json::from_str(row).map_err(Error::other)).collect()
}
