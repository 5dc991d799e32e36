//! Transactions that may be dropped at any moment.
//!
//! sqlx sends `BEGIN` and notes that a transaction is open only once the answer is there. A future that is dropped in
//! between, by a `select!` or a client that hung up, leaves its connection inside a transaction that nobody ends, and
//! the pool hands it to the next one: whose statements then succeed, are acknowledged, and are undone some time later,
//! rows locked meanwhile. So the answer to `BEGIN` is awaited by a task that nobody drops; dropped in any later state, a
//! transaction is rolled back. `clippy.toml` bans the other way to begin one.

use sqlx::{PgPool, PgTransaction};

/// Begins a transaction.
///
/// # Errors
/// When Postgres does not answer.
pub async fn begin(pool: &PgPool) -> Result<PgTransaction<'static>, sqlx::Error> {
    let pool = pool.clone();
    #[expect(clippy::disallowed_methods, reason = "here it is awaited to its end, whatever becomes of the caller")]
    let beginning = tokio::spawn(async move { pool.begin().await });
    beginning.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}
