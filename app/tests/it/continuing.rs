//! An answer that breaks off goes on where it was, with a model that can; with another it begins anew.

use std::time::Duration;

use serde_json::{Value, json};

use crate::happy::assert_same_as_stored;
use crate::support::{App, Client, TENANT, answer, id, until, within};

/// A reply's lease, and the reaper's and the finder's looks, with time to spare for a busy machine.
const TAKE_OVER: Duration = Duration::from_secs(20);
/// A model that goes on with an answer that has begun, at the address of the tests' provider.
const ABLE: &str = "mistral/mistral-large-4";
/// One of which nobody knows whether it does.
const UNABLE: &str = "fake/model";

async fn app() -> App {
    App::with_tables("", |base_url| {
        format!(
            "[[providers]]\nid = \"mistral\"\nprotocol = \"openai-chat\"\nbase_url = \"{base_url}\"\napi_key = \"k\"\n"
        )
    })
    .await
}

/// Which attempts went on from the one before, and what each that another followed left for it.
fn story(ann: &Client, id: &str) -> (Vec<bool>, Vec<Value>) {
    let transcript = ann.transcript(id);
    let began = transcript.of_type("ReplyAttemptStarted");
    let ended = ["ReplyAttemptFailed", "ReplyAttemptExpired"].map(|kind| transcript.of_type(kind)).concat();
    let kept = ended.iter().map(|ended| ended["parts"][0]["text"].clone()).collect();
    (began.iter().map(|began| began["continues"] == true).collect(), kept)
}

/// What each attempt spent: its output, and whether that is an estimate.
fn spent(ann: &Client, id: &str) -> Vec<(u64, bool)> {
    let spent = ann.transcript(id).events.iter().map(|(_, event)| &event["spent"]).filter(|spent| spent.is_object());
    spent.map(|spent| (spent["usage"]["output"].as_u64().unwrap(), spent["estimated"] == true)).collect()
}

/// Returns once another worker has taken the reply, and whoever looks sees what was there before.
async fn until_taken_over(ann: &mut Client, id: &str, reply: &str, said: &str) {
    let again = ann.read_until(id, "the text is there again", |told| {
        told.running.get(reply).is_some_and(|(attempt, text)| *attempt == 2 && text == said)
    });
    within(TAKE_OVER, "another worker takes the reply", again).await;
}

fn estimate(text: &str) -> u64 {
    text.len().div_ceil(4) as u64
}

#[tokio::test]
async fn an_answer_that_breaks_off_goes_on() {
    let app = app().await;
    let _processes = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    for question in ["billed broken-off 20 words", "billed echo 20 words"] {
        let (mut ann, id, reply) = app.asking(&api, "ann", Some(ABLE), question).await;
        let end = ann.end_of(&id, &reply).await;
        assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(2)), "{question}");
        assert_eq!(end["parts"], json!([{ "type": "text", "text": answer(40) }]), "{question}");
        assert_eq!(story(&ann, &id), (vec![false, true], vec![json!(answer(20))]), "{question}");
        assert_eq!(app.provider.calls(question), 2);
        let begun = json!({ "role": "assistant", "content": answer(20).trim_end(), "prefix": true });
        assert_eq!(app.provider.begun().last(), Some(&begun), "{question}");
        assert_eq!(spent(&ann, &id), [(estimate(&answer(20)), true), (20, false)], "each what it said itself");
        let transcript = ann.transcript(&id);
        transcript.assert_clean();
        assert!(answer(40).starts_with(&transcript.told[&reply]) && transcript.repeated == 0, "{transcript:#?}");
        assert_same_as_stored(&app, &api, &ann, "ann", &id).await;
    }
}

#[tokio::test]
async fn an_answer_that_cannot_go_on_begins_anew() {
    let app = app().await;
    let _processes = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    // Of a model that is not known to, and of one whose provider then refuses.
    for (model, question, goes_on) in
        [(UNABLE, "broken-off 20 words", vec![false, false]), (ABLE, "stubborn 20 words", vec![false, true, false])]
    {
        let (mut ann, id, reply) = app.asking(&api, "ann", Some(model), question).await;
        let end = ann.end_of(&id, &reply).await;
        assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(goes_on.len())), "{question}");
        assert_eq!(end["parts"][0]["text"], answer(40), "{question}");
        assert_eq!(app.provider.calls(question), goes_on.len());
        let kept = if goes_on.len() == 2 { vec![Value::Null] } else { vec![json!(answer(20)), Value::Null] };
        assert_eq!(story(&ann, &id), (goes_on, kept), "{question}");
        ann.transcript(&id).assert_clean();
        assert_same_as_stored(&app, &api, &ann, "ann", &id).await;
    }
    assert_eq!(app.provider.begun().len(), 1);
}

#[tokio::test]
async fn a_killed_workers_answer_goes_on_elsewhere() {
    let app = app().await;
    let (_commands, _projector, mut first) =
        (app.worker("commands").await, app.projector().await, app.worker("reply").await);
    let api = app.api().await;
    let question = "billed hold 20 words";
    let (mut ann, id, reply) = app.asking(&api, "ann", Some(ABLE), question).await;
    app.until_kept(&id, &reply, 1, &answer(20)).await;
    let _second = app.worker("reply").await;
    first.kill();
    until_taken_over(&mut ann, &id, &reply, answer(20).trim_end()).await;
    app.provider.until_asked(question, 2).await;
    app.provider.release();
    let end = ann.end_of(&id, &reply).await;
    assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(2)));
    assert_eq!(end["parts"], json!([{ "type": "text", "text": answer(40) }]));
    assert_eq!(story(&ann, &id), (vec![false, true], vec![json!(answer(20))]));
    assert_eq!(spent(&ann, &id), [(estimate(&answer(20)), true), (20, false)]);
    ann.transcript(&id).assert_clean();
    assert_same_as_stored(&app, &api, &ann, "ann", &id).await;
}

#[tokio::test]
async fn what_was_said_before_is_kept_when_the_next_attempt_is_stopped_or_lost() {
    let app = app().await;
    let (_commands, mut first) = (app.worker("commands").await, app.worker("reply").await);
    let api = app.api().await;
    let said = answer(20).trim_end().to_owned();
    let (mut ann, id, reply) = app.asking(&api, "ann", Some(ABLE), "hold 20 stopped").await;
    let (mut ben, other, lost) = app.asking(&api, "ann", Some(ABLE), "hold 20 lost").await;
    app.until_kept(&id, &reply, 1, &answer(20)).await;
    app.until_kept(&other, &lost, 1, &answer(20)).await;
    let mut second = app.worker("reply").await;
    first.kill();
    until_taken_over(&mut ann, &id, &reply, &said).await;
    until_taken_over(&mut ben, &other, &lost, &said).await;

    ann.stop(&id, &reply).await.unwrap();
    let end = ann.end_of(&id, &reply).await;
    assert_eq!((&end["type"], &end["parts"][0]["text"]), (&json!("ReplyStopped"), &json!(said)));
    assert_eq!(spent(&ann, &id)[1], (0, true), "it said nothing itself");

    app.until_kept(&other, &lost, 2, &said).await;
    let _third = app.worker("reply").await;
    second.kill();
    app.provider.release();
    let end = within(TAKE_OVER, "a third worker takes it", ben.end_of(&other, &lost)).await;
    assert_eq!((&end["type"], &end["parts"][0]["text"]), (&json!("ReplyCompleted"), &json!(answer(40))));
    assert_eq!(story(&ben, &other), (vec![false, true, true], vec![json!(answer(20)), json!(said)]));
    assert_eq!(spent(&ben, &other)[1], (0, true));
}

#[tokio::test]
async fn a_worker_that_is_lost_before_it_says_anything_loses_nothing() {
    let app = app().await;
    let (id, question, reply, said) = (id(), id(), id(), json!([{ "type": "text", "text": "The moon" }]));
    let began = |attempt: u32, continues: bool| {
        json!({ "type": "ReplyAttemptStarted", "reply": reply, "attempt": attempt, "worker": "w", "lease_ms": 1,
                "model": ABLE, "continues": continues })
    };
    let error = json!({ "code": "interrupted", "message": "" });
    let happened = [
        json!({ "type": "ConversationStarted", "owner": "ann", "tenant": TENANT }),
        json!({ "type": "MessageSubmitted", "message": question, "parent": null, "author": "ann",
                "parts": [{ "type": "text", "text": "Why?" }] }),
        json!({ "type": "ReplyRequested", "reply": reply, "parent": question, "model": ABLE }),
        began(1, false),
        json!({ "type": "ReplyAttemptFailed", "reply": reply, "attempt": 1, "error": error, "parts": said }),
        began(2, true),
    ];
    for (sequence, event) in (1..).zip(happened) {
        app.write_event(&id, sequence, event).await;
    }
    // With it comes the reaper; nobody answers.
    let _commands = app.worker("commands").await;
    let sql = "select payload from events where aggregate_id = $1 and event_type = 'ReplyAttemptExpired'";
    let mut expired: Option<Value> = None;
    until("the attempt expires", async || {
        expired = sqlx::query_scalar(sql).bind(&id).fetch_optional(&app.pool).await.unwrap();
        expired.is_some()
    })
    .await;
    let expired = expired.unwrap();
    assert_eq!((&expired["attempt"], &expired["parts"]), (&json!(2), &said));
    assert_eq!(expired["spent"]["usage"]["output"], 0);
}
