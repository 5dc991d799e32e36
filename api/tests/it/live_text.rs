//! The text of running replies: nothing missing, nothing twice, whoever joins when and however slowly he reads.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{TestEdge, until};

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn everyone_gets_the_whole_text_whenever_they_join(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    let mut first = test.client("ann").await;
    first.follow(id).await;
    let reply = test.owner.running_reply(id).await;
    test.owner.delta(id, reply, 0, "Wörld").await;
    test.owner.delta(id, reply, 6, " is").await;
    first.text(id, "Wörld is").await;
    let mut second = test.client("ann").await;
    let has = json!([{ "reply": reply, "attempt": 1, "offset": 6 }]);
    second.send(&json!({ "type": "subscribe", "conversation": id, "after": 4, "replies": has })).await;
    let suffix = second.about(id, "delta").await;
    assert_eq!((&suffix["offset"], &suffix["text"]), (&json!(6), &json!(" is")));
    // The one before was lost on the bus: the text so far is fetched.
    test.owner.keep(id, reply, "Wörld is not").await;
    test.owner.delta(id, reply, 13, "!").await;
    for client in [&mut first, &mut second] {
        let mut rest = String::new();
        while rest != " not!" {
            rest.push_str(client.about(id, "delta").await["text"].as_str().unwrap());
        }
    }
    test.owner.complete(id, reply, "Wörld is not!").await;
    let completed = first.find(|frame| frame["event"]["type"] == "ReplyCompleted").await;
    assert_eq!(completed["event"]["parts"][0]["text"], "Wörld is not!");
    // A piece that comes too late is of no use to anyone.
    test.owner.delta(id, reply, 14, "?").await;
    first.hears_nothing().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_cursor_that_never_was_does_no_harm(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    let reply = test.owner.running_reply(id).await;
    test.owner.keep(id, reply, "Wörld").await;
    let cases = [
        (1, 2, "Wörld"),
        (7, 3, "Wörld"),
        (0, 0, "Wörld"),
        (1, 3, "rld"),
        // Beyond the text: it is believed, and the text goes on from there once it is as long.
        (1, 8, "still"),
    ];
    for (attempt, offset, text) in cases {
        let mut ann = test.client("ann").await;
        let replies = json!([{ "reply": reply, "attempt": attempt, "offset": offset }]);
        ann.send(&json!({ "type": "subscribe", "conversation": id, "after": 4, "replies": replies })).await;
        if offset == 8 {
            ann.about(id, "live").await;
            ann.hears_nothing().await;
            test.owner.delta(id, reply, 6, ", still").await;
        }
        assert_eq!(ann.about(id, "delta").await["text"], text, "{attempt} {offset}");
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn text_is_held_back_until_its_attempt_is_an_event_and_a_new_attempt_begins_anew(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    let mut ann = test.client("ann").await;
    ann.follow(id).await;
    let reply = test.owner.running_reply(id).await;
    test.owner.delta(id, reply, 0, "One").await;
    ann.text(id, "One").await;
    let key = nats::live::ReplyKey { shard: 0, conversation: id, reply };
    let second = nats::live::Delta { attempt: 2, offset: 0, text: "Two".to_owned(), thinking: false };
    nats::live::publish(&test.core, key, &second).await.unwrap();
    ann.hears_nothing_of_kind(id, "delta").await;
    let parts = Vec::new();
    let expire =
        domain::conversation::Command::ExpireAttempt { reply, attempt: 1, parts, continuable: false, spent: None };
    test.owner.work(id, expire).await;
    test.owner.claim(id, reply, 2).await;
    let delta = ann.about(id, "delta").await;
    assert_eq!((&delta["attempt"], &delta["offset"], &delta["text"]), (&json!(2), &json!(0), &json!("Two")));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn that_the_model_thinks_is_told_and_changes_no_text(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    let mut ann = test.client("ann").await;
    ann.follow(id).await;
    let reply = test.owner.running_reply(id).await;
    let sign = |attempt| nats::live::Delta { attempt, offset: 0, text: String::new(), thinking: true };
    let key = nats::live::ReplyKey { shard: 0, conversation: id, reply };
    test.owner.delta(id, reply, 0, "One").await;
    ann.text(id, "One").await;
    nats::live::publish(&test.core, key, &sign(1)).await.unwrap();
    let told = ann.about(id, "delta").await;
    assert_eq!((&told["thinking"], &told["offset"], &told["text"]), (&json!(true), &json!(0), &json!("")));
    test.owner.delta(id, reply, 3, " two").await;
    let text = ann.about(id, "delta").await;
    assert_eq!((text.get("thinking"), &text["text"]), (None, &json!(" two")));
    // The log does not say yet that the next attempt has begun.
    nats::live::publish(&test.core, key, &sign(2)).await.unwrap();
    ann.hears_nothing_of_kind(id, "delta").await;
}

/// Enough text to fill every buffer between the edge and a client that does not read.
const PIECES: usize = 6_000;
const PIECE: usize = 2_000;

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_client_that_lags_gets_one_piece_for_many(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    let mut lagging = test.client("ann").await;
    let mut quick = test.client("ann").await;
    for client in [&mut lagging, &mut quick] {
        client.follow(id).await;
    }
    let reply = test.owner.running_reply(id).await;
    let whole = "x".repeat(PIECES * PIECE);
    let reads = tokio::spawn(async move {
        let frames = quick.text(id, &"x".repeat(PIECES * PIECE)).await.len();
        (frames, quick)
    });
    for piece in 0..PIECES {
        test.owner.delta(id, reply, piece * PIECE, &whole[..PIECE]).await;
        if piece % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    let (quick, _client) = reads.await.unwrap();
    let deltas: Vec<Value> = lagging.text(id, &whole).await;
    let longest = deltas.iter().map(|delta| delta["text"].as_str().unwrap().len()).max().unwrap();
    assert!(longest > 100 * PIECE, "merged: {longest} of {} in {} frames", whole.len(), deltas.len());
    assert!(deltas.len() < quick, "{} frames instead of {quick}", deltas.len());
    until("the socket lives", async || test.edge.load().sockets == 2).await;
}
