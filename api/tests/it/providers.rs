//! The catalogue of providers, and what workers find out about one: whether it answers, which models it has.

use nats::probe::{self, Answer, Outcome, Question, Refusal};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::accounts::{KEY, URL, config, mine};
use crate::support::{TestEdge, until};

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_provider_is_tried_out_by_the_workers(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let ann = test.rest("ann");
    ann.changes(Method::PUT, &config("mine"), &mine()).await;
    let trying = format!("{}/test", config("mine"));
    let nobody = ann.refuses(Method::POST, &trying, &json!({})).await;
    assert_eq!(nobody, (503, "unavailable".to_owned()), "no worker is there");

    let cancelled = CancellationToken::new();
    let _ends = cancelled.clone().drop_guard();
    tokio::spawn(probe::serve(test.core.clone(), tried_out, cancelled));
    until("the workers answer", async || ann.refuses(Method::POST, &trying, &json!({})).await.0 != 503).await;
    let answer = ann.ask(Method::POST, &trying, &json!({ "model": "works" })).await;
    assert_eq!(answer, (200, json!({ "ok": true, "model": "works", "took_ms": 7 })));
    let answer = ann.ask(Method::POST, &trying, &json!({ "model": "refused" })).await;
    assert_eq!(
        answer,
        (200, json!({ "ok": false, "error": { "code": "auth", "message": "The key is not accepted." } }))
    );
    for (model, refusal) in [
        ("elsewhere", (404, "unknown_provider")),
        ("often", (429, "too_many_requests")),
        ("busy", (503, "unavailable")),
    ] {
        let answer = ann.refuses(Method::POST, &trying, &json!({ "model": model })).await;
        assert_eq!((answer.0, answer.1.as_str()), refusal, "{model}");
    }
    let answer = ann.refuses(Method::POST, &trying, &json!({})).await;
    assert_eq!(answer, (501, "not_available".to_owned()));
    assert_eq!(ann.refuses(Method::POST, &format!("{}/test", config("x")), &json!({})).await.0, 404);
}

async fn tried_out(request: probe::Request) -> Outcome {
    let failed = |code: &str| Refusal::Failed { code: code.to_owned(), message: "The key is not accepted.".to_owned() };
    match request.question {
        Question::Answers { model: Some(model) } => match model.as_str() {
            "works" => Ok(Answer::Answered { model, took_ms: 7 }),
            "elsewhere" => Err(Refusal::UnknownProvider),
            "often" => Err(Refusal::TooMany { wait_ms: 1_500 }),
            "busy" => Err(Refusal::Unavailable),
            _ => Err(failed("auth")),
        },
        Question::Answers { model: None } => Err(Refusal::NotAvailable),
        Question::Models if request.provider.as_str() == "cloud" && request.user.as_str() == "bob" => {
            Err(failed("network"))
        }
        Question::Models if request.provider.as_str() == "cloud" => {
            let model = |id: &str, context_window| probe::Model { id: id.to_owned(), context_window };
            Ok(Answer::Models { models: vec![model("large", None), model("small", Some(4_000))] })
        }
        Question::Models if request.user.as_str() == "bob" => Err(failed("network")),
        Question::Models => {
            let id = format!("of {}/{}", request.tenant, request.user);
            Ok(Answer::Models { models: vec![probe::Model { id, context_window: None }] })
        }
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn models_are_those_of_the_provider_or_else_what_is_known_of_it(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let (ann, bob) = (test.rest("ann"), test.rest("bob"));
    let listed = ann.json("/api/providers/demo/models").await;
    assert_eq!((&listed["source"], &listed["models"][0]["id"]), (&json!("catalog"), &json!("demo/demo")));
    let cancelled = CancellationToken::new();
    let _ends = cancelled.clone().drop_guard();
    tokio::spawn(probe::serve(test.core.clone(), tried_out, cancelled));
    let listed = async || ann.json("/api/providers/cloud/models").await;
    until("the workers answer", async || listed().await["source"] == "provider").await;
    // What the provider leaves out is as the catalogue has it.
    let models = listed().await["models"].clone();
    assert_eq!(
        models,
        json!([
            { "id": "cloud/large", "label": "cloud/large", "context_window": 32_000, "default": false },
            { "id": "cloud/small", "label": "cloud/small", "context_window": 4_000, "default": false },
        ])
    );
    let known = bob.json("/api/providers/cloud/models").await;
    assert_eq!((&known["source"], &known["models"]), (&json!("catalog"), &json!([models[0]])));

    for person in [&ann, &bob] {
        let position = person.changes(Method::PUT, &config("mine"), &mine()).await;
        person.json(&format!("/api/providers/configs?min_position={position}")).await;
    }
    let own = ann.json("/api/providers/mine/models").await;
    assert_eq!((&own["source"], &own["models"][0]["id"]), (&json!("provider"), &json!("mine/of acme/ann")));
    let named = bob.json("/api/providers/mine/models").await;
    assert_eq!((&named["source"], &named["models"][0]["id"]), (&json!("catalog"), &json!("mine/m1")));
    assert_eq!(named["models"][0]["context_window"], 8_000);
    // A provider that nobody knows anything of: there is nothing to fall back to.
    let nameless = json!({ "protocol": "openai-chat", "base_url": URL });
    bob.changes(Method::PUT, &config("mine"), &nameless).await;
    until("the view knows", async || {
        bob.refusal("/api/providers/mine/models").await == (503, "unavailable".to_owned())
    })
    .await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_catalogue_says_what_a_person_needs_to_bring(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let ann = test.rest("ann");
    let listed = ann.json("/api/providers").await;
    let cloud = json!({
        "id": "cloud", "name": "CLOUD", "protocol": "openai-chat", "configured": false, "needs_key": true,
        "base_url": "https://{resource}.cloud.example/v1", "parameters": ["resource"], "needs_base_url": true,
        "models": [{
            "id": "cloud/large", "label": "cloud/large", "context_window": 32_000, "default": false, "max_output": 8_000,
            "takes": ["image"], "can": ["tools"],
            "price": { "version": "list-1", "rates": [
                { "above": 0, "input": 2, "cached_read": 1, "cache_write": 2, "output": 9, "reasoning": 9 }] },
        }],
    });
    assert_eq!(listed["providers"][1], cloud);
    // It needs its address and no more.
    let (status, refused) = ann.ask(Method::PUT, &config("cloud"), &json!({ "api_key": KEY })).await;
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(status == 422 && message.contains("`base_url`, https://{resource}.cloud.example/v1"), "{message}");
    let (_, refused) = ann.ask(Method::PUT, &config("house"), &json!({})).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("does not tell where"), "{refused}");
    for provider in ["cloud", "house"] {
        ann.changes(Method::PUT, &config(provider), &json!({ "base_url": URL })).await;
    }
    ann.changes(Method::PUT, "/api/providers/default", &json!({ "provider": "cloud" })).await;
}
