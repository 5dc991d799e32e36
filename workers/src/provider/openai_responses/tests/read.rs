#![expect(clippy::needless_pass_by_value, reason = "what is written with json! is a value")]

use std::time::Duration;

use domain::conversation::{Finish, Usage};
use proptest::prelude::{ProptestConfig, any, proptest};
use proptest::sample::Index;
use serde_json::{Value, json};

use super::super::OpenAiResponses;
use crate::provider::ErrorKind;
use crate::provider::answer::Chunk;
use crate::provider::playback::{play, play_document};
use crate::provider::replay::split;

fn wire() -> OpenAiResponses {
    OpenAiResponses::new("openai")
}

/// Events as the provider sends them: each with its name and a number.
fn events(events: &[Value]) -> String {
    let event = |(number, event): (usize, &Value)| {
        let mut event = event.clone();
        event["sequence_number"] = json!(number);
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
    };
    events.iter().enumerate().map(event).collect()
}

fn response(status: &str, more: Value) -> Value {
    let mut response = json!({
        "id": "resp_67ca", "object": "response", "created_at": 1_741_487_325, "status": status, "error": null,
        "incomplete_details": null, "instructions": null, "model": "gpt-5", "output": [], "store": false, "usage": null,
    });
    response.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    response
}

fn created() -> Value {
    json!({"type": "response.created", "response": response("in_progress", json!({}))})
}

fn completed() -> Value {
    json!({"type": "response.completed", "response": response("completed", json!({}))})
}

fn text(delta: &str) -> Value {
    json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0,
        "delta": delta, "logprobs": []})
}

/// An answer with everything in it, in the order of the documentation's examples.
fn rich() -> String {
    let call = |arguments: &str, status: &str| json!({"id": "fc_1", "type": "function_call", "status": status, "arguments": arguments, "call_id": "call_9", "name": "get_weather"});
    let message = |content: Value| json!({"id": "msg_1", "type": "message", "role": "assistant", "content": content});
    events(&[
        created(),
        json!({"type": "response.in_progress", "response": response("in_progress", json!({}))}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "rs_1", "type": "reasoning", "summary": []}}),
        json!({"type": "response.reasoning_summary_part.added", "item_id": "rs_1", "output_index": 0, "summary_index": 0, "part": {"type": "summary_text", "text": ""}}),
        json!({"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "output_index": 0, "summary_index": 0, "delta": "Paris…"}),
        json!({"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "output_index": 0, "summary_index": 1, "delta": "then."}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": {"id": "rs_1", "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "Paris…"}, {"type": "summary_text", "text": "then."}], "encrypted_content": "gAAAA"}}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": message(json!([]))}),
        json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 1, "content_index": 0, "delta": "Grüße"}),
        json!({"type": "response.output_text.annotation.added", "item_id": "msg_1", "output_index": 1, "annotation": {}}),
        json!({"type": "response.output_text.done", "item_id": "msg_1", "output_index": 1, "content_index": 0, "text": "Grüße"}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": message(json!([{"type": "output_text", "text": "Grüße", "annotations": []}]))}),
        json!({"type": "response.output_item.added", "output_index": 2, "item": call("", "in_progress")}),
        json!({"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 2, "delta": "{\"city\":"}),
        json!({"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 2, "delta": "\"Paris\"}"}),
        json!({"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 2, "arguments": "{\"city\":\"Paris\"}"}),
        json!({"type": "response.output_item.done", "output_index": 2, "item": call("{\"city\":\"Paris\"}", "completed")}),
        json!({"type": "response.completed", "response": response("completed", json!({"usage": {
            "input_tokens": 328, "input_tokens_details": {"cached_tokens": 300}, "output_tokens": 52,
            "output_tokens_details": {"reasoning_tokens": 40}, "total_tokens": 380}}))}),
    ])
}

fn usage(input: u64, cached: u64, output: u64, reasoning: u64) -> Usage {
    let (input, cached_input, output, reasoning) = (Some(input), Some(cached), Some(output), Some(reasoning));
    Usage { input, cached_input, output, reasoning, ..Usage::default() }
}

#[test]
fn an_answer_is_read_as_documented() {
    let played = play(&wire(), rich());
    assert_eq!(played.error, None);
    assert_eq!(
        played.chunks,
        [
            Chunk::Reasoning("Paris…\n\nthen.".to_owned()),
            Chunk::ReasoningSignature(r#"{"id":"rs_1","encrypted_content":"gAAAA"}"#.to_owned()),
            Chunk::Text("Grüße".to_owned()),
            Chunk::ToolCall {
                id: "call_9".to_owned(),
                name: "get_weather".to_owned(),
                arguments: r#"{"city":"Paris"}"#.to_owned(),
                signature: None,
            },
            Chunk::Finished { finish: Finish::ToolCalls, usage: usage(28, 300, 12, 40) },
        ]
    );
}

#[test]
fn an_answer_told_only_in_whole_items_is_the_same_answer() {
    // Without deltas; without names of events; as one document.
    let whole: Vec<_> =
        rich().split_inclusive("\n\n").filter(|event| !event.contains("delta")).map(str::to_owned).collect();
    let told = play(&wire(), rich()).chunks;
    assert_eq!(play(&wire(), whole.concat()).chunks, told);
    let rich = rich();
    let nameless: Vec<_> = rich.split_inclusive('\n').filter(|line| !line.starts_with("event:")).collect();
    assert_eq!(play(&wire(), nameless.concat()).chunks, told);

    let sent: Vec<Value> =
        rich.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let items: Vec<_> = sent
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| event["item"].clone())
        .collect();
    let mut document = sent.last().unwrap()["response"].clone();
    document["output"] = json!(items);
    assert_eq!(play_document(&wire(), &document.to_string()).chunks, told);
    let end = json!({"type": "response.completed", "response": document});
    assert_eq!(play(&wire(), events(&[created(), end])).chunks, told);
}

/// Every item under the index 0.
fn under_one_index(event: &Value) -> Value {
    let mut event = event.clone();
    if let Some(index) = event.get_mut("output_index") {
        *index = json!(0);
    }
    event
}

#[test]
fn items_under_one_index_are_told_apart() {
    let rich = rich();
    let sent: Vec<Value> =
        rich.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let told = play(&wire(), &rich).chunks;
    let same: Vec<_> = sent.iter().map(under_one_index).collect();
    assert_eq!(play(&wire(), events(&same)).chunks, told);
    // Without pieces, and without a word of their beginning.
    let whole = |event: &&Value| !event["type"].as_str().unwrap().contains("delta");
    let whole: Vec<_> = same.iter().filter(whole).cloned().collect();
    assert_eq!(play(&wire(), events(&whole)).chunks, told);
    let only_ends = |event: &&Value| !event["type"].as_str().unwrap().contains("added");
    let only_ends: Vec<_> = whole.iter().filter(only_ends).cloned().collect();
    assert_eq!(play(&wire(), events(&only_ends)).chunks, told);
    // Without ids, what has ended is over.
    let nameless: Vec<_> = same.iter().cloned().map(without_ids).collect();
    let nameless = play(&wire(), events(&nameless)).chunks;
    assert_eq!((nameless.len(), &nameless[2..]), (told.len(), &told[2..]));
}

fn without_ids(mut event: Value) -> Value {
    let fields = event.as_object_mut().unwrap();
    fields.remove("item_id");
    if let Some(item) = fields.get_mut("item").and_then(Value::as_object_mut) {
        item.remove("id");
    }
    event
}

#[test]
fn calls_that_are_told_at_once_under_one_index_are_told_apart() {
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function_call", "arguments": arguments, "call_id": id, "name": "t"});
    let added = |id: &str| json!({"type": "response.output_item.added", "output_index": 0, "item": call(id, "")});
    let piece = |id: &str, delta: &str| json!({"type": "response.function_call_arguments.delta", "item_id": id, "output_index": 0, "delta": delta});
    let done = |id: &str, arguments: &str| json!({"type": "response.output_item.done", "output_index": 0, "item": call(id, arguments)});
    let body = events(&[
        added("a"),
        added("b"),
        piece("a", "{\"n\":"),
        piece("b", "{\"m\":"),
        piece("a", "1}"),
        piece("b", "2}"),
        done("b", "{\"m\":2}"),
        done("a", "{\"n\":1}"),
        // Once more.
        done("a", "{\"n\":1}"),
        completed(),
    ]);
    let played = play(&wire(), body);
    let calls: Vec<_> = played
        .chunks
        .iter()
        .filter_map(|chunk| match chunk {
            Chunk::ToolCall { id, arguments, .. } => Some((id.as_str(), arguments.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(calls, [("a", "{\"n\":1}"), ("b", "{\"m\":2}")]);
}

#[test]
fn a_refusal_is_text_of_an_answer_that_was_withheld() {
    let refusal = json!({"type": "response.refusal.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "I cannot."});
    let played = play(&wire(), events(&[created(), refusal, completed()]));
    let end = Chunk::Finished { finish: Finish::ContentFilter, usage: Usage::default() };
    assert_eq!(played.chunks, [Chunk::Text("I cannot.".to_owned()), end]);
}

#[test]
fn an_incomplete_answer_says_why() {
    for (reason, finish) in [
        ("max_output_tokens", Finish::Length),
        ("content_filter", Finish::ContentFilter),
        ("something_new", Finish::Other),
    ] {
        let details = json!({"incomplete_details": {"reason": reason}});
        let end = json!({"type": "response.incomplete", "response": response("incomplete", details)});
        let played = play(&wire(), events(&[created(), text("a"), end]));
        assert_eq!(played.chunks.last(), Some(&Chunk::Finished { finish, usage: Usage::default() }), "{reason}");
    }
}

#[test]
fn a_stream_that_merely_ends_is_no_answer() {
    for body in [events(&[created()]), events(&[created(), text("a")]), events(&[text("a")]) + "data: [DONE]\n\n"] {
        let played = play(&wire(), body);
        assert!(!played.finished() && played.error.is_none(), "{played:?}");
    }
}

#[test]
fn an_error_is_typed_wherever_it_comes() {
    let failed =
        |error: Value| json!({"type": "response.failed", "response": response("failed", json!({"error": error}))});
    let error = |code: &str, message: &str| json!({"type": "error", "code": code, "message": message, "param": null});
    for (event, kind) in [
        (
            failed(json!({"code": "server_error", "message": "The model failed to generate a response."})),
            ErrorKind::Overload,
        ),
        (failed(json!({"code": "rate_limit_exceeded", "message": "Rate limit reached"})), ErrorKind::Rate),
        (failed(json!({"code": "invalid_prompt", "message": "Try another."})), ErrorKind::Invalid),
        (failed(json!({"code": "invalid_prompt", "message": "Your prompt was flagged."})), ErrorKind::ContentFilter),
        (failed(json!({"code": "image_too_large", "message": "Too large."})), ErrorKind::Invalid),
        (failed(Value::Null), ErrorKind::Interrupted),
        (error("ERR_SOMETHING", "Something went wrong"), ErrorKind::Interrupted),
        (
            error("context_length_exceeded", "Your input exceeds the context window of this model."),
            ErrorKind::ContextTooLong,
        ),
        (error("insufficient_quota", "You exceeded your current quota."), ErrorKind::Quota),
        (
            json!({"type": "error", "error": {"type": "invalid_request_error", "code": "invalid_encrypted_content",
            "message": "The encrypted content could not be verified.", "param": null}}),
            ErrorKind::Invalid,
        ),
        (
            json!({"type": "error", "error": {"type": "server_error", "code": null, "message": "Sorry."}}),
            ErrorKind::Overload,
        ),
    ] {
        let played = play(&wire(), events(&[created(), text("a"), event.clone(), completed()]));
        assert_eq!(played.error.as_ref().map(|error| error.kind), Some(kind), "{event}");
        assert!(!played.finished());
    }
    // Without any event: the body of an error under the type of a stream.
    let bare = json!({"error": {"message": "Incorrect API key provided", "type": "invalid_request_error", "code": "invalid_api_key"}});
    assert_eq!(play(&wire(), bare.to_string()).error.unwrap().kind, ErrorKind::Auth);
    assert_eq!(play_document(&wire(), &bare.to_string()).error.unwrap().kind, ErrorKind::Auth);
}

#[test]
fn what_we_do_not_know_survives() {
    let unknown =
        |kind: &str| json!({"type": kind, "delta": {"a": [1]}, "item": 3, "output_index": "x", "response": null});
    let search = json!({"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {}});
    let body = events(&[
        created(),
        unknown("response.hologram.delta"),
        json!({"type": "keepalive"}),
        json!({"type": "response.output_item.added", "output_index": 7, "item": search}),
        json!({"type": "response.output_item.done", "output_index": 7, "item": search}),
        text("a"),
        completed(),
    ]);
    let end = Chunk::Finished { finish: Finish::Stop, usage: Usage::default() };
    assert_eq!(play(&wire(), body).chunks, [Chunk::Text("a".to_owned()), end]);
}

#[test]
fn hostile_answers_have_bounds() {
    let item =
        |index: u64| json!({"type": "response.output_item.added", "output_index": index, "item": {"type": "new"}});
    let many: Vec<_> = (0..2000).map(|index| item(index * 1_000_003)).collect();
    let not_json = "event: response.output_text.delta\ndata: {\"delta\":\n\n".to_owned();
    let nested =
        format!("event: response.output_item.done\ndata: {{\"output_index\":0,\"item\":{}\n\n", "[".repeat(100_000));
    let calls: Vec<_> = (0..200)
        .map(|index| json!({"type": "response.output_item.done", "output_index": index, "item": {"type": "function_call", "name": "t"}}))
        .collect();
    for body in [events(&many), not_json, nested, "data: 7\n\n".to_owned(), events(&calls)] {
        let played = play(&wire(), body);
        assert_eq!(played.error.unwrap().kind, ErrorKind::Protocol);
    }
    assert_eq!(play_document(&wire(), "[]").error.unwrap().kind, ErrorKind::Protocol);
    assert_eq!(play_document(&wire(), "<html>").error.unwrap().kind, ErrorKind::Protocol);
}

#[test]
fn usage_never_overlaps_and_nonsense_costs_nothing() {
    let read = |usage: Value| Usage { raw: None, ..super::super::usage::read(&usage) };
    assert_eq!(
        read(json!({"input_tokens": 5, "output_tokens": 3})),
        Usage { input: Some(5), output: Some(3), ..Usage::default() }
    );
    let apart = json!({"input_tokens": 5, "input_tokens_details": {"cached_tokens": 9}, "output_tokens": 1, "output_tokens_details": {"reasoning_tokens": 7}});
    assert_eq!(read(apart), usage(5, 9, 1, 7));
    assert_eq!(read(json!({"input_tokens": -1, "output_tokens": 1e300})), Usage::default());
    assert_eq!(read(json!([])), Usage::default());
}

#[test]
fn the_wait_that_a_failure_names_is_kept() {
    let error = json!({"type": "error", "error": {"code": "rate_limit_exceeded", "message": "Slow down.",
        "details": [{"retryDelay": "2s"}]}});
    assert_eq!(play(&wire(), events(&[error])).error.unwrap().retry_after, Some(Duration::from_secs(2)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_answer(cuts in proptest::collection::vec(any::<Index>(), 0..20)) {
        split(&wire(), rich().as_bytes(), &cuts)?;
    }

    #[test]
    fn no_bytes_break_the_reader(noise in proptest::collection::vec(any::<u8>(), 0..200), at in any::<Index>()) {
        let mut bytes = rich().into_bytes();
        let at = at.index(bytes.len());
        bytes.splice(at..at, noise);
        play(&wire(), &bytes);
    }
}
