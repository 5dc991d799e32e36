//! Who owns which shard, in a role: rows that end by database time unless renewed.
//!
//! A lease is for speed: it keeps warm state in one place and work from being done twice. It is never what makes a write
//! right; the compare-and-set on the shard's head (and, for a projection, the lock on its checkpoint) is. An advisory lock
//! would not do: a frozen process would keep it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use domain::Shard;
use sqlx::PgPool;
use uuid::Uuid;

use crate::Error;

/// How long a lease holds without renewal.
pub const TERM: Duration = Duration::from_secs(2);
/// How often it is renewed, and how often a free one is looked for.
pub const RENEW_EVERY: Duration = Duration::from_millis(500);

/// One process's part in sharing out the shards of a role.
#[derive(Debug)]
pub struct Leases {
    pool: PgPool,
    role: &'static str,
    process: Uuid,
}

/// What a process owns after a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The shards that it owns and may keep.
    pub keep: BTreeSet<Shard>,
    /// The shards that it still owns and should give up, others having too few: stop working on them, then [`Leases::release`].
    pub give_up: BTreeSet<Shard>,
    /// Until when that holds, by this process's own clock.
    pub valid_until: Instant,
}

impl Leases {
    /// The part of `process` in `role`.
    pub fn new(pool: PgPool, role: &'static str, process: Uuid) -> Self {
        Self { pool, role, process }
    }

    /// Says that the process is alive, renews what it owns and takes what is free up to its fair share.
    ///
    /// # Errors
    /// When Postgres does not answer; what was owned then holds until it ends.
    pub async fn renew(&self) -> Result<Owned, Error> {
        // Taken before the question is sent, so that it ends no later than the row.
        let valid_until = Instant::now() + TERM;
        let mut tx = self.pool.begin().await?;
        self.say_alive(&mut tx).await?;
        let share = self.fair_share(&mut tx).await?;
        let mut owned = self.renew_owned(&mut tx).await?;
        if owned.len() < share {
            owned.extend(self.take_free(&mut tx, share - owned.len()).await?);
        }
        tx.commit().await?;
        let give_up: BTreeSet<Shard> = owned.iter().rev().take(owned.len().saturating_sub(share)).copied().collect();
        Ok(Owned { keep: &owned - &give_up, give_up, valid_until })
    }

    /// Gives shards up at once, so that another process need not wait for the term's end.
    ///
    /// # Errors
    /// When Postgres does not answer; the leases then end by themselves.
    pub async fn release(&self, shards: &BTreeSet<Shard>) -> Result<(), Error> {
        let shards: Vec<i32> = shards.iter().map(|shard| i32::from(*shard)).collect();
        sqlx::query("delete from leases where role = $1 and owner = $2 and shard = any($3)")
            .bind(self.role)
            .bind(self.process)
            .bind(shards)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Leaves the role: gives up every shard and no longer counts when they are shared out.
    ///
    /// # Errors
    /// When Postgres does not answer; the leases then end by themselves.
    pub async fn leave(&self) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        for table in ["leases where owner", "processes where process"] {
            let sql = format!("delete from {table} = $1 and role = $2");
            sqlx::query(&sql).bind(self.process).bind(self.role).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn say_alive(&self, tx: &mut sqlx::PgTransaction<'_>) -> Result<(), Error> {
        sqlx::query(
            "insert into processes (role, process, seen_at) values ($1, $2, now())
             on conflict (role, process) do update set seen_at = now()",
        )
        .bind(self.role)
        .bind(self.process)
        .execute(&mut **tx)
        .await?;
        sqlx::query("delete from processes where role = $1 and seen_at < now() - make_interval(secs => $2)")
            .bind(self.role)
            .bind(TERM.as_secs_f64())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The shards divided by the processes alive; the remainder goes to the first of them, one each.
    async fn fair_share(&self, tx: &mut sqlx::PgTransaction<'_>) -> Result<usize, Error> {
        let (shards, alive, before): (i64, i64, i64) = sqlx::query_as(
            "select (select count(*) from shards), count(*), count(*) filter (where process < $2)
             from processes where role = $1",
        )
        .bind(self.role)
        .bind(self.process)
        .fetch_one(&mut **tx)
        .await?;
        let alive = alive.max(1);
        let share = shards / alive + i64::from(before < shards % alive);
        Ok(usize::try_from(share).unwrap_or(0))
    }

    async fn renew_owned(&self, tx: &mut sqlx::PgTransaction<'_>) -> Result<BTreeSet<Shard>, Error> {
        let shards: Vec<i32> = sqlx::query_scalar(
            "update leases set expires_at = now() + make_interval(secs => $3) where role = $1 and owner = $2
             returning shard",
        )
        .bind(self.role)
        .bind(self.process)
        .bind(TERM.as_secs_f64())
        .fetch_all(&mut **tx)
        .await?;
        Ok(shards.into_iter().filter_map(|shard| Shard::try_from(shard).ok()).collect())
    }

    async fn take_free(&self, tx: &mut sqlx::PgTransaction<'_>, most: usize) -> Result<BTreeSet<Shard>, Error> {
        let shards: Vec<i32> = sqlx::query_scalar(
            "insert into leases (role, shard, owner, expires_at)
             select $1, s.shard, $2, now() + make_interval(secs => $3)
             from shards s left join leases l on l.role = $1 and l.shard = s.shard
             where l.shard is null or l.expires_at < now()
             order by s.shard limit $4
             on conflict (role, shard) do update set owner = excluded.owner, expires_at = excluded.expires_at
             where leases.expires_at < now()
             returning shard",
        )
        .bind(self.role)
        .bind(self.process)
        .bind(TERM.as_secs_f64())
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(&mut **tx)
        .await?;
        Ok(shards.into_iter().filter_map(|shard| Shard::try_from(shard).ok()).collect())
    }
}
