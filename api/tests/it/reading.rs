//! Reading over HTTP.

use domain::conversation::{Command, Parent, Part};
use domain::{ConversationId, MessageId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use store::Position;
use uuid::Uuid;

use crate::support::{ORIGIN, Rest, TestEdge, token};

async fn say(test: &TestEdge, id: ConversationId, words: &str) -> Position {
    let (message, parent) = (MessageId(Uuid::new_v4()), Parent::ActiveLeaf);
    let parts = vec![Part::Text { text: words.to_owned() }];
    test.owner.ann(id, Command::SubmitMessage { message, parent, parts, reply: None }).await.position
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn lists_messages_and_events_come_page_by_page(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let ann = test.rest("ann");
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, json!(test.owner.conversation().await));
    }
    let id: ConversationId = ids[0].as_str().unwrap().parse().unwrap();
    let mut last = None;
    for text in 1..=5 {
        last = Some(say(&test, id, &text.to_string()).await);
    }
    let position = last.unwrap();
    let (mut listed, mut query) = (Vec::new(), format!("?limit=2&min_position={position}"));
    loop {
        let page = ann.json(&format!("/api/conversations{query}")).await;
        listed.extend(page["conversations"].as_array().unwrap().iter().map(|row| row["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&before={next}");
    }
    assert_eq!(listed, ids);
    let exact = ann.json("/api/conversations?limit=5").await;
    assert_eq!(exact["next"], Value::Null, "no page comes after a full last one");

    let (mut texts, mut query) = (Vec::new(), format!("?limit=2&min_position={position}"));
    loop {
        let page = ann.json(&format!("/api/conversations/{id}/messages{query}")).await;
        let messages = page["messages"].as_array().unwrap().clone();
        texts.extend(messages.iter().map(|message| message["parts"][0]["text"].as_str().unwrap().to_owned()));
        if page["more"] == json!(false) {
            break;
        }
        query = format!("?limit=2&before={}", messages.last().unwrap()["sequence"]);
    }
    assert_eq!(texts, ["5", "4", "3", "2", "1"]);

    let (mut sequences, mut after) = (Vec::new(), 0);
    loop {
        let page = ann.json(&format!("/api/conversations/{id}/events?limit=4&after={after}")).await;
        sequences.extend(page["events"].as_array().unwrap().iter().map(|event| event["sequence"].as_u64().unwrap()));
        after = *sequences.last().unwrap();
        if page["more"] == json!(false) {
            break;
        }
    }
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6]);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn pages_of_large_messages_are_short_and_nothing_is_left_out(pool: PgPool) {
    const MESSAGES: u64 = 60;
    let test = TestEdge::start(&pool).await;
    let (ann, id) = (test.rest("ann"), test.owner.conversation().await);
    let mut last = None;
    for nth in 0..MESSAGES {
        last = Some(say(&test, id, &format!("{nth} {}", "x".repeat(100_000))).await);
    }
    let position = last.unwrap();
    ann.json(&format!("/api/conversations?min_position={position}")).await;
    let (mut pages, mut before) = (Vec::new(), u64::MAX >> 1);
    loop {
        let path = format!("/api/conversations/{id}/messages?limit=500&before={before}&min_position={position}");
        let (status, body) = ann.get(&path).await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.len() < 5_000_000, "{} bytes", body.len());
        let page: Value = serde_json::from_str(&body).unwrap();
        let messages = page["messages"].as_array().unwrap();
        before = messages.last().unwrap()["sequence"].as_u64().unwrap();
        pages.push(messages.len());
        if page["more"] == json!(false) {
            break;
        }
    }
    assert_eq!((pages.iter().sum::<usize>(), before), (60, 2), "{pages:?}");

    let (mut sequences, mut after) = (Vec::new(), 0);
    loop {
        let page = ann.json(&format!("/api/conversations/{id}/events?after={after}")).await;
        sequences.extend(page["events"].as_array().unwrap().iter().map(|event| event["sequence"].as_u64().unwrap()));
        after = *sequences.last().unwrap();
        if page["more"] == json!(false) {
            break;
        }
    }
    assert_eq!(sequences, (1..=MESSAGES + 1).collect::<Vec<_>>());
    // A snapshot holds what fits of the newest.
    let mut client = test.client("ann").await;
    client.send(&json!({ "type": "subscribe", "conversation": id })).await;
    let snapshot = client.about(id, "subscribed").await["snapshot"].take();
    assert_eq!((snapshot["messages"].as_array().unwrap().len(), &snapshot["more"]), (2, &json!(true)));
    assert!(snapshot["messages"][1]["parts"][0]["text"].as_str().unwrap().starts_with("59 "));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_read_waits_for_the_position_that_it_must_see(pool: PgPool) {
    let mut test = TestEdge::start(&pool).await;
    let (ann, id) = (test.rest("ann"), test.owner.conversation().await);
    for title in 1..=20 {
        let position = test.owner.rename(id, &title.to_string()).await.position;
        let row = ann.json(&format!("/api/conversations/{id}?min_position={position}")).await;
        assert_eq!(row["title"], json!(title.to_string()));
    }
    test.stop_projecting();
    let position = test.owner.rename(id, "later").await.position;
    let path = format!("/api/conversations/{id}?min_position={position}");
    assert_eq!(ann.refusal(&path).await, (503, "unavailable".to_owned()));
    test.project();
    assert_eq!(ann.json(&path).await["title"], "later");
    for nonsense in ["0:9999999", "7:1", "x", "0:-1"] {
        let path = format!("/api/conversations?min_position={nonsense}");
        assert_eq!(ann.refusal(&path).await, (400, "malformed".to_owned()), "{nonsense}");
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn bad_requests_are_refused_in_the_same_form(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let (ann, id) = (test.rest("ann"), test.owner.conversation().await);
    let bad = [
        ("/api/conversations?limit=x", 400, "malformed"),
        ("/api/conversations?unknown=1", 400, "malformed"),
        ("/api/conversations?before=x", 400, "malformed"),
        (&format!("/api/conversations/{id}/messages?befor=1"), 400, "malformed"),
        (&format!("/api/conversations/{id}/events?after=-1"), 400, "malformed"),
        ("/api/conversations/no-uuid", 404, "not_found"),
        ("/api/conversations/%ff%fe", 404, "not_found"),
        ("/api/nothing", 404, "not_found"),
    ];
    for (path, status, code) in bad {
        assert_eq!(ann.refusal(path).await, (status, code.to_owned()), "{path}");
    }
    let wrong = ann.request(Method::DELETE, "/api/conversations").send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.json::<Value>().await.unwrap()["error"]["code"], "wrong_method");
    let clamped = ann.json("/api/conversations?limit=0").await;
    assert!(clamped["conversations"].as_array().unwrap().len() <= 1);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_failure_of_ours_reveals_nothing(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    sqlx::query("alter schema conversation_list rename to gone").execute(&test.pool).await.unwrap();
    let (status, body) = test.rest("ann").get("/api/conversations").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let plain =
        json!({ "code": "unavailable", "message": "this cannot be done just now; try again", "retryable": true });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!({ "error": plain }));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn pages_of_allowed_origins_may_read_and_every_answer_is_guarded(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let ann = test.rest("ann");
    for (origin, allowed) in [(ORIGIN, Some(ORIGIN)), ("https://evil.example", None)] {
        let asked = ann.request(Method::GET, "/api/conversations").header("origin", origin).send().await.unwrap();
        let said = asked.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap());
        assert_eq!(said, allowed);
    }
    for path in ["/api/conversations", "/api/nothing", "/some/page", "/livez"] {
        let headers = ann.send(path).await.headers().clone();
        for name in ["content-security-policy", "x-content-type-options", "referrer-policy", "cache-control"] {
            assert!(headers.contains_key(name), "{path} {name}");
        }
    }
    assert_eq!(ann.send("/api/conversations").await.headers()["cache-control"], "no-store");
    // A file that is not there is not the page.
    assert_eq!(ann.send("/assets/none.js").await.status(), StatusCode::NOT_FOUND);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn its_state_can_be_asked(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let nobody = Rest::new(&test.address, None);
    assert_eq!(nobody.get("/livez").await, (StatusCode::OK, "ok\n".to_owned()));
    assert_eq!(nobody.get("/readyz").await, (StatusCode::OK, "ok\n".to_owned()));
    assert_eq!(nobody.json("/api/health").await, json!({ "status": "ok", "postgres": true, "nats": true }));
    let position = say(&test, test.owner.conversation().await, "hello").await;
    test.rest("ann").json(&format!("/api/conversations?min_position={position}")).await;
    let status = test.rest("ann").json("/api/status").await;
    assert_eq!((&status["shards"][0]["head"], &status["dead_letters"]), (&json!(2), &json!(0)));
    assert_eq!(test.rest("ann").json("/api/models").await["models"][0]["id"], "demo/demo");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_developer_gets_a_token_on_his_own_machine_alone(pool: PgPool) {
    let dev = api::auth::DevLogin::new(b"a developer's secret".to_vec());
    let issuers = token::issuers().into_iter().chain([dev.issuer("acme".parse().unwrap())]).collect();
    let test = TestEdge::with_issuers(&pool, issuers).await;
    let nobody = Rest::new(&test.address, None);
    let login = |host: &str| {
        let request = nobody.request(Method::POST, "/api/dev/token").json(&json!({ "user": "ann" }));
        request.header("host", host).send()
    };
    let token = login(&test.address).await.unwrap().json::<Value>().await.unwrap();
    Rest::new(&test.address, token["token"].as_str().map(str::to_owned)).json("/api/conversations").await;
    assert_eq!(login("evil.example:80").await.unwrap().status(), StatusCode::NOT_FOUND);
    for header in ["forwarded", "via", "x-forwarded-for", "x-forwarded-proto", "x-real-ip"] {
        let request = nobody.request(Method::POST, "/api/dev/token").json(&json!({ "user": "ann" }));
        let answer = request.header(header, "203.0.113.7").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{header}");
    }
}
