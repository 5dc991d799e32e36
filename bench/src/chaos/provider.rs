//! A provider that speaks `OpenAI`'s chat completions byte by byte, and misbehaves: a little always, a lot when told to.
//! No two answers are the same: each word names the question and the call. How a call is answered follows from the seed,
//! the question and how often it was asked: calls come in another order in each run.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::history::{Call, Tokens};
use super::locked;
use super::schedule::Whim;
use crate::Error;

/// One call in so many misbehaves by itself.
const BAD_LUCK: u32 = 25;
/// Of ten calls, so many misbehave when the provider is told to.
const WHEN_TOLD: u32 = 7;
/// How many words an answer has.
const WORDS: std::ops::Range<usize> = 3..40;
/// The longest pause between two words of an ordinary answer, in milliseconds.
const MAX_PAUSE_MS: u64 = 40;
/// The pause between two words of a slow answer, and the silence in the middle of a stalled one.
const SLOW_PAUSE: Duration = Duration::from_millis(150);
const SILENCE: Duration = Duration::from_secs(6);
/// Of ten whole answers, so many end with what they are paid by.
const COUNTS: u32 = 7;
/// Characters of one to four bytes, and one made of two.
const SYLLABLES: [&str; 6] = ["naïve", "日本", "🦀", "plain", "Ω≈ç", "e\u{301}"];

/// A running provider; dropping it ends it.
#[derive(Debug)]
pub(super) struct Provider {
    address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

#[derive(Debug)]
struct State {
    seed: u64,
    whim: Mutex<Option<Whim>>,
    calls: Mutex<Vec<Call>>,
    asked: Mutex<HashMap<String, usize>>,
}

impl Provider {
    pub(super) async fn start(seed: u64) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(seed));
        let serving = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&serving)));
            }
        });
        Ok(Self { address, state, accepting: accepting.abort_handle() })
    }

    pub(super) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// How it misbehaves from now on.
    pub(super) fn set_whim(&self, whim: Option<Whim>) {
        *locked(&self.state.whim) = whim;
    }

    /// Every call that it began to answer.
    pub(super) fn calls(&self) -> Vec<Call> {
        locked(&self.state.calls).clone()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// How a call will be answered.
struct Plan {
    whim: Option<Whim>,
    words: Vec<String>,
    pause: Duration,
    counted: Option<Tokens>,
}

/// What it was asked.
struct Asked {
    model: String,
    question: String,
    /// How many bytes the request had.
    bytes: usize,
}

impl State {
    fn new(seed: u64) -> Self {
        Self { seed, whim: Mutex::default(), calls: Mutex::default(), asked: Mutex::default() }
    }

    fn plan(&self, Asked { model, question, bytes }: Asked) -> Plan {
        let nth = {
            let mut asked = locked(&self.asked);
            let nth = asked.entry(question.clone()).or_default();
            *nth += 1;
            *nth
        };
        let told = *locked(&self.whim);
        let mut hasher = DefaultHasher::new();
        (self.seed, &question, nth).hash(&mut hasher);
        let mut rng = Rng::with_seed(hasher.finish());
        let whims = [Whim::Hang, Whim::Error, Whim::Limit, Whim::Cut, Whim::Stall, Whim::Slow];
        // All is drawn, so that what follows is the same whether it was told anything or not.
        let (obeys, unlucky, own) = (rng.u32(0..10) < WHEN_TOLD, rng.u32(0..BAD_LUCK) == 0, rng.usize(0..whims.len()));
        let whim = told.filter(|_| obeys).or_else(|| unlucky.then_some(whims[own]));
        let name = question.split_whitespace().next().unwrap_or_default();
        let word = |at: usize| format!("{}·{name}·{nth}·{at} ", SYLLABLES[at % SYLLABLES.len()]);
        let words: Vec<String> = (0..rng.usize(WORDS)).map(word).collect();
        let pause = if whim == Some(Whim::Slow) { SLOW_PAUSE } else { Duration::from_millis(rng.u64(0..MAX_PAUSE_MS)) };
        let whole = !matches!(whim, Some(Whim::Hang | Whim::Error | Whim::Limit | Whim::Cut));
        let bytes = bytes as u64;
        let tokens = Tokens { input: bytes, output: words.len() as u64 };
        let counted = (whole && rng.u32(0..10) < COUNTS).then_some(tokens);
        let refused = matches!(whim, Some(Whim::Error | Whim::Limit));
        locked(&self.calls).push(Call { model, question, bytes, text: words.concat(), whole, refused, counted });
        Plan { whim, words, pause, counted }
    }
}

async fn serve(socket: TcpStream, state: Arc<State>) {
    let _ = socket.set_nodelay(true);
    let (reader, mut writer) = socket.into_split();
    let mut reader = BufReader::new(reader);
    let Some(asked) = asked(&mut reader).await else { return };
    let plan = state.plan(asked);
    let mut byte = [0];
    tokio::select! {
        // The asker hung up.
        _ = reader.read(&mut byte) => {}
        _ = reply(&mut writer, plan) => {}
    }
}

/// Reads a request; the question is what was said last in it.
async fn asked(reader: &mut BufReader<OwnedReadHalf>) -> Option<Asked> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    let said = body["messages"].as_array()?.last()?["content"].as_str()?;
    // What nobody answered stands before it, in a paragraph of its own; and where several take part, the model is told who
    // speaks: `ann: …`.
    let question = said.rsplit("\n\n").next()?.rsplit(": ").next()?.to_owned();
    Some(Asked { model: body["model"].as_str()?.to_owned(), question, bytes: length })
}

async fn reply(to: &mut OwnedWriteHalf, Plan { whim, words, pause, counted }: Plan) -> std::io::Result<()> {
    match whim {
        Some(Whim::Hang) => std::future::pending().await,
        Some(Whim::Error) => return refuse(to, "500 Internal Server Error").await,
        Some(Whim::Limit) => return refuse(to, "429 Too Many Requests").await,
        _ => {}
    }
    to.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n").await?;
    let middle = words.len() / 2;
    for (at, word) in words.iter().enumerate() {
        match whim {
            Some(Whim::Cut) if at == middle => return Ok(()),
            Some(Whim::Stall) if at == middle => sleep(SILENCE).await,
            _ => {}
        }
        to.write_all(frame(&json!({ "content": word }), None).as_bytes()).await?;
        sleep(pause).await;
    }
    // In one piece, so that what was counted is not lost behind the end.
    let usage = counted.map(usage).unwrap_or_default();
    to.write_all(format!("{}{usage}data: [DONE]\n\n", frame(&json!({}), Some("stop"))).as_bytes()).await
}

async fn refuse(to: &mut OwnedWriteHalf, status: &str) -> std::io::Result<()> {
    let body = r#"{"error":{"message":"not now"}}"#;
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{body}");
    to.write_all(head.as_bytes()).await
}

fn usage(Tokens { input, output }: Tokens) -> String {
    let usage = json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output });
    format!("data: {}\n\n", json!({ "id": "1", "object": "chat.completion.chunk", "choices": [], "usage": usage }))
}

fn frame(delta: &Value, finish: Option<&str>) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
    format!("data: {}\n\n", json!({ "id": "1", "object": "chat.completion.chunk", "choices": [choice] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_follows_from_the_question_and_not_from_when_it_is_asked() {
        let answers = |seed: u64, questions: &[&str]| {
            let state = State::new(seed);
            for question in questions {
                state.plan(Asked { model: "m1".to_owned(), question: (*question).to_owned(), bytes: 9 });
            }
            let mut answers: Vec<(String, bool)> =
                locked(&state.calls).iter().map(|call| (call.text.clone(), call.whole)).collect();
            answers.sort();
            answers
        };
        let asked = ["why", "how", "why", "who"];
        assert_eq!(answers(7, &asked), answers(7, &["who", "why", "why", "how"]));
        assert_ne!(answers(7, &asked), answers(8, &asked));
    }
}
