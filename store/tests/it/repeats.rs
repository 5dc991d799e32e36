//! A command happens once, however often and wherever it is sent.

use futures::future::join_all;
use sqlx::PgPool;
use store::writer::{Execute, Refusal};

use crate::check;
use crate::database::Database;
use crate::tally::{Command, OpenAlready, ask};

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_repeat_in_the_same_batch_or_later_gets_the_first_result(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let writer = database.writer(0);
    let command = ask("a", Command::Add(2));
    let outcomes = join_all((0..3).map(|_| writer.submit(command.clone()))).await;
    let later = writer.execute(command).await;
    assert!(outcomes[0].is_ok());
    assert!(outcomes.iter().all(|outcome| outcome == &outcomes[0]));
    assert_eq!(later, outcomes[0]);
    assert_eq!(check::shard(&database.pool, 0).await.len(), 2);
}

/// Each of these would come to something else when decided anew: a refusal, nothing at all, more events.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_writer_that_starts_cold_gives_the_first_result(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let commands = [Command::Open, Command::Close, Command::Add(3)].map(|command| ask("a", command));
    let expecting = Execute { expected_sequence: Some(5), ..ask("a", Command::Note("once".to_owned())) };
    let commands: Vec<_> = commands.into_iter().chain([expecting]).collect();
    let mut first = Vec::new();
    let before = database.writer(0);
    for command in &commands {
        first.push(before.execute(command.clone()).await);
    }
    before.execute(ask("a", Command::Open)).await.unwrap();
    assert!(first.iter().all(Result::is_ok));

    for (command, first) in commands.iter().zip(&first) {
        assert_eq!(&database.writer(0).execute(command.clone()).await, first, "{:?}", command.command);
    }
    let again = database.writer(0);
    let together = join_all(commands.iter().map(|command| again.submit(command.clone()))).await;
    assert_eq!(together, first);
    assert_eq!(check::shard(&database.pool, 0).await.len(), 7);
}

/// As it comes to a shard's new owner while its edge asks again and again.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn repeats_that_a_cold_writer_finds_in_one_batch_all_get_the_first_result(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let before = database.writer(0);
    let close = ask("a", Command::Close);
    before.execute(ask("a", Command::Open)).await.unwrap();
    let first = before.execute(close.clone()).await;
    before.execute(ask("a", Command::Add(3))).await.unwrap();

    let after = database.writer(0);
    let together = join_all((0..3).map(|_| after.submit(close.clone()))).await;
    assert_eq!(together, [first.clone(), first.clone(), first]);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_id_used_for_another_command_is_refused(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let writer = database.writer(0);
    let first = ask("a", Command::Open);
    writer.execute(first.clone()).await.unwrap();

    let another_body = Execute { command: Command::Add(1), ..first.clone() };
    let nothing_to_do = Execute { command: Command::Close, aggregate_id: "b".to_owned(), ..first.clone() };
    let another_aggregate = Execute { aggregate_id: "b".to_owned(), ..first.clone() };
    for writer in [writer, database.writer(0)] {
        for reuse in [&another_body, &another_aggregate, &nothing_to_do] {
            assert_eq!(writer.execute(reuse.clone()).await, Err(Refusal::CommandIdReused));
        }
    }
    assert_eq!(check::shard(&database.pool, 0).await.len(), 1);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_refused_command_leaves_nothing_behind(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let writer = database.writer(0);
    writer.execute(ask("a", Command::Open)).await.unwrap();
    let refused = ask("a", Command::Open);
    assert_eq!(writer.execute(refused.clone()).await, Err(Refusal::Domain { error: OpenAlready }));
    writer.execute(ask("a", Command::Close)).await.unwrap();
    assert_eq!(writer.execute(refused).await.unwrap().sequence, 3, "it did not happen, so it may happen now");
}
