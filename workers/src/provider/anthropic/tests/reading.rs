//! Streams.

use domain::conversation::{Finish, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::wire;
use crate::provider::answer::{Answer, Chunk, MAX_ANSWER_BYTES};
use crate::provider::refusal::Refusal;
use crate::provider::replay::{play, split};
use crate::provider::wire::Wire;
use crate::provider::{Error, ErrorKind};

fn events(events: &[Value]) -> String {
    let lines = events
        .iter()
        .map(|event| ["event: ", event["type"].as_str().unwrap(), "\ndata: ", &event.to_string(), "\n\n"].concat());
    lines.collect()
}

fn chunks(stream: &str) -> Vec<Chunk> {
    let (chunks, error) = play(&wire(), &[stream.as_bytes()]);
    assert!(error.is_none(), "{error:?}");
    chunks
}

fn error(refusal: Refusal) -> Error {
    refusal.into_error("anthropic", &["sk-ant-key"])
}

fn failed(stream: &str) -> Error {
    error(play(&wire(), &[stream.as_bytes()]).1.expect("no error"))
}

fn start(usage: &Value) -> Value {
    json!({ "type": "message_start", "message": { "id": "msg_1", "type": "message", "role": "assistant", "content": [],
        "model": "claude-opus-5", "stop_reason": null, "stop_sequence": null, "usage": usage } })
}

fn end(reason: &str, usage: &Value) -> [Value; 2] {
    let delta = json!({ "stop_reason": reason, "stop_sequence": null });
    [json!({ "type": "message_delta", "delta": delta, "usage": usage }), json!({ "type": "message_stop" })]
}

fn block(index: u64, start: &Value, deltas: &[Value]) -> Vec<Value> {
    let mut events = vec![json!({ "type": "content_block_start", "index": index, "content_block": start })];
    let delta = |delta| json!({ "type": "content_block_delta", "index": index, "delta": delta });
    events.extend(deltas.iter().map(delta));
    events.push(json!({ "type": "content_block_stop", "index": index }));
    events
}

fn tool_use(index: u64, id: &str, name: &str, pieces: &[&str]) -> Vec<Value> {
    let deltas: Vec<_> =
        pieces.iter().map(|piece| json!({ "type": "input_json_delta", "partial_json": piece })).collect();
    block(index, &json!({ "type": "tool_use", "id": id, "name": name, "input": {} }), &deltas)
}

fn text(text: &str) -> Chunk {
    Chunk::Text(text.to_owned())
}

fn call(id: &str, name: &str, arguments: &str) -> Chunk {
    Chunk::ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned(), signature: None }
}

fn finished(chunks: &[Chunk]) -> (Finish, &Usage) {
    match chunks.last() {
        Some(Chunk::Finished { finish, usage }) => (*finish, usage),
        other => panic!("{other:?}"),
    }
}

/// The documentation's first example, byte for byte.
const HELLO: &str = r#"event: message_start
data: {"type": "message_start", "message": {"id": "msg_1nZdL29xx5MUA1yADyHTEsnR8uuvGzszyY", "type": "message", "role": "assistant", "content": [], "model": "claude-opus-4-7", "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 25, "output_tokens": 1}}}

event: content_block_start
data: {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}

event: content_block_delta
data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "!"}}

event: content_block_stop
data: {"type": "content_block_stop", "index": 0}

event: message_delta
data: {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence":null}, "usage": {"output_tokens": 15}}

event: message_stop
data: {"type": "message_stop"}

"#;

#[test]
fn text_of_the_documentation() {
    let chunks = chunks(HELLO);
    assert_eq!(chunks[..2], [text("Hello"), text("!")]);
    let (finish, usage) = finished(&chunks);
    assert_eq!((chunks.len(), finish), (3, Finish::Stop));
    assert_eq!((usage.input, usage.output, usage.cached_input, usage.reasoning), (Some(25), Some(15), None, None));
}

#[test]
fn thoughts_calls_and_their_order() {
    let signature = [
        json!({ "type": "signature_delta", "signature": "EqQB" }),
        json!({ "type": "signature_delta", "signature": "CgIY" }),
    ];
    let thinking = [&[json!({ "type": "thinking_delta", "thinking": "Let me see." })][..], &signature].concat();
    let stream = [
        vec![start(&json!({ "input_tokens": 1 }))],
        block(0, &json!({ "type": "thinking", "thinking": "", "signature": "" }), &thinking),
        block(1, &json!({ "type": "redacted_thinking", "data": "aGlkZGVu" }), &[]),
        block(2, &json!({ "type": "thinking", "thinking": "" }), &signature),
        block(3, &json!({ "type": "text", "text": "" }), &[json!({ "type": "text_delta", "text": "I look." })]),
        tool_use(4, "toolu_1", "search", &["", "{\"q\": \"a", "b\"}"]),
        tool_use(5, "toolu_2", "now", &[]),
        end("tool_use", &json!({ "output_tokens": 9 })).to_vec(),
    ]
    .concat();
    let chunks = chunks(&events(&stream));
    let signature = |signature: &str| Chunk::ReasoningSignature(signature.to_owned());
    let expected = [
        Chunk::Reasoning("Let me see.".to_owned()),
        signature("EqQBCgIY"),
        signature("redacted:aGlkZGVu"),
        signature("EqQBCgIY"),
        text("I look."),
        call("toolu_1", "search", "{\"q\": \"ab\"}"),
        call("toolu_2", "now", "{}"),
    ];
    assert_eq!(chunks[..7], expected);
    assert_eq!(finished(&chunks).0, Finish::ToolCalls);
}

#[test]
fn a_call_that_is_whole_at_its_beginning() {
    let given = json!({ "type": "tool_use", "id": "a", "name": "search", "input": { "q": 1 } });
    let delta = json!({ "type": "input_json_delta", "partial_json": "{\"q\":2}" });
    let stream = [
        block(0, &given, &[]),
        block(1, &json!({ "type": "tool_use", "id": "b", "name": "search", "input": { "q": 1 } }), &[delta]),
        end("tool_use", &json!({})).to_vec(),
    ];
    let chunks = chunks(&events(&stream.concat()));
    assert_eq!(chunks[..2], [call("a", "search", "{\"q\":1}"), call("b", "search", "{\"q\":2}")]);
}

#[test]
fn the_tool_that_stands_for_an_answer_is_its_text() {
    let stream = [
        tool_use(0, "toolu_1", "bestchat_structured_answer", &["{\"a\":", "1}"]),
        end("tool_use", &json!({ "output_tokens": 1 })).to_vec(),
    ];
    let chunks = chunks(&events(&stream.concat()));
    assert_eq!(chunks[..2], [text("{\"a\":"), text("1}")]);
    assert_eq!((chunks.len(), finished(&chunks).0), (3, Finish::Stop));
}

#[test]
fn an_answer_that_does_not_stream() {
    let read = |document: &Value| {
        let mut answer = Answer::default();
        let taken = wire().reader().take_document(document.to_string().as_bytes(), &mut answer);
        let chunks: Vec<_> = std::iter::from_fn(|| answer.next()).collect();
        taken.map(|()| (chunks, answer.finished())).map_err(error)
    };
    let content = json!([
        { "type": "thinking", "thinking": "Hm.", "signature": "c2ln" },
        { "type": "text", "text": "Hi" },
        { "type": "tool_use", "id": "a", "name": "search", "input": { "q": 1 } },
    ]);
    let document = json!({ "type": "message", "role": "assistant", "content": content, "stop_reason": "tool_use",
        "usage": { "input_tokens": 1, "output_tokens": 2 } });
    let (chunks, end) = read(&document).unwrap();
    let expected = [
        Chunk::Reasoning("Hm.".to_owned()),
        Chunk::ReasoningSignature("c2ln".to_owned()),
        text("Hi"),
        call("a", "search", "{\"q\":1}"),
    ];
    assert_eq!(chunks, expected);
    assert_eq!(finished(&[end.unwrap()]).0, Finish::ToolCalls);
    let overloaded = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    assert_eq!(read(&overloaded).unwrap_err().kind, ErrorKind::Overload);
    assert_eq!(read(&json!({ "choices": [] })).unwrap_err().kind, ErrorKind::Protocol);
}

#[test]
fn counts_do_not_overlap_and_the_last_ones_count() {
    let first = json!({ "input_tokens": 10, "cache_creation_input_tokens": 300, "cache_read_input_tokens": 2_000,
        "cache_creation": { "ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100 },
        "output_tokens": 1, "service_tier": "standard" });
    let last = json!({ "input_tokens": 12, "cache_creation_input_tokens": null, "cache_read_input_tokens": 0,
        "output_tokens": 50, "output_tokens_details": { "thinking_tokens": 20 } });
    let chunks = chunks(&events(&[vec![start(&first)], end("end_turn", &last).to_vec()].concat()));
    let usage = finished(&chunks).1;
    assert_eq!((usage.input, usage.cached_input, usage.cache_write), (Some(12), Some(2_000), Some(300)));
    assert_eq!((usage.output, usage.reasoning), (Some(30), Some(20)));

    let only = json!({ "cache_creation": { "ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 1 } });
    let chunks = self::chunks(&events(&[vec![start(&only)], end("end_turn", &json!({})).to_vec()].concat()));
    assert_eq!(finished(&chunks).1.cache_write, Some(3));
}

#[test]
fn what_the_snapshot_says_of_the_output_is_not_what_it_came_to() {
    let first = start(&json!({ "input_tokens": 10, "output_tokens": 1 }));
    let said = block(0, &json!({ "type": "text", "text": "a long answer" }), &[]);
    for (last, output) in [
        (json!({}), None),
        (Value::Null, None),
        (json!({ "input_tokens": 10, "output_tokens": 0 }), None),
        (json!({ "output_tokens": null }), None),
        (json!({ "output_tokens": 1 }), Some(1)),
        (json!({ "output_tokens": 9 }), Some(9)),
    ] {
        let stream = [vec![first.clone()], said.clone(), end("end_turn", &last).to_vec()].concat();
        let chunks = chunks(&events(&stream));
        let usage = finished(&chunks).1;
        assert_eq!((usage.input, usage.output), (Some(10), output), "{last}");
    }
}

#[test]
fn reasons_to_stop() {
    for (reason, finish) in [
        ("end_turn", Finish::Stop),
        ("stop_sequence", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("refusal", Finish::ContentFilter),
        ("pause_turn", Finish::Other),
        ("of another day", Finish::Other),
    ] {
        assert_eq!(finished(&chunks(&events(&end(reason, &json!({}))))).0, finish, "{reason}");
    }
}

#[test]
fn what_is_not_known_is_passed_over() {
    let server_tool = json!({ "type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {} });
    let found = json!({ "type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{ "title": "x" }] });
    let citation = json!({ "type": "citations_delta", "citation": { "type": "page_location", "cited_text": "x" } });
    let said = json!({ "type": "text_delta", "text": "Hi" });
    let stream = [
        vec![json!({ "type": "of_another_day", "index": "not a number", "delta": [] })],
        block(0, &server_tool, &[json!({ "type": "input_json_delta", "partial_json": "{}" })]),
        block(1, &found, &[]),
        block(2, &json!({ "type": "text", "text": "", "citations": [] }), &[citation, json!({ "type": "new" }), said]),
        end("end_turn", &json!({ "output_tokens": 1, "server_tool_use": { "web_search_requests": 1 } })).to_vec(),
    ];
    let chunks = chunks(&events(&stream.concat()));
    assert_eq!((chunks.len(), &chunks[0]), (2, &text("Hi")));
}

#[test]
fn a_stream_that_merely_ends_is_not_finished() {
    let cut = HELLO.split("event: message_delta").next().unwrap();
    assert_eq!(chunks(cut), [text("Hello"), text("!")]);
    // Without `message_stop`, but the model has said why it stopped.
    let late = HELLO.split("event: message_stop").next().unwrap();
    assert_eq!(finished(&chunks(late)).0, Finish::Stop);
    assert_eq!(finished(&chunks(&format!("{late}data: [DONE]\n\n"))).0, Finish::Stop);
}

#[test]
fn errors_within_a_stream() {
    let overloaded =
        r#"{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}"#;
    for stream in
        [format!("event: error\ndata: {overloaded}\n\n"), format!("data: {overloaded}\n\n"), format!("{overloaded}\n")]
    {
        assert_eq!(failed(&stream).kind, ErrorKind::Overload, "{stream}");
    }
    let api = r#"event: error
data: {"type":"error","error":{"type":"api_error","message":"Internal server error"}}

"#;
    assert!(failed(api).is_retryable());
    assert_eq!(failed("event: error\ndata: gone\n\n").kind, ErrorKind::Interrupted);
    assert_eq!(failed("data: {\"choices\":[]}\n\n").kind, ErrorKind::Protocol);
    assert_eq!(failed("event: message_start\ndata: <html>\n\n").kind, ErrorKind::Protocol);
}

/// Status, type, message, code in the details; what it means.
const REFUSALS: &[(u16, &str, &str, &str, ErrorKind)] = &[
    (400, "invalid_request_error", "messages: roles must alternate", "", ErrorKind::Invalid),
    (400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum", "", ErrorKind::ContextTooLong),
    (
        400,
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 1 + 2 > 3",
        "",
        ErrorKind::ContextTooLong,
    ),
    (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", "", ErrorKind::Quota),
    (400, "invalid_request_error", "You have reached your specified API usage limits.", "", ErrorKind::Quota),
    (401, "authentication_error", "invalid x-api-key", "", ErrorKind::Auth),
    (402, "billing_error", "Payment is due.", "", ErrorKind::Quota),
    (403, "permission_error", "Not allowed.", "", ErrorKind::Auth),
    (404, "not_found_error", "model: claude-x", "", ErrorKind::UnknownModel),
    (413, "request_too_large", "Request exceeds the maximum size", "", ErrorKind::ContextTooLong),
    (429, "rate_limit_error", "Number of request tokens has exceeded your per-minute rate limit", "", ErrorKind::Rate),
    (429, "rate_limit_error", "Spend limit.", "enforced_spend_limit_reached", ErrorKind::Quota),
    (500, "api_error", "Internal server error", "", ErrorKind::Overload),
    (504, "timeout_error", "Timed out", "", ErrorKind::Overload),
    (529, "overloaded_error", "Overloaded", "", ErrorKind::Overload),
];

#[test]
fn refusals() {
    for (status, kind, message, code, expected) in REFUSALS.iter().copied() {
        let details = if code.is_empty() { json!(null) } else { json!({ "error_code": code }) };
        let error = json!({ "type": kind, "message": message, "details": details });
        let body = json!({ "type": "error", "error": error, "request_id": "req_1" });
        let refusal = wire().refusal(&body).with_status(status, &reqwest::header::HeaderMap::new());
        assert_eq!(self::error(refusal).kind, expected, "{message}");
    }
}

#[test]
fn hostile_answers_have_bounds() {
    let open =
        |index: u64| json!({ "type": "content_block_start", "index": index, "content_block": { "type": "thinking" } });
    let many: Vec<_> = (0..10_000).map(open).collect();
    assert_eq!(failed(&events(&many)).kind, ErrorKind::Protocol);

    let calls: Vec<_> = (0..10_000).flat_map(|index| tool_use(index, "same", "search", &[])).collect();
    assert_eq!(failed(&events(&calls)).kind, ErrorKind::Protocol);

    let long = json!({ "type": "signature_delta", "signature": "x".repeat(500_000) });
    let mut stream = vec![open(0)];
    let delta = json!({ "type": "content_block_delta", "index": 0, "delta": long });
    stream.extend(std::iter::repeat_n(delta, MAX_ANSWER_BYTES / 500_000 + 1));
    assert_eq!(failed(&events(&stream)).kind, ErrorKind::Protocol);

    // Spread over blocks that do not end.
    let spread: Vec<_> = (0..10)
        .map(|index| {
            let input = json!({ "q": "x".repeat(500_000) });
            json!({ "type": "content_block_start", "index": index,
                "content_block": { "type": "tool_use", "id": "a", "name": "search", "input": input } })
        })
        .collect();
    assert_eq!(failed(&events(&spread)).kind, ErrorKind::Protocol);
}

#[test]
fn counts_have_bounds() {
    let mut counts = super::super::usage::Counts::default();
    for nth in 0..10_000 {
        counts.take(json!({ (format!("field_{nth}")): 1, "output_tokens": nth }));
    }
    counts.take(json!({ "output_tokens": 7, "long": "x".repeat(100_000) }));
    let usage = counts.usage();
    assert_eq!(usage.output, Some(9_999), "what is known goes on counting, what is absurd does not count");
    assert!(usage.raw.is_some_and(|raw| raw.len() < 2_000));

    let mut counts = super::super::usage::Counts::default();
    let details = json!({ "thinking_tokens": u64::MAX });
    counts.take(json!({ "input_tokens": u64::MAX, "output_tokens": 9, "output_tokens_details": details }));
    let usage = counts.usage();
    assert_eq!((usage.input, usage.output, usage.reasoning), (None, Some(9), None));
}

/// Events in any order, right and wrong ones.
fn streams() -> impl Strategy<Value = String> {
    let index = 0..3_u64;
    let event = prop_oneof![
        (index.clone(), prop::sample::select(vec!["text", "thinking", "tool_use", "redacted_thinking", "other"]))
            .prop_map(|(index, kind)| json!({ "type": "content_block_start", "index": index,
                "content_block": { "type": kind, "id": "a", "name": "search", "data": "x" } })),
        (
            index.clone(),
            prop::sample::select(vec!["text_delta", "thinking_delta", "signature_delta", "input_json_delta", "other"])
        )
            .prop_map(|(index, kind)| json!({ "type": "content_block_delta", "index": index,
                "delta": { "type": kind, "text": "é", "thinking": "t", "signature": "s", "partial_json": "{\"" } })),
        index.prop_map(|index| json!({ "type": "content_block_stop", "index": index })),
        Just(json!({ "type": "ping" })),
        Just(start(&json!({ "input_tokens": 3 }))),
        Just(end("end_turn", &json!({ "output_tokens": 4 }))[0].clone()),
        Just(json!({ "type": "message_stop" })),
        Just(json!({ "type": "error", "error": { "type": "overloaded_error" } })),
    ];
    prop::collection::vec(event, 0..20).prop_map(|stream| events(&stream))
}

proptest! {
    #[test]
    fn any_split_of_any_stream_gives_the_same_chunks(
        stream in prop_oneof![Just(HELLO.to_owned()), streams()],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        split(&wire(), stream.as_bytes(), &cuts)?;
    }

    #[test]
    fn no_bytes_are_too_strange(stream in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = play(&wire(), &[b"data: ", &stream, b"\n\n"]);
    }
}
