//! Who may see what: the one place. Whoever may not is told that there is no such conversation. Of accounts everyone sees
//! their own; no request can name another.

use domain::{AccountId, ConversationId};
use projections::{ConversationView, conversation_list, wait};
use sqlx::PgPool;
use store::{Position, log};

use crate::auth::Identity;
use crate::error::Problem;

/// The conversation, if `identity` may see it.
pub(crate) async fn conversation(
    pool: &PgPool,
    identity: &Identity,
    id: ConversationId,
) -> Result<ConversationView, Problem> {
    match conversation_list::get(pool, id).await? {
        Some((tenant, view)) if is_participant(identity, &tenant, &view.participants) => Ok(view),
        _ => Err(Problem::not_found()),
    }
}

/// The account that `identity` may see and change: its own.
pub(crate) fn account(identity: &Identity) -> AccountId {
    AccountId::of(&identity.tenant, &identity.user)
}

/// Whether `identity` is among the participants of a conversation of `tenant`.
pub(crate) fn is_participant<'a>(
    identity: &Identity,
    tenant: &domain::Tenant,
    participants: impl IntoIterator<Item = &'a domain::UserId>,
) -> bool {
    identity.tenant == *tenant && participants.into_iter().any(|participant| *participant == identity.user)
}

/// Waits until the view has taken in what the client must see. A position beyond the log's end was never given to anyone.
pub(crate) async fn wait_for(pool: &PgPool, view: &str, position: Option<Position>) -> Result<(), Problem> {
    let Some(position) = position else { return Ok(()) };
    match log::head(pool, position.shard).await {
        Ok(head) if position.pos <= head => {}
        Ok(_) | Err(store::Error::Database(sqlx::Error::RowNotFound)) => {
            return Err(Problem::malformed("`min_position` is no position of this log"));
        }
        Err(error) => return Err(error.into()),
    }
    if wait::until(pool, view, position).await? { Ok(()) } else { Err(Problem::unavailable()) }
}
