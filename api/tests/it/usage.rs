//! What a person used, over HTTP.

use domain::conversation::{Command, Cost, Finish, Spent, Usage};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::TestEdge;

/// A whole answer, and what it cost.
fn completed(reply: domain::MessageId) -> Command {
    let usage = Usage { input: Some(100), output: Some(20), reasoning: Some(3), ..Usage::default() };
    let cost = Some(Cost { micros: 42, price: "2026-01".to_owned() });
    let spent = Some(Spent { usage: usage.clone(), cost, estimated: false });
    let (parts, finish, model) = (Vec::new(), Finish::Stop, "demo/echo".parse().unwrap());
    Command::CompleteReply { reply, attempt: 1, parts, finish, model, usage, spent }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_was_used_is_told_by_what_one_asks(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let ann = test.rest("ann");
    let id = test.owner.conversation().await;
    let reply = test.owner.running_reply(id).await;
    let position = test.owner.work(id, completed(reply)).await.position;
    let days = test.two_days().await;
    let figures = json!({ "attempts": 1, "failed": 0, "input": 100, "cached_input": 0, "cache_write": 0, "output": 20,
                          "reasoning": 3, "micro_usd": 42, "unpriced": 0, "estimated": 0 });
    let with = |more: &Value| {
        let mut row = figures.clone();
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    for (by, row) in [
        ("provider", json!({ "provider": "demo" })),
        ("model", json!({ "model": "demo/echo" })),
        ("conversation,model", json!({ "model": "demo/echo", "conversation": id })),
    ] {
        let usage = ann.json(&format!("/api/usage?{days}&by={by}&min_position={position}")).await;
        assert_eq!(usage, json!({ "rows": [with(&row)], "total": figures, "more": false }), "{by}");
    }
    let by_day = ann.json(&format!("/api/usage?{days}")).await;
    assert!(by_day["rows"][0]["day"].is_string() && by_day["rows"][0]["model"].is_null(), "{by_day}");

    // The figures are no content.
    let position = test.owner.ann(id, Command::DeleteConversation {}).await.position;
    let usage = ann.json(&format!("/api/usage?{days}&by=conversation&min_position={position}")).await;
    assert_eq!(usage["rows"], json!([with(&json!({ "conversation": id }))]));
    let before = ann.json("/api/usage?from=2024-01-01&to=2024-12-31").await;
    assert_eq!((&before["rows"], &before["total"]["attempts"]), (&json!([]), &json!(0)));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_is_no_span_of_days_is_refused(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let ann = test.rest("ann");
    for query in [
        "",
        "?from=2026-01-01",
        "?to=2026-01-01",
        "?from=2026-01-01&to=2026-13-01",
        "?from=2026-02-29&to=2026-03-01",
        "?from=today&to=2026-01-01",
        "?from=2026-01-02&to=2026-01-01",
        "?from=2026-01-01&to=2027-01-02",
        "?from=-5000-01-01&to=-5000-01-02",
        "?from=%2B200000-01-01&to=%2B200000-01-02",
        "?from=2026-01-01&to=2026-01-31&by=",
        "?from=2026-01-01&to=2026-01-31&by=user",
        "?from=2026-01-01&to=2026-01-31&by=day,,model",
        "?from=2026-01-01&to=2026-01-31&user=bob",
        "?from=2026-01-01&to=2026-01-31&min_position=0:99",
    ] {
        assert_eq!(ann.refusal(&format!("/api/usage{query}")).await, (400, "malformed".to_owned()), "{query}");
    }
    ann.json("/api/usage?from=2024-01-01&to=2024-12-31").await;
}
