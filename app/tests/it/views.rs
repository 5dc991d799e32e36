//! The views are what the log says, however they came about; what cannot be read is seen and can be repaired.

use serde_json::json;
use sqlx::PgPool;

use crate::happy::assert_same_as_stored;
use crate::metrics::{figures, told_by, value};
use crate::support::{App, Load, SHARDS, id, until};

const VIEWS: [(&str, &str); 5] = [
    ("conversation_list", "conversations"),
    ("conversation_list", "members"),
    ("transcript", "messages"),
    ("usage", "replies"),
    ("usage", "spending"),
];

/// Every row of every view.
async fn rows(pool: &PgPool) -> Vec<Vec<String>> {
    let mut views = Vec::new();
    for (schema, table) in VIEWS {
        let sql = format!("select to_jsonb(t)::text as row from {schema}.{table} t order by row");
        views.push(sqlx::query_scalar(&sql).fetch_all(pool).await.unwrap());
    }
    views
}

async fn heads(pool: &PgPool) -> Vec<i64> {
    sqlx::query_scalar("select head from heads order by shard").fetch_all(pool).await.unwrap()
}

async fn until_caught_up(pool: &PgPool) {
    until_caught_up_with(pool, &heads(pool).await).await;
}

/// Returns once the views have taken in each shard up to where it was.
async fn until_caught_up_with(pool: &PgPool, heads: &[i64]) {
    until("the views have taken in the log", async || {
        let behind: i64 = sqlx::query_scalar(
            "select count(*) from unnest($1::bigint[]) with ordinality s (head, nth)
             cross join (values ('conversation_list'), ('transcript'), ('usage')) v (name)
             left join checkpoints c on c.projection = v.name and c.shard = s.nth - 1
             where coalesce(c.pos, 0) < s.head",
        )
        .bind(heads)
        .fetch_one(pool)
        .await
        .unwrap();
        behind == 0
    })
    .await;
}

#[tokio::test]
async fn a_view_made_anew_under_load_is_the_live_one() {
    let app = App::new().await;
    let _worker = app.worker("commands,reply").await;
    let mut projectors = [app.projector().await, app.projector().await];
    let api = app.api().await;
    app.until_owned("commands", 1).await;
    let half = i64::from(SHARDS) / 2;
    assert_eq!(app.until_owned("projector", 2).await, [half, half], "two projectors share the shards");

    let mut ann = app.client(&api, "ann").await;
    let conversation = ann.start().await;
    ann.follow(&conversation).await;
    let load = Load::start(&[&api.address], 12);
    for question in ["say 5 one", "vanish 5 two", "pace 20 5 three"] {
        let reply = ann.submit(&conversation, question).await;
        ann.end_of(&conversation, &reply).await;
    }
    let gone = ann.start().await;
    ann.ask(&gone, json!({ "type": "DeleteConversation" })).await.unwrap();
    for name in ["transcript", "conversation_list", "usage"] {
        assert!(app.prints(&["rebuild", name]).contains("was made anew"));
        load.until_acked(50).await;
    }
    let acked = load.assert_nothing_lost(&app.pool).await;
    until_caught_up(&app.pool).await;
    assert_same_as_stored(&app, &api, &ann, "ann", &conversation).await;
    for projector in &mut projectors {
        assert!(projector.stop().await.success());
    }

    let live = rows(&app.pool).await;
    for name in ["transcript", "conversation_list", "usage"] {
        app.prints(&["rebuild", name]);
    }
    let rebuilt = rows(&app.pool).await;
    assert!(live[2].len() > acked, "the load and the conversation are in it");
    for ((view, live), rebuilt) in VIEWS.iter().zip(&live).zip(&rebuilt) {
        assert!(live == rebuilt, "{view:?}: {} rows live, {} rebuilt", live.len(), rebuilt.len());
    }
    assert!(!app.run(&["rebuild", "nothing"]).status.success());
}

#[tokio::test]
async fn a_frozen_projector_holds_no_one_up() {
    let app = App::new().await;
    let _worker = app.worker("commands").await;
    let (frozen, _other) = (app.projector().await, app.projector().await);
    let api = app.api().await;
    app.until_owned("commands", 1).await;
    app.until_owned("projector", 2).await;
    let load = Load::start(&[&api.address], 12);
    // Frozen at different moments, some of them in the middle of a batch.
    for _ in 0..3 {
        load.until_acked(100).await;
        frozen.signal("STOP");
        load.until_acked(100).await;
        until_caught_up_with(&app.pool, &heads(&app.pool).await).await;
        frozen.signal("CONT");
        app.until_owned("projector", 2).await;
    }
    load.assert_nothing_lost(&app.pool).await;
    until_caught_up(&app.pool).await;
    let live = rows(&app.pool).await;
    for name in ["transcript", "conversation_list"] {
        app.prints(&["rebuild", name]);
    }
    assert!(live == rows(&app.pool).await, "what they took in together is what one takes in");
}

#[tokio::test]
async fn a_poison_event_halts_its_conversation_alone_until_it_is_repaired() {
    let app = App::with("metrics_listen = \"127.0.0.1:0\"").await;
    let (_worker, mut projector) = (app.worker("commands,reply").await, app.projector().await);
    let told = told_by(&mut projector).await;
    let api = app.api().await;
    app.until_owned("commands", 1).await;
    let mut ann = app.client(&api, "ann").await;
    let (poisoned, well) = (ann.start().await, ann.start().await);
    ann.ask(&poisoned, json!({ "type": "SubmitMessage", "text": "before", "answer": false })).await.unwrap();

    let position = app.write_event(&poisoned, 3, json!({ "type": "MessageSubmitted", "message": 5 })).await;
    app.until_parked(&["transcript", "conversation_list"], &position).await;
    assert!(app.prints(&["dead-letters"]).contains(&poisoned));
    assert!(api.read("ann", "/api/status").await["dead_letters"].as_i64().unwrap() >= 2);
    let parked = "bestchat_dead_letters{consumer=\"transcript\"}";
    until("the figures tell it", async || value(&figures(&told).await, parked) == Some(1.0)).await;

    // The conversation stands still; its neighbours do not.
    let rename = json!({ "type": "RenameConversation", "title": "after" });
    let refused = ann.ask(&poisoned, rename.clone()).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.retryable), ("internal", false));
    ann.follow(&well).await;
    let reply = ann.submit(&well, "say 5 on").await;
    assert_eq!(ann.end_of(&well, &reply).await["type"], "ReplyCompleted");
    assert_same_as_stored(&app, &api, &ann, "ann", &well).await;

    // A retry without a repair parks it again.
    app.prints(&["dead-letters", "--retry", "transcript", &position]);
    until("the retry has failed", async || {
        let waiting: i64 = sqlx::query_scalar("select count(*) from dead_letters where retry_at is not null")
            .fetch_one(&app.pool)
            .await
            .unwrap();
        waiting == 0
    })
    .await;
    assert!(app.prints(&["dead-letters"]).contains(&format!("transcript {position}")));

    let message = id();
    let repaired = json!({ "type": "MessageSubmitted", "message": message, "parent": null, "author": "ann",
                           "parts": [{ "type": "text", "text": "repaired" }] });
    app.repair_event(&poisoned, 3, repaired).await;
    let parked: Vec<String> =
        sqlx::query_scalar("select consumer from dead_letters").fetch_all(&app.pool).await.unwrap();
    for consumer in parked {
        app.prints(&["dead-letters", "--retry", &consumer, &position]);
    }
    until("nothing is parked", async || app.prints(&["dead-letters"]).contains("Nothing is parked")).await;
    ann.ask(&poisoned, rename).await.unwrap();
    ann.follow(&poisoned).await;
    let reply = ann.submit(&poisoned, "say 5 again").await;
    assert_eq!(ann.end_of(&poisoned, &reply).await["type"], "ReplyCompleted");
    assert_same_as_stored(&app, &api, &ann, "ann", &poisoned).await;
    let view = api.read("ann", &format!("/api/conversations/{poisoned}")).await;
    assert_eq!(view["title"], "after");
}
