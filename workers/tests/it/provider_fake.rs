//! A server made of bytes: sends exactly what a test says, split as it says, and reports what it saw. It speaks whatever
//! protocol a test makes it speak; what is named after none is of chat completions.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use workers::provider::{
    Catalog, Chunk, Deadlines, Error, ModelConfig, PromptMessage, Protocol, Provider, ProviderConfig, Request, Role,
};

pub(crate) const KEY: &str = "very-secret-key";
pub(crate) const EVENT_STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

#[derive(Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// Each byte in a write of its own.
    Drip(Vec<u8>),
    /// The same without end, as fast as it goes.
    Flood(Vec<u8>),
    Pause(Duration),
    /// Silence until the client hangs up.
    Hang,
    /// Ends the connection; without it, the next request is answered by the same steps.
    Close,
    /// Ends it with a reset.
    Reset,
}

pub(crate) fn send(text: impl AsRef<[u8]>) -> Step {
    Step::Send(text.as_ref().to_vec())
}

#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    Connected,
    /// A request's head and body.
    Request(String),
    HungUp,
}

pub(crate) struct Fake {
    pub(crate) base_url: String,
    seen: mpsc::UnboundedReceiver<Seen>,
}

impl Fake {
    pub(crate) async fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (report, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                _ = report.send(Seen::Connected);
                tokio::spawn(play(socket, steps.clone(), report.clone()));
            }
        });
        Self { base_url, seen }
    }

    /// The next thing seen; fails when there is none for five seconds.
    pub(crate) async fn seen(&mut self) -> Seen {
        tokio::time::timeout(Duration::from_secs(5), self.seen.recv()).await.unwrap().unwrap()
    }

    pub(crate) async fn request(&mut self) -> String {
        loop {
            if let Seen::Request(text) = self.seen().await {
                return text;
            }
        }
    }

    pub(crate) fn provider(&self, deadlines: Deadlines) -> Arc<dyn Provider> {
        provider(&self.base_url, deadlines)
    }
}

async fn play(mut socket: TcpStream, steps: Vec<Step>, report: mpsc::UnboundedSender<Seen>) {
    socket.set_nodelay(true).unwrap();
    loop {
        let Some(request) = read_request(&mut socket).await else {
            _ = report.send(Seen::HungUp);
            return;
        };
        _ = report.send(Seen::Request(request));
        for step in &steps {
            match step {
                Step::Send(bytes) => {
                    if socket.write_all(bytes).await.is_err() {
                        _ = report.send(Seen::HungUp);
                        return;
                    }
                }
                Step::Flood(bytes) => {
                    while socket.write_all(bytes).await.is_ok() {}
                    _ = report.send(Seen::HungUp);
                    return;
                }
                Step::Drip(bytes) => {
                    for byte in bytes {
                        // A client that has hung up makes this fail, which is no failure of the test.
                        _ = socket.write_all(&[*byte]).await;
                        tokio::task::yield_now().await;
                    }
                }
                Step::Pause(time) => tokio::time::sleep(*time).await,
                Step::Hang => {
                    while matches!(socket.read(&mut [0; 64]).await, Ok(1..)) {}
                    _ = report.send(Seen::HungUp);
                    return;
                }
                Step::Close => return,
                Step::Reset => return socket.set_zero_linger().unwrap(),
            }
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

pub(crate) fn provider(base_url: &str, deadlines: Deadlines) -> Arc<dyn Provider> {
    provider_of(config(base_url), deadlines)
}

/// The provider that a configuration means.
pub(crate) fn provider_of(config: ProviderConfig, deadlines: Deadlines) -> Arc<dyn Provider> {
    _ = rustls::crypto::ring::default_provider().install_default();
    Catalog::new(vec![config], None, deadlines).unwrap().resolve(None).unwrap().0
}

pub(crate) fn config(base_url: &str) -> ProviderConfig {
    config_of(Protocol::OpenaiChat, base_url)
}

pub(crate) fn config_of(protocol: Protocol, base_url: &str) -> ProviderConfig {
    ProviderConfig {
        id: "mock".to_owned(),
        protocol,
        base_url: Some(base_url.to_owned()),
        api_key: Some(KEY.to_owned().into()),
        access_key_id: None,
        session_token: None,
        auth: None,
        max_tokens: false,
        models: vec![ModelConfig { id: "m1".to_owned(), context_window: Some(128_000), ..ModelConfig::default() }],
        open: false,
    }
}

pub(crate) fn ask(question: &str) -> Request {
    let messages = vec![PromptMessage::text(Role::System, "Be brief."), PromptMessage::text(Role::User, question)];
    Request { model: "m1".to_owned(), messages, user: Some("u1".to_owned()), ..Request::default() }
}

/// Everything that the provider streams, but its own words for what it cost.
pub(crate) async fn collect_all(provider: &dyn Provider, request: Request) -> (Vec<Chunk>, Result<Chunk, Error>) {
    let mut stream = provider.stream(request);
    let mut pieces = Vec::new();
    let mut end = None;
    while let Some(item) = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.unwrap() {
        assert!(end.is_none(), "something came after the end: {item:?}");
        match item {
            Ok(Chunk::Finished { finish, mut usage }) => {
                usage.raw = None;
                end = Some(Ok(Chunk::Finished { finish, usage }));
            }
            Ok(piece) => pieces.push(piece),
            error => end = Some(error),
        }
    }
    (pieces, end.unwrap())
}

/// The same: the text alone, and how it ended.
pub(crate) async fn collect(provider: &dyn Provider, question: &str) -> (String, Result<Chunk, Error>) {
    let (pieces, end) = collect_all(provider, ask(question)).await;
    let texts = pieces.into_iter().filter_map(|piece| match piece {
        Chunk::Text(text) => {
            assert!(!text.is_empty());
            Some(text)
        }
        _ => None,
    });
    (texts.collect(), end)
}

/// What a server that plays `steps` makes of a call.
pub(crate) async fn play_to_end(steps: Vec<Step>) -> (String, Result<Chunk, Error>) {
    let fake = Fake::start(steps).await;
    collect(&*fake.provider(Deadlines::default()), "Hi").await
}

/// A stream of these bytes, ended by closing the connection.
pub(crate) async fn play_stream(body: impl AsRef<[u8]>) -> (String, Result<Chunk, Error>) {
    play_to_end(vec![send(EVENT_STREAM), send(body), Step::Close]).await
}

/// A frame of a stream with this text.
pub(crate) fn delta(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(
        "data: {{\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{text}}}}}]}}\n\n"
    )
}

pub(crate) const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
pub(crate) const DONE: &str = "data: [DONE]\n\n";
