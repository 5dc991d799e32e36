//! A wake-up that a worker cannot take in is parked where a person sees it, and answered once it is repaired.

use serde_json::json;

use crate::happy::assert_same_as_stored;
use crate::support::{App, answer, id, until};

#[tokio::test]
async fn a_parked_wake_up_is_answered_when_it_is_repaired_and_retried() {
    let app = App::new().await;
    let _processes = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    app.until_owned("commands", 1).await;
    let mut ann = app.client(&api, "ann").await;
    let conversation = ann.start().await;
    let (message, reply) = (id(), id());
    let question = "say 5 late";
    let submit = json!({ "type": "SubmitMessage", "text": question, "message": message, "answer": false });
    ann.ask(&conversation, submit).await.unwrap();

    let position = app.write_event(&conversation, 3, json!({ "type": "ReplyRequested", "reply": 5 })).await;
    let consumers = ["reply", "open_replies", "transcript", "conversation_list", "usage"];
    app.until_parked(&consumers, &position).await;
    assert_eq!(app.provider.calls(question), 0);

    let repaired = json!({ "type": "ReplyRequested", "reply": reply, "parent": message, "model": null });
    app.repair_event(&conversation, 3, repaired).await;
    for consumer in consumers {
        app.prints(&["dead-letters", "--retry", consumer, &position]);
    }
    until("nothing is parked", async || app.prints(&["dead-letters"]).contains("Nothing is parked")).await;
    ann.follow(&conversation).await;
    let end = ann.end_of(&conversation, &reply).await;
    assert_eq!((&end["type"], &end["parts"][0]["text"]), (&json!("ReplyCompleted"), &json!(answer(5))));
    assert_eq!(app.provider.calls(question), 1);
    assert_same_as_stored(&app, &api, &ann, "ann", &conversation).await;
}
