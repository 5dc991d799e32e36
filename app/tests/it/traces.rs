//! One trace from a client's frame to the last word of the answer, through every process that has a part in it.

use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::support::{API_KEY, App, Client, Collector, Provider, SECRET, Span, id, token, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// A trace that every share of them holds, by its id.
const LOWEST: &str = "4bf92f3577b34da60000000000000000";
const PARENT: &str = "00f067aa0ba902b7";
const SAID: &str = "xyzzy-was-said";

/// Asks in a conversation of its own, as a part of the client's trace; gives the reply's end.
async fn ask(ann: &mut Client, trace: &str, model: &str, question: &str) -> Value {
    let conversation = id();
    ann.ask(&conversation, json!({ "type": "StartConversation", "model": model })).await.unwrap();
    ann.follow(&conversation).await;
    let (command, reply) = (id(), id());
    let frame = json!({
        // Not sampled, says the client: that is not for it to say.
        "type": "command", "id": command, "conversation": conversation, "traceparent": format!("00-{trace}-{PARENT}-00"),
        "command": { "type": "SubmitMessage", "text": question, "reply": reply },
    });
    ann.answer_to(&command, &frame).await.unwrap().unwrap();
    ann.end_of(&conversation, &reply).await
}

fn find<'a>(spans: &'a [Span], service: &str, name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.trace == TRACE && span.service == service && span.name == name).collect()
}

#[tokio::test]
async fn one_trace_leads_from_the_frame_to_the_last_word_and_holds_nothing_of_what_was_said() {
    let collector = Collector::start().await;
    let app = App::with(&format!("otlp_endpoint = \"{}\"", collector.endpoint)).await;
    let (mut owner, mut replier, mut api) = (app.worker("commands").await, app.worker("reply").await, app.api().await);
    app.until_owned("commands", 1).await;
    let mut ann = app.client(&api, "ann").await;
    assert_eq!(ask(&mut ann, TRACE, "fake/model", &format!("recover 20 {SAID}")).await["attempt"], 2);

    // What they have not sent yet, they send before they end.
    let (owner, replier, api) = tokio::join!(owner.stop(), replier.stop(), api.process.stop());
    assert!(owner.success() && replier.success() && api.success());
    let wanted = [
        ("bestchat-api", "edge.command", 1),
        // The question, and for each attempt its claim and its end.
        ("bestchat-worker", "command.process", 5),
        ("bestchat-worker", "command.append", 5),
        ("bestchat-worker", "reply.attempt", 2),
        ("bestchat-worker", "chat model", 2),
        ("bestchat-worker", "POST", 2),
    ];
    let spans = collector.spans();
    for (service, name, count) in wanted {
        assert_eq!(find(&spans, service, name).len(), count, "{service} {name} of {spans:#?}");
    }
    let parent = |span: &Span| spans.iter().find(|of| of.id == span.parent).unwrap();
    let post = find(&spans, "bestchat-worker", "POST")[0];
    let mut way = vec![post];
    while way[way.len() - 1].parent != PARENT {
        way.push(parent(way[way.len() - 1]));
    }
    let way: Vec<&str> = way.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(way, ["POST", "chat model", "reply.attempt", "command.process", "edge.command"]);

    let bytes = String::from_utf8_lossy(&collector.bytes()).into_owned();
    let token = token("ann");
    for hidden in [SAID, "naïve", API_KEY, SECRET, token.rsplit('.').next().unwrap(), "eyJ", "Bearer"] {
        assert!(!bytes.contains(hidden), "{hidden} was sent");
    }
    // The provider is a stranger: nothing of the trace is its business.
    assert!(!app.provider.heads().is_empty());
    assert!(app.provider.heads().iter().all(|head| !head.to_ascii_lowercase().contains("traceparent")));
}

/// An application with a route, whose first model does as the question says, and the second always answers.
async fn routed(collector: &Collector, other: &Provider) -> App {
    let (settings, base_url) = (format!("otlp_endpoint = \"{}\"", collector.endpoint), other.base_url.clone());
    App::with_tables(&settings, move |_| {
        format!(
            "[[providers]]\nid = \"other\"\nprotocol = \"openai-chat\"\nbase_url = \"{base_url}\"\n\
             models = [{{ id = \"model\" }}]\n\n[[routes]]\nid = \"fast\"\nmodels = [\"fake/model\", \"other/model\"]\n"
        )
    })
    .await
}

/// The form of the subject of what a span processes.
fn subject(span: &Span) -> &str {
    assert_says(span, &json!({ "messaging.system": "nats", "messaging.operation.name": "process" }));
    span.attributes["messaging.destination.template"].as_str().unwrap()
}

/// Asserts that a span has these attributes, and none where one is null.
fn assert_says(span: &Span, attributes: &Value) {
    for (name, value) in attributes.as_object().unwrap() {
        assert_eq!(span.attributes.get(name).unwrap_or(&Value::Null), value, "{name} of {span:#?}");
    }
}

#[tokio::test]
async fn spans_say_what_was_asked_of_whom_and_how_it_went() {
    let (collector, other) = (Collector::start().await, Provider::that_always("billed say 7").await);
    let app = routed(&collector, &other).await;
    let (mut worker, mut api) = (app.worker("commands,reply").await, app.api().await);
    app.until_owned("commands", 1).await;
    let limits = json!({ "tokens_per_day": 1_000_000 });
    assert_eq!(api.ask("ann", Method::PUT, "/api/limits", &limits).await.0, 200);
    let mut ann = app.client(&api, "ann").await;
    assert_eq!(ask(&mut ann, TRACE, "route/fast", "refused").await["attempt"], 2);
    let (worker, api) = tokio::join!(worker.stop(), api.process.stop());
    assert!(worker.success() && api.success());

    // The worker that failed goes on with the next model by itself, in a span beside the first.
    let spans = collector.spans();
    let find = |name| find(&spans, "bestchat-worker", name);
    let (attempts, chats, posts) = (find("reply.attempt"), find("chat model"), find("POST"));
    assert_eq!((attempts.len(), chats.len(), posts.len()), (2, 2, 2), "{spans:#?}");
    for (at, (attempt, chat)) in attempts.iter().zip(&chats).enumerate() {
        assert_says(attempt, &json!({ "bestchat.attempt": at + 1 }));
        assert_eq!((&attempt.parent, &chat.parent), (&attempts[0].parent, &attempt.id));
    }

    let failed = |span: &&Span| span.failed;
    assert_eq!([chats.iter().map(failed).collect::<Vec<_>>(), posts.iter().map(failed).collect()], [[true, false]; 2]);
    assert_says(chats[0], &json!({ "error.type": "auth", "gen_ai.response.finish_reasons": null }));
    assert_says(posts[0], &json!({ "error.type": "401", "http.response.status_code": 401 }));
    let port = Url::parse(&other.base_url).unwrap().port();
    let server = json!({ "server.address": "127.0.0.1", "server.port": port, "error.type": null });
    assert_says(posts[1], &server);
    assert_says(posts[1], &json!({ "http.request.method": "POST", "http.response.status_code": 200 }));
    assert_says(chats[1], &server);
    let said = json!({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "model",
        "gen_ai.request.stream": true, "gen_ai.request.max_tokens": 4096, "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 7,
    });
    assert_says(chats[1], &said);

    let mut asked: Vec<_> = find("command.process").into_iter().map(subject).collect();
    asked.sort_unstable();
    asked.dedup();
    // The question; and of each attempt its claim and its end.
    assert_eq!(asked, ["cmd.<shard>.<aggregate>.<id>", "internal.<shard>.<aggregate>.<id>"]);
    assert_eq!(subject(attempts[0]), "evt.<shard>.<aggregate>.<id>.<event_type>");
    // What came by HTTP has begun a trace, too.
    let is_of_none = |span: &Span| !span.attributes.contains_key("gen_ai.conversation.id");
    let put = spans.iter().find(|span| span.name == "edge.command" && is_of_none(span)).unwrap();
    assert!(spans.iter().any(|span| span.name == "command.process" && span.parent == put.id), "{spans:#?}");
}

#[tokio::test]
async fn what_is_not_sampled_is_neither_sent_nor_written_down_whatever_id_a_client_gives() {
    let collector = Collector::start().await;
    let app = App::with(&format!("otlp_endpoint = \"{}\"\ntrace_sampling = 0.000001", collector.endpoint)).await;
    let (mut worker, mut api) = (app.worker("commands,reply").await, app.api().await);
    app.until_owned("commands", 1).await;
    let mut ann = app.client(&api, "ann").await;
    assert_eq!(ask(&mut ann, LOWEST, "fake/model", "say 3 words").await["type"], "ReplyCompleted");
    let (worker, api) = tokio::join!(worker.stop(), api.process.stop());
    assert!(worker.success() && api.success());
    assert!(collector.spans().is_empty(), "{:?}", collector.spans());
    let traced: i64 = sqlx::query_scalar("select count(*) from events where metadata ? 'traceparent'")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(traced, 0);
}

#[tokio::test]
async fn a_collector_that_is_away_is_noticed_by_nobody_but_the_log() {
    let app = App::with("otlp_endpoint = \"http://127.0.0.1:9\"").await;
    let (mut worker, api) = (app.worker("commands,reply").await, app.api().await);
    app.until_owned("commands", 1).await;
    let mut ann = app.client(&api, "ann").await;
    assert_eq!(ask(&mut ann, TRACE, "fake/model", "say 3 words").await["type"], "ReplyCompleted");
    until("it is said", async || worker.log().contains("opentelemetry")).await;
    assert!(worker.stop().await.success());
}
