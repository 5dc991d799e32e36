//! However the log is cut into batches, the view is the same.

use std::collections::HashSet;

use domain::conversation::{Cost, Event, Finish, Part, ReplyError, Spent, Usage};
use domain::{ConversationId, MessageId, ModelRef};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sqlx::PgPool;
use store::{Recorded, log};
use uuid::Uuid;

use crate::conversation_list::ConversationList;
use crate::projection::{Projection, begin, pass_over, take_in};
use crate::transcript::Transcript;
use crate::usage::Spending;

const LOGS: usize = 12;
/// Their tables.
const TABLES: [&str; 5] = [
    "conversation_list.conversations",
    "conversation_list.members",
    "transcript.messages",
    "usage.replies",
    "usage.spending",
];

fn model() -> impl Strategy<Value = ModelRef> {
    prop::sample::select(vec!["a/b", "a/c/d"]).prop_map(|model| model.parse().unwrap())
}

fn message() -> impl Strategy<Value = MessageId> {
    (1..4_u128).prop_map(|n| MessageId(Uuid::from_u128(n)))
}

fn spent() -> impl Strategy<Value = Option<Spent>> {
    let count = || prop::option::of(prop_oneof![0..9_u64, Just(u64::MAX)]);
    let cost = prop::option::of((0..9_u64).prop_map(|micros| Cost { micros, price: "p".into() }));
    prop::option::of((count(), count(), cost, any::<bool>()).prop_map(|(input, output, cost, estimated)| {
        let usage = Usage { input, output, ..Usage::default() };
        Spent { usage, cost, estimated }
    }))
}

#[expect(clippy::too_many_lines, reason = "a line for each event")]
/// Any event, of few people and messages so that they meet.
fn event() -> impl Strategy<Value = Event> {
    let user = || prop::sample::select(vec!["ann", "bob"]).prop_map(|user| user.parse::<domain::UserId>().unwrap());
    let parts = || "[a-z ]{0,9}".prop_map(|text| vec![Part::Text { text }]);
    let error = || ReplyError::new("rate", "slow");
    let finish = Finish::Stop;
    prop_oneof![
        "[a-z]{1,5}".prop_map(|title| Event::ConversationRenamed { title }),
        user().prop_map(|user| Event::ParticipantAdded { user }),
        user().prop_map(|user| Event::ParticipantRemoved { user }),
        (message(), user(), parts()).prop_map(|(message, author, parts)| Event::MessageSubmitted {
            message,
            parent: None,
            author,
            parts,
            edit_of: None
        }),
        (message(), message()).prop_map(|(reply, parent)| Event::ReplyRequested {
            reply,
            parent,
            model: None,
            regenerate_of: None
        }),
        (message(), 1..4_u32, prop::option::of(model())).prop_map(|(reply, attempt, model)| {
            let worker = "w".into();
            Event::ReplyAttemptStarted {
                reply,
                attempt,
                worker,
                lease_ms: 1,
                model,
                alternatives: None,
                continues: false,
            }
        }),
        (message(), spent()).prop_map(move |(reply, spent)| Event::ReplyAttemptFailed {
            reply,
            attempt: 1,
            error: error(),
            spent,
            switch: false,
            retry_after_ms: None,
            parts: Vec::new()
        }),
        (message(), spent()).prop_map(|(reply, spent)| Event::ReplyAttemptExpired {
            reply,
            attempt: 1,
            spent,
            parts: Vec::new()
        }),
        (message(), parts(), spent()).prop_map(|(reply, parts, spent)| Event::ReplyStopped {
            reply,
            attempt: 1,
            parts,
            spent
        }),
        message().prop_map(|reply| Event::ReplyStopRequested { reply }),
        (message(), parts(), model(), spent()).prop_map(move |(reply, parts, model, spent)| Event::ReplyCompleted {
            reply,
            attempt: 1,
            parts,
            finish,
            model,
            usage: Usage::default(),
            spent,
        }),
        (message(), parts(), spent()).prop_map(move |(reply, parts, spent)| Event::ReplyFailed {
            reply,
            attempt: 1,
            error: error(),
            parts,
            spent
        }),
        message().prop_map(|leaf| Event::BranchSelected { leaf }),
        Just(Event::ConversationArchived {}),
        Just(Event::ConversationUnarchived {}),
        Just(Event::ConversationDeleted {}),
    ]
}

/// What happens in which of three conversations, and where it is cut.
fn cut_log() -> impl Strategy<Value = (Vec<(u128, Event)>, Vec<usize>)> {
    (prop::collection::vec((1..4_u128, event()), 1..40), prop::collection::vec(1..7_usize, 40))
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_view_is_the_same_however_the_log_is_cut(pool: PgPool) {
    store::migrate(&pool, Some(1), 1).await.unwrap();
    let mut runner = TestRunner::deterministic();
    for _ in 0..LOGS {
        let (events, cuts) = cut_log().new_tree(&mut runner).unwrap().current();
        sqlx::query("truncate events").execute(&pool).await.unwrap();
        append(&pool, &events).await;
        let log = log::read(&pool, 0, 0, 1_000).await.unwrap();
        let whole = view_of(&pool, &[&log]).await;
        let one_by_one: Vec<&[Recorded]> = log.chunks(1).collect();
        assert_eq!(view_of(&pool, &one_by_one).await, whole, "{events:?}");
        let mut rest = &log[..];
        let mut batches = Vec::new();
        for cut in cuts {
            let (batch, after) = rest.split_at(cut.min(rest.len()));
            batches.push(batch);
            rest = after;
        }
        assert_eq!(view_of(&pool, &batches).await, whole, "{events:?}");
        // What comes again changes nothing.
        batches.extend(one_by_one);
        assert_eq!(view_of(&pool, &batches).await, whole, "{events:?}");
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_does_not_concern_a_view_is_passed_over(pool: PgPool) {
    store::migrate(&pool, Some(1), 1).await.unwrap();
    let (reply, parent) = (MessageId(Uuid::from_u128(1)), MessageId(Uuid::from_u128(2)));
    let renamed = || (1, Event::ConversationRenamed { title: "Tides".to_owned() });
    let asked = (1, Event::ReplyRequested { reply, parent, model: None, regenerate_of: None });
    append(&pool, &[renamed(), renamed(), asked, renamed()]).await;
    let log = log::read(&pool, 0, 0, 100).await.unwrap();
    let (first, rest) = log.split_at(1);
    let (quiet, last) = rest.split_at(rest.len() - 2);
    let passes = async |batch: &[Recorded]| pass_over::<Spending>(&pool, 0, batch).await.unwrap();
    assert!(!passes(first).await, "there is no checkpoint yet");
    take_all_in::<Spending>(&pool, &[first]).await;
    assert!(!passes(last).await, "a reply is asked for");
    assert!(!passes(&last[1..]).await, "what is before it was not seen");
    assert!(passes(quiet).await && passes(&[]).await);
    assert!(!pass_over::<ConversationList>(&pool, 0, quiet).await.unwrap(), "a row has the last sequence");
    take_all_in::<Spending>(&pool, &[last]).await;
    let replies: i64 = sqlx::query_scalar("select count(*) from usage.replies").fetch_one(&pool).await.unwrap();
    assert_eq!(replies, 1);
}

async fn append(pool: &PgPool, events: &[(u128, Event)]) {
    let (owner, tenant) = ("ann".parse().unwrap(), "acme".parse().unwrap());
    let started = Event::ConversationStarted { owner, tenant, title: None, model: None, system_prompt: None };
    let mut sequences = [0_i64; 4];
    let begins = (1..4).map(|id| (id, started.clone()));
    let (mut deleted, mut begun) = (HashSet::new(), HashSet::new());
    for (id, event) in begins.chain(events.iter().cloned()) {
        // No conversation's log has a message that begins twice, or anything after its end but that of what ran.
        let begins = match &event {
            Event::MessageSubmitted { message, .. } => Some(*message),
            Event::ReplyRequested { reply, .. } => Some(*reply),
            _ => None,
        };
        let ends = matches!(event, Event::ReplyStopped { .. });
        if (deleted.contains(&id) && !ends) || begins.is_some_and(|message| !begun.insert((id, message))) {
            continue;
        }
        if event == (Event::ConversationDeleted {}) {
            deleted.insert(id);
        }
        let sequence = &mut sequences[usize::try_from(id).unwrap()];
        *sequence += 1;
        let sql =
            "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, tenant)
                   values ('conversation', $1, $2, $3, '1.0', $4, $5, 'acme')";
        let (id, payload) = (ConversationId(Uuid::from_u128(id)), serde_json::to_value(&event).unwrap());
        // Two people ask in turn.
        let actor = if *sequence % 2 == 0 { "user:ann" } else { "user:bob" };
        let metadata = serde_json::json!({ "actor": actor, "command": id, "digest": "" });
        let row = sqlx::query(sql).bind(id.to_string()).bind(*sequence).bind(event.name()).bind(payload).bind(metadata);
        row.execute(pool).await.unwrap();
    }
}

/// The views of conversations, made from these batches.
async fn view_of(pool: &PgPool, batches: &[&[Recorded]]) -> String {
    sqlx::query(&format!("truncate checkpoints, {}", TABLES.join(", "))).execute(pool).await.unwrap();
    take_all_in::<ConversationList>(pool, batches).await;
    take_all_in::<Transcript>(pool, batches).await;
    take_all_in::<Spending>(pool, batches).await;
    let mut all = String::new();
    for table in TABLES {
        let sql = format!("select coalesce(string_agg(t::text, e'\\n' order by t::text), '') from {table} t");
        all += &sqlx::query_scalar::<_, String>(&sql).fetch_one(pool).await.unwrap();
    }
    all
}

async fn take_all_in<P: Projection>(pool: &PgPool, batches: &[&[Recorded]]) {
    for batch in batches {
        let mut tx = begin(pool, P::NAME).await.unwrap();
        take_in::<P>(&mut tx, P::NAME, 0, batch).await.unwrap();
        tx.commit().await.unwrap();
    }
}
