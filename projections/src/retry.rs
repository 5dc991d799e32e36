//! Taking a halted aggregate in again, when a person has asked for it.

use domain::{Ask, Shard};
use sqlx::{PgPool, PgTransaction};
use store::{Recorded, checkpoint, dead_letter, log};

use crate::projection::{Projection, begin, concerns, fold, read};

/// How many events are read at a time.
const PAGE: u32 = 1_000;

/// Makes the rows of each aggregate anew that a person wants retried in this shard.
pub(crate) async fn retry<P: Projection>(pool: &PgPool, shard: Shard) -> Result<(), store::Error> {
    for parked in dead_letter::asked_for(pool, P::NAME, shard).await? {
        let mut tx = begin(pool, P::NAME).await?;
        let done = checkpoint::lock(&mut tx, P::NAME, shard).await?;
        sqlx::query("delete from dead_letters where consumer = $1 and shard = $2 and aggregate_id = $3")
            .bind(P::NAME)
            .bind(i32::from(shard))
            .bind(&parked.aggregate_id)
            .execute(&mut *tx)
            .await?;
        refold::<P>(&mut tx, &parked.aggregate_id, done).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Folds an aggregate's events up to position `done`; parks it again at the first that cannot be read.
async fn refold<P: Projection>(tx: &mut PgTransaction<'_>, id: &str, done: u64) -> Result<(), store::Error> {
    let named = id.parse().ok();
    if let Some(id) = named {
        P::clear(tx, id).await?;
    }
    let mut after = 0;
    loop {
        let page = log::read_stream(&mut **tx, P::Of::TYPE, id, after + 1..=u64::MAX, PAGE).await?;
        let more = page.full;
        let page: Vec<Recorded> = page.into_iter().take_while(|recorded| recorded.pos <= done).collect();
        let Some(last) = page.last() else { return Ok(()) };
        after = last.sequence;
        let mut happened = Vec::with_capacity(page.len());
        for recorded in page.iter().filter(|recorded| concerns::<P>(recorded)) {
            match read::<P::Of>(recorded) {
                Ok(event) => happened.push(event),
                Err(reason) => {
                    fold::<P>(tx, &happened).await?;
                    return dead_letter::park(&mut **tx, P::NAME, recorded, &reason).await;
                }
            }
        }
        fold::<P>(tx, &happened).await?;
        if !more {
            return Ok(());
        }
    }
}
