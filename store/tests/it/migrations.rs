//! Migrating, by many at once, and the number of shards, which never changes.

use futures::future::join_all;
use sqlx::{ConnectOptions, PgPool};
use store::{Error, Role, connect, migrate, shard_count};

#[sqlx::test(migrations = false)]
async fn many_may_migrate_a_new_database_at_once(pool: PgPool) {
    assert!(matches!(shard_count(&pool).await, Err(Error::NotMigrated)));
    let url = pool.connect_options().to_url_lossy().to_string();
    let pools: Vec<_> = (0..4).map(|_| connect(&url, Role::Owner, 2).unwrap()).collect();
    let counts = join_all(pools.iter().map(|pool| migrate(pool, None, 6))).await;
    for count in counts {
        assert_eq!(count.unwrap(), 6);
    }
    let shards: Vec<i32> =
        sqlx::query_scalar("select shard from shards order by shard").fetch_all(&pool).await.unwrap();
    assert_eq!(shards, [0, 1, 2, 3, 4, 5]);
}

#[sqlx::test(migrations = false)]
async fn the_number_of_shards_stays(pool: PgPool) {
    assert_eq!(migrate(&pool, Some(3), 4).await.unwrap(), 3);
    assert_eq!(migrate(&pool, None, 4).await.unwrap(), 3, "a default does not count in an old database");
    assert_eq!(migrate(&pool, Some(3), 4).await.unwrap(), 3);
    let another = migrate(&pool, Some(5), 4).await;
    assert!(matches!(another, Err(Error::ShardCount { asked: 5, actual: 3 })));
    assert_eq!(shard_count(&pool).await.unwrap(), 3);
}
