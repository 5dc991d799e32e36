//! What bad input gets: a typed refusal or a documented close code, and everyone else goes on.

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use uuid::Uuid;

use crate::support::TestEdge;

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn frames_that_are_none_are_refused_and_after_too_many_the_socket_closes(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let mut client = test.client("ann").await;
    let id = Uuid::new_v4();
    let deep = "[".repeat(100_000);
    let bad =
        ["", "{", "null", "[]", "{}", r#"{"type":"fly"}"#, r#"{"type":"ping","x":1}"#, r#"{"type":"auth"}"#, &deep];
    for text in bad {
        client.send_text(text).await;
        let refused = client.wait("refused").await;
        assert_eq!((&refused["code"], &refused["retryable"]), (&json!("malformed"), &json!(false)), "{text}");
    }
    // What has an id is answered by it.
    let unknown = json!({ "type": "command", "id": id, "conversation": id, "command": { "type": "Fly" } });
    client.send(&unknown).await;
    let refused = client.wait("refused").await;
    assert_eq!((&refused["id"], &refused["code"]), (&json!(id), &json!("malformed")));
    client.socket.send_binary().await;
    assert_eq!(client.wait("refused").await["code"], "malformed");
    for _ in 0..20 {
        client.send_text("nonsense").await;
    }
    assert_eq!(client.close_code().await, Some(4400));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_cannot_be_taken_in_closes_that_socket_alone(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let mut other = test.client("ann").await;
    for size in [256 * 1024 + 1, 10 * 1024 * 1024] {
        let mut client = test.client("ann").await;
        // The server may hang up before all of it is sent.
        let _ = client.socket.send_text("x".repeat(size)).await;
        assert_eq!(client.close_code().await, Some(1009), "{size}");
    }
    let mut client = test.client("ann").await;
    client.socket.send_raw(vec![b'"', 0xff, 0xfe, b'"']).await;
    assert_eq!(client.close_code().await, Some(4400));
    other.until_pong().await;
    let conversation = test.owner.conversation().await;
    other.follow(conversation).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn commands_that_make_no_sense_are_refused_by_their_reason(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    let mut client = test.client("ann").await;
    let nowhere = Uuid::new_v4();
    let cases: [(Value, &str); 9] = [
        (json!({ "type": "SubmitMessage", "text": " " }), "empty_message"),
        (json!({ "type": "SubmitMessage", "text": "a\0b" }), "invalid_text"),
        (json!({ "type": "SubmitMessage", "text": "x".repeat(129 * 1024) }), "message_too_large"),
        (json!({ "type": "SubmitMessage", "text": "hello", "parent": nowhere }), "unknown_message"),
        (json!({ "type": "SelectBranch", "message": nowhere }), "unknown_message"),
        (json!({ "type": "StopReply", "reply": nowhere }), "unknown_reply"),
        (json!({ "type": "RenameConversation", "title": "" }), "invalid_title"),
        (json!({ "type": "RemoveParticipant", "user": "ann" }), "owner_stays"),
        (json!({ "type": "AddParticipant", "user": "line\nbreak" }), "malformed"),
    ];
    for (command, code) in cases {
        assert_eq!(client.command(id, command).await["code"], code);
    }
    let rename = json!({ "type": "RenameConversation", "title": "New" });
    let stale = json!({ "conversation": id, "expected_sequence": 7, "command": rename });
    assert_eq!(client.command_with(stale).await["code"], "stale_sequence");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_repeated_command_gets_its_first_result_and_another_under_its_id_none(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    let mut client = test.client("ann").await;
    let command = Uuid::new_v4();
    let rename = |title: &str| {
        let rename = json!({ "type": "RenameConversation", "title": title });
        json!({ "type": "command", "id": command, "conversation": id, "command": rename })
    };
    client.send(&rename("One")).await;
    let first = client.wait("ack").await;
    client.send(&rename("One")).await;
    assert_eq!(client.wait("ack").await, first);
    client.send(&rename("Two")).await;
    assert_eq!(client.wait("refused").await["code"], "command_id_reused");
    // The same id in someone else's mouth is another command.
    let mut stranger = test.client("bob").await;
    stranger.send(&rename("One")).await;
    assert_eq!(stranger.wait("refused").await["code"], "not_found");
}

/// Ways to speak that an ordinary client has not.
trait Rude {
    async fn send_binary(&mut self);
    async fn send_text(&mut self, text: String) -> Result<(), ()>;
    async fn send_raw(&mut self, bytes: Vec<u8>);
}

impl<S> Rude for S
where
    S: futures::Sink<Message> + Unpin,
    S::Error: std::fmt::Debug,
{
    async fn send_binary(&mut self) {
        futures::SinkExt::send(self, Message::binary(vec![1, 2, 3])).await.unwrap();
    }

    async fn send_text(&mut self, text: String) -> Result<(), ()> {
        futures::SinkExt::send(self, Message::text(text)).await.map_err(|_| ())
    }

    async fn send_raw(&mut self, bytes: Vec<u8>) {
        let frame = Frame::message(bytes, OpCode::Data(Data::Text), true);
        futures::SinkExt::send(self, Message::Frame(frame)).await.unwrap();
    }
}
