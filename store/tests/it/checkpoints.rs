//! How far a reader has come.

use sqlx::PgPool;
use store::checkpoint::{advance, pass, read};

use crate::database::Database;

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_concerns_nobody_is_passed_over_from_where_the_reader_is(owner: PgPool) {
    let database = Database::new(owner, 1).await;
    let pool = database.connect_with(1);
    assert!(!pass(&pool, "reader", 0, 1..=3).await.unwrap(), "there is no checkpoint yet");
    let mut tx = store::begin(&pool).await.unwrap();
    advance(&mut tx, "reader", 0, 3).await.unwrap();
    tx.commit().await.unwrap();

    assert!(!pass(&pool, "reader", 0, 5..=9).await.unwrap(), "the event at 4 was not seen");
    assert_eq!(read(&pool, "reader", 0).await.unwrap(), 3);
    for (positions, stands_at) in [(4..=6, 6), (2..=5, 6), (6..=8, 8), (9..=9, 9)] {
        assert!(pass(&pool, "reader", 0, positions).await.unwrap());
        assert_eq!(read(&pool, "reader", 0).await.unwrap(), stands_at);
    }
    let next: String = sqlx::query_scalar("show synchronous_commit").fetch_one(&pool).await.unwrap();
    assert_eq!(next, "on", "the next to have the connection is as safe as ever");
}
