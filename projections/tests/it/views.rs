//! What the views hold, and who is told of changes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::ConversationId;
use domain::conversation::Event;
use futures::StreamExt;
use nats::{signal, subject};
use projections::conversation_list::{Page, list};
use projections::{MessageStatus, conversation_list, transcript};
use sqlx::PgPool;

use crate::log::{append, caught_up, migrated};
use crate::projecting::project;
use crate::story::{id, message, renamed, started, story};
use crate::wait::until;
use nats::test_server::Server;

const LIMIT: transcript::Limit = transcript::Limit { messages: 10, bytes: 1_000_000 };

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_row_and_its_messages_say_what_happened(owner: PgPool) {
    let (pool, server) = (migrated(&owner, 1).await, Server::start().await);
    for (sequence, event) in (1..).zip(story(100)) {
        append(&owner, id(1), sequence, &event).await;
    }
    let _projector = project(&pool, &server).await;
    until("all is taken in", async || caught_up(&pool).await).await;
    let (tenant, row) = conversation_list::get(&pool, id(1)).await.unwrap().unwrap();
    let people: Vec<&str> = row.participants.iter().map(domain::UserId::as_str).collect();
    assert_eq!((tenant.as_str(), people, row.sequence, row.archived), ("acme", vec!["ann", "bob"], 22, false));
    assert_eq!((row.title.as_deref(), row.preview.as_deref()), (Some("Tides"), Some("Why are there tides?")));
    assert_eq!(row.active_leaf, Some(message(101)));
    let messages = transcript::page(&pool, id(1), None, LIMIT).await.unwrap().messages;
    let statuses: Vec<_> = messages.iter().map(|message| (message.sequence, message.status, message.attempt)).collect();
    let expected = [
        (13, MessageStatus::Failed, 1),
        (10, MessageStatus::Stopped, 0),
        (5, MessageStatus::Completed, 2),
        (4, MessageStatus::Submitted, 0),
    ];
    assert_eq!(statuses, expected);
    assert_eq!(messages[0].error.as_ref().unwrap().code, "rate");
    assert_eq!(messages[2].usage.as_ref().unwrap().input, Some(3));
    assert!(transcript::open_replies(&pool, id(1)).await.unwrap().is_empty());
    pool.close().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_list_is_in_the_order_of_the_last_change(owner: PgPool) {
    let (pool, server) = (migrated(&owner, 2).await, Server::start().await);
    for n in 1..=5 {
        append(&owner, id(n), 1, &started(if n == 3 { "bob" } else { "ann" })).await;
    }
    append(&owner, id(1), 2, &renamed("up")).await;
    append(&owner, id(4), 2, &Event::ConversationArchived {}).await;
    let _projector = project(&pool, &server).await;
    until("all is taken in", async || caught_up(&pool).await).await;
    let (user, tenant) = ("ann".parse().unwrap(), "acme".parse().unwrap());
    let mut page = Page { user, tenant, archived: false, before: None, limit: 2 };
    let mut ids: Vec<ConversationId> = Vec::new();
    loop {
        let rows = list(&pool, &page).await.unwrap();
        let Some(last) = rows.last() else { break };
        page.before = Some((last.updated_at, last.id));
        ids.extend(rows.iter().map(|row| row.id));
    }
    assert_eq!(ids, [id(1), id(5), id(2)]);
    let archived = list(&pool, &Page { archived: true, before: None, ..page.clone() }).await.unwrap();
    assert_eq!(archived.iter().map(|row| row.id).collect::<Vec<_>>(), [id(4)]);
    let other = list(&pool, &Page { tenant: "other".parse().unwrap(), before: None, ..page }).await.unwrap();
    assert!(other.is_empty(), "a namesake of another tenant");
    pool.close().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn news_come_to_those_whom_they_concern_and_to_no_others(owner: PgPool) {
    let (pool, server) = (migrated(&owner, 1).await, Server::start().await);
    let mut changes = signal::listen(&server.core().await, subject::LISTS).await.unwrap();
    let mut heard: BTreeMap<String, usize> = BTreeMap::new();
    let _projector = project(&pool, &server).await;
    for (sequence, event) in (1..).zip(story(100)) {
        append(&owner, id(1), sequence, &event).await;
    }
    append(&owner, id(1), 23, &Event::ConversationDeleted {}).await;
    until("all is taken in", async || caught_up(&pool).await).await;
    let mut last: BTreeMap<String, bool> = BTreeMap::new();
    while let Ok(Some(change)) = tokio::time::timeout(std::time::Duration::from_millis(500), changes.next()).await {
        let told: signal::ListChange = serde_json::from_slice(&change.payload).unwrap();
        *heard.entry(change.subject.to_string()).or_default() += 1;
        last.insert(change.subject.to_string(), told.conversation.is_some());
    }
    let acme = "acme".parse().unwrap();
    let concerned = ["ann", "bob", "carl"].map(|user| subject::list(&acme, &user.parse().unwrap()));
    // Carl may have come and gone within one batch; whoever heard of it heard last that it is gone.
    assert!(heard.keys().all(|subject| concerned.contains(subject)), "{heard:?}");
    assert!(concerned[..2].iter().all(|subject| last.get(subject) == Some(&false)), "{last:?}");
    pool.close().await;
}

/// Times are those of the log.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_happens_within_a_reply_moves_nothing_up(owner: PgPool) {
    let (pool, server) = (migrated(&owner, 1).await, Server::start().await);
    let _projector = project(&pool, &server).await;
    let updated =
        async || -> DateTime<Utc> { conversation_list::get(&pool, id(1)).await.unwrap().unwrap().1.updated_at };
    for (sequence, event) in (1..).zip(story(100).into_iter().take(5)) {
        append(&owner, id(1), sequence, &event).await;
    }
    until("all is taken in", async || caught_up(&pool).await).await;
    let before = updated().await;
    let quiet = [
        Event::ReplyAttemptStarted {
            reply: message(101),
            attempt: 1,
            worker: "w".into(),
            lease_ms: 1,
            model: None,
            alternatives: None,
            continues: false,
        },
        Event::ReplyStopRequested { reply: message(101) },
        Event::BranchSelected { leaf: message(100) },
    ];
    for (sequence, event) in (6..).zip(quiet) {
        append(&owner, id(1), sequence, &event).await;
    }
    until("all is taken in", async || caught_up(&pool).await).await;
    assert_eq!(updated().await, before);
    assert_eq!(transcript::open_replies(&pool, id(1)).await.unwrap(), [(message(101), 1)]);
    pool.close().await;
}
