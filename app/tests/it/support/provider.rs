//! A provider that does what the question says. The question's first words are the way it answers:
//!
//! `say N`: N words at once · `pace N MS`: a word each MS milliseconds · `hold N`: N words, then N more once the test
//! lets it, a word each 40 ms when asked again · `hang`: nothing at all · `cut N`: N words, then a cut connection · `recover N`: cut at the first call, whole
//! at the next · `vanish N`: an end without the mark of one · `html`, `broken` (500), `busy N` (503, wants to be left
//! alone for N seconds), `refused` (401), `line` (4 MB in one line). With `billed` in front of it, a whole answer says what it costs.
//! A word is a token: no more are said than the request allows.
//! Asked as an Ollama is (`/api/chat`), it can only say its words.
//!
//! `broken-off N`: N words of 2 N at the first call, then an end without its mark. Asked to go on with an answer that has begun, it says the
//! rest of 2 N words, `hold` not before the test lets it, `echo` (else `broken-off`) after what it was given, and `stubborn` (the same)
//! refuses to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{http, until};

const WORDS: [&str; 7] = ["naïve", "日本語", "🦀", "Grüße", "plain", "Ω≈ç√", "e\u{301}"];

/// What every prompt is billed as; the answer is billed as many tokens as it was asked to have words.
const PROMPT_TOKENS: usize = 100;

/// The first `words` words of every answer.
pub(crate) fn answer(words: usize) -> String {
    (0..words).map(word).collect()
}

fn word(nth: usize) -> String {
    format!("{}{nth} ", WORDS[nth % WORDS.len()])
}

pub(crate) struct Provider {
    pub(crate) base_url: String,
    state: Arc<State>,
}

struct State {
    asked: Mutex<HashMap<String, Asked>>,
    /// The heads of all requests.
    heads: Mutex<Vec<String>>,
    held: watch::Sender<bool>,
    /// The messages of the requests that ended with the model's own, from there.
    begun: Mutex<Vec<Value>>,
    /// Tokens that it said that it bills.
    billed: AtomicU64,
    /// How often it was asked which models it has.
    lists: AtomicU64,
    /// How it answers, whatever the question says.
    always: Option<&'static str>,
}

#[derive(Clone, Copy, Default)]
struct Asked {
    calls: usize,
    hung_up: usize,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// One that answers every question in this way.
    pub(crate) async fn that_always(way: &'static str) -> Self {
        Self::start_with(Some(way)).await
    }

    async fn start_with(always: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let state = Arc::new(State {
            asked: Mutex::default(),
            heads: Mutex::default(),
            begun: Mutex::default(),
            held: watch::Sender::new(true),
            billed: AtomicU64::new(0),
            lists: AtomicU64::new(0),
            always,
        });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&serving)));
            }
        });
        Self { base_url, state }
    }

    /// How often a question was asked.
    pub(crate) fn calls(&self, question: &str) -> usize {
        self.asked(question).calls
    }

    /// How often any question was asked.
    pub(crate) fn all_calls(&self) -> usize {
        self.state.asked.lock().unwrap().values().map(|asked| asked.calls).sum()
    }

    /// The tokens that it said that it bills.
    pub(crate) fn billed(&self) -> u64 {
        self.state.billed.load(Ordering::Relaxed)
    }

    /// How often it was asked which models it has.
    pub(crate) fn lists(&self) -> u64 {
        self.state.lists.load(Ordering::Relaxed)
    }

    /// Returns once a question has been asked so often.
    pub(crate) async fn until_asked(&self, question: &str, calls: usize) {
        until(&format!("{question:?} is asked {calls} times"), async || self.calls(question) >= calls).await;
    }

    /// Returns once the asker of a question has hung up before its answer was whole.
    pub(crate) async fn until_hung_up(&self, question: &str) {
        until(&format!("the asker of {question:?} hangs up"), async || self.asked(question).hung_up > 0).await;
    }

    /// The heads of all requests, as they came.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.state.heads.lock().unwrap().clone()
    }

    /// The answers that it was asked to go on with, as they came.
    pub(crate) fn begun(&self) -> Vec<Value> {
        self.state.begun.lock().unwrap().clone()
    }

    /// Lets held answers go on.
    pub(crate) fn release(&self) {
        self.state.held.send_replace(false);
    }

    fn asked(&self, question: &str) -> Asked {
        self.state.asked.lock().unwrap().get(question).copied().unwrap_or_default()
    }
}

async fn serve(socket: TcpStream, state: Arc<State>) {
    let (mut reader, mut writer) = http::sides(socket);
    if let Some(models) = asks_for_models(&mut reader).await {
        state.lists.fetch_add(1, Ordering::Relaxed);
        let _ = http::respond(&mut writer, "200 OK", "application/json", models).await;
        return;
    }
    let Some(Question { text: question, begun, most, is_ollama }) = read_question(&mut reader, &state).await else {
        return;
    };
    let call = {
        let mut asked = state.asked.lock().unwrap();
        let asked = asked.entry(question.clone()).or_default();
        asked.calls += 1;
        asked.calls
    };
    let answering = async {
        if is_ollama {
            chat(&mut writer, &question).await
        } else {
            reply(&mut writer, &question, (call, begun, most), &state).await
        }
    };
    let mut byte = [0];
    tokio::select! {
        _ = reader.read(&mut byte) => state.asked.lock().unwrap().entry(question.clone()).or_default().hung_up += 1,
        _ = answering => {}
    }
}

/// What it has, if that is asked of it: as an Ollama, or as everyone else.
async fn asks_for_models(reader: &mut BufReader<OwnedReadHalf>) -> Option<&'static str> {
    let begin = reader.fill_buf().await.ok()?;
    if begin.starts_with(b"GET /api/tags") {
        return Some(r#"{"models":[{"name":"tiny:1b"}]}"#);
    }
    let is_asked = begin.starts_with(b"GET /v1/models");
    is_asked.then_some(r#"{"data":[{"id":"m1","context_length":4000},{"id":"m2"}]}"#)
}

/// What is asked.
struct Question {
    /// What was asked last.
    text: String,
    /// The beginning of an answer to it.
    begun: Option<String>,
    /// How many words the answer may have.
    most: usize,
    /// Whether in the words of Ollama.
    is_ollama: bool,
}

async fn read_question(reader: &mut BufReader<OwnedReadHalf>, state: &State) -> Option<Question> {
    let http::Request { head, body } = http::read(reader).await?;
    let is_ollama = head.starts_with("POST /api/chat ");
    state.heads.lock().unwrap().push(head);
    let (mut messages, mut begun) = (body["messages"].as_array()?.as_slice(), None);
    if let [before @ .., last] = messages
        && last["role"] == "assistant"
    {
        state.begun.lock().unwrap().push(last.clone());
        (messages, begun) = (before, Some(last["content"].as_str()?.to_owned()));
    }
    // After a question that got no answer at all, both stand in one message.
    let content = messages.last()?["content"].as_str()?;
    let most = ["max_tokens", "max_completion_tokens"].iter().find_map(|name| body[name].as_u64());
    let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap());
    Some(Question { text: content.rsplit("\n\n").next()?.to_owned(), begun, most, is_ollama })
}

/// What an Ollama answers: a document a line.
async fn chat(to: &mut OwnedWriteHalf, question: &str) -> std::io::Result<()> {
    let words = question.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default();
    let message = |content: String| json!({ "role": "assistant", "content": content });
    let said = (0..words).map(|nth| json!({ "message": message(word(nth)), "done": false }));
    let end = json!({ "message": message(String::new()), "done": true, "done_reason": "stop" });
    let lines = said.chain([end]).fold(String::new(), |lines, line| lines + &line.to_string() + "\n");
    http::respond(to, "200 OK", "application/x-ndjson", &lines).await
}

async fn reply(
    to: &mut OwnedWriteHalf,
    question: &str,
    (call, begun, most): (usize, Option<String>, usize),
    state: &State,
) -> std::io::Result<()> {
    let question = state.always.unwrap_or(question);
    let billed = question.strip_prefix("billed ");
    let mut words = billed.unwrap_or(question).split_whitespace();
    let way = words.next().unwrap_or_default();
    let mut number = || words.next().and_then(|word| word.parse::<usize>().ok()).unwrap_or_default();
    match way {
        "hang" => std::future::pending().await,
        "html" => {
            http::respond(to, "200 OK", "text/html", "<!doctype html><title>Sign in to the hotel's network</title>")
                .await
        }
        "broken" => {
            http::respond(to, "500 Internal Server Error", "application/json", r#"{"error":{"message":"broken"}}"#)
                .await
        }
        "stubborn" if begun.is_some() => {
            http::respond(to, "400 Bad Request", "application/json", r#"{"error":{"message":"ends with an answer"}}"#)
                .await
        }
        "busy" => {
            let kind = format!("application/json\r\nretry-after: {}", number());
            http::respond(to, "503 Service Unavailable", &kind, r#"{"error":{"message":"busy"}}"#).await
        }
        "refused" => {
            http::respond(to, "401 Unauthorized", "application/json", r#"{"error":{"message":"wrong key"}}"#).await
        }
        "line" => {
            http::respond(to, "200 OK", "text/event-stream", "data: ").await?;
            to.write_all(&vec![b'x'; 4 * 1024 * 1024]).await
        }
        _ => {
            let promised =
                if way == "cut" { "text/event-stream\r\ncontent-length: 1000000" } else { "text/event-stream" };
            http::respond(to, "200 OK", promised, "").await?;
            let wanted = number();
            let count = wanted.min(most);
            if let Some(begun) = begun {
                return go_on(to, way, &begun, (count, billed.is_some()), state).await;
            }
            let pause = if way == "pace" { Duration::from_millis(number() as u64) } else { Duration::ZERO };
            say(to, 0..count, pause).await?;
            match way {
                "cut" | "vanish" => return Ok(()),
                "recover" | "broken-off" | "echo" | "stubborn" if call == 1 => return Ok(()),
                "broken-off" | "echo" | "stubborn" => say(to, count..2 * count, Duration::ZERO).await?,
                "hold" => {
                    let _ = state.held.subscribe().wait_for(|held| !held).await;
                    let pause = Duration::from_millis(if call > 1 { 40 } else { 0 });
                    say(to, count..2 * count, pause).await?;
                }
                _ => {}
            }
            let finish = if count < wanted { "length" } else { "stop" };
            end(to, finish, (count, billed.is_some()), state).await
        }
    }
}

/// Says the rest of twice as many words.
async fn go_on(
    to: &mut OwnedWriteHalf,
    way: &str,
    begun: &str,
    (count, is_billed): (usize, bool),
    state: &State,
) -> std::io::Result<()> {
    if way == "hold" {
        let _ = state.held.subscribe().wait_for(|held| !held).await;
    }
    let (half, rest) = begun.split_at(begun.floor_char_boundary(begun.len() / 2));
    let echo = [half, rest].into_iter().filter(|_| way == "echo");
    let whole = answer(2 * count);
    for piece in echo.chain(whole.strip_prefix(begun)) {
        to.write_all(frame(&json!({ "content": piece }), None).as_bytes()).await?;
    }
    end(to, "stop", (count, is_billed), state).await
}

/// Ends an answer of so many words.
async fn end(
    to: &mut OwnedWriteHalf,
    finish: &str,
    (words, is_billed): (usize, bool),
    state: &State,
) -> std::io::Result<()> {
    to.write_all(frame(&json!({}), Some(finish)).as_bytes()).await?;
    if is_billed {
        state.billed.fetch_add((PROMPT_TOKENS + words) as u64, Ordering::Relaxed);
        let usage = json!({ "prompt_tokens": PROMPT_TOKENS, "completion_tokens": words });
        let bill = json!({ "id": "1", "object": "chat.completion.chunk", "choices": [], "usage": usage });
        to.write_all(format!("data: {bill}\n\n").as_bytes()).await?;
    }
    to.write_all(b"data: [DONE]\n\n").await
}

async fn say(to: &mut OwnedWriteHalf, words: std::ops::Range<usize>, pause: Duration) -> std::io::Result<()> {
    for nth in words {
        to.write_all(frame(&json!({ "content": word(nth) }), None).as_bytes()).await?;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    Ok(())
}

fn frame(delta: &Value, finish: Option<&str>) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
    format!("data: {}\n\n", json!({ "id": "1", "object": "chat.completion.chunk", "choices": [choice] }))
}
