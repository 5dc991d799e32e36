//! What every attempt spent is in the log, whatever became of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{App, Client, answer, within};

/// A reply's lease, and the reaper's and the finder's looks, with time to spare for a busy machine.
const TAKE_OVER: Duration = Duration::from_secs(20);
/// A model whose price is known, at the address of the tests' provider.
const PRICED: &str = "openai/gpt-6-luna";

fn tokens(usage: &Value) -> u64 {
    ["input", "cached_input", "cache_write", "output", "reasoning"].iter().filter_map(|kind| usage[kind].as_u64()).sum()
}

/// What the attempts of a conversation spent, in order. Each attempt that began says it, once.
fn spent(ann: &Client, id: &str) -> Vec<Value> {
    let transcript = ann.transcript(id);
    let spent: Vec<_> = transcript
        .events
        .iter()
        .filter_map(|(_, event)| event.get("spent").filter(|it| !it.is_null()))
        .cloned()
        .collect();
    assert_eq!(spent.len(), transcript.of_type("ReplyAttemptStarted").len(), "{:#?}", transcript.events);
    spent
}

#[tokio::test]
async fn what_every_attempt_spent_is_in_the_log() {
    let app = App::with_tables("", |base_url| {
        format!(
            "[[providers]]\nid = \"openai\"\nprotocol = \"openai-chat\"\nbase_url = \"{base_url}\"\napi_key = \"k\"\n"
        )
    })
    .await;
    let _commands = app.worker("commands").await;
    let mut worker = app.worker("reply").await;
    let api = app.api().await;
    let estimated = |spent: &[Value]| spent.iter().map(|spent| spent["estimated"] == true).collect::<Vec<_>>();
    let mut all = Vec::new();

    let (mut ann, id, reply) = app.asking(&api, "ann", Some(PRICED), "billed say 50 whole").await;
    let end = ann.end_of(&id, &reply).await;
    let whole = spent(&ann, &id);
    assert_eq!((&end["type"], estimated(&whole)), (&json!("ReplyCompleted"), vec![false]));
    assert_eq!(ann.transcript(&id).of_type("ReplyAttemptStarted")[0]["model"], PRICED);
    assert_eq!((&whole[0]["usage"]["input"], &whole[0]["usage"]["output"]), (&json!(100), &json!(50)));
    assert!(whole[0]["cost"]["micros"].as_u64().unwrap() > 0, "{whole:#?}");
    assert!(whole[0]["cost"]["price"].is_string());
    assert!(end["usage"]["raw"].is_string() && whole[0]["usage"]["raw"].is_null(), "a bill's own words are kept once");
    all.extend(whole);

    let question = "billed pace 2000 10 stopped";
    let (mut ann, id, reply) = app.asking(&api, "ann", Some(PRICED), question).await;
    ann.until_text(&id, &reply, answer(20).len()).await;
    ann.stop(&id, &reply).await.unwrap();
    let end = ann.end_of(&id, &reply).await;
    let stopped = spent(&ann, &id);
    assert_eq!((&end["type"], estimated(&stopped)), (&json!("ReplyStopped"), vec![true]));
    let said = end["parts"][0]["text"].as_str().unwrap().len();
    assert_eq!(stopped[0]["usage"]["output"], said.div_ceil(4));
    assert_eq!(stopped[0]["usage"]["input"], question.len().div_ceil(4));
    assert!(stopped[0]["cost"]["micros"].as_u64().unwrap() > 0, "{stopped:#?}");
    all.extend(stopped);

    let (mut ann, id, reply) = app.asking(&api, "ann", None, "billed cut 5 failed").await;
    let end = ann.end_of(&id, &reply).await;
    let failed = spent(&ann, &id);
    assert_eq!((&end["type"], estimated(&failed)), (&json!("ReplyFailed"), vec![true; 3]));
    assert_eq!(failed[2]["cost"], Value::Null, "nobody knows its price");
    all.extend(failed);

    let (mut ann, id, reply) = app.asking(&api, "ann", None, "billed recover 5 retried").await;
    let end = ann.end_of(&id, &reply).await;
    let retried = spent(&ann, &id);
    assert_eq!((&end["type"], estimated(&retried)), (&json!("ReplyCompleted"), vec![true, false]));
    all.extend(retried);

    let (mut ann, id, reply) = app.asking(&api, "ann", None, "billed hold 20 lost").await;
    ann.until_text(&id, &reply, answer(20).len()).await;
    app.until_kept(&id, &reply, 1, &answer(20)).await;
    let _other = app.worker("reply").await;
    worker.kill();
    app.provider.release();
    let end = within(TAKE_OVER, "another worker takes the reply", ann.end_of(&id, &reply)).await;
    let lost = spent(&ann, &id);
    assert_eq!((&end["type"], estimated(&lost)), (&json!("ReplyCompleted"), vec![true, false]));
    assert_eq!(lost[0]["usage"]["output"], answer(20).len().div_ceil(4));
    all.extend(lost);

    assert_eq!(all.len(), app.provider.all_calls(), "no call is missing");
    let counted =
        all.iter().filter(|spent| spent["estimated"] != true).map(|spent| tokens(&spent["usage"])).sum::<u64>();
    assert_eq!(counted, app.provider.billed());
}

#[tokio::test]
async fn an_attempt_that_no_provider_took_up_spent_nothing() {
    let app = App::new().await;
    let _worker = app.worker("commands,reply").await;
    let api = app.api().await;
    let (mut ann, id, reply) = app.asking(&api, "ann", None, "broken").await;
    assert_eq!(ann.end_of(&id, &reply).await["type"], "ReplyFailed");
    let events = &ann.transcript(&id).events;
    assert!(events.iter().all(|(_, event)| event.get("spent").is_none_or(Value::is_null)), "{events:#?}");
}
