//! What people set for themselves, over HTTP: providers, keys, the default, limits.

use std::sync::{Arc, Mutex};

use domain::AccountId;
use domain::account::Event;
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use store::sealing::Owner;
use uuid::Uuid;

use crate::support::{PRIVATE_ADDRESS, Rest, TestEdge, sealing, until};

pub(crate) const KEY: &str = "sk-ann-0123456789-abcdef-QRST";
pub(crate) const URL: &str = "https://home.example/v1";

impl Rest {
    /// Status and body of a request with a body.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.request(method, path).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Where a change that must be taken can be seen.
    pub(crate) async fn changes(&self, method: Method, path: &str, body: &Value) -> String {
        let (status, body) = self.ask(method, path, body).await;
        assert_eq!(status, 200, "{path}: {body}");
        body["position"].as_str().unwrap().to_owned()
    }

    /// Status and code of a change that is refused.
    pub(crate) async fn refuses(&self, method: Method, path: &str, body: &Value) -> (u16, String) {
        let (status, body) = self.ask(method, path, body).await;
        (status, body["error"]["code"].as_str().unwrap_or("none").to_owned())
    }
}

pub(crate) fn config(provider: &str) -> String {
    format!("/api/providers/configs/{provider}")
}

/// A provider of one's own, with a key.
pub(crate) fn mine() -> Value {
    json!({ "protocol": "openai-chat", "base_url": URL, "models": [{ "id": "m1", "context_window": 8000 }], "api_key": KEY })
}

fn anns_account() -> AccountId {
    AccountId::of(&"acme".parse().unwrap(), &"ann".parse().unwrap())
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_provider_is_saved_listed_and_removed(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let ann = test.rest("ann");
    assert_eq!(ann.json("/api/providers").await["protocols"], json!(["openai-chat"]));
    assert_eq!(ann.json("/api/providers/configs").await, json!({ "configs": [] }));

    ann.changes(Method::PUT, &config("demo"), &json!({})).await;
    let position = ann.changes(Method::PUT, &config("mine"), &mine()).await;
    let configs = ann.json(&format!("/api/providers/configs?min_position={position}")).await;
    let mut saved = configs["configs"][1].clone();
    saved.as_object_mut().unwrap().remove("updated_at");
    assert_eq!(
        saved,
        json!({ "provider": "mine", "protocol": "openai-chat", "base_url": URL,
                "models": [{ "id": "m1", "context_window": 8000 }], "last_four": "QRST", "auth": null, "max_tokens": null })
    );
    assert_eq!(
        (&configs["configs"][0]["provider"], &configs["configs"][0]["last_four"]),
        (&json!("demo"), &Value::Null)
    );

    // Without a key the one that is there stays.
    let other_models = json!({ "protocol": "openai-chat", "base_url": URL });
    let position = ann.changes(Method::PUT, &config("mine"), &other_models).await;
    let configs = ann.json(&format!("/api/providers/configs?min_position={position}")).await;
    assert_eq!((&configs["configs"][1]["models"], &configs["configs"][1]["last_four"]), (&json!([]), &json!("QRST")));
    let elsewhere = json!({ "protocol": "openai-chat", "base_url": "https://elsewhere.example" });
    assert_eq!(ann.refuses(Method::PUT, &config("mine"), &elsewhere).await, (409, "key_needed".to_owned()));

    let position = ann.changes(Method::DELETE, &config("mine"), &json!(null)).await;
    let configs = ann.json(&format!("/api/providers/configs?min_position={position}")).await;
    assert_eq!(configs["configs"].as_array().unwrap().len(), 1);
    assert_eq!(ann.refuses(Method::DELETE, &config("mine"), &json!(null)).await, (404, "unknown_provider".to_owned()));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_default_and_the_limits_are_set_and_read(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let ann = test.rest("ann");
    let none = json!({ "provider": null, "model": null });
    assert_eq!(ann.json("/api/providers/default").await, none);
    let unknown = json!({ "provider": "mine" });
    let refused = ann.refuses(Method::PUT, "/api/providers/default", &unknown).await;
    assert_eq!(refused, (404, "unknown_provider".to_owned()));
    ann.changes(Method::PUT, &config("mine"), &mine()).await;
    let chosen = json!({ "provider": "mine", "model": "m1" });
    let position = ann.changes(Method::PUT, "/api/providers/default", &chosen).await;
    assert_eq!(ann.json(&format!("/api/providers/default?min_position={position}")).await, chosen);
    let position = ann.changes(Method::DELETE, &config("mine"), &json!(null)).await;
    assert_eq!(ann.json(&format!("/api/providers/default?min_position={position}")).await, none);

    let limits = json!({ "micro_usd_per_day": 5_000_000, "micro_usd_per_month": null, "tokens_per_day": null,
                         "tokens_per_month": 9_007_199_254_740_991_u64, "requests_per_minute": 20, "concurrent_replies": 0 });
    let position = ann.changes(Method::PUT, "/api/limits", &limits).await;
    assert_eq!(ann.json(&format!("/api/limits?min_position={position}")).await, limits);
    for (limits, refusal) in [
        (json!({ "tokens_per_day": 9_007_199_254_740_992_u64 }), (422, "limit_too_high")),
        (json!({ "tokens_per_day": -1 }), (400, "malformed")),
        (json!({ "tokens_per_year": 1 }), (400, "malformed")),
    ] {
        let refused = ann.refuses(Method::PUT, "/api/limits", &limits).await;
        assert_eq!((refused.0, refused.1.as_str()), refusal, "{limits}");
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_cannot_be_a_provider_is_refused_without_a_word_of_the_key(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let ann = test.rest("ann");
    for (provider, body, refusal) in [
        ("mine", json!({ "api_key": KEY }), (422, "incomplete_provider")),
        ("mine", json!({ "api_key": KEY, "protocol": "openai-chat" }), (422, "incomplete_provider")),
        ("mine", json!({ "api_key": KEY, "protocol": "smoke", "base_url": URL }), (422, "invalid_protocol")),
        ("mine", json!({ "api_key": KEY, "protocol": "openai-chat", "base_url": "home" }), (422, "invalid_base_url")),
        (
            "mine",
            json!({ "api_key": KEY, "protocol": "openai-chat", "base_url": PRIVATE_ADDRESS }),
            (422, "invalid_base_url"),
        ),
        ("cloud", json!({ "api_key": KEY }), (422, "incomplete_provider")),
        ("house", json!({ "api_key": KEY }), (422, "incomplete_provider")),
        ("demo", json!({ "api_key": KEY, "models": [{ "id": "" }] }), (422, "invalid_models")),
        ("demo", json!({ "api_key": "" }), (422, "invalid_key")),
        ("demo", json!({ "api_key": "k".repeat(20_000) }), (422, "invalid_key")),
        ("demo", json!({ "api_key": [KEY] }), (400, "malformed")),
        ("demo", json!({ "api_key": KEY, "models": KEY }), (400, "malformed")),
        ("demo", json!({ KEY: 1 }), (400, "malformed")),
        ("Demo", json!({ "api_key": KEY }), (404, "unknown_provider")),
    ] {
        let (status, answer) = ann.ask(Method::PUT, &config(provider), &body).await;
        assert_eq!((status, answer["error"]["code"].as_str().unwrap()), refusal, "{provider}");
        assert!(!answer.to_string().contains(KEY), "{answer}");
    }
    let text =
        ann.request(Method::PUT, &config("demo")).header("content-type", "application/json").body(format!("{{{KEY}"));
    let answer = text.send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(!answer.text().await.unwrap().contains(KEY));
    assert_eq!(ann.json("/api/providers/configs").await, json!({ "configs": [] }));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn nothing_of_a_key_is_on_the_bus_in_the_database_or_in_an_answer(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    for subject in ["cmd.>", "evt.>", "internal.>"] {
        let mut heard_here = test.core.subscribe(subject).await.unwrap();
        let heard = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Some(message) = heard_here.next().await {
                heard.lock().unwrap().push(message);
            }
        });
    }
    test.core.flush().await.unwrap();
    let ann = test.rest("ann");
    let position = ann.changes(Method::PUT, &config("mine"), &mine()).await;
    let mut answers = String::new();
    for path in ["/api/providers/configs", "/api/providers/default", "/api/limits"] {
        answers += &ann.json(&format!("{path}?min_position={position}")).await.to_string();
    }
    answers += &ann.json("/api/providers").await.to_string();
    let told = async || heard.lock().unwrap().iter().any(|message| message.subject.contains("ProviderConfigSaved"));
    until("the event is on the bus", told).await;

    let mut bus = String::new();
    for message in heard.lock().unwrap().iter() {
        bus += message.subject.as_str();
        bus += &String::from_utf8_lossy(&message.payload);
    }
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&test.pool)
    .await
    .unwrap();
    let mut database = String::new();
    for table in tables {
        let sql = format!("select coalesce(string_agg(t::text, ' '), '') from {table} t");
        database += &sqlx::query_scalar::<_, String>(&sql).fetch_one(&test.pool).await.unwrap();
    }
    assert!(
        bus.contains("SaveProviderConfig") && database.contains("ProviderConfigSaved"),
        "what is searched is there"
    );
    for (place, text) in [("bus", &bus), ("database", &database), ("answers", &answers)] {
        for secret in [KEY, "0123456789-abcdef", &base64(KEY)] {
            assert!(!text.contains(secret), "{secret} in the {place}");
        }
    }
    assert!(!answers.contains("sealed") && !answers.contains("wrapped"), "{answers}");

    // And yet it is there, for whoever has the keys.
    let payload: Value = sqlx::query_scalar("select payload from events where event_type = 'ProviderConfigSaved'")
        .fetch_one(&test.pool)
        .await
        .unwrap();
    let Event::ProviderConfigSaved { provider, key: Some(key), .. } = serde_json::from_value(payload).unwrap() else {
        panic!("a key")
    };
    let (tenant, user) = ("acme".parse().unwrap(), "ann".parse().unwrap());
    let opened = sealing().open(Owner { tenant: &tenant, user: &user, provider: &provider }, &key).unwrap();
    assert_eq!(opened.expose(), KEY);
}

/// Base64 by hand is short enough, and no dependency.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |bytes: &[u8]| {
        let bits = u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]);
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift) as usize & 63]))
    };
    text.as_bytes().chunks_exact(3).flat_map(group).collect()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_account_of_one_is_nothing_to_another(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let ann = test.rest("ann");
    ann.changes(Method::PUT, &config("mine"), &mine()).await;
    ann.changes(Method::PUT, "/api/providers/default", &json!({ "provider": "mine" })).await;
    let position = ann.changes(Method::PUT, "/api/limits", &json!({ "concurrent_replies": 3 })).await;
    let nobody = test.rest("nobody");
    for stranger in ["bob", "other/ann"] {
        let rest = test.rest(stranger);
        for path in ["/api/providers", "/api/providers/configs", "/api/providers/default", "/api/limits"] {
            let path = format!(
                "{path}{}",
                if path == "/api/providers" { String::new() } else { format!("?min_position={position}") }
            );
            assert_eq!(rest.get(&path).await, nobody.get(&path).await, "{stranger} {path}");
        }
        let unknown = (404, "unknown_provider".to_owned());
        assert_eq!(rest.refusal("/api/providers/mine/models").await, unknown, "{stranger}");
        assert_eq!(rest.refuses(Method::DELETE, &config("mine"), &json!(null)).await, unknown, "{stranger}");
        assert_eq!(
            rest.refuses(Method::POST, &format!("{}/test", config("mine")), &json!({})).await,
            unknown,
            "{stranger}"
        );
        let default = json!({ "provider": "mine" });
        assert_eq!(rest.refuses(Method::PUT, "/api/providers/default", &default).await, unknown, "{stranger}");
        // What they save under the same name is their own.
        rest.changes(Method::PUT, &config("mine"), &json!({ "protocol": "openai-chat", "base_url": URL })).await;
    }
    let configs = ann.json(&format!("/api/providers/configs?min_position={position}")).await;
    assert_eq!(configs["configs"][0]["last_four"], "QRST");
    for path in [
        "/api/providers",
        "/api/providers/configs",
        "/api/providers/default",
        "/api/limits",
        "/api/providers/demo/models",
    ] {
        let answer = Rest::new(&test.address, None).get(path).await;
        assert_eq!(answer.0, 401, "{path}");
    }
}

/// A conversation is given its id by whoever begins it, and the id of an account is no secret.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_conversation_with_the_id_of_an_account_hears_nothing_of_it(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = domain::ConversationId(anns_account().0);
    let mut bob = test.client("bob").await;
    bob.command(id, json!({ "type": "StartConversation" })).await;
    bob.follow(id).await;
    let ann = test.rest("ann");
    let position = ann.changes(Method::PUT, &config("mine"), &mine()).await;
    ann.json(&format!("/api/providers/configs?min_position={position}")).await;
    bob.command(id, json!({ "type": "RenameConversation", "title": "still here" })).await;
    let heard = bob.find(|frame| frame["type"] == "event").await;
    assert_eq!((&heard["event"]["type"], &heard["sequence"]), (&json!("ConversationRenamed"), &json!(2)));
    let log = test.rest("bob").get(&format!("/api/conversations/{id}/events")).await.1;
    assert!(!log.contains("Provider") && log.contains("ConversationStarted"), "{log}");
    ann.changes(Method::DELETE, &config("mine"), &json!(null)).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn commands_of_an_account_come_from_its_person_alone(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let asker = domain::Asker { tenant: "acme".parse().ok(), actor: domain::Actor::User("eve".parse().unwrap()) };
    let command = domain::account::Command::SetLimits { limits: domain::account::Limits::default() };
    let asked = domain::Asked { asker, command };
    let command_id = domain::CommandId(Uuid::new_v4());
    let request = nats::ask::Request { command_id, id: anns_account(), expected_sequence: None, asked };
    // Not answered at all: an edge that lies gets no more than silence.
    let subject = nats::subject::command(0, domain::account::TYPE, &anns_account().to_string());
    let asking = test.core.request(subject, serde_json::to_vec(&request).unwrap().into());
    assert!(tokio::time::timeout(std::time::Duration::from_millis(500), asking).await.is_err());
}
