//! One durable append: the events of many commands, in one statement, or none of them.
//!
//! Why it is right: the statement inserts only if an event stands at the position where the writer expects the head, and it
//! takes the positions behind that one, of which the index lets each exist once. Of two writers with the same head one waits
//! for the other's commit and then finds its position taken; one with an old head finds it taken at once. So positions are
//! handed out without a gap and in commit order, whoever believes to own the shard, and a reader that has seen position p
//! has seen everything before it. The lock of the shard's row is there for others alone (see `assign_position`), who wait
//! for it instead of failing; nothing is written into that row (docs/adr/0024).

use chrono::{DateTime, Utc};
use domain::{CommandId, Shard};
use serde_json::value::RawValue;
use sqlx::{PgExecutor, Row};
use uuid::Uuid;

use crate::Recorded;
use crate::log::signed;

/// An event on its way into the log.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The aggregate's type.
    pub aggregate_type: &'static str,
    /// The aggregate.
    pub aggregate_id: String,
    /// Its number in the aggregate.
    pub sequence: u64,
    /// Its type.
    pub event_type: String,
    /// The version of its type.
    pub event_version: String,
    /// What happened.
    pub payload: Box<RawValue>,
    /// Who asked.
    pub metadata: Box<RawValue>,
    /// The aggregate's tenant.
    pub tenant: String,
    /// Its id.
    pub event_id: Uuid,
    /// The command, on the command's first event only.
    pub command_id: Option<CommandId>,
}

/// Why nothing was appended, or why that is not known.
#[derive(Debug)]
pub enum AppendError {
    /// The head is not where it was expected: someone else appended.
    HeadMoved,
    /// A command id or a sequence is in the log already.
    AlreadyThere,
    /// Postgres will not take these rows, however often they are sent.
    Unacceptable(sqlx::Error),
    /// No answer: the events may or may not be in the log.
    Unknown(sqlx::Error),
}

/// What lets each position exist once.
const BY_POSITION: &str = "events_by_position";

const APPEND: &str = "\
with stands as materialized (
    select from shards where shard = $1
    -- In the index's order, so that a plan made while the table was empty does not read it all later.
    and ($2 = 0 or exists (select from events where shard = $1 and pos = $2 order by shard, pos limit 1))
    for no key update
), appended as (
    insert into events (shard, pos, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                        tenant, event_id, command_id, recorded_at)
    select $1, $2 + new.o, new.aggregate_type, new.aggregate_id, new.sequence, new.event_type, new.event_version,
           new.payload::jsonb, new.metadata::jsonb, new.tenant, new.event_id, new.command_id, now()
    from stands, unnest($3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[],
                        $10::text[], $11::uuid[], $12::uuid[])
        with ordinality as new(aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                               tenant, event_id, command_id, o)
)
select now() as recorded_at from stands";

/// Appends `events` to `shard` if its head is `head`; they get the positions after it.
///
/// # Errors
/// See [`AppendError`]: nothing was appended, except perhaps when it is [`AppendError::Unknown`].
pub async fn append(
    db: impl PgExecutor<'_>,
    shard: Shard,
    head: u64,
    events: Vec<NewEvent>,
) -> Result<Vec<Recorded>, AppendError> {
    let row = sqlx::query(APPEND)
        .bind(i32::from(shard))
        .bind(signed(head))
        .bind(column(&events, |e| e.aggregate_type))
        .bind(column(&events, |e| e.aggregate_id.as_str()))
        .bind(column(&events, |e| signed(e.sequence)))
        .bind(column(&events, |e| e.event_type.as_str()))
        .bind(column(&events, |e| e.event_version.as_str()))
        .bind(column(&events, |e| e.payload.get()))
        .bind(column(&events, |e| e.metadata.get()))
        .bind(column(&events, |e| e.tenant.as_str()))
        .bind(column(&events, |e| e.event_id))
        .bind(column(&events, |e| e.command_id.map(|id| id.0)))
        .fetch_optional(db)
        .await
        .map_err(classify)?
        .ok_or(AppendError::HeadMoved)?;
    let recorded_at: DateTime<Utc> = row.try_get("recorded_at").map_err(AppendError::Unknown)?;
    Ok(events.into_iter().zip(head + 1..).map(|(event, pos)| event.recorded(shard, pos, recorded_at)).collect())
}

fn column<'a, T>(events: &'a [NewEvent], field: impl Fn(&'a NewEvent) -> T) -> Vec<T> {
    events.iter().map(field).collect()
}

fn classify(error: sqlx::Error) -> AppendError {
    let Some(database) = error.as_database_error() else { return AppendError::Unknown(error) };
    match database.code().as_deref() {
        Some("23505") if database.constraint() == Some(BY_POSITION) => AppendError::HeadMoved,
        Some("23505") => AppendError::AlreadyThere,
        // Classes 22 (data), 23 (integrity) and 54 (limits) speak of the rows themselves.
        Some(code) if ["22", "23", "54"].iter().any(|class| code.starts_with(class)) => {
            AppendError::Unacceptable(error)
        }
        _ => AppendError::Unknown(error),
    }
}

impl NewEvent {
    fn recorded(self, shard: Shard, pos: u64, recorded_at: DateTime<Utc>) -> Recorded {
        Recorded {
            shard,
            pos,
            tenant: self.tenant,
            aggregate_type: self.aggregate_type.to_owned(),
            aggregate_id: self.aggregate_id,
            sequence: self.sequence,
            event_type: self.event_type,
            event_version: self.event_version,
            event_id: self.event_id,
            command_id: self.command_id,
            recorded_at,
            metadata: self.metadata,
            payload: self.payload,
        }
    }
}
