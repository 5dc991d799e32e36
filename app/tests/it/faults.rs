//! Providers that answer wrongly or not at all: a typed end, and everyone else goes on.

use serde_json::json;

use crate::happy::assert_same_as_stored;
use crate::support::{App, answer};

#[tokio::test]
async fn a_providers_fault_ends_in_a_code_or_in_another_attempt() {
    let app = App::with("deadlines.first_token = 2\ndeadlines.between_tokens = 2").await;
    let (mut worker, _projector) = (app.worker("commands,reply").await, app.projector().await);
    let mut api = app.api().await;
    app.until_owned("commands", 1).await;
    let cases = [
        ("html page", "ReplyFailed", "protocol", 1, ""),
        ("line of 4 MB", "ReplyFailed", "protocol", 1, ""),
        ("hang always", "ReplyFailed", "timeout", 3, ""),
        ("hold 5 for ever", "ReplyFailed", "timeout", 3, "5"),
        ("broken always", "ReplyFailed", "overload", 3, ""),
        ("cut 5 always", "ReplyFailed", "interrupted", 3, "5"),
        ("vanish 5 always", "ReplyFailed", "interrupted", 3, "5"),
        ("recover 5 the second time", "ReplyCompleted", "", 2, "5"),
        ("say 5 well", "ReplyCompleted", "", 1, "5"),
    ];
    let asked = cases.map(async |(question, end, code, attempt, words)| {
        let mut ann = app.client(&api, "ann").await;
        let id = ann.start().await;
        ann.follow(&id).await;
        let reply = ann.submit(&id, question).await;
        let ended = ann.end_of(&id, &reply).await;
        assert_eq!((&ended["type"], &ended["attempt"]), (&json!(end), &json!(attempt)), "{question}: {ended}");
        assert_eq!(ended["error"]["code"].as_str().unwrap_or_default(), code, "{question}: {ended}");
        let said = ended["parts"][0]["text"].as_str().unwrap_or_default();
        assert_eq!(said, answer(words.parse().unwrap_or(0)), "{question}");
        assert_eq!(app.provider.calls(question), attempt, "{question}");
        assert_same_as_stored(&app, &api, &ann, "ann", &id).await;
        assert!(!ended.to_string().contains("nobody may see"), "no secrets: {ended}");
        // The conversation goes on.
        let next = ann.submit(&id, &format!("say 3 after {question}")).await;
        assert_eq!(ann.end_of(&id, &next).await["type"], "ReplyCompleted");
    });
    futures::future::join_all(asked).await;

    let mut ann = app.client(&api, "ann").await;
    let id = ann.start().await;
    ann.follow(&id).await;
    let endless = "say 80000 without end";
    let reply = ann.submit(&id, endless).await;
    let end = ann.end_of(&id, &reply).await;
    assert_eq!(
        (&end["type"], &end["finish"]),
        (&json!("ReplyCompleted"), &json!("length")),
        "as much as there is room for"
    );
    let said = end["parts"][0]["text"].as_str().unwrap();
    assert!(said.len() <= 512 * 1024 && said.len() > 511 * 1024 && answer(80_000).starts_with(said));
    assert_eq!(app.provider.calls(endless), 1);

    ann.ask(&id, json!({ "type": "ConfigureModel", "model": "fake/unknown" })).await.unwrap();
    let reply = ann.submit(&id, "say 5 of unknown").await;
    assert_eq!(ann.end_of(&id, &reply).await["error"]["code"], "unknown_model");
    assert!(worker.exit().is_none() && api.process.exit().is_none());
    for process in [&worker, &api.process] {
        assert!(!process.log().contains("nobody may see"), "no secrets in the log");
    }
}
