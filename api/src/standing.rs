//! How a conversation stands in the views, all of them seen at one moment, and at which sequence that is.

use domain::{ConversationId, Shard, Tenant, conversation};
use projections::{ConversationView, conversation_list, transcript};
use sqlx::{PgPool, PgTransaction};
use store::{checkpoint, log};

use crate::error::Problem;

/// How a conversation stands.
pub(crate) enum Standing {
    /// The views know it.
    Known {
        tenant: Tenant,
        view: Box<ConversationView>,
        /// The newest sequence that all views have taken in. Some may be further, which does no harm: the events after
        /// it set again what they have set.
        sequence: u64,
    },
    /// The views have not come to its first event, if it has one.
    NotYet,
    /// The views have taken it in, and have nothing to show: it was deleted.
    Gone,
}

/// Begins a transaction that sees everything as it is at one moment.
pub(crate) async fn begin(pool: &PgPool) -> Result<PgTransaction<'static>, sqlx::Error> {
    let mut tx = store::begin(pool).await?;
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    Ok(tx)
}

/// Reads how a conversation stands.
pub(crate) async fn read(tx: &mut PgTransaction<'_>, shard: Shard, id: ConversationId) -> Result<Standing, Problem> {
    let list = checkpoint::read(&mut **tx, conversation_list::NAME, shard).await?;
    let messages = checkpoint::read(&mut **tx, transcript::NAME, shard).await?;
    let row = conversation_list::get(&mut **tx, id).await?;
    let id = id.to_string();
    let Some((tenant, view)) = row else {
        let known = log::sequence_at(&mut **tx, conversation::TYPE, &id, list).await?;
        return Ok(if known == 0 { Standing::NotYet } else { Standing::Gone });
    };
    let sequence = log::sequence_at(&mut **tx, conversation::TYPE, &id, list.min(messages)).await?;
    // A view that could not read an event of the conversation stands before it, however far it has come with others.
    let parked: Option<i64> = sqlx::query_scalar(
        "select min(sequence) from dead_letters where consumer = any($1) and shard = $2 and aggregate_id = $3",
    )
    .bind(projections::NAMES)
    .bind(i32::from(shard))
    .bind(&id)
    .fetch_one(&mut **tx)
    .await?;
    let halted = parked.map_or(u64::MAX, |parked| log::unsigned(parked - 1));
    Ok(Standing::Known { tenant, view: Box::new(view), sequence: sequence.min(halted) })
}
