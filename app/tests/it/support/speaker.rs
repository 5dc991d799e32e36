//! A provider that speaks one of the seven protocols: it answers every question with thoughts, words and calls of tools, as
//! that protocol's documentation has them, refuses what the real one would refuse, and keeps a bill.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use workers::provider::recorded::{Recorded, TOKENS};
use workers::provider::{Protocol, rules};

use super::http;

/// What Google documents in place of the signature of a call that another model made.
const FOREIGN_CALL: &str = "skip_thought_signature_validator";

/// A provider of one protocol.
pub(crate) struct Speaker {
    pub(crate) protocol: Protocol,
    pub(crate) base_url: String,
    state: Arc<State>,
}

struct State {
    protocol: Protocol,
    /// The number of the next answer, whoever gives it.
    next: Arc<AtomicU32>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// What its model thought, and how that was signed.
    thought: HashSet<String>,
    /// How much of it came back.
    shown: usize,
    calls: u64,
    /// In how many it was told what of the prompt to keep in its cache.
    marked: u64,
    /// Requests that the real one would have refused, and why.
    refused: Vec<String>,
}

impl Speaker {
    /// Starts one; answers are numbered through with the other speakers that count by `next`.
    pub(crate) async fn start(protocol: Protocol, next: Arc<AtomicU32>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let state = Arc::new(State { protocol, next, seen: Mutex::default() });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&serving)));
            }
        });
        Self { protocol, base_url, state }
    }

    /// What it asks to be paid for, in tokens.
    pub(crate) fn bill(&self) -> u64 {
        self.state.seen.lock().unwrap().calls * TOKENS
    }

    /// How often it was shown what its model had thought.
    pub(crate) fn shown(&self) -> usize {
        self.state.seen.lock().unwrap().shown
    }

    /// Whether every call told what of the prompt it shall keep in its cache.
    pub(crate) fn is_told_what_to_keep(&self) -> bool {
        let seen = self.state.seen.lock().unwrap();
        seen.marked == seen.calls
    }

    /// The real one would have refused nothing.
    pub(crate) fn assert_content(&self) {
        let refused = &self.state.seen.lock().unwrap().refused;
        assert!(refused.is_empty(), "{:?}: {refused:#?}", self.protocol);
    }
}

async fn serve(socket: TcpStream, state: Arc<State>) {
    let (mut reader, mut writer) = http::sides(socket);
    let Some(request) = http::read(&mut reader).await else { return };
    let _ = match state.take(&request.body) {
        Ok(answer) => {
            let _ = http::respond(&mut writer, "200 OK", answer.content_type, []).await;
            writer.write_all(&answer.whole()).await
        }
        Err(why) => {
            let body = serde_json::json!({ "error": { "message": why, "type": "invalid_request_error" } });
            http::respond(&mut writer, "400 Bad Request", "application/json", body.to_string()).await
        }
    };
}

impl State {
    /// The answer to a request.
    fn take(&self, body: &Value) -> Result<Recorded, String> {
        let mut seen = self.seen.lock().unwrap();
        seen.calls += 1;
        let thoughts: Vec<_> = rules::thoughts(body).into_iter().filter(|thought| *thought != FOREIGN_CALL).collect();
        let foreign = thoughts.iter().find(|thought| !seen.thought.contains(**thought));
        let foreign = foreign.map_or(Ok(()), |thought| Err(format!("{thought:?} is no thought of this model")));
        if let Err(why) = rules::check(self.protocol, body).and(foreign) {
            seen.refused.push(format!("{why}: {body:#}"));
            return Err(why);
        }
        seen.shown += thoughts.len();
        let text = body.to_string();
        seen.marked += u64::from(text.contains("cache_control") || text.contains("cachePoint"));
        let answer = Recorded::of(self.protocol, self.next.fetch_add(1, Ordering::Relaxed));
        seen.thought.extend([answer.thought.clone(), answer.signature.clone()]);
        Ok(answer)
    }
}
