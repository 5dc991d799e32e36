//! Following conversations: each event once, in order, wherever a client comes in.

use domain::conversation::{Command, Event};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::owner::foreign;
use crate::support::{Client, TestEdge, until};

/// The events from `first` to `last`, each once, in order.
async fn events(client: &mut Client, id: domain::ConversationId, first: u64, last: u64) {
    for sequence in first..=last {
        assert_eq!(client.about(id, "event").await["sequence"], json!(sequence));
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_client_gets_what_it_lacks_and_then_the_news(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    for title in 2..=300 {
        test.owner.rename(id, &title.to_string()).await;
    }
    let mut ann = test.client("ann").await;
    // More than a room holds, from the log; and nonsense, which gets a snapshot.
    ann.send(&json!({ "type": "subscribe", "conversation": id, "after": 0 })).await;
    assert_eq!(ann.about(id, "subscribed").await["snapshot"], Value::Null);
    events(&mut ann, id, 1, 300).await;
    assert_eq!(ann.about(id, "live").await["sequence"], 300);
    for after in [301, u64::MAX] {
        ann.send(&json!({ "type": "subscribe", "conversation": id, "after": after })).await;
        let subscribed = ann.about(id, "subscribed").await;
        let sequence = subscribed["sequence"].as_u64().unwrap();
        assert_eq!(subscribed["snapshot"]["conversation"]["sequence"], json!(sequence));
        events(&mut ann, id, sequence + 1, 300).await;
        ann.about(id, "live").await;
    }
    // Faster than they are told: more than the room holds becomes news at once.
    let mut slow = test.client("ann").await;
    slow.follow(id).await;
    for title in 301..=600 {
        test.owner.rename(id, &title.to_string()).await;
    }
    events(&mut ann, id, 301, 600).await;
    events(&mut slow, id, 301, 600).await;
    ann.hears_nothing().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn events_of_which_the_bus_says_nothing_come_too(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    let mut ann = test.client("ann").await;
    ann.follow(id).await;
    for sequence in 2..=4 {
        foreign(&test.pool, id, sequence, &Event::ConversationRenamed { title: sequence.to_string() }).await;
    }
    events(&mut ann, id, 2, 4).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn none_is_lost_between_the_loading_and_the_listening(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    let renames = async {
        for title in 2..=400 {
            test.owner.rename(id, &title.to_string()).await;
        }
    };
    let joins = async {
        for _ in 0..8 {
            let mut ann = test.client("ann").await;
            ann.send(&json!({ "type": "subscribe", "conversation": id })).await;
            let from = ann.about(id, "subscribed").await["sequence"].as_u64().unwrap();
            events(&mut ann, id, from + 1, 400).await;
            ann.hears_nothing().await;
        }
    };
    futures::join!(renames, joins);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn many_conversations_share_a_socket_and_nothing_is_held_after_it(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let mut ann = test.client("ann").await;
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(test.owner.conversation().await);
    }
    for id in &ids {
        ann.send(&json!({ "type": "subscribe", "conversation": id })).await;
    }
    for id in &ids {
        ann.about(*id, "live").await;
        test.owner.rename(*id, "news").await;
    }
    for id in &ids {
        ann.find(|frame| frame["type"] == "event" && frame["conversation"] == json!(id) && frame["sequence"] == 2)
            .await;
    }
    assert_eq!(test.edge.load(), api::Load { sockets: 1, conversations: 50, people: 1 });
    ann.send(&json!({ "type": "unsubscribe", "conversation": ids[0] })).await;
    assert_eq!(ann.about(ids[0], "unsubscribed").await["reason"], "asked");
    until("the room is dropped", async || test.edge.load().conversations == 49).await;
    drop(ann);
    let nothing = api::Load { sockets: 0, conversations: 0, people: 0 };
    until("all is dropped", async || test.edge.load() == nothing).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_last_word_on_following_counts(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    let mut ann = test.client("ann").await;
    for _ in 0..20 {
        ann.send(&json!({ "type": "subscribe", "conversation": id })).await;
        ann.send(&json!({ "type": "unsubscribe", "conversation": id })).await;
        ann.about(id, "unsubscribed").await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    ann.until_pong().await;
    test.owner.rename(id, "unheard").await;
    ann.hears_nothing().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn typing_reaches_the_others_and_a_deleted_conversation_nobody(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    test.owner.ann(id, Command::AddParticipant { user: "bob".parse().unwrap() }).await;
    let (mut ann, mut tab, mut bob) = (test.client("ann").await, test.client("ann").await, test.client("bob").await);
    for client in [&mut ann, &mut tab, &mut bob] {
        client.follow(id).await;
    }
    // Interest spreads over the bus in its own time.
    let typing = json!({ "type": "typing", "conversation": id });
    let heard = async {
        loop {
            ann.send(&typing).await;
            ann.until_pong().await.iter().for_each(|frame| assert_ne!(frame["type"], "typing"));
            tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        }
    };
    tokio::select! {
        () = heard => {}
        frame = bob.about(id, "typing") => assert_eq!(frame["user"], "ann"),
    }
    tab.until_pong().await.iter().for_each(|frame| assert_ne!(frame["type"], "typing"));
    ann.command(id, json!({ "type": "DeleteConversation" })).await;
    for client in [&mut ann, &mut tab, &mut bob] {
        assert_eq!(client.about(id, "unsubscribed").await["reason"], "gone");
    }
    bob.send(&json!({ "type": "subscribe", "conversation": id })).await;
    assert_eq!(bob.about(id, "refused").await["code"], "not_found");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn views_that_are_behind_do_not_keep_a_follower_waiting(pool: PgPool) {
    let mut test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    let position = test.owner.rename(id, "seen").await.position;
    test.rest("ann").json(&format!("/api/conversations/{id}/messages?min_position={position}")).await;
    test.rest("ann").json(&format!("/api/conversations/{id}?min_position={position}")).await;
    test.stop_projecting();
    let reply = test.owner.running_reply(id).await;
    test.owner.keep(id, reply, "Hello").await;
    let mut ann = test.client("ann").await;
    ann.send(&json!({ "type": "subscribe", "conversation": id })).await;
    assert_eq!(ann.about(id, "subscribed").await["sequence"], 2);
    events(&mut ann, id, 3, 5).await;
    ann.text(id, "Hello").await;
    // One that the views have never heard of can be followed by whoever began it.
    let young = test.owner.conversation().await;
    ann.send(&json!({ "type": "subscribe", "conversation": young, "after": 0 })).await;
    events(&mut ann, young, 1, 1).await;
    // Whoever was added a moment ago is told to wait, and not that there is nothing.
    test.owner.ann(id, Command::AddParticipant { user: "bob".parse().unwrap() }).await;
    events(&mut ann, id, 6, 6).await;
    let mut bob = test.client("bob").await;
    bob.send(&json!({ "type": "subscribe", "conversation": id })).await;
    bob.hears_nothing().await;
    test.project();
    assert_eq!(bob.about(id, "subscribed").await["sequence"], 6);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn sockets_are_told_that_the_server_restarts(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let mut ann = test.client("ann").await;
    test.stop();
    assert_eq!(ann.close_code().await, Some(1012));
    drop(ann);
    test.edge.closed().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn who_was_added_a_moment_ago_is_let_in_before_the_bus_tells(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    let mut ann = test.client("ann").await;
    ann.follow(id).await;
    let mut ben = test.client("ben").await;
    foreign(&test.pool, id, 2, &Event::ParticipantAdded { user: "ben".parse().unwrap() }).await;
    ben.send(&json!({ "type": "subscribe", "conversation": id })).await;
    // The views may be one event behind; then it follows.
    ben.about(id, "subscribed").await;
    assert_eq!(ben.about(id, "live").await["sequence"], 2);
}
