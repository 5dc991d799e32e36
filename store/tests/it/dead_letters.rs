//! Parked events: seen, asked for again, taken in or parked anew.

use sqlx::PgPool;
use store::{Position, dead_letter};

use crate::check;
use crate::database::Database;
use crate::tally::{Command, ask};

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_parked_event_goes_round(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let pool = &database.pool;
    database.writer(0).execute(ask("a", Command::Add(2))).await.unwrap();
    let events = check::shard(pool, 0).await;
    let second = events[1].position();
    for event in &events {
        dead_letter::park(pool, "reply", event, "provider gone").await.unwrap();
    }

    let parked = dead_letter::list(pool).await.unwrap();
    assert_eq!(parked.len(), 2);
    let letter = parked.iter().find(|letter| letter.position == second).unwrap();
    assert_eq!((letter.consumer.as_str(), letter.aggregate_id.as_str(), letter.sequence), ("reply", "a", 2));
    assert_eq!((letter.error.as_str(), letter.retry_at), ("provider gone", None));
    assert!(dead_letter::asked_for(pool, "reply", 0).await.unwrap().is_empty());

    assert!(dead_letter::ask_retry(pool, "reply", second).await.unwrap());
    assert!(!dead_letter::ask_retry(pool, "tools", second).await.unwrap(), "another consumer has not parked it");
    assert!(!dead_letter::ask_retry(pool, "reply", Position { shard: 0, pos: 9 }).await.unwrap());
    let asked = dead_letter::asked_for(pool, "reply", 0).await.unwrap();
    assert_eq!(asked.iter().map(|letter| letter.position).collect::<Vec<_>>(), [second]);

    dead_letter::park(pool, "reply", &events[1], "still gone").await.unwrap();
    assert!(dead_letter::asked_for(pool, "reply", 0).await.unwrap().is_empty(), "parked anew, it waits for a person");
    assert!(dead_letter::ask_retry(pool, "reply", second).await.unwrap());
    let taken_up = dead_letter::take_up(pool, "reply").await.unwrap();
    assert_eq!(taken_up.iter().map(|letter| letter.position).collect::<Vec<_>>(), [second]);
    assert!(dead_letter::take_up(pool, "reply").await.unwrap().is_empty(), "one takes it up");
    assert_eq!(dead_letter::list(pool).await.unwrap().len(), 2, "it stays parked until it went well");

    dead_letter::remove(pool, "reply", second).await.unwrap();
    let left: Vec<_> = dead_letter::list(pool).await.unwrap().into_iter().map(|letter| letter.position.pos).collect();
    assert_eq!(left, [1]);
}
