//! A model server without a model: chat completions as fast as bytes can be written, or at a pace.
//!
//! Every answer is the same and rendered once. What is measured through it is whoever stands in between.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::{Buf, BytesMut};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use crate::Error;

/// In each token once and nowhere else, so that a receiver counts tokens by counting bytes.
pub const MARK: u8 = b'~';
/// A token: four bytes, as tokens are on average.
pub const TOKEN: &str = "~to ";
/// How far before a request's end its options are looked for.
const OPTIONS_BYTES: usize = 512;
/// The longest request that is read.
const MAX_REQUEST: usize = 16 * 1024 * 1024;

/// What it says when asked for its models.
const MODELS: &str = r#"{"object":"list","data":[{"id":"m1","object":"model","owned_by":"bench"}]}"#;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
                    transfer-encoding: chunked\r\n\r\n";

/// What it answers.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// How many tokens.
    pub tokens: usize,
    /// The time from one to the next; zero writes the whole answer at once.
    pub pace: Duration,
    /// The time from the request to the first of them.
    pub wait: Duration,
}

impl Script {
    /// An answer that begins at once.
    pub fn new(tokens: usize, pace: Duration) -> Self {
        Self { tokens, pace, wait: Duration::ZERO }
    }

    /// The text of an answer.
    pub fn text(&self) -> String {
        TOKEN.repeat(self.tokens)
    }
}

/// A running provider; dropping it stops it.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    heard: Arc<Heard>,
    rendered: Arc<Rendered>,
    serving: JoinHandle<()>,
}

/// What it was asked last, and when it began to answer.
#[derive(Debug, Default)]
struct Heard {
    asked: Mutex<Option<Asked>>,
    began: Mutex<Option<std::time::Instant>>,
}

/// A request that it got.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// When its last byte was there.
    pub at: SystemTime,
    /// How many bytes its body had.
    pub bytes: usize,
}

/// The answer's pieces, rendered.
#[derive(Debug)]
struct Rendered {
    first: Vec<u8>,
    token: Vec<u8>,
    /// Without the tokens used, and with them for whoever asked for them.
    last: [Vec<u8>; 2],
    whole: [Vec<u8>; 2],
    script: Script,
}

/// What a request is about.
#[derive(Clone, Copy)]
struct Request {
    bytes: usize,
    completes: bool,
    wants_usage: bool,
}

impl Provider {
    /// Starts one on a port of its own.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(script: Script) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (heard, rendered) = (Arc::new(Heard::default()), Arc::new(render(script)));
        let serving = tokio::spawn(serve(listener, Arc::clone(&rendered), Arc::clone(&heard)));
        Ok(Self { address, heard, rendered, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client of it is set to.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The last request, taken out.
    pub fn take_asked(&self) -> Option<Asked> {
        take(&self.heard.asked)
    }

    /// When it was about to write the last answer's first byte, taken out.
    pub fn take_began(&self) -> Option<std::time::Instant> {
        take(&self.heard.began)
    }

    /// What it writes first: the head, and the first token.
    pub fn first_bytes(&self) -> &[u8] {
        &self.rendered.first
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn put<T>(slot: &Mutex<Option<T>>, value: T) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

async fn serve(listener: TcpListener, rendered: Arc<Rendered>, heard: Arc<Heard>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (rendered, heard) = (Arc::clone(&rendered), Arc::clone(&heard));
        // A client that hangs up has no further use for the answer.
        tokio::spawn(async move { answer_all(stream, &rendered, &heard).await.ok() });
    }
}

async fn answer_all(mut stream: TcpStream, rendered: &Rendered, last: &Heard) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = BytesMut::new();
    while let Some(Request { bytes, completes, wants_usage }) = request(&mut stream, &mut received).await? {
        if !completes {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
            stream.write_all(format!("{head} {}\r\n\r\n{MODELS}", MODELS.len()).as_bytes()).await?;
            continue;
        }
        let usage = usize::from(wants_usage);
        put(&last.asked, Asked { at: SystemTime::now(), bytes });
        if !rendered.script.wait.is_zero() {
            sleep(rendered.script.wait).await;
        }
        put(&last.began, std::time::Instant::now());
        if rendered.script.pace.is_zero() {
            stream.write_all(&rendered.whole[usage]).await?;
        } else {
            answer_at_pace(&mut stream, rendered, usage).await?;
        }
    }
    Ok(())
}

async fn answer_at_pace(stream: &mut TcpStream, rendered: &Rendered, usage: usize) -> std::io::Result<()> {
    let Script { tokens, pace, .. } = rendered.script;
    stream.write_all(&rendered.first).await?;
    let mut due = interval_at(Instant::now() + pace, pace);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for _ in 1..tokens {
        due.tick().await;
        stream.write_all(&rendered.token).await?;
    }
    stream.write_all(&rendered.last[usage]).await
}

/// Reads a request; none when the client has hung up.
async fn request(stream: &mut TcpStream, received: &mut BytesMut) -> std::io::Result<Option<Request>> {
    let mut whole = None;
    loop {
        if whole.is_none()
            && let Some(end) = memchr::memmem::find(received, b"\r\n\r\n")
        {
            whole = Some((end + 4, content_length(&received[..end])));
        }
        if let Some((head, body)) = whole
            && received.len() >= head + body
        {
            let completes = received.starts_with(b"POST");
            // The option comes last; the prompt before it may be long.
            let end = &received[head + body - body.min(OPTIONS_BYTES)..head + body];
            let wants_usage = memchr::memmem::find(end, b"include_usage").is_some();
            received.advance(head + body);
            return Ok(Some(Request { bytes: body, completes, wants_usage }));
        }
        if received.len() > MAX_REQUEST || stream.read_buf(received).await? == 0 {
            return Ok(None);
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head);
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}

fn render(script: Script) -> Rendered {
    let said = json!({ "content": TOKEN });
    let first = format!("{HEAD}{}", chunk(&event(&json!({ "role": "assistant", "content": TOKEN }), None)));
    let token = chunk(&event(&said, None));
    let stop = chunk(&event(&json!({}), Some("stop")));
    let done = format!("{}0\r\n\r\n", chunk("data: [DONE]\n\n"));
    let usage = json!({ "prompt_tokens": 1, "completion_tokens": script.tokens, "total_tokens": script.tokens + 1 });
    let usage = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m1", "choices": [],
        "usage": usage,
    });
    let last = [format!("{stop}{done}"), format!("{stop}{}{done}", chunk(&format!("data: {usage}\n\n")))];
    let tokens = token.repeat(script.tokens.saturating_sub(1));
    let whole = last.each_ref().map(|last| format!("{first}{tokens}{last}").into_bytes());
    let [first, token] = [first, token].map(String::into_bytes);
    Rendered { first, token, last: last.map(String::into_bytes), whole, script }
}

fn event(delta: &Value, finish: Option<&str>) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
    let frame = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m1", "choices": [choice],
    });
    format!("data: {frame}\n\n")
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}
