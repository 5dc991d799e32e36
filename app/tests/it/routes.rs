//! A reply that is asked of a route: when one model cannot answer, the next one does.

use serde_json::{Value, json};

use crate::happy::assert_same_as_stored;
use crate::support::{App, Client, Provider, answer, id};

/// The models of the route: the first does as the question says, the second always answers.
const MODELS: [&str; 2] = ["fake/model", "other/model"];
/// How many words the second says.
const WORDS: usize = 7;

async fn routed(other: &Provider) -> App {
    let base_url = other.base_url.clone();
    App::with_tables("", move |_| {
        format!(
            "[[providers]]\nid = \"other\"\nprotocol = \"openai-chat\"\nbase_url = \"{base_url}\"\n\
             models = [{{ id = \"model\" }}]\n\n[[routes]]\nid = \"fast\"\nmodels = {MODELS:?}\n"
        )
    })
    .await
}

async fn ask(ann: &mut Client, model: &str, question: &str) -> (String, Value) {
    let id = id();
    ann.ask(&id, json!({ "type": "StartConversation", "model": model })).await.unwrap();
    ann.follow(&id).await;
    let reply = ann.submit(&id, question).await;
    let end = ann.end_of(&id, &reply).await;
    (id, end)
}

/// The models asked, in order, and after which failures another one was.
fn story(ann: &Client, id: &str) -> (Vec<String>, Vec<bool>) {
    let transcript = ann.transcript(id);
    let asked = transcript.of_type("ReplyAttemptStarted");
    let asked = asked.iter().map(|began| began["model"].as_str().unwrap().to_owned()).collect();
    let failed = transcript.of_type("ReplyAttemptFailed");
    (asked, failed.iter().map(|failed| failed["switch"] == true).collect())
}

#[tokio::test]
async fn the_next_model_of_a_route_answers_when_one_cannot() {
    let other = Provider::that_always("say 7").await;
    let app = routed(&other).await;
    let _processes = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    let models = api.read("ann", "/api/models").await;
    assert_eq!(models["models"].as_array().unwrap().last().unwrap()["id"], "route/fast");
    let mut ann = app.client(&api, "ann").await;
    let [first, second] = MODELS;
    for (question, asked, switches) in [
        ("say 3 well", vec![first], vec![]),
        // Before the first text: at once where waiting does not help, else after one more try.
        ("refused before", vec![first, second], vec![true]),
        ("broken before", vec![first, first, second], vec![false, true]),
        // After it: the answer begins anew, for all to see.
        ("cut 20 after", vec![first, first, second], vec![false, true]),
        ("html after", vec![first, second], vec![true]),
    ] {
        let (id, end) = ask(&mut ann, "route/fast", question).await;
        let answered = *asked.last().unwrap();
        assert_eq!((&end["type"], &end["model"]), (&json!("ReplyCompleted"), &json!(answered)), "{question}");
        let words = if answered == second { WORDS } else { 3 };
        assert_eq!(end["parts"][0]["text"], answer(words), "{question}");
        let asked: Vec<String> = asked.into_iter().map(str::to_owned).collect();
        assert_eq!(story(&ann, &id), (asked, switches), "{question}");
        assert_same_as_stored(&app, &api, &ann, "ann", &id).await;
        if question.starts_with("refused") {
            assert!(pause(&app, &id).await < 1.0, "the worker that failed goes on by itself");
        }
    }
}

/// The seconds from an attempt's failure to the next attempt.
async fn pause(app: &App, conversation: &str) -> f64 {
    sqlx::query_scalar(
        "select extract(epoch from began.recorded_at - failed.recorded_at)::float8 from events failed, events began
         where failed.aggregate_id = $1 and failed.event_type = 'ReplyAttemptFailed'
         and began.aggregate_id = $1 and began.sequence = failed.sequence + 1",
    )
    .bind(conversation)
    .fetch_one(&app.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_route_ends_when_no_model_can() {
    let other = Provider::that_always("refused").await;
    let app = routed(&other).await;
    let _worker = app.worker("commands,reply").await;
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    let (id, end) = ask(&mut ann, "route/fast", "refused too").await;
    assert_eq!(
        (&end["type"], &end["error"]["code"], &end["attempt"]),
        (&json!("ReplyFailed"), &json!("auth"), &json!(2))
    );
    assert_eq!(story(&ann, &id), (MODELS.map(str::to_owned).to_vec(), vec![true]));
    // Without a route nothing else is asked.
    let (id, end) = ask(&mut ann, MODELS[0], "refused alone").await;
    assert_eq!((&end["type"], &end["attempt"]), (&json!("ReplyFailed"), &json!(1)));
    assert_eq!(story(&ann, &id), (vec![MODELS[0].to_owned()], vec![]));
}
