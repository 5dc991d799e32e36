//! A conversation at a sequence, for a client that has nothing yet.

use domain::{ConversationId, Shard};
use projections::{conversation_list, transcript, wait};
use sqlx::PgPool;
use store::{Position, log};

use super::frame::Snapshot;
use crate::access::is_participant;
use crate::auth::Identity;
use crate::error::Problem;
use crate::standing::{self, Standing};

/// The newest messages that a snapshot holds.
const LIMIT: transcript::Limit = transcript::Limit { messages: 100, bytes: 256 * 1024 };

/// Reads the state at the newest sequence that all views have taken in.
pub(crate) async fn read(
    pool: &PgPool,
    identity: &Identity,
    shard: Shard,
    id: ConversationId,
) -> Result<(u64, Snapshot), Problem> {
    if let Some(snapshot) = read_now(pool, identity, shard, id).await? {
        return Ok(snapshot);
    }
    // A conversation, or its participant, that is new: the views are on their way.
    let head = Position { shard, pos: log::head(pool, shard).await? };
    for view in [conversation_list::NAME, transcript::NAME] {
        if !wait::until(pool, view, head).await? {
            return Err(Problem::unavailable());
        }
    }
    read_now(pool, identity, shard, id).await?.ok_or_else(Problem::not_found)
}

/// None while the views have not come to its first event, or know nothing of who asks.
async fn read_now(
    pool: &PgPool,
    identity: &Identity,
    shard: Shard,
    id: ConversationId,
) -> Result<Option<(u64, Snapshot)>, Problem> {
    let mut tx = standing::begin(pool).await?;
    let (tenant, mut conversation, sequence) = match standing::read(&mut tx, shard, id).await? {
        Standing::Known { sequence: 0, .. } | Standing::NotYet => return Ok(None),
        Standing::Known { tenant, view, sequence } => (tenant, *view, sequence),
        Standing::Gone => return Err(Problem::not_found()),
    };
    // Of this very moment: who was a participant when asked may have been removed since, or was added so lately that the
    // views do not know it yet.
    if !is_participant(identity, &tenant, &conversation.participants) {
        return Ok(None);
    }
    conversation.sequence = sequence;
    let transcript::Page { mut messages, more } = transcript::page(&mut *tx, id, None, LIMIT).await?;
    messages.reverse();
    Ok(Some((sequence, Snapshot { conversation, messages, more })))
}
