//! However the log is cut into batches, the view is the same.

use std::collections::HashSet;

use domain::conversation::{Event, Finish, Part, ReplyError, Usage};
use domain::{ConversationId, MessageId};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sqlx::PgPool;
use store::{Recorded, log};
use uuid::Uuid;

use crate::conversation_list::ConversationList;
use crate::projection::{Projection, begin, take_in};
use crate::transcript::Transcript;

const LOGS: usize = 12;

fn message() -> impl Strategy<Value = MessageId> {
    (1..4_u128).prop_map(|n| MessageId(Uuid::from_u128(n)))
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
        (message(), 1..4_u32).prop_map(|(reply, attempt)| Event::ReplyAttemptStarted {
            reply,
            attempt,
            worker: "w".into(),
            lease_ms: 1,
            model: None,
            alternatives: None
        }),
        message().prop_map(|reply| Event::ReplyStopRequested { reply }),
        (message(), parts()).prop_map(move |(reply, parts)| Event::ReplyCompleted {
            reply,
            attempt: 1,
            parts,
            finish,
            model: "a/b".parse().unwrap(),
            usage: Usage::default(),
            spent: None,
        }),
        (message(), parts()).prop_map(move |(reply, parts)| Event::ReplyFailed {
            reply,
            attempt: 1,
            error: error(),
            parts,
            spent: None
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
            "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
                   values ('conversation', $1, $2, $3, '1.0', $4, '{}')";
        let (id, payload) = (ConversationId(Uuid::from_u128(id)), serde_json::to_value(&event).unwrap());
        let row = sqlx::query(sql).bind(id.to_string()).bind(*sequence).bind(event.name()).bind(payload);
        row.execute(pool).await.unwrap();
    }
}

/// Both views, made from these batches.
async fn view_of(pool: &PgPool, batches: &[&[Recorded]]) -> String {
    sqlx::query(
        "truncate checkpoints, conversation_list.conversations, conversation_list.members, transcript.messages",
    )
    .execute(pool)
    .await
    .unwrap();
    take_all_in::<ConversationList>(pool, batches).await;
    take_all_in::<Transcript>(pool, batches).await;
    let mut all = String::new();
    for table in ["conversation_list.conversations", "conversation_list.members", "transcript.messages"] {
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
