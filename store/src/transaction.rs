//! Transactions that leave nothing behind, whenever whoever began them goes away.

use sqlx::{PgPool, PgTransaction};

/// Begins a transaction. In place of `PgPool::begin`, which must not be cancelled.
///
/// sqlx 0.8 counts a transaction from the answer to its `BEGIN`. When the future that waits for the answer is dropped, the
/// connection goes back to the pool uncounted, and nobody rolls back. Whoever takes it next writes into a transaction that
/// no one commits: an append on it was acknowledged and yet not in the log, and its lock on the shard's head kept the
/// shard's next owner from answering anything. So a task of its own waits for the answer, and what it gets when nobody
/// wants it any more is rolled back.
///
/// # Errors
/// When Postgres does not answer.
pub async fn begin(pool: &PgPool) -> Result<PgTransaction<'static>, sqlx::Error> {
    let pool = pool.clone();
    #[expect(clippy::disallowed_methods, reason = "here it is not cancelled")]
    let beginning = tokio::spawn(async move { pool.begin().await });
    beginning.await.unwrap_or_else(|error| Err(sqlx::Error::Io(std::io::Error::other(error))))
}
