//! Answers that arrive, in all the forms that compatible servers give them.

use domain::conversation::{Finish, Usage};
use workers::provider::{Chunk, Deadlines, ErrorKind};

use crate::provider_fake::{
    DONE, EVENT_STREAM, Fake, KEY, STOP, Seen, Step, collect, delta, play_stream, play_to_end, send,
};

fn finished(finish: Finish, usage: Usage) -> Chunk {
    Chunk::Finished { finish, usage }
}

fn stopped() -> Chunk {
    finished(Finish::Stop, Usage::default())
}

#[tokio::test]
async fn an_answer_split_at_every_byte_is_the_same_answer() {
    let usage = r#"{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}"#;
    let role = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    let last = format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n");
    let body = [": hello\n\n", role, &delta("Grüße, "), &delta("Welt 🌍"), STOP, &last, DONE].concat();
    let (text, end) = play_to_end(vec![Step::Drip([EVENT_STREAM, &body].concat().into_bytes()), Step::Close]).await;
    assert_eq!(text, "Grüße, Welt 🌍");
    let usage =
        Usage { input: Some(6), cached_input: Some(4), output: Some(5), reasoning: Some(2), ..Usage::default() };
    assert_eq!(end, Ok(finished(Finish::Stop, usage)));
    assert_eq!(play_stream(&body).await, (text, end));
}

#[tokio::test]
async fn the_request_is_a_chat_completion_with_the_key_in_its_header() {
    let mut fake = Fake::start(vec![send(EVENT_STREAM), send(STOP), Step::Close]).await;
    collect(&*fake.provider(Deadlines::default()), "Hi").await.1.unwrap();
    let request = fake.request().await;
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("authorization: Bearer {KEY}\r\n")), "{request}");
    let body = r#"{"model":"m1","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true},"user":"u1"}"#;
    assert!(request.ends_with(body), "{request}");
}

#[tokio::test]
async fn line_ends_and_a_byte_order_mark_do_not_matter() {
    let body = [delta("one "), delta("two"), STOP.to_owned(), DONE.to_owned()].concat();
    for ends in ["\n", "\r\n", "\r"] {
        let body = format!("\u{feff}{}", body.replace('\n', ends));
        let steps = vec![send(EVENT_STREAM), Step::Drip(body.into_bytes()), Step::Close];
        assert_eq!(play_to_end(steps).await, ("one two".to_owned(), Ok(stopped())), "{ends:?}");
    }
}

#[tokio::test]
async fn either_terminal_mark_ends_an_answer() {
    assert_eq!(play_stream(delta("a") + STOP).await, ("a".to_owned(), Ok(stopped())));
    let unknown = finished(Finish::Other, Usage::default());
    assert_eq!(play_stream(delta("a") + DONE).await, ("a".to_owned(), Ok(unknown.clone())));
    // Many servers leave out the last empty line.
    assert_eq!(play_stream(delta("a") + "data: [DONE]").await, ("a".to_owned(), Ok(unknown)));
}

#[tokio::test]
async fn a_server_that_says_nothing_after_its_reason_is_not_waited_for_long() {
    let fake = Fake::start(vec![send(EVENT_STREAM), send(delta("a") + STOP), Step::Hang]).await;
    let (text, end) = collect(&*fake.provider(Deadlines::default()), "Hi").await;
    assert_eq!((text, end), ("a".to_owned(), Ok(stopped())));
}

#[tokio::test]
async fn finish_reasons_are_open() {
    for (reason, finish) in [
        ("stop", Finish::Stop),
        ("length", Finish::Length),
        ("content_filter", Finish::ContentFilter),
        ("tool_calls", Finish::ToolCalls),
        ("bored", Finish::Other),
    ] {
        let body =
            format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}},\"finish_reason\":\"{reason}\"}}]}}\n\n");
        assert_eq!(play_stream(body).await, ("a".to_owned(), Ok(finished(finish, Usage::default()))), "{reason}");
    }
}

#[tokio::test]
async fn oddities_of_compatible_servers_are_read() {
    let frames = [
        // Azure; role only; null; unknown fields; SGLang's empty reason; another choice than the first.
        r#"{"choices":[],"prompt_filter_results":[{}]}"#,
        r#"{"choices":[{"delta":{"role":"assistant"}}]}"#,
        r#"{"choices":[{"delta":{"content":null,"refusal":null},"finish_reason":""}],"usage":null,"error":null}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"other"}}]}"#,
        r#"{"type":"ping"}"#,
        // Reasoning, as DeepSeek and Mistral have it, and Mistral's parts.
        r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#,
        r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}}]}"#,
        r#"{"choices":[{"delta":{"content":[{"type":"text","text":"a"},{"type":"reference","ids":[1]}]}}]}"#,
        // Perplexity repeats the whole message; a field that is there but empty.
        r#"{"choices":[{"delta":{"content":"b"},"message":{"content":"ab"}}],"error":{},"usage":{}}"#,
        r#"{"object":"chat.completion.done","choices":[{"message":{"content":"ab"},"finish_reason":"stop"}]}"#,
    ];
    let body = frames.map(|frame| format!("data: {frame}\n\n")).concat();
    assert_eq!(play_stream(body).await, ("ab".to_owned(), Ok(stopped())));
}

#[tokio::test]
async fn usage_never_overlaps() {
    let usage =
        |input, cached_input, output, reasoning| Usage { input, cached_input, output, reasoning, ..Usage::default() };
    for (json, expected) in [
        (r#"{"prompt_tokens":5,"completion_tokens":3}"#, usage(Some(5), None, Some(3), None)),
        // xAI: reasoning beside the completion, seen by its size or by the sum.
        (
            r#"{"prompt_tokens":12,"completion_tokens":1,"total_tokens":303,"completion_tokens_details":{"reasoning_tokens":290}}"#,
            usage(Some(12), None, Some(1), Some(290)),
        ),
        (
            r#"{"prompt_tokens":12,"completion_tokens":100,"total_tokens":122,"completion_tokens_details":{"reasoning_tokens":10}}"#,
            usage(Some(12), None, Some(100), Some(10)),
        ),
        // The usual: among it.
        (
            r#"{"prompt_tokens":12,"completion_tokens":100,"total_tokens":112,"completion_tokens_details":{"reasoning_tokens":10}}"#,
            usage(Some(12), None, Some(90), Some(10)),
        ),
        // DeepSeek.
        (
            r#"{"prompt_tokens":12,"completion_tokens":1,"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":4}"#,
            usage(Some(4), Some(8), Some(1), None),
        ),
        // Nonsense costs the counts, never the answer.
        (r#"{"prompt_tokens":"many","completion_tokens":-3}"#, Usage::default()),
        ("[1]", Usage::default()),
        // MiniMax.
        ("{}", Usage::default()),
    ] {
        let body = format!("{}data: {{\"choices\":[],\"usage\":{json}}}\n\n{DONE}", delta("a") + STOP);
        assert_eq!(play_stream(body).await.1, Ok(finished(Finish::Stop, expected)), "{json}");
    }
}

#[tokio::test]
async fn repeated_usage_counts_once() {
    let frame = |n| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}],\"usage\":{{\"completion_tokens\":{n}}}}}\n\n"
        )
    };
    let groq = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"usage\":{\"completion_tokens\":3}}}\n\n";
    let usage = Usage { output: Some(3), ..Usage::default() };
    let (text, end) = play_stream([frame(1), frame(2), groq.to_owned()].concat()).await;
    assert_eq!((text, end), ("aa".to_owned(), Ok(finished(Finish::Stop, usage))));
}

#[tokio::test]
async fn an_answer_that_does_not_stream_is_an_answer() {
    let body = r#"{"object":"chat.completion","choices":[{"message":{"role":"assistant","content":"whole"},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    let usage = Usage { input: Some(1), output: Some(2), ..Usage::default() };
    let expected = ("whole".to_owned(), Ok(finished(Finish::Length, usage)));
    assert_eq!(play_to_end(vec![Step::Drip([&head, body].concat().into_bytes())]).await, expected);
    // Also under the type of a stream.
    assert_eq!(play_stream(body).await, expected);
}

#[tokio::test]
async fn a_stream_under_another_type_is_a_stream() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";
    let steps = vec![send(head), send("\n\n"), send(delta("a") + STOP), Step::Close];
    assert_eq!(play_to_end(steps).await, ("a".to_owned(), Ok(stopped())));
}

#[tokio::test]
async fn a_long_answer_has_a_bound() {
    let megabyte = "a".repeat(1_000_000);
    let (text, end) = play_stream(delta(&megabyte).repeat(3) + STOP).await;
    assert_eq!((text.len(), end), (3_000_000, Ok(stopped())));
    let (text, end) = play_stream(delta(&megabyte).repeat(5) + STOP).await;
    assert_eq!(text.len(), 4_000_000);
    assert_eq!(end.unwrap_err().kind, ErrorKind::Protocol);
}

#[tokio::test]
async fn the_next_call_uses_the_same_connection() {
    let chunked = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    // The end of the body comes later than the end of the answer.
    let pause = Step::Pause(std::time::Duration::from_millis(50));
    let steps = vec![send(head), send(chunked(&(delta("a") + STOP + DONE))), pause, send("0\r\n\r\n")];
    let mut fake = Fake::start(steps).await;
    let provider = fake.provider(Deadlines::default());
    for _ in 0..3 {
        assert_eq!(collect(&*provider, "Hi").await, ("a".to_owned(), Ok(stopped())));
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    assert_eq!(fake.seen().await, Seen::Connected);
    for _ in 0..3 {
        assert!(matches!(fake.seen().await, Seen::Request(_)));
    }
}
