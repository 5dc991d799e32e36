//! A conversation at a sequence, for a client that has nothing yet.

use domain::{ConversationId, Shard, conversation};
use projections::{conversation_list, transcript, wait};
use sqlx::PgPool;
use store::{Position, checkpoint, log};

use super::frame::Snapshot;
use crate::error::Problem;

/// How many of the newest messages a snapshot holds.
const MESSAGES: usize = 100;

/// Reads the state at the newest sequence that all views have taken in; some views may be further, which does no harm:
/// the events after that sequence come again and set what they have already set.
pub(crate) async fn read(pool: &PgPool, shard: Shard, id: ConversationId) -> Result<(u64, Snapshot), Problem> {
    if let Some(snapshot) = read_now(pool, shard, id).await? {
        return Ok(snapshot);
    }
    // A conversation that has only just begun: the views are on their way.
    let head = Position { shard, pos: log::head(pool, shard).await? };
    for view in [conversation_list::NAME, transcript::NAME] {
        if !wait::until(pool, view, head).await? {
            return Err(Problem::unavailable());
        }
    }
    read_now(pool, shard, id).await?.ok_or_else(Problem::not_found)
}

async fn read_now(pool: &PgPool, shard: Shard, id: ConversationId) -> Result<Option<(u64, Snapshot)>, Problem> {
    let mut tx = pool.begin().await?;
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let list = checkpoint::read(&mut *tx, conversation_list::NAME, shard).await?;
    let messages = checkpoint::read(&mut *tx, transcript::NAME, shard).await?;
    let sequence = log::sequence_at(&mut *tx, conversation::TYPE, &id.to_string(), list.min(messages)).await?;
    let Some((_, mut conversation)) = conversation_list::get(&mut *tx, id).await? else { return Ok(None) };
    if sequence == 0 {
        return Ok(None);
    }
    conversation.sequence = sequence;
    let limit = u32::try_from(MESSAGES + 1).unwrap_or(u32::MAX);
    let mut messages = transcript::page(&mut *tx, id, None, limit).await?;
    let more = messages.len() > MESSAGES;
    messages.truncate(MESSAGES);
    messages.reverse();
    Ok(Some((sequence, Snapshot { conversation, messages, more })))
}
