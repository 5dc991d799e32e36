//! The messages of conversations, to be read page by page from the newest back.

use std::collections::{BTreeMap, BTreeSet};

use domain::conversation::{Command, Event};
use domain::{ConversationId, MessageId};
use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, PgTransaction};
use uuid::Uuid;

use crate::projection::{Happened, News, Projection, from_json, to_json};
use crate::view::{MessageStatus, MessageView, Role};

/// The name of this view.
pub const NAME: &str = "transcript";

/// A row of `messages`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    conversation: ConversationId,
    #[serde(flatten)]
    view: MessageView,
}

#[derive(Default)]
pub(crate) struct Transcript {
    messages: BTreeMap<(ConversationId, MessageId), MessageView>,
    deleted: BTreeSet<ConversationId>,
}

impl Projection for Transcript {
    const NAME: &'static str = NAME;
    type Of = Command;
    const TABLES: &'static [&'static str] = &["messages"];

    async fn load(tx: &mut PgTransaction<'_>, batch: &[Happened<'_, Command>]) -> Result<Self, sqlx::Error> {
        let changed: BTreeSet<(ConversationId, MessageId)> =
            batch.iter().filter_map(|happened| Some((happened.id, changes(&happened.event)?))).collect();
        let (conversations, ids): (Vec<Uuid>, Vec<Uuid>) = changed.iter().map(|(c, id)| (c.0, id.0)).unzip();
        let rows: Vec<String> = sqlx::query_scalar(
            "select to_json(m)::text from unnest($1::uuid[], $2::uuid[]) as changed(conversation, id)
             join messages m using (conversation, id)",
        )
        .bind(conversations)
        .bind(ids)
        .fetch_all(&mut **tx)
        .await?;
        let mut messages = BTreeMap::new();
        for row in rows {
            let row: Row = from_json(&row)?;
            messages.insert((row.conversation, row.view.id), row.view);
        }
        Ok(Self { messages, deleted: BTreeSet::new() })
    }

    fn apply(&mut self, happened: &Happened<'_, Command>) {
        let conversation = happened.id;
        if let Some(message) = begun(happened) {
            self.messages.insert((conversation, message.id), message);
        } else if let Event::ConversationDeleted {} = happened.event {
            self.messages.retain(|(id, _), _| *id != conversation);
            self.deleted.insert(conversation);
        } else if let Some(id) = changes(&happened.event)
            && let Some(message) = self.messages.get_mut(&(conversation, id))
        {
            change(message, &happened.event);
        }
    }

    async fn save(self, tx: &mut PgTransaction<'_>) -> Result<Vec<News>, sqlx::Error> {
        if !self.deleted.is_empty() {
            let deleted: Vec<Uuid> = self.deleted.iter().map(|id| id.0).collect();
            sqlx::query("delete from messages where conversation = any($1)").bind(deleted).execute(&mut **tx).await?;
        }
        if !self.messages.is_empty() {
            let rows: Vec<Row> =
                self.messages.into_iter().map(|((conversation, _), view)| Row { conversation, view }).collect();
            sqlx::query(
                "insert into messages select * from json_populate_recordset(null::messages, $1::json)
                 on conflict (conversation, id) do update set
                     parts = excluded.parts, status = excluded.status, attempt = excluded.attempt,
                     model = excluded.model, finish = excluded.finish, usage = excluded.usage, error = excluded.error",
            )
            .bind(to_json(&rows)?)
            .execute(&mut **tx)
            .await?;
        }
        Ok(Vec::new())
    }

    async fn clear(tx: &mut PgTransaction<'_>, conversation: ConversationId) -> Result<(), sqlx::Error> {
        sqlx::query("delete from messages where conversation = $1").bind(conversation.0).execute(&mut **tx).await?;
        Ok(())
    }
}

/// The message that an event begins.
fn begun(Happened { sequence, at, event, .. }: &Happened<'_, Command>) -> Option<MessageView> {
    let blank = |id: MessageId, parent: Option<MessageId>| MessageView {
        id,
        parent,
        role: Role::User,
        author: None,
        parts: Vec::new(),
        alternative_of: None,
        status: MessageStatus::Submitted,
        attempt: 0,
        model: None,
        finish: None,
        usage: None,
        error: None,
        sequence: *sequence,
        created_at: *at,
    };
    match event {
        Event::MessageSubmitted { message, parent, author, parts, edit_of } => Some(MessageView {
            author: Some(author.clone()),
            parts: parts.clone(),
            alternative_of: *edit_of,
            ..blank(*message, *parent)
        }),
        Event::ReplyRequested { reply, parent, model, regenerate_of } => Some(MessageView {
            role: Role::Assistant,
            alternative_of: *regenerate_of,
            status: MessageStatus::Pending,
            model: model.clone(),
            ..blank(*reply, Some(*parent))
        }),
        _ => None,
    }
}

/// The message that an event changes.
fn changes(event: &Event) -> Option<MessageId> {
    match event {
        Event::ReplyAttemptStarted { reply, .. }
        | Event::ReplyAttemptFailed { reply, .. }
        | Event::ReplyAttemptExpired { reply, .. }
        | Event::ReplyStopRequested { reply }
        | Event::ReplyCompleted { reply, .. }
        | Event::ReplyStopped { reply, .. }
        | Event::ReplyFailed { reply, .. } => Some(*reply),
        _ => None,
    }
}

fn change(message: &mut MessageView, event: &Event) {
    match event {
        Event::ReplyAttemptStarted { attempt, .. } => {
            message.status = MessageStatus::Running;
            message.attempt = *attempt;
        }
        Event::ReplyAttemptFailed { .. } | Event::ReplyAttemptExpired { .. } => message.status = MessageStatus::Pending,
        Event::ReplyStopRequested { .. } => message.status = MessageStatus::Stopping,
        Event::ReplyCompleted { parts, finish, model, usage, .. } => {
            message.status = MessageStatus::Completed;
            message.parts.clone_from(parts);
            message.finish = Some(*finish);
            message.model = Some(model.clone());
            message.usage = Some(usage.clone());
        }
        Event::ReplyStopped { parts, .. } => {
            message.status = MessageStatus::Stopped;
            message.parts.clone_from(parts);
        }
        Event::ReplyFailed { error, parts, .. } => {
            message.status = MessageStatus::Failed;
            message.parts.clone_from(parts);
            message.error = Some(error.clone());
        }
        _ => {}
    }
}

/// Among how many of the newest messages replies that run are looked for.
const NEWEST: i64 = 1_000;

/// The replies of a conversation that have not ended, each with its newest attempt.
///
/// # Errors
/// When Postgres does not answer.
pub async fn open_replies(
    db: impl PgExecutor<'_>,
    conversation: ConversationId,
) -> Result<Vec<(MessageId, u32)>, sqlx::Error> {
    let rows: Vec<(Uuid, i32)> = sqlx::query_as(
        "select id, attempt from (
             select id, attempt, status from transcript.messages
             where conversation = $1 order by sequence desc limit $2) newest
         where status in ('pending', 'running', 'stopping')",
    )
    .bind(conversation.0)
    .bind(NEWEST)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|(id, attempt)| (MessageId(id), u32::try_from(attempt).unwrap_or_default())).collect())
}

/// How large a page may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The most messages.
    pub messages: u32,
    /// The most bytes of what they say; the newest is there whatever its size.
    pub bytes: u32,
}

/// A conversation's messages, the newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The messages.
    pub messages: Vec<MessageView>,
    /// Whether there are older ones.
    pub more: bool,
}

/// The newest messages of a conversation made before the event `before`.
///
/// # Errors
/// When Postgres does not answer.
pub async fn page(
    db: impl PgExecutor<'_>,
    conversation: ConversationId,
    before: Option<u64>,
    limit: Limit,
) -> Result<Page, sqlx::Error> {
    // One more than wanted, which tells whether there are older ones. What does not fit stays in the database.
    let rows: Vec<(String, bool)> = sqlx::query_as(
        "with newest as (
             select id, sequence, octet_length(parts::text) as size from transcript.messages
             where conversation = $1 and sequence < $2 order by sequence desc limit $3::bigint + 1),
         counted as (
             select id, row_number() over w as nth, sum(size) over w as bytes from newest
             window w as (order by sequence desc)),
         fitting as (
             select id, nth from counted where nth <= $3 and (nth = 1 or bytes <= $4))
         select to_json(m)::text, (select count(*) from newest) > (select count(*) from fitting)
         from fitting join transcript.messages m on m.conversation = $1 and m.id = fitting.id order by nth",
    )
    .bind(conversation.0)
    .bind(before.map_or(i64::MAX, store::log::signed))
    .bind(i64::from(limit.messages))
    .bind(i64::from(limit.bytes))
    .fetch_all(db)
    .await?;
    let more = rows.last().is_some_and(|(_, more)| *more);
    let messages = rows.iter().map(|(row, _)| from_json::<Row>(row).map(|row| row.view)).collect::<Result<_, _>>()?;
    Ok(Page { messages, more })
}
