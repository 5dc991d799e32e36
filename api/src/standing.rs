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
    // Before anything is read, for only then comes the moment that is seen: a rebuilt view may take the old one's place
    // just now, and whoever sees an older moment would find its checkpoint and none of its rows.
    sqlx::query("lock table conversation_list.conversations, transcript.messages in access share mode")
        .execute(&mut *tx)
        .await?;
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
    .bind([conversation_list::NAME, transcript::NAME])
    .bind(i32::from(shard))
    .bind(&id)
    .fetch_one(&mut **tx)
    .await?;
    let halted = parked.map_or(u64::MAX, |parked| log::unsigned(parked - 1));
    Ok(Standing::Known { tenant, view: Box::new(view), sequence: sequence.min(halted) })
}

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions, Executor};
    use store::Role;
    use uuid::Uuid;

    use super::*;

    /// As a rebuild does it: the new view is filled and takes the old one's place in one transaction.
    const SWAP: &str = "create schema next;
        create table next.conversations (like conversation_list.conversations including all);
        insert into next.conversations select * from conversation_list.conversations;
        drop table conversation_list.conversations;
        alter table next.conversations set schema conversation_list;
        grant select on conversation_list.conversations to bestchat_edge;
        insert into checkpoints (projection, shard, pos) values ('conversation_list', 0, 1), ('transcript', 0, 1)";
    const WAITING: &str = "select exists (select from pg_locks join pg_database on database = pg_database.oid
                           where not granted and locktype = 'relation' and datname = current_database())";

    #[sqlx::test(migrator = "store::MIGRATOR")]
    async fn a_view_that_is_swapped_in_meanwhile_is_seen_as_a_whole(pool: PgPool) {
        store::migrate(&pool, Some(1), 1).await.unwrap();
        let (id, url) = (ConversationId(Uuid::new_v4()), pool.connect_options().to_url_lossy().to_string());
        pool.execute(
            format!(
                "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
                 values ('conversation', '{id}', 1, 'ConversationStarted', '1.0', '{{}}', '{{}}');
                 insert into conversation_list.conversations
                 values ('{id}', 'acme', null, null, 'ann', '{{ann}}', null, null, null, false, 1, now(), now())"
            )
            .as_str(),
        )
        .await
        .unwrap();
        let mut swap = store::begin(&pool).await.unwrap();
        swap.execute(SWAP).await.unwrap();
        let edge = store::connect(&url, Role::Edge, 1).unwrap();
        let reading = tokio::spawn(async move {
            let mut tx = begin(&edge).await.unwrap();
            let standing = read(&mut tx, 0, id).await.unwrap();
            drop(tx);
            edge.close().await;
            standing
        });
        let mut waits = false;
        while !waits {
            assert!(!reading.is_finished(), "the table is locked by the swap");
            waits = sqlx::query_scalar(WAITING).fetch_one(&mut *swap).await.unwrap();
        }
        swap.commit().await.unwrap();
        assert!(matches!(reading.await.unwrap(), Standing::Known { sequence: 1, .. }));
    }
}
