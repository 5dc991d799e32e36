//! One user never sees another's data: over every route and every frame, a stranger gets exactly what he gets for a
//! conversation that does not exist.

use domain::ConversationId;
use domain::conversation::Command;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::client::Client;
use crate::support::{Rest, TestEdge, until};

/// A user unknown there, one removed from there, and the owner's namesake of another tenant.
const STRANGERS: [&str; 3] = ["bob", "carl", "other/ann"];

async fn anns(test: &TestEdge) -> ConversationId {
    let id = test.owner.conversation().await;
    let reply = test.owner.running_reply(id).await;
    test.owner.delta(id, reply, 0, "secret").await;
    let user = "carl".parse::<domain::UserId>().unwrap();
    test.owner.ann(id, Command::AddParticipant { user: user.clone() }).await;
    let removed = test.owner.ann(id, Command::RemoveParticipant { user }).await;
    test.rest("ann").json(&format!("/api/conversations/{id}?min_position={}", removed.position)).await;
    id
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn over_every_route(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let (id, nowhere) = (anns(&test).await, Uuid::new_v4());
    for stranger in STRANGERS {
        let rest = test.rest(stranger);
        let queries =
            ["", "/messages", "/messages?before=3&limit=1", "/events", "/events?after=1", "?min_position=0:1"];
        for route in queries.into_iter().chain(["?x=1", "/messages?limit=x"]) {
            let real = rest.get(&format!("/api/conversations/{id}{route}")).await;
            let none = rest.get(&format!("/api/conversations/{nowhere}{route}")).await;
            assert_eq!(real, none, "{stranger} {route}");
            assert_ne!(real.0, reqwest::StatusCode::OK, "{stranger} {route}");
        }
        let list = rest.json("/api/conversations").await;
        let archived = rest.json("/api/conversations?archived=true").await;
        assert_eq!((&list["conversations"], &archived["conversations"]), (&json!([]), &json!([])), "{stranger}");
    }
    assert_eq!(test.rest("ann").json("/api/conversations").await["conversations"][0]["id"], json!(id));
}

/// A reply goes on the account of whoever asked for it, whoever else takes part in the conversation.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn of_what_was_used(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    test.owner.ann(id, Command::AddParticipant { user: "bob".parse().unwrap() }).await;
    let reply = test.owner.running_reply(id).await;
    test.owner.complete(id, reply, "Thus.").await;
    let position = test.owner.rename(id, "Tides").await.position;
    let days = test.two_days().await;
    let usage = format!("/api/usage?{days}&by=day,provider,model,conversation&min_position={position}");
    let nobody = test.rest("nobody").get(&usage).await;
    for stranger in STRANGERS {
        assert_eq!(test.rest(stranger).get(&usage).await, nobody, "{stranger}");
    }
    assert_eq!(test.rest("ann").json(&usage).await["total"]["attempts"], 1);
    assert_eq!(Rest::new(&test.address, None).get(&usage).await.0, reqwest::StatusCode::UNAUTHORIZED);
}

/// What a socket answers to a frame: everything but the ids that the frame names.
async fn answers(client: &mut Client, frame: &Value) -> String {
    client.send(frame).await;
    if matches!(frame["type"].as_str(), Some("command" | "subscribe")) {
        let answer = client.find(|answer| answer["conversation"] == frame["conversation"]).await;
        return mask(&answer, frame);
    }
    let answers = client.until_pong().await;
    answers.iter().map(|answer| mask(answer, frame)).collect()
}

fn mask(answer: &Value, frame: &Value) -> String {
    let mut text = answer.to_string();
    for field in ["id", "conversation"] {
        if let Some(id) = frame[field].as_str() {
            text = text.replace(id, field);
        }
    }
    text
}

fn frames(id: Uuid) -> Vec<Value> {
    let (message, reply) = (Uuid::new_v4(), Uuid::new_v4());
    let commands = [
        json!({ "type": "RenameConversation", "title": "Mine" }),
        json!({ "type": "ConfigureModel" }),
        json!({ "type": "SubmitMessage", "text": "hello" }),
        json!({ "type": "EditMessage", "edit_of": message, "text": "hello" }),
        json!({ "type": "RegenerateReply", "regenerate_of": reply }),
        json!({ "type": "SelectBranch", "message": message }),
        json!({ "type": "StopReply", "reply": reply }),
        json!({ "type": "AddParticipant", "user": "bob" }),
        json!({ "type": "RemoveParticipant", "user": "ann" }),
        json!({ "type": "ArchiveConversation" }),
        json!({ "type": "UnarchiveConversation" }),
        json!({ "type": "DeleteConversation" }),
    ];
    let mut frames = vec![
        json!({ "type": "subscribe", "conversation": id }),
        json!({ "type": "subscribe", "conversation": id, "after": 0 }),
        json!({ "type": "subscribe", "conversation": id, "after": 2, "replies": [{ "reply": reply, "attempt": 1, "offset": 0 }] }),
        json!({ "type": "subscribe", "conversation": id, "after": 9_000 }),
        json!({ "type": "typing", "conversation": id }),
        json!({ "type": "unsubscribe", "conversation": id }),
    ];
    for command in commands {
        let ask = json!({ "type": "command", "id": Uuid::new_v4(), "conversation": id, "command": command });
        for expected_sequence in [0, 1, 6, 99] {
            let mut expecting = ask.clone();
            expecting["id"] = json!(Uuid::new_v4());
            expecting["expected_sequence"] = json!(expected_sequence);
            frames.push(expecting);
        }
        frames.push(ask);
    }
    frames
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn over_every_frame(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let (id, nowhere) = (anns(&test).await, Uuid::new_v4());
    let mut ann = test.client("ann").await;
    ann.follow(id).await;
    for stranger in STRANGERS {
        let mut client = test.client(stranger).await;
        for (real, none) in frames(id.0).iter().zip(frames(nowhere)) {
            let (to_real, to_none) = (answers(&mut client, real).await, answers(&mut client, &none).await);
            assert_eq!(to_real, to_none, "{stranger}: {real}");
        }
        client.hears_nothing().await;
    }
    ann.until_pong().await.iter().for_each(|frame| assert_ne!(frame["type"], "typing"));
    until("nothing is held for strangers", async || test.edge.load().conversations == 1).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn whoever_is_removed_hears_no_more_of_it_at_once(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    let mut ann = test.client("ann").await;
    let mut bob = test.client("bob").await;
    ann.command(id, json!({ "type": "AddParticipant", "user": "bob" })).await;
    let changed = bob.wait("conversation_changed").await;
    assert_eq!(changed["conversation"]["participants"], json!(["ann", "bob"]));
    bob.follow(id).await;
    ann.command(id, json!({ "type": "RemoveParticipant", "user": "bob" })).await;
    assert_eq!(bob.about(id, "unsubscribed").await["reason"], "gone");
    assert_eq!(bob.find(|frame| frame["id"] == json!(id)).await["conversation"], Value::Null);
    test.owner.rename(id, "not for Bob").await;
    let reply = test.owner.running_reply(id).await;
    test.owner.delta(id, reply, 0, "nor this").await;
    ann.follow(id).await;
    ann.send(&json!({ "type": "typing", "conversation": id })).await;
    bob.hears_nothing().await;
    assert!(bob.until_pong().await.is_empty());
    bob.send(&json!({ "type": "subscribe", "conversation": id, "after": 1 })).await;
    assert_eq!(bob.about(id, "refused").await["code"], "not_found");
}
