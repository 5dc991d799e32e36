//! The schema, embedded.

use sqlx::PgPool;

use crate::Error;

/// The migrations in `migrations/`.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// Brings the schema up to date and, in a new database, creates its shards. Safe to run by many at once.
///
/// `shards` counts in a new database alone.
///
/// # Errors
/// When a migration fails, or when `shards` is given and the database was created with another number.
pub async fn migrate(owner: &PgPool, shards: Option<u16>, default_shards: u16) -> Result<u16, Error> {
    MIGRATOR.run(owner).await?;
    let mut tx = crate::begin(owner).await?;
    // One creator at a time; the others then find its shards.
    sqlx::query("lock table shards in share row exclusive mode").execute(&mut *tx).await?;
    sqlx::query("insert into shards (shard) select generate_series(0, $1 - 1) where not exists (select from shards)")
        .bind(i32::from(shards.unwrap_or(default_shards).max(1)))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    let actual = shard_count(owner).await?;
    match shards {
        Some(asked) if asked != actual => Err(Error::ShardCount { asked, actual }),
        _ => Ok(actual),
    }
}

/// How many shards the database has.
///
/// # Errors
/// [`Error::NotMigrated`] when it has not been migrated yet.
pub async fn shard_count(pool: &PgPool) -> Result<u16, Error> {
    let migrated: bool = sqlx::query_scalar("select to_regclass('shards') is not null").fetch_one(pool).await?;
    if !migrated {
        return Err(Error::NotMigrated);
    }
    let count: i64 = sqlx::query_scalar("select count(*) from shards").fetch_one(pool).await?;
    match u16::try_from(count) {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(Error::NotMigrated),
    }
}
