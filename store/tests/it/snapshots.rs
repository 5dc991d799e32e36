//! A state loaded through a snapshot is the state that replaying every event gives.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{Aggregate, AggregateContext, CqrsFramework, EventStore};
use domain::conversation::{Command, Conversation, Parent, Part};
use domain::{Actor, Asked, Asker, CommandId, ConversationId};
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;
use store::PostgresEventStore;
use store::writer::{self, Execute, Handle};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::database::Database;
use crate::tally::{Command as TallyCommand, Tally};

const DEADLINE: Duration = Duration::from_secs(10);

/// Says so much that a snapshot is due, and a little more behind it.
async fn long_conversation(database: &Database) -> ConversationId {
    let (committed, _relay) = mpsc::channel(1);
    let writer: Handle<Conversation> = writer::spawn(database.connect(), 0, committed);
    let conversation = ConversationId(Uuid::now_v7());
    let actor = Actor::User("ann".parse().unwrap());
    let asker = Asker { tenant: "acme".parse().ok(), actor: actor.clone() };
    let say = |nth: u128| Command::SubmitMessage {
        message: Uuid::from_u128(nth).into(),
        parent: Parent::ActiveLeaf,
        parts: vec![Part::Text { text: format!("message {nth}") }],
        reply: None,
    };
    let start = Command::StartConversation { title: None, model: None, system_prompt: None };
    for command in [start].into_iter().chain((1..300).map(say)) {
        let execute = Execute {
            command_id: CommandId(Uuid::new_v4()),
            aggregate_id: conversation.to_string(),
            traceparent: None,
            expected_sequence: None,
            actor: actor.clone(),
            command: Asked { asker: asker.clone(), command },
        };
        writer.execute(execute).await.unwrap();
    }
    let kept = "select exists (select from snapshots where aggregate_id = $1)";
    let began = Instant::now();
    while !sqlx::query_scalar::<_, bool>(kept).bind(conversation.to_string()).fetch_one(&database.pool).await.unwrap() {
        assert!(began.elapsed() < DEADLINE, "a snapshot is kept");
        tokio::task::yield_now().await;
    }
    conversation
}

async fn loaded(database: &Database, id: ConversationId) -> Conversation {
    let store = PostgresEventStore::new(database.pool.clone(), 1);
    let mut context = EventStore::<Conversation>::load_aggregate(&store, &id.to_string()).await.unwrap();
    context.aggregate().clone()
}

async fn replayed(database: &Database, id: ConversationId) -> Conversation {
    let store = PostgresEventStore::new(database.pool.clone(), 1);
    let events = EventStore::<Conversation>::load_events(&store, &id.to_string()).await.unwrap();
    let mut state = Conversation::default();
    for event in events {
        state.apply(event.payload);
    }
    state
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn loading_through_a_snapshot_is_replaying(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let id = long_conversation(&database).await;
    let sequence: i64 = sqlx::query_scalar("select sequence from snapshots").fetch_one(&database.pool).await.unwrap();
    assert!((256..300).contains(&sequence), "there are events behind it: {sequence}");
    let replayed = replayed(&database, id).await;
    assert_eq!(loaded(&database, id).await, replayed);
    assert_eq!(store::state::<Conversation>(&database.pool, &id.to_string()).await.unwrap(), replayed);

    // It is read: a state that was tampered with shows.
    let tampered = "update snapshots set state = jsonb_set(state, '{title}', '\"tampered with\"')";
    sqlx::query(tampered).execute(&database.pool).await.unwrap();
    assert_ne!(loaded(&database, id).await, replayed);
    for broken in ["state_version = 0", "state_version = 1, state = '{\"phase\": 7}'"] {
        sqlx::query(&format!("update snapshots set {broken}")).execute(&database.pool).await.unwrap();
        assert_eq!(loaded(&database, id).await, replayed, "{broken}");
    }
}

/// Why cqrs-es's own snapshot store is not used: what it snapshots, it applies twice.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_stock_snapshot_store_counts_double(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let table = "create table stock_snapshots (aggregate_type text, aggregate_id text, last_sequence bigint,
                 current_snapshot bigint, payload jsonb, primary key (aggregate_type, aggregate_id))";
    sqlx::query(table).execute(&database.owner).await.unwrap();
    let repository = || PostgresEventRepository::new(database.owner.clone()).with_tables("events", "stock_snapshots");
    let stock = || PersistedEventStore::<_, Tally>::new_snapshot_store(repository(), 1);
    let theirs = CqrsFramework::new(stock(), vec![], ());
    let ours = CqrsFramework::<Tally, _>::new(PostgresEventStore::new(database.pool.clone(), 1), vec![], ());
    for _ in 0..6 {
        theirs.execute_with_metadata("theirs", TallyCommand::Add(1), HashMap::new()).await.unwrap();
        ours.execute_with_metadata("ours", TallyCommand::Add(1), HashMap::new()).await.unwrap();
    }
    assert_eq!(stock().load_aggregate("theirs").await.unwrap().aggregate().total, 12);
    let store = PostgresEventStore::new(database.pool.clone(), 1);
    assert_eq!(EventStore::<Tally>::load_aggregate(&store, "ours").await.unwrap().aggregate().total, 6);
}
