//! Answers that do not come, do not end, or are no longer wanted.

use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio::net::TcpListener;
use workers::provider::{Chunk, Deadline, Deadlines, ErrorKind};

use crate::provider_fake::{
    EVENT_STREAM, Fake, Seen, Step, ask, collect, delta, play_stream, play_to_end, provider, send,
};

const SHORT: Deadlines = Deadlines {
    connect: Duration::from_millis(300),
    first_token: Duration::from_millis(300),
    between_tokens: Duration::from_millis(300),
};

async fn end_of(steps: Vec<Step>, deadlines: Deadlines) -> (String, ErrorKind) {
    let mut fake = Fake::start(steps).await;
    let began = Instant::now();
    let (text, end) = collect(&*fake.provider(deadlines), "Hi").await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    // The socket of a call that failed does not stay open.
    while fake.seen().await != Seen::HungUp {}
    (text, end.unwrap_err().kind)
}

#[tokio::test]
async fn the_first_token_has_a_deadline() {
    let long = Deadlines { between_tokens: Duration::from_mins(1), connect: Duration::from_mins(1), ..SHORT };
    let late = (String::new(), ErrorKind::Timeout(Deadline::FirstToken));
    assert_eq!(end_of(vec![Step::Hang], long).await, late);
    assert_eq!(end_of(vec![send(EVENT_STREAM), Step::Hang], long).await, late);
    // A role is no token, nor is white space.
    let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    assert_eq!(end_of(vec![send(EVENT_STREAM), send(role), Step::Hang], long).await, late);
    assert_eq!(end_of(vec![send(EVENT_STREAM), send("\n\n"), Step::Hang], long).await, late);
}

#[tokio::test]
async fn comments_keep_the_line_open_but_not_the_call() {
    let comment = [send(": still here\n\n"), Step::Pause(Duration::from_millis(20))];
    let mut steps = vec![send(EVENT_STREAM)];
    steps.extend(comment.iter().cycle().take(80).cloned());
    steps.push(Step::Hang);
    assert_eq!(end_of(steps, SHORT).await.1, ErrorKind::Timeout(Deadline::FirstToken));
}

#[tokio::test]
async fn a_flood_without_a_token_meets_the_deadline_too() {
    let steps = vec![send(EVENT_STREAM), Step::Flood(": flood\n\n".repeat(10_000).into_bytes())];
    assert_eq!(end_of(steps, SHORT).await.1, ErrorKind::Timeout(Deadline::FirstToken));
}

#[tokio::test]
async fn the_next_token_has_a_deadline() {
    let long = Deadlines { first_token: Duration::from_mins(1), ..SHORT };
    let steps = vec![send(EVENT_STREAM), send(delta("a")), Step::Hang];
    assert_eq!(end_of(steps, long).await, ("a".to_owned(), ErrorKind::Timeout(Deadline::BetweenTokens)));
}

#[tokio::test]
async fn what_is_only_counted_is_no_token() {
    let long = Deadlines { first_token: Duration::from_mins(1), ..SHORT };
    let count = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n";
    let counts = [send(count), Step::Pause(Duration::from_millis(100))];
    // For longer than the call may take, and shorter than its end is waited for.
    let steps = [send(EVENT_STREAM), send(delta("a"))].into_iter().chain(counts.iter().cycle().take(84).cloned());
    let steps = steps.chain([Step::Hang]).collect();
    assert_eq!(end_of(steps, long).await, ("a".to_owned(), ErrorKind::Timeout(Deadline::BetweenTokens)));
}

#[tokio::test]
async fn reasoning_and_every_token_extend_the_deadline() {
    let thought = "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n";
    let pause = Step::Pause(Duration::from_millis(600));
    let mut steps = vec![send(EVENT_STREAM)];
    for _ in 0..2 {
        steps.extend([pause.clone(), send(thought), pause.clone(), send(delta("a"))]);
    }
    steps.extend([send(crate::provider_fake::STOP), Step::Close]);
    let fake = Fake::start(steps).await;
    let second = Duration::from_secs(1);
    let deadlines = Deadlines { connect: second, first_token: second, between_tokens: second };
    let (text, end) = collect(&*fake.provider(deadlines), "Hi").await;
    assert_eq!((text.as_str(), end.is_ok()), ("aa", true));
}

#[tokio::test]
async fn a_slow_reader_is_not_the_providers_fault() {
    let steps = vec![
        send(EVENT_STREAM),
        send(delta("a")),
        Step::Pause(Duration::from_millis(50)),
        send(delta("b")),
        send(crate::provider_fake::STOP),
        Step::Close,
    ];
    let fake = Fake::start(steps).await;
    let mut stream = fake.provider(SHORT).stream(ask("Hi"));
    while let Some(item) = stream.next().await {
        item.unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

#[tokio::test]
async fn an_end_without_a_terminal_mark_is_an_interruption() {
    for body in [
        "",
        ": hello\n\n",
        &delta("a"),
        // Cut inside a frame, and in what would have been the mark.
        &(delta("a") + "data: {\"choices\":[{\"del"),
        &(delta("a") + "data: [DO"),
        "{\"choices\":[{\"mess",
    ] {
        let (_, end) = play_stream(body).await;
        assert_eq!(end.unwrap_err().kind, ErrorKind::Interrupted, "{body}");
    }
    let reset = vec![send(EVENT_STREAM), send(delta("a")), Step::Pause(Duration::from_millis(50)), Step::Reset];
    let (text, end) = play_to_end(reset).await;
    assert_eq!((text.as_str(), end.unwrap_err().kind), ("a", ErrorKind::Interrupted));
    // Less than announced.
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n";
    let (_, end) = play_to_end(vec![send(head), send("{\"choices\":[{\"mess"), Step::Close]).await;
    assert_eq!(end.unwrap_err().kind, ErrorKind::Interrupted);
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_a_network_error() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = collect(&*provider(&format!("http://{free}/v1"), SHORT), "Hi").await.1.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Network, "{error}");
    assert!(!error.message.contains("/v1"), "{error}");
    let (_, end) = play_to_end(vec![Step::Close]).await;
    assert_eq!(end.unwrap_err().kind, ErrorKind::Network);
}

#[tokio::test]
async fn a_connection_that_never_stands_meets_its_own_deadline() {
    // Accepts TCP and never answers TLS.
    let fake = Fake::start(vec![Step::Hang]).await;
    let deadlines = Deadlines { first_token: Duration::from_mins(1), ..SHORT };
    let provider = provider(&fake.base_url.replace("http:", "https:"), deadlines);
    let kind = collect(&*provider, "Hi").await.1.unwrap_err().kind;
    assert_eq!(kind, ErrorKind::Timeout(Deadline::Connect));
}

#[tokio::test]
async fn dropping_the_stream_hangs_up() {
    for (steps, text) in [
        (vec![Step::Hang], false),
        (vec![send(EVENT_STREAM), Step::Hang], false),
        (vec![send(EVENT_STREAM), send(delta("a")), Step::Hang], true),
    ] {
        let mut fake = Fake::start(steps).await;
        let mut stream = fake.provider(Deadlines::default()).stream(ask("Hi"));
        if text {
            assert_eq!(stream.next().await.unwrap(), Ok(Chunk::Text("a".to_owned())));
        } else {
            let waiting = tokio::time::timeout(Duration::from_millis(200), stream.next()).await;
            assert!(waiting.is_err(), "{waiting:?}");
        }
        let began = Instant::now();
        drop(stream);
        while fake.seen().await != Seen::HungUp {}
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn an_unpolled_stream_sends_nothing() {
    let mut fake = Fake::start(vec![Step::Hang]).await;
    let stream = fake.provider(SHORT).stream(ask("Hi"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(stream);
    let provider = fake.provider(SHORT);
    _ = collect(&*provider, "only this").await;
    assert!(fake.request().await.contains("only this"));
}
