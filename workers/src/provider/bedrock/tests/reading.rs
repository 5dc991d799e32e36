//! Streams of frames.

use domain::conversation::Finish;
use proptest::prelude::*;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::wire;
use crate::provider::ErrorKind;
use crate::provider::answer::Chunk;
use crate::provider::aws_frames::encode::{event, frame};
use crate::provider::replay::{play, split};
use crate::provider::wire::Wire;

fn stream(events: &[(&str, Value)]) -> Vec<u8> {
    events.iter().flat_map(|(name, payload)| event(name, &payload.to_string())).collect()
}

fn chunks(events: &[(&str, Value)]) -> Vec<Chunk> {
    let (chunks, error) = play(&wire(), &[&stream(events)]);
    assert!(error.is_none(), "{error:?}");
    chunks
}

fn delta(index: u64, delta: &Value) -> (&'static str, Value) {
    ("contentBlockDelta", json!({ "contentBlockIndex": index, "delta": delta, "p": "abcdef" }))
}

fn begin(index: u64, id: &str, name: &str) -> (&'static str, Value) {
    let start = json!({ "toolUse": { "toolUseId": id, "name": name } });
    ("contentBlockStart", json!({ "contentBlockIndex": index, "start": start }))
}

fn end(index: u64) -> (&'static str, Value) {
    ("contentBlockStop", json!({ "contentBlockIndex": index }))
}

fn stop(reason: &str) -> (&'static str, Value) {
    ("messageStop", json!({ "stopReason": reason }))
}

fn metadata() -> (&'static str, Value) {
    let usage = json!({ "inputTokens": 30, "outputTokens": 628, "totalTokens": 658, "cacheReadInputTokens": 7,
        "cacheWriteInputTokens": 3, "cacheDetails": [{ "ttl": "5m", "inputTokens": 3 }] });
    ("metadata", json!({ "usage": usage, "metrics": { "latencyMs": 1275 } }))
}

fn call(id: &str, name: &str, arguments: &str) -> Chunk {
    Chunk::ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned(), signature: None }
}

#[test]
fn text_and_usage_after_the_stop() {
    let chunks = chunks(&[
        ("messageStart", json!({ "role": "assistant" })),
        delta(0, &json!({ "text": "Hello" })),
        delta(0, &json!({ "text": "!" })),
        end(0),
        stop("end_turn"),
        metadata(),
    ]);
    assert_eq!(chunks[..2], [Chunk::Text("Hello".to_owned()), Chunk::Text("!".to_owned())]);
    let Chunk::Finished { finish, usage } = &chunks[2] else { panic!("{chunks:?}") };
    assert_eq!((*finish, usage.input, usage.output), (Finish::Stop, Some(30), Some(628)));
    assert_eq!((usage.cached_input, usage.cache_write, usage.reasoning), (Some(7), Some(3), None));
    assert!(usage.raw.as_deref().unwrap().contains("cacheDetails"));
}

#[test]
fn a_count_that_is_absurd_does_not_count() {
    let metadata = json!({ "usage": { "inputTokens": u64::MAX, "outputTokens": 9 } });
    let chunks = chunks(&[delta(0, &json!({ "text": "a" })), stop("end_turn"), ("metadata", metadata)]);
    let Some(Chunk::Finished { usage, .. }) = chunks.last() else { panic!("{chunks:?}") };
    assert_eq!((usage.input, usage.output), (None, Some(9)));
}

#[test]
fn thoughts_and_calls() {
    let chunks = chunks(&[
        delta(0, &json!({ "reasoningContent": { "text": "Let me " } })),
        delta(0, &json!({ "reasoningContent": { "text": "see." } })),
        delta(0, &json!({ "reasoningContent": { "signature": "c2ln" } })),
        end(0),
        delta(1, &json!({ "reasoningContent": { "redactedContent": "aGlkZGVu" } })),
        end(1),
        begin(2, "tooluse_1", "search"),
        delta(2, &json!({ "toolUse": { "input": "{\"q\":" } })),
        delta(2, &json!({ "toolUse": { "input": "1}" } })),
        end(2),
        begin(3, "tooluse_2", "now"),
        end(3),
        stop("tool_use"),
        metadata(),
    ]);
    let expected = [
        Chunk::Reasoning("Let me ".to_owned()),
        Chunk::Reasoning("see.".to_owned()),
        Chunk::ReasoningSignature("c2ln".to_owned()),
        Chunk::ReasoningSignature("redacted:aGlkZGVu".to_owned()),
        call("tooluse_1", "search", "{\"q\":1}"),
        call("tooluse_2", "now", "{}"),
    ];
    assert_eq!(chunks[..6], expected);
    assert!(matches!(chunks[6], Chunk::Finished { finish: Finish::ToolCalls, .. }));
}

#[test]
fn the_tool_that_stands_for_an_answer_is_its_text() {
    let name = "bestchat_structured_answer";
    let input = delta(0, &json!({ "toolUse": { "input": "{\"a\":1}" } }));
    let chunks = chunks(&[begin(0, "t", name), input, end(0), stop("tool_use"), metadata()]);
    assert_eq!(chunks[0], Chunk::Text("{\"a\":1}".to_owned()));
    assert!(matches!(chunks[1], Chunk::Finished { finish: Finish::Stop, .. }));
}

#[test]
fn reasons_to_stop() {
    for (reason, expected) in [
        ("end_turn", Finish::Stop),
        ("stop_sequence", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("guardrail_intervened", Finish::ContentFilter),
        ("content_filtered", Finish::ContentFilter),
        ("malformed_tool_use", Finish::Other),
        ("of another day", Finish::Other),
    ] {
        // Without `metadata`: the model has said why it stopped.
        let chunks = chunks(&[stop(reason)]);
        assert!(matches!(chunks[0], Chunk::Finished { finish, .. } if finish == expected), "{reason}");
    }
}

#[test]
fn what_is_not_known_is_passed_over() {
    let chunks = chunks(&[
        ("ofAnotherDay", json!([])),
        ("contentBlockStart", json!({ "contentBlockIndex": 0, "start": { "image": { "format": "png" } } })),
        delta(0, &json!({ "citation": { "title": "x" } })),
        delta(0, &json!({ "toolUse": { "input": "of no call" } })),
        delta(1, &json!({ "text": "Hi" })),
    ]);
    // And a stream that merely ends is not finished.
    assert_eq!(chunks, [Chunk::Text("Hi".to_owned())]);
}

#[test]
fn exceptions_within_a_stream() {
    for (name, message, expected) in [
        ("throttlingException", "Too many requests, please wait before trying again.", ErrorKind::Rate),
        ("throttlingException", "Too many tokens per day, please wait before trying again.", ErrorKind::Quota),
        ("validationException", "Input is too long for requested model.", ErrorKind::ContextTooLong),
        ("validationException", "Malformed input request.", ErrorKind::Invalid),
        ("modelStreamErrorException", "The model stopped.", ErrorKind::Interrupted),
        ("internalServerException", "Try again.", ErrorKind::Overload),
        ("serviceUnavailableException", "Try again.", ErrorKind::Overload),
        ("modelTimeoutException", "", ErrorKind::Overload),
        ("ofAnotherDay", "", ErrorKind::Interrupted),
    ] {
        let payload = json!({ "message": message }).to_string();
        let headers = [(":exception-type", name), (":message-type", "exception")];
        let bytes = [event("messageStart", "{}"), frame(&headers, &payload)].concat();
        let error = play(&wire(), &[&bytes]).1.unwrap().into_error("bedrock", &[]);
        assert_eq!(error.kind, expected, "{name} {message}");
    }
    let nonsense = play(&wire(), &[&event("contentBlockDelta", "<html>")]).1.unwrap();
    assert_eq!(nonsense.into_error("bedrock", &[]).kind, ErrorKind::Protocol);
}

#[test]
fn refusals() {
    for (status, body, expected) in [
        (400, json!({ "message": "The provided model identifier is invalid." }), ErrorKind::UnknownModel),
        (400, json!({ "message": "Input is too long for requested model." }), ErrorKind::ContextTooLong),
        (400, json!({ "message": "The toolConfig field must be defined." }), ErrorKind::Invalid),
        (403, json!({ "Message": "User is not authorized to perform bedrock:InvokeModel" }), ErrorKind::Auth),
        (403, json!({ "message": "The security token included in the request is invalid." }), ErrorKind::Auth),
        (404, json!({ "message": "Model not found." }), ErrorKind::UnknownModel),
        (424, json!({ "message": "The model failed." }), ErrorKind::Overload),
        (429, json!({ "message": "Too many requests." }), ErrorKind::Rate),
        (400, json!({ "__type": "com.amazon#ServiceQuotaExceededException", "message": "" }), ErrorKind::Quota),
        (503, json!({ "message": "Unavailable." }), ErrorKind::Overload),
    ] {
        let refusal = wire().refusal(&body).with_status(status, &HeaderMap::new());
        assert_eq!(refusal.into_error("bedrock", &[]).kind, expected, "{body}");
    }
}

#[test]
fn hostile_answers_have_bounds() {
    let thought = |index: u64| delta(index, &json!({ "reasoningContent": { "signature": "x" } }));
    let many: Vec<_> = (0..1_000).map(thought).collect();
    let error = play(&wire(), &[&stream(&many)]).1.unwrap();
    assert_eq!(error.into_error("bedrock", &[]).kind, ErrorKind::Protocol);
    let long: Vec<_> =
        (0..10).map(|_| delta(0, &json!({ "reasoningContent": { "redactedContent": "x".repeat(500_000) } }))).collect();
    let error = play(&wire(), &[&stream(&long)]).1.unwrap();
    assert_eq!(error.into_error("bedrock", &[]).kind, ErrorKind::Protocol);
    // Spread over blocks that do not end.
    let spread: Vec<_> = (0..10)
        .map(|index| delta(index, &json!({ "reasoningContent": { "signature": "x".repeat(500_000) } })))
        .collect();
    let error = play(&wire(), &[&stream(&spread)]).1.unwrap();
    assert_eq!(error.into_error("bedrock", &[]).kind, ErrorKind::Protocol);
}

fn streams() -> impl Strategy<Value = Vec<u8>> {
    let index = 0..3_u64;
    let said = prop::sample::select(vec![
        json!({ "text": "é" }),
        json!({ "toolUse": { "input": "{}" } }),
        json!({ "reasoningContent": { "text": "t" } }),
        json!({ "reasoningContent": { "signature": "s" } }),
        json!({ "reasoningContent": { "redactedContent": "r" } }),
        json!({ "other": 1 }),
    ]);
    let event = prop_oneof![
        index.clone().prop_map(|index| begin(index, "a", "search")),
        (index.clone(), said).prop_map(|(index, said)| delta(index, &said)),
        index.prop_map(end),
        Just(stop("end_turn")),
        Just(metadata()),
        Just(("other", json!({}))),
    ];
    prop::collection::vec(event, 0..12).prop_map(|events| stream(&events))
}

proptest! {
    #[test]
    fn any_split_of_any_stream_gives_the_same_chunks(
        stream in streams(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        split(&wire(), &stream, &cuts)?;
    }
}
