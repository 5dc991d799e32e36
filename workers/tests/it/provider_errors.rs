//! Answers that are errors, wherever the provider puts them.

use std::time::Duration;

use domain::conversation::ReplyError;
use workers::provider::{Error, ErrorKind};

use crate::provider_fake::{DONE, EVENT_STREAM, KEY, STOP, Step, delta, play_stream, play_to_end, send};

async fn refusal(status: &str, headers: &str, body: &str) -> Error {
    let length = body.len();
    let response = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}");
    let (text, end) = play_to_end(vec![send(response)]).await;
    assert_eq!(text, "");
    let error = end.unwrap_err();
    assert!(!error.message.contains("sk-") && !error.message.contains("very-secr"), "{error}");
    error
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn statuses_and_codes_give_kinds() {
    for (status, body, kind) in [
        (
            "401 Unauthorized",
            r#"{"error":{"message":"Incorrect API key provided: sk-ver***ey","code":"invalid_api_key"}}"#,
            ErrorKind::Auth,
        ),
        ("403 Forbidden", r#"{"error":{"message":"Not for this key"}}"#, ErrorKind::Auth),
        // Of a firewall, which knows nothing of the key.
        ("403 Forbidden", "<html><body>Attention Required!</body></html>", ErrorKind::UnknownModel),
        ("403 Forbidden", "", ErrorKind::UnknownModel),
        ("401 Unauthorized", "<html>", ErrorKind::Auth),
        // xAI.
        (
            "400 Bad Request",
            r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: very-secr***"}"#,
            ErrorKind::Auth,
        ),
        ("402 Payment Required", r#"{"error":{"message":"Insufficient Balance"}}"#, ErrorKind::Quota),
        (
            "429 Too Many Requests",
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            ErrorKind::Quota,
        ),
        (
            "429 Too Many Requests",
            r#"{"error":{"message":"Slow down","type":"requests","code":"rate_limit_exceeded"}}"#,
            ErrorKind::Rate,
        ),
        ("429 Too Many Requests", "<html>", ErrorKind::Rate),
        (
            "404 Not Found",
            r#"{"error":{"message":"The model `x` does not exist","code":"model_not_found"}}"#,
            ErrorKind::UnknownModel,
        ),
        ("404 Not Found", r#"[{"error":{"code":404,"message":"nope","status":"NOT_FOUND"}}]"#, ErrorKind::UnknownModel),
        (
            "400 Bad Request",
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}}"#,
            ErrorKind::ContextTooLong,
        ),
        (
            "400 Bad Request",
            r#"{"object":"error","message":"This model's maximum context length is 10 tokens","code":400}"#,
            ErrorKind::ContextTooLong,
        ),
        ("400 Bad Request", r#"{"error":{"message":"filtered","code":"content_filter"}}"#, ErrorKind::ContentFilter),
        (
            "400 Bad Request",
            r#"{"error":{"message":"bad temperature","type":"invalid_request_error","code":null}}"#,
            ErrorKind::Invalid,
        ),
        ("422 Unprocessable Entity", r#"{"detail":[{"msg":"field required"}]}"#, ErrorKind::Invalid),
        ("500 Internal Server Error", r#"{"error":{"message":"oops"}}"#, ErrorKind::Overload),
        ("503 Service Unavailable", "<html><body>bad</body></html>", ErrorKind::Overload),
        (
            "529 Overloaded",
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            ErrorKind::Overload,
        ),
    ] {
        let error = refusal(status, "", body).await;
        assert_eq!(error.kind, kind, "{status} {body}");
        assert!(!error.message.contains('<'), "{error}");
    }
}

#[tokio::test]
async fn a_message_is_one_short_line_without_credentials() {
    let long = "blah ".repeat(200);
    let body = format!(r#"{{"error":{{"message":"Odd\n\u0000 {KEY} sk-other in org-abc123: {long}"}}}}"#);
    let error = refusal("400 Bad Request", "", &body).await;
    assert!(
        error.message.starts_with("mock: the provider does not accept the request (status 400): Odd … … in …"),
        "{error}"
    );
    assert!(!error.message.contains("abc123") && !error.message.contains('\n'), "{error}");
    assert!(error.message.chars().count() < 300, "{error}");
    let reply = ReplyError::from(error.clone());
    assert_eq!((reply.code.as_str(), reply.message), ("invalid", error.message));
}

#[tokio::test]
async fn hints_when_to_call_again_are_kept() {
    let body = r#"{"error":{"message":"Slow down"}}"#;
    for (headers, expected) in [
        ("", None),
        ("retry-after: 7\r\n", Some(Duration::from_secs(7))),
        ("retry-after: 1.5\r\n", Some(Duration::from_millis(1500))),
        ("retry-after: 7\r\nretry-after-ms: 250\r\n", Some(Duration::from_millis(250))),
        ("retry-after: Wed, 21 Oct 2015 07:28:00 GMT\r\n", Some(Duration::ZERO)),
        ("retry-after: Wed, 21 Oct 2099 07:28:00 GMT\r\n", Some(Duration::from_hours(24))),
        ("retry-after: soon\r\n", None),
        ("retry-after: -1\r\n", None),
        ("retry-after: inf\r\n", None),
    ] {
        let error = refusal("429 Too Many Requests", headers, body).await;
        assert_eq!((error.kind, error.retry_after), (ErrorKind::Rate, expected), "{headers}");
    }
    let gemini = r#"[{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED","details":[{"@type":"a"},{"@type":"RetryInfo","retryDelay":"34s"}]}}]"#;
    assert_eq!(refusal("429 Too Many Requests", "", gemini).await.retry_after, Some(Duration::from_secs(34)));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let error = refusal("307 Temporary Redirect", "location: http://127.0.0.1:1/elsewhere\r\n", "").await;
    assert_eq!(error.kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn an_error_inside_a_good_answer_is_an_error() {
    for (event, kind) in [
        (
            "data: {\"error\":{\"message\":\"The server had an error\",\"type\":\"server_error\"}}\n\n",
            ErrorKind::Overload,
        ),
        // OpenRouter; vLLM; a named event; flat; a bare line, with and without its line end; pretty printed.
        (
            "data: {\"error\":{\"code\":429,\"message\":\"x\"},\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\n",
            ErrorKind::Rate,
        ),
        (
            "data: {\"object\":\"error\",\"message\":\"x\",\"type\":\"BadRequestError\",\"code\":400}\n\n",
            ErrorKind::Invalid,
        ),
        ("event: error\ndata: {\"message\":\"x\",\"code\":503}\n\n", ErrorKind::Overload),
        ("event: error\ndata: it broke\n\n", ErrorKind::Interrupted),
        ("data: {\"error\":\"it broke\"}\n\n", ErrorKind::Interrupted),
        // Without a status, its type stands for one; but for what its message says.
        (
            "data: {\"error\":{\"message\":\"x\",\"type\":\"invalid_request_error\",\"code\":null}}\n\n",
            ErrorKind::Invalid,
        ),
        (
            "data: {\"error\":{\"message\":\"x\",\"type\":\"not_found_error\",\"code\":null}}\n\n",
            ErrorKind::UnknownModel,
        ),
        (
            "data: {\"error\":{\"message\":\"prompt is too long\",\"type\":\"invalid_request_error\"}}\n\n",
            ErrorKind::ContextTooLong,
        ),
        ("{\"error\":{\"message\":\"x\",\"code\":429}}\n", ErrorKind::Rate),
        ("{\"error\":{\"message\":\"x\",\"code\":429}}", ErrorKind::Rate),
        ("{\n  \"error\": {\n    \"message\": \"x\",\n    \"code\": 429\n  }\n}\n", ErrorKind::Rate),
        ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}]}\n\n", ErrorKind::Interrupted),
    ] {
        for text in ["", "some text"] {
            let body = if text.is_empty() { event.to_owned() } else { delta(text) + event };
            let (streamed, end) = play_stream(body).await;
            assert_eq!((streamed.as_str(), end.unwrap_err().kind), (text, kind), "{event}");
        }
    }
}

#[tokio::test]
async fn a_bare_error_line_is_reported_while_the_connection_stays_open() {
    let line = "{\"error\":{\"message\":\"x\",\"code\":429}}\n";
    let (_, end) = play_to_end(vec![send(EVENT_STREAM), send(delta("a")), send(line), Step::Hang]).await;
    assert_eq!(end.unwrap_err().kind, ErrorKind::Rate);
}

#[tokio::test]
async fn an_error_as_a_good_json_answer_is_an_error() {
    let body = r#"{"error":{"message":"no","code":"model_not_found"}}"#;
    assert_eq!(refusal("200 OK", "content-type: application/json\r\n", body).await.kind, ErrorKind::UnknownModel);
}

#[tokio::test]
async fn an_error_after_the_last_word_does_not_undo_the_answer() {
    for after in [
        "data: {\"error\":{\"message\":\"late\"}}\n\n",
        "data: {\"choices\":7}\n\n",
        "data: {\"choices\":[],\"usa",
        "<html>",
    ] {
        let (text, end) = play_stream(delta("a") + STOP + after).await;
        assert_eq!((text.as_str(), end.is_ok()), ("a", true), "{after}");
    }
}

#[tokio::test]
async fn codes_that_are_no_statuses_are_not_taken_for_one() {
    let (_, end) = play_stream("data: {\"error\":{\"code\":1002,\"message\":\"x\"}}\n\n").await;
    let error = end.unwrap_err();
    assert_eq!((error.kind, error.message.contains("1002")), (ErrorKind::Interrupted, false), "{error}");
}

#[tokio::test]
async fn what_is_no_chat_completion_is_a_protocol_error() {
    for (headers, body) in [
        ("content-type: text/html\r\n", "<!doctype html><html>hello</html>"),
        ("content-type: text/event-stream\r\n", "\n  <html>"),
        ("content-type: text/plain\r\n", "It works!"),
        ("content-type: application/json\r\n", r#"{"status":"ok"}"#),
        ("content-type: application/json\r\n", "[1,2,3]"),
        ("content-type: application/json\r\n", "{'a'}"),
        ("content-type: text/event-stream\r\n", "data: {\"choices\":[{\"delta\":{\"content\":7}}]}\n\n"),
        ("content-type: text/event-stream\r\n", "data: {\"choices\":\"none\"}\n\n"),
        ("content-type: text/event-stream\r\n", "data: {\"choices\":[{\"finish_reason\":3}]}\n\n"),
        ("content-type: text/event-stream\r\n", "data: {\"choices\n\n"),
        ("content-type: text/event-stream\r\n", "data: hello\n\n"),
    ] {
        assert_eq!(refusal("200 OK", headers, body).await.kind, ErrorKind::Protocol, "{headers}{body}");
    }
}

#[tokio::test]
async fn a_line_of_four_megabytes_is_refused() {
    let (text, end) = play_stream(delta("a") + "data: " + &"x".repeat(4 * 1024 * 1024) + "\n\n" + DONE).await;
    assert_eq!((text.as_str(), end.unwrap_err().kind), ("a", ErrorKind::Protocol));
}

#[tokio::test]
async fn a_body_of_an_error_that_never_ends_does_not_hold_the_call() {
    let head = "HTTP/1.1 500 Oops\r\ncontent-length: 999999999\r\n\r\n";
    let steps = vec![send(head), send("x".repeat(300_000)), Step::Hang];
    assert_eq!(play_to_end(steps).await.1.unwrap_err().kind, ErrorKind::Overload);
}
