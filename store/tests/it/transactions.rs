//! A transaction that is given up while it begins leaves nothing behind.

use sqlx::PgPool;

use crate::database::Database;

/// How many are given up, each after one more turn than the one before, a few times over.
const GIVEN_UP: usize = 300;
const TURNS: usize = 60;

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn given_up_while_it_begins_it_leaves_no_connection_in_a_transaction(pool: PgPool) {
    let database = Database::new(pool, 4).await;
    // One connection: the next who takes it finds what was left behind.
    let one = database.connect_with(1);
    let mut given_up = 0;
    for nth in 0..GIVEN_UP {
        let turns = async {
            for _ in 0..nth % TURNS {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = store::begin(&one) => {}
            () = turns => given_up += 1,
        }
        // What is set for the transaction alone is gone by the next statement, unless that is in the same transaction.
        sqlx::query("select set_config('test.here', 'yes', true)").execute(&one).await.unwrap();
        let here: Option<String> =
            sqlx::query_scalar("select current_setting('test.here', true)").fetch_one(&one).await.unwrap();
        assert_ne!(here.as_deref(), Some("yes"), "the {nth}th left its transaction open");
    }
    assert!(given_up > 0, "some were given up");
}
