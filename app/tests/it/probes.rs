//! Providers that are tried out for people, and the models that they list: with a person's own key, within bounds, and
//! nothing of one person's for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::keys::KEK;
use crate::support::{Api, App, Process, Provider, until};

const KEY: &str = "sk-ann-1122334455-hgfedcba-EFGH";

/// With people's keys, and addresses on this machine.
async fn app() -> App {
    App::with(&format!("allow_private_addresses = true\nsealing.keys = {{ 1 = \"{}\" }}", KEK[0])).await
}

async fn start(app: &App) -> (Vec<Process>, Api) {
    let processes = vec![app.worker("commands,reply").await, app.projector().await];
    app.until_owned("commands", 1).await;
    (processes, app.api().await)
}

impl Api {
    /// Configures a provider of chat completions.
    async fn configure(&self, user: &str, provider: &str, base_url: &str, models: Value) {
        let config = json!({ "protocol": "openai-chat", "base_url": base_url, "models": models, "api_key": KEY });
        let (status, saved) = self.ask(user, Method::PUT, &format!("/api/providers/configs/{provider}"), &config).await;
        assert_eq!(status, 200, "{saved}");
        // The catalogue of models falls back to what the view knows.
        let position = saved["position"].as_str().unwrap();
        self.read(user, &format!("/api/providers/configs?min_position={position}")).await;
    }

    async fn try_out(&self, user: &str, provider: &str, model: Option<&str>) -> (u16, Value) {
        let path = format!("/api/providers/configs/{provider}/test");
        self.ask(user, Method::POST, &path, &json!({ "model": model })).await
    }

    /// The models of a provider, and who says so.
    async fn models(&self, user: &str, provider: &str) -> (Vec<Value>, Value) {
        let mut listed = self.read(user, &format!("/api/providers/{provider}/models")).await;
        let models = listed["models"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
        (models, listed["source"].take())
    }
}

#[tokio::test]
async fn a_provider_that_is_tried_out_says_how_it_is() {
    let app = app().await;
    let (processes, api) = start(&app).await;
    let refusing = Provider::that_always("refused").await;
    api.configure("ann", "mine", &app.provider.base_url, json!([])).await;
    api.configure("ann", "bad", &refusing.base_url, json!([{ "id": "m1" }])).await;
    api.configure("ann", "away", "http://127.0.0.1:1/v1", json!([{ "id": "m1" }])).await;

    // The first that it lists, since none is named.
    let (status, tried) = api.try_out("ann", "mine", None).await;
    assert_eq!((status, &tried["ok"], &tried["model"]), (200, &json!(true), &json!("m1")), "{tried}");
    assert!(tried["took_ms"].is_u64(), "{tried}");
    let heads = app.provider.heads();
    assert_eq!(heads.len(), 1);
    assert!(heads[0].contains(&format!("authorization: Bearer {KEY}\r\n")), "{heads:?}");
    let (_, tried) = api.try_out("ann", "mine", Some("other")).await;
    assert_eq!((&tried["ok"], &tried["model"]), (&json!(true), &json!("other")));
    for (provider, model, code, words) in [
        ("bad", None, "auth", "the API key is wrong"),
        ("away", None, "network", "cannot be reached"),
        ("bad", Some("m2"), "unknown_model", "m2"),
    ] {
        let (status, tried) = api.try_out("ann", provider, model).await;
        let message = tried["error"]["message"].as_str().unwrap();
        assert_eq!((status, &tried["ok"], &tried["error"]["code"]), (200, &json!(false), &json!(code)), "{tried}");
        assert!(message.contains(words) && !message.contains(KEY), "{message}");
    }
    // The installation's, by its own key, for those who have none of that name.
    let (_, tried) = api.try_out("bob", "fake", None).await;
    assert_eq!((&tried["ok"], &tried["model"]), (&json!(true), &json!("model")));
    assert!(!app.provider.heads().last().unwrap().contains(KEY));
    // What is another's, and what nobody has configured.
    let calls = app.provider.all_calls();
    for provider in ["mine", "groq"] {
        let (status, refused) = api.try_out("bob", provider, Some("m1")).await;
        assert_eq!((status, refused["error"]["code"].as_str()), (404, Some("unknown_provider")), "{provider}");
    }
    assert_eq!(app.provider.all_calls(), calls);
    for process in &processes {
        assert!(!process.log().contains(KEY));
    }
}

#[tokio::test]
async fn a_list_of_models_is_asked_for_once_a_day_by_each_credential() {
    let app = app().await;
    let (mut processes, api) = start(&app).await;
    let of = |provider: &str| vec![json!(format!("{provider}/m1")), json!(format!("{provider}/m2"))];
    for _ in 0..2 {
        assert_eq!(api.models("ann", "fake").await, (of("fake"), json!("provider")));
        assert_eq!(api.models("bob", "fake").await, (of("fake"), json!("provider")));
    }
    assert_eq!(app.provider.lists(), 1, "it is kept for everyone who uses the installation's key");

    api.configure("ann", "mine", &app.provider.base_url, json!([])).await;
    for _ in 0..2 {
        assert_eq!(api.models("ann", "mine").await, (of("mine"), json!("provider")));
    }
    assert_eq!(app.provider.lists(), 2, "her key may open other models");
    assert_eq!(api.get("bob", "/api/providers/mine/models").await.0, 404);
    api.configure("bob", "mine", &app.provider.base_url, json!([])).await;
    assert_eq!(api.models("bob", "mine").await, (of("mine"), json!("provider")));
    assert_eq!(app.provider.lists(), 3, "and his others again");

    // Another process knows it as well.
    assert!(processes.remove(0).stop().await.success());
    let _worker = app.worker("commands,reply").await;
    assert_eq!(api.models("ann", "mine").await, (of("mine"), json!("provider")));
    assert_eq!(app.provider.lists(), 3);

    // Who cannot be asked is known all the same: by the person's own list, else by the catalogue.
    api.configure("ann", "away", "http://127.0.0.1:1/v1", json!([{ "id": "named" }])).await;
    assert_eq!(api.models("ann", "away").await, (vec![json!("away/named")], json!("catalog")));
    let (models, source) = api.models("ann", "anthropic").await;
    assert_eq!((models.contains(&json!("anthropic/claude-opus-5")), source), (true, json!("catalog")));
}

#[tokio::test]
async fn nobody_has_providers_called_without_end() {
    let app = app().await;
    let (_processes, api) = start(&app).await;
    api.configure("ann", "mine", &app.provider.base_url, json!([{ "id": "m1" }])).await;
    let mut refused = Value::Null;
    until("she is told to wait", async || {
        let (status, answer) = api.try_out("ann", "mine", None).await;
        refused = answer;
        status == 429
    })
    .await;
    let error = &refused["error"];
    assert_eq!((&error["code"], &error["retryable"]), (&json!("too_many_requests"), &json!(true)));
    assert!(error["message"].as_str().unwrap().contains("try again in"), "{refused}");
    assert_eq!(app.provider.all_calls(), 10);
    // Others are not concerned, and what is kept costs nothing.
    assert_eq!(api.try_out("bob", "fake", None).await.1["ok"], true);
}

/// Where a provider is that takes calls and answers none, and how many it has taken.
async fn silent() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    tokio::spawn(async move {
        let mut sockets = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            sockets.push(socket);
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    (base_url, taken)
}

#[tokio::test]
async fn providers_that_hang_keep_nobody_from_what_is_known() {
    let app = app().await;
    let (_processes, api) = start(&app).await;
    assert_eq!(api.models("bob", "fake").await.1, json!("provider"));
    let (base_url, taken) = silent().await;
    // As many people as take all places of a process, each as many as they may.
    let people: Vec<String> = (0..8).map(|nth| format!("ann-{nth}")).collect();
    for person in &people {
        api.configure(person, "silent", &base_url, json!([{ "id": "m1" }])).await;
    }
    let hanging = people.iter().chain(&people).map(|person| api.try_out(person, "silent", Some("m1")));
    let mut hanging: FuturesUnordered<_> = hanging.collect();
    let meanwhile = async {
        until("all places are taken", async || taken.load(Ordering::Relaxed) >= 16).await;
        assert_eq!(api.models("bob", "fake").await.1, json!("provider"));
        api.try_out("bob", "fake", None).await
    };
    let (status, refused) = tokio::select! {
        ended = hanging.next() => panic!("{ended:?}"),
        refused = meanwhile => refused,
    };
    assert_eq!((status, refused["error"]["code"].as_str()), (429, Some("too_many_requests")));
    assert!(refused["error"]["message"].as_str().unwrap().contains("just now"), "{refused}");
}
