//! What people are told that they used is what the log says that their attempts spent, however those ended.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{App, answer, id, until};

/// A model whose price is known, at the address of the tests' provider.
const PRICED: &str = "openai/gpt-6-luna";
const KINDS: [&str; 5] = ["input", "cached_input", "cache_write", "output", "reasoning"];

/// What the log says that the attempts at a person's replies spent: how many of them spent anything, the tokens of each
/// kind, the money.
async fn in_the_log(pool: &PgPool, user: &str) -> Value {
    let tokens =
        KINDS.map(|kind| format!("'{kind}', sum(coalesce((spent->'usage'->>'{kind}')::bigint, 0))")).join(", ");
    let sql = format!(
        "select json_build_object('attempts', count(*), {tokens},
             'micro_usd', coalesce(sum((spent->'cost'->>'micros')::bigint), 0),
             'unpriced', count(*) filter (where spent->'cost' is null),
             'estimated', count(*) filter (where spent->>'estimated' = 'true'))
         from (
             select ended.payload->'spent' as spent from events ended
             join events asked on asked.aggregate_id = ended.aggregate_id and asked.event_type = 'ReplyRequested'
                 and asked.payload->>'reply' = ended.payload->>'reply'
             where ended.payload ? 'spent' and asked.metadata->>'actor' = 'user:' || $1) attempts"
    );
    sqlx::query_scalar(&sql).bind(user).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn usage_is_the_sum_of_what_the_log_says_that_attempts_spent() {
    let app = App::with_tables("", |base_url| {
        format!(
            "[[providers]]\nid = \"openai\"\nprotocol = \"openai-chat\"\nbase_url = \"{base_url}\"\napi_key = \"k\"\n"
        )
    })
    .await;
    let _processes = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    app.until_owned("commands", 1).await;
    let (mut ann, mut bob) = (app.client(&api, "ann").await, app.client(&api, "bob").await);
    let (priced, shared) = (id(), id());
    ann.ask(&priced, json!({ "type": "StartConversation", "model": PRICED })).await.unwrap();
    ann.ask(&shared, json!({ "type": "StartConversation" })).await.unwrap();
    ann.ask(&shared, json!({ "type": "AddParticipant", "user": "bob" })).await.unwrap();
    for id in [&priced, &shared] {
        ann.follow(id).await;
    }
    bob.follow(&shared).await;

    for (conversation, question) in
        [(&priced, "billed say 50 whole"), (&priced, "billed cut 5 failed"), (&shared, "billed recover 5 retried")]
    {
        let reply = ann.submit(conversation, question).await;
        ann.end_of(conversation, &reply).await;
    }
    let reply = ann.submit(&priced, "billed pace 2000 10 stopped").await;
    ann.until_text(&priced, &reply, answer(20).len()).await;
    ann.stop(&priced, &reply).await.unwrap();
    ann.end_of(&priced, &reply).await;
    // In a conversation of Ann's, on Bob's account.
    let reply = bob.submit(&shared, "billed say 7 of another").await;
    bob.end_of(&shared, &reply).await;
    ann.ask(&priced, json!({ "type": "DeleteConversation" })).await.unwrap();
    let days: String =
        sqlx::query_scalar("select format('from=%s&to=%s', day - 1, day) from date((now() at time zone 'UTC')) day")
            .fetch_one(&app.pool)
            .await
            .unwrap();

    for (user, attempts) in [("ann", 7), ("bob", 1)] {
        let spent = in_the_log(&app.pool, user).await;
        assert_eq!(spent["attempts"], attempts, "one, three, two and one: {spent}");
        for by in ["day", "provider", "model", "conversation", "day,model"] {
            let path = format!("/api/usage?{days}&by={by}");
            let mut usage = Value::Null;
            until("the view has taken it in", async || {
                usage = api.read(user, &path).await;
                usage["total"]["attempts"] == spent["attempts"]
            })
            .await;
            for figure in spent.as_object().unwrap().keys() {
                let rows = usage["rows"].as_array().unwrap().iter().map(|row| row[figure].as_u64().unwrap());
                assert_eq!(usage["total"][figure], spent[figure], "{user}, {figure}: {usage}");
                assert_eq!(rows.sum::<u64>(), spent[figure], "{user} by {by}, {figure}: {usage}");
            }
        }
    }
    let models = api.read("ann", &format!("/api/usage?{days}&by=model")).await;
    assert!(models["rows"][0]["model"] == PRICED && models["rows"][0]["micro_usd"].as_u64() > Some(0), "{models}");
}
