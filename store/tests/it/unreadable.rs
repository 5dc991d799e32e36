//! An event that cannot be read halts its aggregate, and nothing else.

use futures::future::join_all;
use sqlx::PgPool;
use store::writer::Refusal;

use crate::database::Database;
use crate::tally::{Command, ask};

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn it_halts_its_aggregate_alone(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let writer = database.writer(0);
    writer.execute(ask("poisoned", Command::Add(1))).await.unwrap();
    let poison =
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
                  values ('tally', 'poisoned', 2, 'Exploded', '9.0', '{\"Exploded\": {}}', '{}')";
    sqlx::query(poison).execute(&database.owner).await.unwrap();

    let commands = ["a", "poisoned", "b"].map(|id| ask(id, Command::Add(1)));
    let outcomes = join_all(commands.map(|command| writer.submit(command))).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    assert_eq!(outcomes[1], Err(Refusal::Unreadable));

    sqlx::query("update events set payload = '\"Added\"' where event_type = 'Exploded'")
        .execute(&database.owner)
        .await
        .unwrap();
    assert_eq!(writer.execute(ask("poisoned", Command::Add(1))).await.unwrap().sequence, 3, "mended, it goes on");
}
