//! Making a view anew from the log while the old one serves: a second schema is filled, then the two are swapped.

use domain::Shard;
use futures::{StreamExt, TryStreamExt};
use sqlx::PgPool;
use store::{checkpoint, log};

use crate::account::{self, Account};
use crate::conversation_list::{self, ConversationList};
use crate::projection::{Projection, begin, search, take_in};
use crate::transcript::{self, Transcript};
use crate::usage::{self, Spending};

/// How many events are taken in at a time.
const PAGE: u32 = 5_000;
/// How many shards are filled at once.
const SHARDS_AT_ONCE: usize = 4;

/// The views that can be rebuilt.
pub const NAMES: &[&str] = &[account::NAME, conversation_list::NAME, transcript::NAME, usage::NAME];

/// Why a view was not rebuilt: the old one stays.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is no view of this name.
    #[error("there is no projection {0:?}; there are {names}", names = NAMES.join(", "))]
    Unknown(String),
    /// Someone is at it already: two would throw each other's new view away.
    #[error("{0} is being rebuilt by another process: wait until that one is done")]
    UnderWay(&'static str),
    /// Postgres did not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<sqlx::Error> for RebuildError {
    fn from(error: sqlx::Error) -> Self {
        store::Error::from(error).into()
    }
}

/// Rebuilds the view `name` with the rights of the schema's owner; readers and projectors go on meanwhile. Gives the
/// number of events taken in.
///
/// # Errors
/// When there is no such view, another process rebuilds it, or Postgres does not answer.
pub async fn rebuild(owner: &PgPool, name: &str) -> Result<u64, RebuildError> {
    match name {
        account::NAME => rebuild_as::<Account>(owner).await,
        conversation_list::NAME => rebuild_as::<ConversationList>(owner).await,
        transcript::NAME => rebuild_as::<Transcript>(owner).await,
        usage::NAME => rebuild_as::<Spending>(owner).await,
        _ => Err(RebuildError::Unknown(name.to_owned())),
    }
}

async fn rebuild_as<P: Projection>(owner: &PgPool) -> Result<u64, RebuildError> {
    let next = format!("{}_next", P::NAME);
    // Held by a transaction that does nothing else, so that it ends with this call or its process, however that ends.
    let mut alone = store::begin(owner).await?;
    let locked: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(&next)
        .fetch_one(&mut *alone)
        .await?;
    if !locked {
        return Err(RebuildError::UnderWay(P::NAME));
    }
    create::<P>(owner, &next).await?;
    let shards = store::shard_count(owner).await?;
    let fills = futures::stream::iter((0..shards).map(|shard| fill::<P>(owner, &next, shard)));
    let filled: Vec<u64> = fills.buffer_unordered(SHARDS_AT_ONCE).try_collect().await?;
    let rest = swap::<P>(owner, &next, shards).await?;
    alone.rollback().await?;
    Ok(filled.iter().sum::<u64>() + rest)
}

async fn create<P: Projection>(owner: &PgPool, next: &str) -> Result<(), store::Error> {
    let mut tx = store::begin(owner).await?;
    for table in ["checkpoints where projection", "dead_letters where consumer"] {
        sqlx::query(&format!("delete from {table} = $1")).bind(next).execute(&mut *tx).await?;
    }
    sqlx::query(&format!("drop schema if exists {next} cascade")).execute(&mut *tx).await?;
    sqlx::query(&format!("create schema {next}")).execute(&mut *tx).await?;
    for table in P::TABLES {
        let sql = format!("create table {next}.{table} (like {}.{table} including all)", P::NAME);
        sqlx::query(&sql).execute(&mut *tx).await?;
    }
    sqlx::query("select grant_view($1)").bind(next).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Takes a shard in up to where its log ends.
async fn fill<P: Projection>(owner: &PgPool, next: &str, shard: Shard) -> Result<u64, store::Error> {
    let mut taken_in = 0;
    loop {
        let done = checkpoint::read(owner, next, shard).await?;
        let page = log::read(owner, shard, done, PAGE).await?;
        if page.is_empty() {
            return Ok(taken_in);
        }
        let mut tx = begin(owner, next).await?;
        take_in::<P>(&mut tx, next, shard, &page).await?;
        tx.commit().await?;
        taken_in += page.len() as u64;
    }
}

/// Holds the projectors back by their checkpoints' locks, takes in what came meanwhile and lets the new view take the
/// place of the old one, all in one transaction.
async fn swap<P: Projection>(owner: &PgPool, next: &str, shards: Shard) -> Result<u64, store::Error> {
    let mut tx = begin(owner, next).await?;
    let mut taken_in = 0;
    for shard in 0..shards {
        checkpoint::lock(&mut tx, P::NAME, shard).await?;
        loop {
            let done = checkpoint::read(&mut *tx, next, shard).await?;
            let page = log::read(&mut *tx, shard, done, PAGE).await?;
            if page.is_empty() {
                break;
            }
            take_in::<P>(&mut tx, next, shard, &page).await?;
            taken_in += page.len() as u64;
        }
    }
    search(&mut tx, "public").await?;
    for (table, column) in [("checkpoints", "projection"), ("dead_letters", "consumer")] {
        sqlx::query(&format!("delete from {table} where {column} = $1")).bind(P::NAME).execute(&mut *tx).await?;
        sqlx::query(&format!("update {table} set {column} = $1 where {column} = $2"))
            .bind(P::NAME)
            .bind(next)
            .execute(&mut *tx)
            .await?;
    }
    sqlx::query(&format!("drop schema {} cascade", P::NAME)).execute(&mut *tx).await?;
    sqlx::query(&format!("alter schema {next} rename to {}", P::NAME)).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(taken_in)
}
