//! One writer, as it should be: durable, ordered, answering each command for itself.

use std::collections::BTreeMap;

use domain::shard_of;
use futures::future::join_all;
use sqlx::PgPool;
use store::writer::{self, Refusal};
use store::{Position, Recorded};
use tokio::sync::mpsc;

use crate::check;
use crate::database::Database;
use crate::tally::{Command, OpenAlready, Tally, ask};

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_is_acknowledged_is_committed_and_handed_to_the_relay(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let (committed, mut relay) = mpsc::channel(16);
    let writer = writer::spawn::<Tally>(database.connect(), 0, committed);

    let accepted = writer.execute(ask("a", Command::Add(3))).await.unwrap();
    assert_eq!((accepted.sequence, accepted.position), (3, Position { shard: 0, pos: 3 }));
    let opened = writer.execute(ask("a", Command::Open)).await.unwrap();
    assert_eq!(opened.sequence, 4);

    let log = check::shard(&database.pool, 0).await;
    let mut relayed: Vec<Recorded> = relay.recv().await.unwrap();
    relayed.extend(relay.recv().await.unwrap());
    assert_eq!(log.len(), 4);
    for (ours, theirs) in relayed.iter().zip(&log) {
        assert_eq!(comparable(ours), comparable(theirs), "what is relayed is what is stored");
    }
    assert_eq!(log[3].tenant, "acme", "an aggregate's first event that gives it a tenant carries it");
    assert!(log[0].command_id.is_some() && log[1].command_id.is_none(), "on the first event only");
}

/// Everything but the white space that jsonb adds.
fn comparable(event: &Recorded) -> serde_json::Value {
    serde_json::to_value(event).unwrap()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn many_clients_leave_no_gap(pool: PgPool) {
    let database = Database::new(pool, 4).await;
    let writers: Vec<_> = (0..4).map(|shard| database.writer(shard)).collect();
    let client = async |nth: usize| {
        let mut acknowledged = Vec::new();
        for round in 0..10 {
            let id = format!("tally {}", (nth + round) % 24);
            let execute = ask(&id, Command::Add(1 + (nth as u64 + round as u64) % 3));
            let shard = shard_of(&id, 4);
            acknowledged.push((execute.command_id, writers[usize::from(shard)].execute(execute).await.unwrap()));
        }
        acknowledged
    };
    let acknowledged: Vec<_> = join_all((0..100).map(client)).await.into_iter().flatten().collect();
    for shard in 0..4 {
        let events = check::shard(&database.pool, shard).await;
        let here: BTreeMap<_, _> =
            acknowledged.iter().filter(|(_, accepted)| accepted.position.shard == shard).copied().collect();
        check::ledger(&events, &here);
        assert_eq!(events.iter().filter(|event| event.command_id.is_some()).count(), here.len());
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_batch_builds_upon_itself(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let writer = database.writer(0);
    let commands = [Command::Open, Command::Open, Command::Close, Command::Close, Command::Open];
    // Submitted before the writer runs for the first time, so they are one batch.
    let outcomes = join_all(commands.map(|command| writer.submit(ask("a", command)))).await;
    let sequences: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().map(|accepted| accepted.sequence)).collect();
    let refusal = Refusal::Domain { error: OpenAlready };
    assert_eq!(sequences, [Ok(1), Err(&refusal), Ok(2), Ok(2), Ok(3)]);
    assert_eq!(check::shard(&database.pool, 0).await.len(), 3);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_expected_sequence_must_be_the_right_one(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let writer = database.writer(0);
    writer.execute(ask("a", Command::Add(2))).await.unwrap();
    for expected in [0, 1, 3] {
        let stale =
            writer.execute(store::writer::Execute { expected_sequence: Some(expected), ..ask("a", Command::Open) });
        assert_eq!(stale.await, Err(Refusal::StaleSequence { actual: 2 }));
    }
    let right = writer.execute(store::writer::Execute { expected_sequence: Some(2), ..ask("a", Command::Open) });
    assert_eq!(right.await.unwrap().sequence, 3);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_cannot_be_stored_harms_no_one_else(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let writer = database.writer(0);
    let mut unstorable_actor = ask("d", Command::Add(1));
    unstorable_actor.actor = domain::Actor::Worker("a\0b".to_owned());
    let outcomes = join_all(
        [
            ask("a", Command::Add(1)),
            ask("a", Command::Note("a\0b".to_owned())),
            ask("a", Command::Add(1)),
            ask("b\0", Command::Add(1)),
            unstorable_actor,
            ask("c", Command::Note("\\u0000 as text is fine".to_owned())),
        ]
        .map(|execute| writer.submit(execute)),
    )
    .await;
    let accepted: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [true, false, true, false, false, true]);
    assert_eq!(check::shard(&database.pool, 0).await.len(), 3);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_aggregate_of_another_shard_is_not_taken(pool: PgPool) {
    let database = Database::new(pool, 4).await;
    let elsewhere = (shard_of("a", 4) + 1) % 4;
    let outcome = database.writer(elsewhere).execute(ask("a", Command::Add(1))).await;
    assert_eq!(outcome, Err(Refusal::Unavailable));
    assert!(check::shard(&database.pool, elsewhere).await.is_empty());
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_commit_is_flushed_before_it_is_acknowledged(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    // Whatever the database's default is.
    let off =
        "do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$";
    sqlx::query(off).execute(&database.owner).await.unwrap();
    let setting: String = sqlx::query_scalar("show synchronous_commit").fetch_one(&database.connect()).await.unwrap();
    assert_eq!(setting, "on");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn writers_get_by_with_fewer_connections_than_they_are(pool: PgPool) {
    let database = Database::new(pool, 4).await;
    let scarce = database.connect_with(2);
    let writers: Vec<_> = (0..4)
        .map(|shard| {
            let (committed, _relay) = mpsc::channel(1);
            writer::spawn::<Tally>(scarce.clone(), shard, committed)
        })
        .collect();
    let ask = async |nth: usize| {
        let id = format!("tally {nth}");
        writers[usize::from(shard_of(&id, 4))].execute(ask(&id, Command::Add(1))).await.unwrap();
    };
    let all = async {
        for round in 0..10 {
            join_all((0..40).map(|nth| ask(round * 40 + nth))).await;
        }
    };
    // Who waits for a connection in vain waits five seconds.
    tokio::time::timeout(std::time::Duration::from_secs(20), all).await.expect("in time");
}

/// Others may leave something behind on a connection that they share, and a busy pool must hold nobody up.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_append_waits_for_no_shared_connection(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let scarce = database.connect_with(1);
    let (committed, _relay) = mpsc::channel(16);
    let writer = writer::spawn::<Tally>(scarce.clone(), 0, committed);
    writer.execute(ask("a", Command::Add(1))).await.unwrap();
    let _taken = scarce.acquire().await.unwrap();
    // Who waits for a connection in vain waits five seconds. One command goes on, the other begins something.
    for id in ["a", "b"] {
        let appended =
            tokio::time::timeout(std::time::Duration::from_secs(4), writer.execute(ask(id, Command::Add(1))));
        appended.await.expect("without the pool").unwrap();
    }
}
