//! Every frame and every answer as docs/protocol.md shows them.

use std::collections::HashMap;

use domain::conversation::Command;
use domain::{ConversationId, MessageId};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::client::Client;
use crate::support::{TestEdge, token};

/// Gives ids and times names, in the order in which they come up.
#[derive(Default)]
struct Names {
    ids: HashMap<Uuid, String>,
}

impl Names {
    fn redact(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact_text(text)),
            Value::Array(values) => values.into_iter().map(|value| self.redact(value)).collect(),
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(name, value)| match name.as_str() {
                    "expires_at" => (name, json!(1_767_225_600)),
                    _ => (name, self.redact(value)),
                });
                Value::Object(fields.collect())
            }
            other => other,
        }
    }

    fn redact_text(&mut self, text: String) -> String {
        if let Ok(id) = text.parse::<Uuid>() {
            let next = format!("<id {}>", self.ids.len() + 1);
            return self.ids.entry(id).or_insert(next).clone();
        }
        if chrono::DateTime::parse_from_rfc3339(&text).is_ok() { "<time>".to_owned() } else { text }
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn every_frame(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let mut said = Vec::new();
    let mut ann = Client::connect(&test.address).await;
    said.push(ann.wait("hello").await);
    said.push(ann.log_in(&token::of("ann")).await);
    test.hears_lists("ann", &mut ann).await;
    let id = ConversationId(Uuid::new_v4());
    said.push(ann.command(id, json!({ "type": "StartConversation", "title": "Tides" })).await);
    said.push(ann.find(|frame| frame["type"] == "conversation_changed" && frame["id"] == json!(id)).await);
    ann.send(&json!({ "type": "subscribe", "conversation": id })).await;
    said.push(ann.about(id, "subscribed").await);
    said.push(ann.about(id, "live").await);
    let ids = [MessageId(Uuid::new_v4()), MessageId(Uuid::new_v4())];
    let ask = json!({ "type": "SubmitMessage", "text": "Why are there tides?", "message": ids[0], "reply": ids[1] });
    said.push(ann.command(id, ask).await);
    said.push(ann.about(id, "event").await);
    said.push(ann.about(id, "event").await);
    test.owner.claim(id, ids[1], 1).await;
    said.push(ann.about(id, "event").await);
    test.owner.delta(id, ids[1], 0, "The moon").await;
    said.push(ann.about(id, "delta").await);
    test.owner.complete(id, ids[1], "The moon pulls.").await;
    said.push(ann.about(id, "event").await);
    said.push(ann.command(id, json!({ "type": "RenameConversation", "title": "" })).await);
    test.owner.ann(id, Command::AddParticipant { user: "bob".parse().unwrap() }).await;
    said.push(ann.about(id, "event").await);
    said.push(typing(&test, &mut ann, id).await);
    ann.send(&json!({ "type": "unsubscribe", "conversation": id })).await;
    said.push(ann.about(id, "unsubscribed").await);
    ann.send(&json!({ "type": "ping" })).await;
    said.push(ann.wait("pong").await);
    let mut names = Names::default();
    let said: Vec<Value> = said.into_iter().map(|frame| names.redact(frame)).collect();
    insta::assert_json_snapshot!("frames", said);
    let answers = answers(&test, id).await;
    insta::assert_json_snapshot!("answers", names.redact(answers));
}

/// Bob types, until Ann hears it.
async fn typing(test: &TestEdge, ann: &mut Client, id: ConversationId) -> Value {
    let mut bob = test.client("bob").await;
    bob.follow(id).await;
    let types = async {
        loop {
            bob.send(&json!({ "type": "typing", "conversation": id })).await;
            tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        }
    };
    tokio::select! {
        () = types => Value::Null,
        heard = ann.about(id, "typing") => heard,
    }
}

async fn answers(test: &TestEdge, id: ConversationId) -> Value {
    let ann = test.rest("ann");
    let position = test.owner.rename(id, "Tides").await.position;
    let list = ann.json(&format!("/api/conversations?limit=1&min_position={position}")).await;
    json!({
        "GET /api/conversations": list,
        "GET /api/conversations/{id}": ann.json(&format!("/api/conversations/{id}")).await,
        "GET /api/conversations/{id}/messages": ann.json(&format!("/api/conversations/{id}/messages?min_position={position}")).await,
        "GET /api/conversations/{id}/events": ann.json(&format!("/api/conversations/{id}/events?limit=2")).await,
        "GET /api/models": ann.json("/api/models").await,
        "GET /api/status": without_lag(ann.json("/api/status").await),
        "GET /api/health": ann.json("/api/health").await,
        "a refusal": serde_json::from_str::<Value>(&ann.get("/api/conversations/x").await.1).unwrap(),
    })
}

/// What depends on the moment.
fn without_lag(mut status: Value) -> Value {
    status["shards"][0]["lag"] = json!(0);
    status["version"] = json!("<version>");
    status
}
