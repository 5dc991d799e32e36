//! A model that keeps failing is left alone by every worker, until one call has found out that it is well again.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::keys::KEK;
use crate::metrics::{figures, told_by};
use crate::support::{Api, App, Client, Process, Provider, answer, id};

/// How many failures one after the other open a breaker.
const FAILURES: usize = 3;
/// How long a model is left alone the first time; whoever meets the one call that finds out waits for longer.
const COOL_DOWN_MS: u64 = 5_000;
/// Longer than anything here may take.
const DEADLINE: Duration = Duration::from_secs(40);
/// The models of the route: the first does as the question says, the second always answers.
const MODELS: [&str; 2] = ["fake/model", "other/model"];

/// A worker that heeds circuit breakers, and hears of the others'.
async fn careful(app: &App) -> Process {
    let mut worker = app.worker_with("reply", &[("BESTCHAT_CIRCUIT_BREAKERS", "true")]).await;
    worker.says("circuit breakers are shared").await;
    worker
}

async fn submit(ann: &mut Client, model: &str, question: &str) -> (String, String) {
    let id = id();
    ann.ask(&id, json!({ "type": "StartConversation", "model": model })).await.unwrap();
    ann.follow(&id).await;
    let reply = ann.submit(&id, question).await;
    (id, reply)
}

async fn ask(ann: &mut Client, model: &str, question: &str) -> (String, Value) {
    let (id, reply) = submit(ann, model, question).await;
    let end = ann.end_of(&id, &reply).await;
    (id, end)
}

fn failures<'a>(ann: &'a Client, id: &str) -> Vec<&'a Value> {
    ann.transcript(id).of_type("ReplyAttemptFailed")
}

async fn until_it_fails(ann: &mut Client, id: &str) {
    ann.read_until(id, "it fails", |transcript| !transcript.of_type("ReplyAttemptFailed").is_empty()).await;
}

/// Has the first model fail so often that it is left alone, for as long as it says.
async fn wear_out(app: &App, ann: &mut Client, question: &str) {
    let mut asked = Vec::new();
    for _ in 0..FAILURES {
        asked.push(submit(ann, MODELS[0], question).await);
    }
    for (id, reply) in &asked {
        until_it_fails(ann, id).await;
        ann.stop(id, reply).await.unwrap();
    }
    assert_eq!(app.provider.calls(question), FAILURES);
}

fn assert_turned_away(failed: &Value, code: &str, words: &str) {
    let error = &failed["error"];
    assert_eq!(error["code"], code, "{failed}");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with(words) && message.contains("it is asked again in"), "{failed}");
    assert_eq!(failed["spent"], Value::Null, "{failed}");
}

#[tokio::test]
async fn a_model_that_fails_is_left_alone_by_every_worker_and_nobody_else_is() {
    let other = Provider::that_always("say 7").await;
    let base_url = other.base_url.clone();
    let app = App::with_tables("", move |_| {
        format!(
            "[[providers]]\nid = \"other\"\nprotocol = \"openai-chat\"\nbase_url = \"{base_url}\"\n\
             models = [{{ id = \"model\" }}]\n\n[[routes]]\nid = \"fast\"\nmodels = {MODELS:?}\n"
        )
    })
    .await;
    let (_commands, mut worker) = (app.worker("commands").await, careful(&app).await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    wear_out(&app, &mut ann, "busy 15").await;
    let _second = careful(&app).await;
    worker.kill();

    let (_, end) = ask(&mut ann, MODELS[1], "say 3 elsewhere").await;
    assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(1)));
    let (id, end) = ask(&mut ann, "route/fast", "say 3 on a route").await;
    assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(1)));
    assert_eq!(ann.transcript(&id).of_type("ReplyAttemptStarted")[0]["model"], MODELS[1]);

    let question = "say 3 later";
    let (id, reply) = submit(&mut ann, MODELS[0], question).await;
    until_it_fails(&mut ann, &id).await;
    assert_eq!(app.provider.calls(question), 0);
    let end = ann.end_of(&id, &reply).await;
    assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(2)));
    assert_eq!(end["parts"][0]["text"], answer(3));
    let [failed] = failures(&ann, &id)[..] else { panic!("{:#?}", failures(&ann, &id)) };
    assert_turned_away(failed, "overload", "fake/model has been failing");
    assert!((1..=15_000).contains(&failed["retry_after_ms"].as_u64().unwrap()), "{failed}");
    assert_eq!(app.provider.calls(question), 1);
    // And it is well again.
    let (_, end) = ask(&mut ann, "route/fast", "say 3 again").await;
    assert_eq!((&end["attempt"], app.provider.calls("say 3 again")), (&json!(1), 1));
}

#[tokio::test]
async fn one_call_finds_out_whether_it_is_well_again() {
    let app = App::new().await;
    let _workers = (app.worker("commands").await, careful(&app).await, careful(&app).await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    // Each worker counts for itself, but one of them has enough.
    let mut worn_out = 0;
    while worn_out < 2 * FAILURES - 1 {
        let (id, reply) = submit(&mut ann, MODELS[0], "busy 4").await;
        until_it_fails(&mut ann, &id).await;
        ann.stop(&id, &reply).await.unwrap();
        let turned_away = failures(&ann, &id)[0]["error"]["message"].as_str().unwrap().contains("asked again in");
        worn_out = if turned_away { usize::MAX } else { worn_out + 1 };
    }

    // No word of it comes before the test lets it.
    let question = "hold 0 until it is let go";
    let mut asked = Vec::new();
    for _ in 0..5 {
        asked.push(submit(&mut ann, MODELS[0], question).await);
    }
    app.provider.until_asked(question, 1).await;
    let deadline = Instant::now() + DEADLINE;
    let has_met_probe = |ann: &Client, id: &str| {
        failures(ann, id).iter().any(|failed| failed["retry_after_ms"].as_u64().is_some_and(|wait| wait > COOL_DOWN_MS))
    };
    while asked.iter().filter(|(id, _)| has_met_probe(&ann, id)).count() < 4 {
        assert!(ann.read(deadline).await.unwrap(), "the others are turned away while one finds out");
    }
    assert_eq!(app.provider.calls(question), 1, "one call is enough");
    app.provider.release();
    for (id, reply) in &asked {
        let end = ann.end_of(id, reply).await;
        let attempts = failures(&ann, id).len() + 1;
        assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(attempts)), "{end}");
        for failed in failures(&ann, id) {
            assert_turned_away(failed, "overload", "fake/model has been failing");
        }
    }
    assert_eq!(app.provider.calls(question), 5);
    // Whichever worker it is.
    for _ in 0..6 {
        let (_, end) = ask(&mut ann, MODELS[0], "say 3 well").await;
        assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(1)), "{end}");
    }
}

#[tokio::test]
async fn a_call_that_was_to_find_out_and_is_stopped_keeps_nobody_away() {
    let app = App::new().await;
    let _workers = (app.worker("commands").await, careful(&app).await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    wear_out(&app, &mut ann, "busy 1").await;
    let question = "hold 0 until it is stopped";
    let (id, reply) = submit(&mut ann, MODELS[0], question).await;
    app.provider.until_asked(question, 1).await;
    ann.stop(&id, &reply).await.unwrap();
    assert_eq!(ann.end_of(&id, &reply).await["type"], "ReplyStopped");
    let (id, end) = ask(&mut ann, MODELS[0], "say 3 after it").await;
    assert_eq!((&end["type"], failures(&ann, &id).len()), (&json!("ReplyCompleted"), 0), "{end}");
}

/// Has a person bring a key to the provider of their own that they call `mine`.
async fn bring(api: &Api, person: &str, to: &Provider, key: &str) {
    let models = [json!({ "id": "x" })];
    let mine = json!({ "protocol": "openai-chat", "base_url": to.base_url, "api_key": key, "models": models });
    let (status, saved) = api.ask(person, Method::PUT, "/api/providers/configs/mine", &mine).await;
    assert_eq!(status, 200, "{saved}");
}

#[tokio::test]
async fn one_persons_refused_key_is_told_at_once_and_cools_nobody_elses() {
    let settings = "metrics_listen = \"127.0.0.1:0\"\nallow_private_addresses = true";
    let settings = format!("{settings}\nsealing.keys = {{ 1 = \"{}\" }}", KEK[0]);
    let (app, own) = (App::with(&settings).await, Provider::start().await);
    let (_commands, mut worker) = (app.worker("commands").await, careful(&app).await);
    let api = app.api().await;
    app.until_owned("commands", 1).await;
    let (mut ann, mut ben) = (app.client(&api, "ann").await, app.client(&api, "ben").await);
    bring(&api, "ann", &own, "sk-ann-1234512345").await;
    bring(&api, "ben", &own, "sk-ben-1234512345").await;

    let (_, end) = ask(&mut ann, "mine/x", "refused now").await;
    assert_eq!((&end["type"], &end["error"]["code"]), (&json!("ReplyFailed"), &json!("auth")));
    let (_, end) = ask(&mut ann, "mine/x", "say 3 soon").await;
    assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyFailed"), &json!(1)));
    assert_turned_away(&end, "auth", "mine/x has just refused this key");
    assert_eq!(own.calls("say 3 soon"), 0);

    let (_, end) = ask(&mut ben, "mine/x", "say 3 to ben").await;
    assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(1)), "{end}");
    bring(&api, "ann", &own, "sk-ann-6789067890").await;
    let (_, end) = ask(&mut ann, "mine/x", "say 3 with another key").await;
    assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyCompleted"), &json!(1)), "{end}");

    // The installation's figures are told apart from theirs.
    let told = figures(&told_by(&mut worker).await).await;
    for sample in [
        "bestchat_breaker_changes_total{provider=\"own\",change=\"opened\"} 1",
        "bestchat_provider_errors_total{provider=\"own\",model=\"other\",kind=\"auth\"} 1",
        "bestchat_reply_attempts_total{provider=\"own\",model=\"other\",end=\"refused\"} 1",
    ] {
        assert!(told.contains(sample), "{sample} in\n{told}");
    }
}
