//! Providers that people bring: whoever asks is answered by their own, with their own key, and with nobody else's.

use reqwest::Method;
use serde_json::{Value, json};

use crate::keys::KEK;
use crate::support::{API_KEY, Api, App, Client, Process, Provider, answer, id};

/// Ann's key, which nobody but her provider may see.
const KEY: &str = "sk-ann-1234512345-qwerty-WXYZ";
const MINE: &str = "/api/providers/configs/mine";

/// An application with key-encryption keys that logs all that it may.
async fn app(settings: &str) -> App {
    let level = "debug,api=trace,app=trace,nats=trace,projections=trace,store=trace,workers=trace";
    let log = format!("log = \"{level},async_nats=info,sqlx=info,hyper=info,h2=info\"");
    App::with(&format!("{settings}\nsealing.keys = {{ 1 = \"{}\" }}\n{log}", KEK[0])).await
}

async fn save(api: &Api, user: &str, path: &str, body: &Value) {
    let (status, saved) = api.ask(user, Method::PUT, path, body).await;
    assert_eq!(status, 200, "{path}: {saved}");
}

fn mine(provider: &Provider) -> Value {
    let models = [json!({ "id": "x" })];
    json!({ "protocol": "openai-chat", "base_url": provider.base_url, "api_key": KEY, "models": models })
}

/// A new conversation in which a question is asked of a model, or of the default; how the reply ends.
async fn ask(client: &mut Client, model: Option<&str>, question: &str) -> Value {
    let id = id();
    client.ask(&id, json!({ "type": "StartConversation", "model": model })).await.unwrap();
    client.follow(&id).await;
    let reply = client.submit(&id, question).await;
    client.end_of(&id, &reply).await
}

fn assert_answered_by(end: &Value, model: &str) {
    assert_eq!((&end["type"], &end["model"]), (&json!("ReplyCompleted"), &json!(model)), "{end}");
    assert_eq!(end["parts"][0]["text"], answer(3));
}

fn assert_unknown(end: &Value, model: &str) {
    assert_eq!((&end["type"], &end["error"]["code"]), (&json!("ReplyFailed"), &json!("unknown_model")), "{end}");
    assert!(end["error"]["message"].as_str().unwrap().contains(model), "{end}");
}

/// The keys that a provider was shown, call by call.
fn shown(provider: &Provider) -> Vec<Option<String>> {
    let key = |head: &String| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(name, _)| name.eq_ignore_ascii_case("authorization")).map(|(_, key)| key.to_owned())
    };
    provider.heads().iter().map(key).collect()
}

async fn assert_nowhere(app: &App, processes: &[&Process], secret: &str) {
    let sql = "select count(*) from events where payload::text like $1 or metadata::text like $1";
    let events: i64 = sqlx::query_scalar(sql).bind(format!("%{secret}%")).fetch_one(&app.pool).await.unwrap();
    assert_eq!(events, 0);
    for process in processes {
        let log = process.log();
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} in {line:?}");
    }
}

#[tokio::test]
async fn whoever_asks_is_answered_by_their_own_provider_with_their_own_key() {
    let (app, own) = (app("allow_private_addresses = true").await, Provider::start().await);
    let (commands, reply, projector) = (app.worker("commands").await, app.worker("reply").await, app.projector().await);
    let api = app.api().await;
    app.until_owned("commands", 1).await;
    let (mut ann, mut ben) = (app.client(&api, "ann").await, app.client(&api, "ben").await);
    save(&api, "ann", MINE, &mine(&own)).await;

    assert_answered_by(&ask(&mut ann, Some("mine/x"), "say 3 to ann").await, "mine/x");
    assert_eq!(shown(&own), [Some(format!("Bearer {KEY}"))]);
    assert_unknown(&ask(&mut ann, Some("mine/y"), "say 3 of another model").await, "mine/y");
    assert_unknown(&ask(&mut ben, Some("mine/x"), "say 3 to ben").await, "mine/x");

    // In her conversation as well, and with her default: the asker's provider answers, not the owner's.
    save(&api, "ann", "/api/providers/default", &json!({ "provider": "mine" })).await;
    let shared = ann.start().await;
    ann.ask(&shared, json!({ "type": "AddParticipant", "user": "ben" })).await.unwrap();
    ben.follow(&shared).await;
    let reply_to_ann = ann.submit(&shared, "say 3 by default").await;
    assert_answered_by(&ben.end_of(&shared, &reply_to_ann).await, "mine/x");
    let reply_to_ben = ben.submit_beside(&shared, "say 3 by default to ben").await;
    assert_answered_by(&ben.end_of(&shared, &reply_to_ben).await, "fake/model");
    assert_eq!((own.all_calls(), app.provider.all_calls()), (2, 1));
    assert_eq!(shown(&app.provider), [Some(format!("Bearer {API_KEY}"))]);

    // What is refused shows the key to nobody either.
    let refused = ask(&mut ann, Some("mine/x"), "refused").await;
    assert_eq!(refused["error"]["code"], "auth");
    assert!(!refused.to_string().contains(KEY), "{refused}");

    let (status, removed) = api.ask("ann", Method::DELETE, MINE, &Value::Null).await;
    assert_eq!(status, 200, "{removed}");
    assert_unknown(&ask(&mut ann, Some("mine/x"), "say 3 no more").await, "mine/x");
    assert_answered_by(&ask(&mut ann, None, "say 3 as before").await, "fake/model");
    assert_eq!(own.all_calls(), 3);
    assert_nowhere(&app, &[&commands, &reply, &projector, &api.process], "1234512345").await;
}

#[tokio::test]
async fn the_installations_key_goes_to_no_address_of_a_persons() {
    let (app, own) = (app("allow_private_addresses = true").await, Provider::start().await);
    let _workers = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    let (mut ann, mut ben) = (app.client(&api, "ann").await, app.client(&api, "ben").await);
    // The installation's own provider by name, elsewhere.
    let elsewhere = json!({ "protocol": "openai-chat", "base_url": own.base_url });
    save(&api, "ann", "/api/providers/configs/fake", &elsewhere).await;
    assert_answered_by(&ask(&mut ann, Some("fake/model"), "say 3 without a key").await, "fake/model");
    assert_answered_by(&ask(&mut ann, None, "say 3 by default").await, "fake/model");
    assert_eq!(shown(&own), [None, None]);
    assert_eq!(app.provider.all_calls(), 0);
    assert_answered_by(&ask(&mut ben, Some("fake/model"), "say 3 to ben").await, "fake/model");
    assert_eq!(shown(&app.provider), [Some(format!("Bearer {API_KEY}"))]);
    assert_eq!(own.all_calls(), 2);
}

#[tokio::test]
async fn a_model_that_is_listed_can_be_asked_though_the_catalogue_does_not_know_it() {
    let (app, own) = (app("allow_private_addresses = true").await, Provider::start().await);
    let _workers = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    let path = "/api/providers/configs/openai";
    save(&api, "ann", path, &json!({ "base_url": own.base_url, "api_key": KEY })).await;
    let listed = api.read("ann", "/api/providers/openai/models").await;
    assert_eq!((&listed["source"], &listed["models"][0]["id"]), (&json!("provider"), &json!("openai/m1")), "{listed}");
    let (_, tried) = api.ask("ann", Method::POST, &format!("{path}/test"), &json!({ "model": "m1" })).await;
    assert_eq!((&tried["ok"], &tried["model"]), (&json!(true), &json!("m1")), "{tried}");
    assert_answered_by(&ask(&mut ann, Some("openai/m1"), "say 3 as listed").await, "openai/m1");

    // Whoever names models means these.
    let named = json!({ "base_url": own.base_url, "models": [{ "id": "gpt-6-luna" }] });
    save(&api, "ann", path, &named).await;
    assert_unknown(&ask(&mut ann, Some("openai/m1"), "say 3 unnamed").await, "openai/m1");
    assert_answered_by(&ask(&mut ann, Some("openai/gpt-6-luna"), "say 3 as named").await, "openai/gpt-6-luna");
}

#[tokio::test]
async fn an_endpoint_of_ones_own_has_its_own_ways_and_prices() {
    let (app, own) = (app("allow_private_addresses = true").await, Provider::start().await);
    let _workers = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    let mut config = mine(&own);
    config["auth"] = json!({ "header": "api-key" });
    config["max_tokens"] = json!(true);
    config["models"] = json!([{ "id": "x", "max_output": 300, "price": { "input": 1_000_000, "output": 2_000_000 } }]);
    save(&api, "ann", MINE, &config).await;
    assert_answered_by(&ask(&mut ann, Some("mine/x"), "say 3 in her way").await, "mine/x");
    let heads = own.heads();
    assert!(heads[0].contains(&format!("api-key: {KEY}\r\n")), "{heads:?}");
    assert_eq!(shown(&own), [None]);

    let (status, set) = api.ask("ann", Method::PUT, "/api/limits", &json!({ "micro_usd_per_day": 1 })).await;
    assert_eq!(status, 200, "{set}");
    let end = ask(&mut ann, Some("mine/x"), "say 3 for nothing").await;
    assert_eq!((&end["type"], &end["error"]["code"]), (&json!("ReplyFailed"), &json!("limit")), "{end}");
    assert_eq!(own.all_calls(), 1);

    for (field, said, refusal) in [
        ("auth", json!({ "header": "Host" }), (422, "invalid_auth")),
        ("auth", json!("telepathy"), (400, "malformed")),
        ("protocol", json!("anthropic"), (422, "invalid_protocol")),
        ("models", json!([{ "id": "x", "max_output": 0 }]), (400, "malformed")),
        ("models", json!([{ "id": "x", "price": { "input": 1 } }]), (400, "malformed")),
        ("models", json!([{ "id": "x", "price": { "input": 1, "output": 1, "cached": 1 } }]), (400, "malformed")),
    ] {
        let mut body = config.clone();
        body[field] = said;
        let (status, refused) = api.ask("ann", Method::PUT, MINE, &body).await;
        assert_eq!((status, refused["error"]["code"].as_str().unwrap()), refusal, "{body}: {refused}");
    }
}

#[tokio::test]
async fn private_addresses_are_refused_when_they_are_saved_and_when_they_are_called() {
    let (app, own) = (app("").await, Provider::start().await);
    let _workers = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    for base_url in [own.base_url.as_str(), "https://127.0.0.1/v1", "https://localhost/v1", "https://[::1]/v1"] {
        let body = json!({ "protocol": "openai-chat", "base_url": base_url, "api_key": KEY });
        let (status, refused) = api.ask("ann", Method::PUT, MINE, &body).await;
        assert_eq!((status, refused["error"]["code"].as_str()), (422, Some("invalid_base_url")), "{base_url}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("base_url cannot be used"), "{refused}");
    }
    // An edge that allows them cannot make a worker call them that does not.
    let lax = [("BESTCHAT_ALLOW_PRIVATE_ADDRESSES", "true")];
    let mut process = app.start_with(&["api"], app.folder(), &lax);
    let lax = Api { address: crate::support::address(&mut process).await, process };
    save(&lax, "ann", MINE, &mine(&own)).await;
    let mut ann = app.client(&api, "ann").await;
    let end = ask(&mut ann, Some("mine/x"), "say 3 from within").await;
    assert_unknown(&end, "base_url cannot be used");
    assert_eq!((own.all_calls(), own.heads().len()), (0, 0));
}
