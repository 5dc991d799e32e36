//! What the log tells of itself in figures. docs/operations.md lists them; no label holds content or anyone's id.

use std::collections::BTreeSet;
use std::time::Duration;

use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use domain::Shard;
use sqlx::PgPool;

use crate::Error;

const APPEND_DURATION: &str = "bestchat_append_duration_seconds";
const APPEND_BATCH: &str = "bestchat_append_batch_events";
const APPEND_RETRIES: &str = "bestchat_append_retries_total";
const LEASE_CHANGES: &str = "bestchat_lease_changes_total";
const LEASES: &str = "bestchat_leases_owned";
const POOL: &str = "bestchat_postgres_pool_connections";
const POOL_MAX: &str = "bestchat_postgres_pool_max_connections";
const HEAD: &str = "bestchat_log_head";
const LAG: &str = "bestchat_projection_lag_events";
const DEAD_LETTERS: &str = "bestchat_dead_letters";

/// Says what each figure means, once a process has someone to tell.
pub fn describe() {
    describe_histogram!(APPEND_DURATION, "How long an append of a batch took, committed or not.");
    describe_histogram!(APPEND_BATCH, "How many events a batch appended.");
    describe_counter!(APPEND_RETRIES, "Batches that were decided anew, by reason.");
    describe_counter!(LEASE_CHANGES, "Shards that this process took or no longer has, by role.");
    describe_gauge!(LEASES, "Shards that this process owns, by role.");
    describe_gauge!(POOL, "Connections to Postgres, by the pool's role and by state.");
    describe_gauge!(POOL_MAX, "The most connections to Postgres that a pool may hold.");
    describe_gauge!(HEAD, "The position of a shard's last event; every process says the same.");
    describe_gauge!(LAG, "Events that a projection has yet to take in; every process says the same.");
    describe_gauge!(DEAD_LETTERS, "Parked events by consumer; every process says the same.");
}

pub(crate) fn appended(events: usize, took: Duration) {
    histogram!(APPEND_DURATION).record(took);
    histogram!(APPEND_BATCH).record(u32::try_from(events).unwrap_or(u32::MAX));
}

pub(crate) fn decided_anew(reason: &'static str) {
    counter!(APPEND_RETRIES, "reason" => reason).increment(1);
}

pub(crate) fn leases(role: &'static str, before: &BTreeSet<Shard>, now: &BTreeSet<Shard>) {
    let change = |change: &'static str, from: &BTreeSet<Shard>, to: &BTreeSet<Shard>| {
        counter!(LEASE_CHANGES, "role" => role, "change" => change).increment((to - from).len() as u64);
    };
    change("taken", before, now);
    change("ended", now, before);
    gauge!(LEASES, "role" => role).set(size(now.len()));
}

/// Looks now and then at what nothing tells of by itself.
#[derive(Debug)]
pub struct Looker {
    pool: PgPool,
    role: &'static str,
    /// The projections that there should be.
    expected: &'static [&'static str],
    /// What was told before and must go back to nothing once it is no longer there.
    projections: BTreeSet<(String, Shard)>,
    consumers: BTreeSet<String>,
}

impl Looker {
    /// Looks at a pool of a process's `role`, and through it at the log. An `expected` projection that was never begun lags
    /// by all that there is.
    pub fn new(pool: PgPool, role: &'static str, expected: &'static [&'static str]) -> Self {
        Self { pool, role, expected, projections: BTreeSet::new(), consumers: BTreeSet::new() }
    }

    /// Records the pool, the heads, how far the projections have come, and what is parked.
    ///
    /// # Errors
    /// When Postgres does not answer; the pool is recorded all the same.
    pub async fn look(&mut self) -> Result<(), Error> {
        let (size_now, idle) = (self.pool.size() as usize, self.pool.num_idle());
        gauge!(POOL, "role" => self.role, "state" => "idle").set(size(idle));
        gauge!(POOL, "role" => self.role, "state" => "used").set(size(size_now.saturating_sub(idle)));
        gauge!(POOL_MAX, "role" => self.role).set(self.pool.options().get_max_connections());
        self.look_at_heads().await?;
        self.look_at_projections().await?;
        self.look_at_dead_letters().await
    }

    async fn look_at_heads(&self) -> Result<(), Error> {
        let heads: Vec<(i32, i64)> = sqlx::query_as("select shard, head from heads").fetch_all(&self.pool).await?;
        for (shard, head) in heads {
            gauge!(HEAD, "shard" => shard.to_string()).set(count(head));
        }
        Ok(())
    }

    async fn look_at_projections(&mut self) -> Result<(), Error> {
        let lags: Vec<(String, i32, i64)> = sqlx::query_as(
            "select p.name, s.shard, greatest(s.head - coalesce(c.pos, 0), 0)
             from (select unnest($1::text[]) union select projection from checkpoints) p (name) cross join heads s
             left join checkpoints c on c.projection = p.name and c.shard = s.shard",
        )
        .bind(self.expected)
        .fetch_all(&self.pool)
        .await?;
        let tell = |projection: &str, shard: Shard, lag: f64| {
            gauge!(LAG, "projection" => projection.to_owned(), "shard" => shard.to_string()).set(lag);
        };
        let mut gone = std::mem::take(&mut self.projections);
        for (projection, shard, lag) in lags {
            let key = (projection, Shard::try_from(shard).unwrap_or(Shard::MAX));
            tell(&key.0, key.1, count(lag));
            gone.remove(&key);
            self.projections.insert(key);
        }
        for (projection, shard) in &gone {
            tell(projection, *shard, 0.0);
        }
        Ok(())
    }

    async fn look_at_dead_letters(&mut self) -> Result<(), Error> {
        let parked: Vec<(String, i64)> =
            sqlx::query_as("select consumer, count(*) from dead_letters group by consumer")
                .fetch_all(&self.pool)
                .await?;
        let tell = |consumer: &str, parked: f64| gauge!(DEAD_LETTERS, "consumer" => consumer.to_owned()).set(parked);
        let mut gone = std::mem::take(&mut self.consumers);
        for (consumer, parked) in parked {
            tell(&consumer, count(parked));
            gone.remove(&consumer);
            self.consumers.insert(consumer);
        }
        for consumer in &gone {
            tell(consumer, 0.0);
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; a count that high has long been rounded by its reader"
)]
fn count(count: i64) -> f64 {
    count as f64
}

fn size(size: usize) -> f64 {
    count(i64::try_from(size).unwrap_or(i64::MAX))
}
