#![expect(clippy::needless_pass_by_value, reason = "what is written with json! is a value")]

use std::time::Duration;

use domain::conversation::{Finish, Usage};
use proptest::prelude::{ProptestConfig, any, proptest};
use proptest::sample::Index;
use serde_json::{Value, json};

use super::super::{Gemini, Quirks};
use crate::provider::ErrorKind;
use crate::provider::answer::Chunk;
use crate::provider::playback::{play, play_document};
use crate::provider::replay::split;
use crate::provider::wire::Wire as _;

fn wire() -> Gemini {
    Gemini::new("google", Quirks::AI_STUDIO)
}

/// The provider ends lines with CR LF.
fn events(frames: &[Value]) -> String {
    frames.iter().map(|frame| format!("data: {frame}\r\n\r\n")).collect::<Vec<_>>().concat()
}

fn frame(parts: Value, finish: Option<&str>, usage: Value) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(reason) = finish {
        candidate["finishReason"] = json!(reason);
    }
    json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-3-flash", "responseId": "x1"})
}

fn stop(parts: Value) -> Value {
    frame(parts, Some("STOP"), json!({}))
}

fn finished(finish: Finish) -> Chunk {
    Chunk::Finished { finish, usage: Usage::default() }
}

fn call(id: &str, name: &str, arguments: &str, signature: Option<&str>) -> Chunk {
    let (id, name, arguments) = (id.to_owned(), name.to_owned(), arguments.to_owned());
    Chunk::ToolCall { id, name, arguments, signature: signature.map(str::to_owned) }
}

fn rich() -> String {
    let counts = |candidates: u64, thoughts: u64| {
        json!({"promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": candidates,
            "thoughtsTokenCount": thoughts, "totalTokenCount": 100 + candidates + thoughts,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}]})
    };
    events(&[
        frame(json!([{"text": "**Paris**", "thought": true}]), None, counts(0, 20)),
        frame(json!([{"text": "Grü"}]), None, counts(2, 20)),
        frame(json!([{"text": "ße", "thoughtSignature": "c2ln"}]), None, counts(4, 20)),
        frame(
            json!([
                {"functionCall": {"name": "get_weather", "args": {"city": "Paris"}, "id": "a1"}, "thoughtSignature": "Y2FsbA=="},
                {"functionCall": {"name": "get_weather", "args": {"city": "London"}, "id": "a2"}},
            ]),
            None,
            counts(30, 20),
        ),
        frame(json!([{"text": "", "thoughtSignature": "ZW5k"}]), Some("STOP"), counts(31, 20)),
    ])
}

#[test]
fn an_answer_is_read_as_documented() {
    let played = play(&wire(), rich());
    assert_eq!(played.error, None);
    let usage =
        Usage { input: Some(40), cached_input: Some(60), output: Some(31), reasoning: Some(20), ..Usage::default() };
    assert_eq!(
        played.chunks,
        [
            Chunk::Reasoning("**Paris**".to_owned()),
            Chunk::Text("Grüße".to_owned()),
            Chunk::ReasoningSignature("text:3:c2ln".to_owned()),
            call("a1", "get_weather", r#"{"city":"Paris"}"#, Some("Y2FsbA==")),
            call("a2", "get_weather", r#"{"city":"London"}"#, None),
            Chunk::ReasoningSignature("text:0:ZW5k".to_owned()),
            Chunk::Finished { finish: Finish::ToolCalls, usage },
        ]
    );
}

#[test]
fn a_list_is_the_same_answer() {
    let frames: Vec<Value> =
        rich().lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let list = serde_json::to_string(&frames).unwrap();
    assert_eq!(play_document(&wire(), &list).chunks, play(&wire(), rich()).chunks);
}

#[test]
fn arguments_in_pieces_are_one_call() {
    let body = events(&[
        frame(
            json!([{"functionCall": {"name": "controlLight", "willContinue": true}, "thoughtSignature": "c2ln"}]),
            None,
            json!({}),
        ),
        frame(
            json!([{"functionCall": {"partialArgs": [{"jsonPath": "$.brightness", "numberValue": 50}], "willContinue": true}}]),
            None,
            json!({}),
        ),
        frame(
            json!([{"functionCall": {"partialArgs": [{"jsonPath": "$.colour", "stringValue": "wa", "willContinue": true}], "willContinue": true}}]),
            None,
            json!({}),
        ),
        frame(
            json!([{"functionCall": {"partialArgs": [{"jsonPath": "$.colour", "stringValue": "rm"}], "willContinue": true}}]),
            None,
            json!({}),
        ),
        frame(json!([{"functionCall": {}}]), None, json!({})),
        stop(json!([{"functionCall": {"name": "now"}}])),
    ]);
    let [light, now, end] = <[Chunk; 3]>::try_from(play(&wire(), body).chunks).unwrap();
    let Chunk::ToolCall { name, arguments, signature, .. } = light else { panic!("{light:?}") };
    assert_eq!((name.as_str(), arguments.as_str()), ("controlLight", r#"{"brightness":50,"colour":"warm"}"#));
    assert_eq!(signature.as_deref(), Some("c2ln"));
    assert!(matches!(now, Chunk::ToolCall { arguments, .. } if arguments == "{}"));
    assert_eq!(end, finished(Finish::ToolCalls));
}

#[test]
fn a_thought_may_have_a_signature_of_its_own() {
    let parts = json!([{"text": "hm", "thought": true, "thoughtSignature": "c2ln"}, {"text": "a"}]);
    let thought = [Chunk::Reasoning("hm".to_owned()), Chunk::ReasoningSignature("thought:c2ln".to_owned())];
    let rest = [Chunk::Text("a".to_owned()), finished(Finish::Stop)];
    assert_eq!(play(&wire(), events(&[stop(parts)])).chunks, [thought, rest].concat());
}

#[test]
fn reasons_to_stop_are_open() {
    for (reason, finish) in [
        ("STOP", Finish::Stop),
        ("MAX_TOKENS", Finish::Length),
        ("SAFETY", Finish::ContentFilter),
        ("RECITATION", Finish::ContentFilter),
        ("BLOCKLIST", Finish::ContentFilter),
        ("PROHIBITED_CONTENT", Finish::ContentFilter),
        ("SPII", Finish::ContentFilter),
        ("MODEL_ARMOR", Finish::ContentFilter),
        ("LANGUAGE", Finish::Other),
        ("BORED", Finish::Other),
    ] {
        let played = play(&wire(), events(&[frame(json!([{"text": "a"}]), Some(reason), json!({}))]));
        assert_eq!(played.chunks, [Chunk::Text("a".to_owned()), finished(finish)], "{reason}");
    }
    // A candidate that was stopped at once has no content.
    let bare = json!({"candidates": [{"finishReason": "SAFETY", "index": 0, "safetyRatings": []}]});
    assert_eq!(play(&wire(), events(&[bare])).chunks, [finished(Finish::ContentFilter)]);
    let malformed = json!({"candidates": [{"content": {}, "finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "Malformed function call: print("}]});
    assert_eq!(play(&wire(), events(&[malformed])).error.unwrap().kind, ErrorKind::Interrupted);
}

#[test]
fn a_stream_without_a_reason_to_stop_is_no_answer() {
    let running = frame(json!([{"text": "a"}]), Some("FINISH_REASON_UNSPECIFIED"), json!({}));
    for body in [String::new(), events(&[frame(json!([{"text": "a"}]), None, json!({}))]), events(&[running])] {
        let played = play(&wire(), body);
        assert!(!played.finished() && played.error.is_none(), "{played:?}");
    }
}

#[test]
fn a_blocked_prompt_is_declined() {
    let blocked =
        json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}});
    assert_eq!(play(&wire(), events(&[blocked])).error.unwrap().kind, ErrorKind::ContentFilter);
    let fine = json!({"promptFeedback": {"safetyRatings": []}});
    let body = events(&[fine, stop(json!([{"text": "a"}]))]);
    assert_eq!(play(&wire(), body).chunks, [Chunk::Text("a".to_owned()), finished(Finish::Stop)]);
}

fn error(code: u16, status: &str, message: &str, details: Value) -> Value {
    json!({"error": {"code": code, "message": message, "status": status, "details": details}})
}

fn quota(id: &str) -> Value {
    json!([
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests", "quotaId": id,
            "quotaDimensions": {"location": "global", "model": "gemini-2.5-flash"}, "quotaValue": "10"}]},
        {"@type": "type.googleapis.com/google.rpc.Help", "links": [{"description": "Learn more", "url": "https://ai.google.dev"}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "38.5s"},
    ])
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn errors_are_typed_by_their_details() {
    const EXCEEDED: &str = "You exceeded your current quota, please check your plan and billing details.";
    let reason = |reason: &str| json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}]);
    let day = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
    let minute = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier";
    for (error, kind) in [
        (error(429, "RESOURCE_EXHAUSTED", EXCEEDED, quota(minute)), ErrorKind::Rate),
        (error(429, "RESOURCE_EXHAUSTED", EXCEEDED, quota(day)), ErrorKind::Quota),
        (error(429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later.", json!([])), ErrorKind::Rate),
        (
            error(
                400,
                "INVALID_ARGUMENT",
                "API key not valid. Please pass a valid API key.",
                reason("API_KEY_INVALID"),
            ),
            ErrorKind::Auth,
        ),
        (
            error(
                400,
                "INVALID_ARGUMENT",
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                json!([]),
            ),
            ErrorKind::ContextTooLong,
        ),
        (error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.", json!([])), ErrorKind::Invalid),
        (
            error(400, "FAILED_PRECONDITION", "User location is not supported for the API use.", json!([])),
            ErrorKind::Invalid,
        ),
        (
            error(
                403,
                "PERMISSION_DENIED",
                "This API method requires billing to be enabled.",
                reason("BILLING_DISABLED"),
            ),
            ErrorKind::Quota,
        ),
        (error(403, "PERMISSION_DENIED", "Permission denied.", json!([])), ErrorKind::Auth),
        (
            error(
                401,
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials.",
                reason("ACCESS_TOKEN_EXPIRED"),
            ),
            ErrorKind::Auth,
        ),
        (
            error(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta", json!([])),
            ErrorKind::UnknownModel,
        ),
        (error(499, "CANCELLED", "The operation was cancelled.", json!([])), ErrorKind::Overload),
        (error(500, "INTERNAL", "An internal error has occurred.", json!([])), ErrorKind::Overload),
        (error(503, "UNAVAILABLE", "The model is overloaded. Please try again later.", json!([])), ErrorKind::Overload),
        (error(504, "DEADLINE_EXCEEDED", "The request timed out.", json!([])), ErrorKind::Overload),
    ] {
        // As a body; in a list; mid-stream; in a list mid-stream; as JSON under the type of a stream.
        let text = frame(json!([{"text": "a"}]), None, json!({}));
        let kinds = [
            play_document(&wire(), &error.to_string()),
            play_document(&wire(), &json!([error]).to_string()),
            play(&wire(), events(&[text.clone(), error.clone()])),
            play(&wire(), events(&[text, json!([error])])),
            play(&wire(), serde_json::to_string_pretty(&json!([error])).unwrap()),
        ]
        .map(|played| played.error.map(|error| error.kind));
        assert_eq!(kinds, [Some(kind); 5], "{error}");
        let refusal = wire().refusal(&error).into_error("google", &[]);
        assert_eq!(refusal.kind, kind);
    }
    let error = error(429, "RESOURCE_EXHAUSTED", EXCEEDED, quota(minute));
    let refusal = wire().refusal(&json!([error])).into_error("google", &[]);
    assert_eq!(refusal.retry_after, Some(Duration::from_millis(38_500)));
}

#[test]
fn what_we_do_not_know_survives() {
    let body = events(&[
        json!({"somethingNew": {"a": 1}}),
        frame(
            json!([{"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "c2ln"}, {"inlineData": {}}]),
            None,
            json!({}),
        ),
        json!({"candidates": [{"index": 1, "content": {"parts": [{"text": "other"}]}, "finishReason": "STOP"}]}),
        json!({"candidates": [{"content": {"parts": [{"text": "a", "partMetadata": {}}]}, "groundingMetadata": {}, "finishReason": "STOP"}], "usageMetadata": [], "error": null}),
    ]);
    assert_eq!(play(&wire(), body).chunks, [Chunk::Text("a".to_owned()), finished(Finish::Stop)]);
}

#[test]
fn usage_never_overlaps() {
    let read = |usage: Value| {
        let raw = serde_json::value::RawValue::from_string(usage.to_string()).unwrap();
        super::super::usage::read(&raw).map(|usage| Usage { raw: None, ..usage })
    };
    let usage = |input, cached_input, output, reasoning| {
        Some(Usage { input, cached_input, output, reasoning, ..Usage::default() })
    };
    // Thoughts among the candidates, seen by the sum.
    let among =
        json!({"promptTokenCount": 10, "candidatesTokenCount": 30, "thoughtsTokenCount": 20, "totalTokenCount": 40});
    assert_eq!(read(among), usage(Some(10), None, Some(10), Some(20)));
    let tools =
        json!({"promptTokenCount": 10, "toolUsePromptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 18});
    assert_eq!(read(tools), usage(Some(15), None, Some(3), None));
    assert_eq!(read(json!({"promptTokenCount": 7, "totalTokenCount": 7})), usage(Some(7), None, None, None));
    assert_eq!(read(json!({"promptTokenCount": "many", "trafficType": "ON_DEMAND"})), None);
}

#[test]
fn hostile_answers_have_bounds() {
    let piece = json!({"jsonPath": "$.a[4000000000]", "boolValue": true});
    let far =
        frame(json!([{"functionCall": {"name": "t", "partialArgs": [piece], "willContinue": true}}]), None, json!({}));
    let nameless = frame(json!([{"functionCall": {"args": {}}}]), None, json!({}));
    let long = frame(json!([{"text": "x".repeat(900_000)}]), None, json!({}));
    let calls: Vec<_> =
        (0..200).map(|_| frame(json!([{"functionCall": {"name": "t", "args": {}}}]), None, json!({}))).collect();
    for body in [
        events(&[far]),
        events(&[nameless]),
        events(&vec![long; 6]),
        events(&calls),
        "data: {\"candidates\":\r\n\r\n".to_owned(),
        format!("data: {}\r\n\r\n", "[".repeat(100_000)),
        "data: 7\r\n\r\n".to_owned(),
    ] {
        assert_eq!(play(&wire(), body).error.unwrap().kind, ErrorKind::Protocol);
    }
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
