//! Commands that come more than once, too late, or are none.

use serde_json::{Value, json};

use crate::support::{App, Client, id, token};

fn frame(id: &str, conversation: &str, text: &str) -> Value {
    let command = json!({ "type": "SubmitMessage", "text": text, "answer": false });
    json!({ "type": "command", "id": id, "conversation": conversation, "command": command })
}

#[tokio::test]
async fn a_command_happens_once_however_often_and_wherever_it_is_sent() {
    let app = App::new().await;
    let _workers = (app.worker("commands").await, app.worker("commands").await, app.projector().await);
    let (one, two) = (app.api().await, app.api().await);
    app.until_owned("commands", 2).await;
    let mut clients = Vec::new();
    for api in [&one, &two, &one] {
        clients.push(app.client(api, "ann").await);
    }
    let conversation = clients[0].start().await;
    for nth in 0..50 {
        let (command, text) = (id(), format!("message {nth}"));
        let frame = frame(&command, &conversation, &text);
        let asked = clients.iter_mut().map(|client| client.answer_to(&command, &frame));
        let answers: Vec<_> =
            futures::future::join_all(asked).await.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
        assert!(answers.iter().all(|ack| ack == &answers[0]), "one result: {answers:?}");
        let other = self::frame(&command, &conversation, "something else");
        let refused = clients[nth % 3].answer_to(&command, &other).await.unwrap().unwrap_err();
        assert_eq!((refused.code.as_str(), refused.retryable), ("command_id_reused", false));
    }
    let counts: (i64, i64, i64) = sqlx::query_as(
        "select count(*), count(distinct payload->'parts'), max(sequence) from events
         where event_type = 'MessageSubmitted' and aggregate_id = $1",
    )
    .bind(&conversation)
    .fetch_one(&app.pool)
    .await
    .unwrap();
    assert_eq!(counts, (50, 50, 51));
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_by_a_code_and_nobody_else_notices() {
    let app = App::new().await;
    let _workers = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    let (mut ann, mut eve) = (app.client(&api, "ann").await, app.client(&api, "eve").await);
    let conversation = ann.start().await;
    ann.follow(&conversation).await;
    let rename = json!({ "type": "RenameConversation", "title": "ours" });

    let mut stale = frame(&id(), &conversation, "late");
    stale["expected_sequence"] = json!(7);
    let named = |frame: &Value| frame["id"].as_str().unwrap().to_owned();
    assert_eq!(ann.answer_to(&named(&stale), &stale).await.unwrap().unwrap_err().code, "stale_sequence");
    stale["expected_sequence"] = json!(1);
    assert_eq!(ann.answer_to(&named(&stale), &stale).await.unwrap().unwrap()["sequence"], 2, "a refusal is no result");

    // To others it does not exist, and ids of commands are each asker's own.
    assert_eq!(eve.ask(&conversation, rename.clone()).await.unwrap_err().code, "not_found");
    assert_eq!(eve.ask_as(&named(&stale), &conversation, &rename).await.unwrap_err().code, "not_found");
    assert_eq!(eve.ask(&id(), rename.clone()).await.unwrap_err().code, "not_found");
    let claim = json!({ "type": "ClaimReply", "reply": id(), "attempt": 1, "worker": "w", "lease_ms": 1 });
    assert_eq!(eve.ask(&conversation, claim).await.unwrap_err().code, "malformed");
    let branch = json!({ "type": "SelectBranch", "message": id() });
    assert_eq!(ann.ask(&conversation, branch).await.unwrap_err().code, "unknown_message");
    let nul = json!({ "type": "SubmitMessage", "text": "a\u{0}b" });
    assert_eq!(ann.ask(&conversation, nul).await.unwrap_err().code, "invalid_text");
    let position = app.position(&conversation).await;
    for path in ["", "/messages", "/events"] {
        let path = format!("/api/conversations/{conversation}{path}?min_position={position}");
        assert_eq!(api.get("eve", &path).await.0, 404, "{path}");
        assert_eq!(api.get("ann", &path).await.0, 200, "{path}");
    }

    // 10 MB in a frame costs that socket; a bad token gets none.
    let huge = frame(&id(), &conversation, &"x".repeat(10_000_000));
    assert!(eve.answer_to(&named(&huge), &huge).await.is_err());
    let forged = token("ann").replace('.', ".e");
    assert!(Client::connect(&api.address, &forged).await.is_err());

    let reply = ann.submit(&conversation, "say 5 still").await;
    assert_eq!(ann.end_of(&conversation, &reply).await["type"], "ReplyCompleted");
    crate::happy::assert_same_as_stored(&app, &api, &ann, "ann", &conversation).await;
}
