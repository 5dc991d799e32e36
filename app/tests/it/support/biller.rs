//! A provider that keeps a bill per call. Asked for chat completions, a token for every four bytes of the prompt, and of what
//! it has sent; asked for Messages, it counts in a way of its own, and what it has read before it says anything. The question's
//! first word is where its first call is held:
//!
//! `silent`: before anything is said · `headed`: behind the response's head · `begun`: behind what is counted first ·
//! `thinking`: behind a thought · `middle`: behind half of the answer · `ending`: there too, but the rest follows once the test
//! lets it · `flowing`: nowhere, it says a word every few milliseconds and does not come to an end
//!
//! or how it goes wrong: `status CODE HEADER BODY`: it is refused like this, with or without a header · `html`: by a web page ·
//! `raw BODY`: its answer is this, and no more. All other calls are answered whole, and say what they cost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::form::{Form, chunk};
use super::{http, until};

/// What it says; the first half of it, and all.
pub(crate) const HALF: &str = "Naïve 日本語 Grüße, plain words. ";
pub(crate) const WHOLE: &str = "Naïve 日本語 Grüße, plain words. And 🦀 at the end.";
/// What it thinks, where it does.
const THOUGHT: &str = "Hm, let me think of it.";
/// A word of an answer that flows, and how long it takes.
const WORD: &str = "on ";
const PACE: Duration = Duration::from_millis(5);
/// What every prompt of Messages is thought to have in the provider's cache, in tokens.
const CACHED: u64 = 4_096;

/// One call, and what it is billed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) question: String,
    form: Form,
    /// In bytes: the prompt's text, the thoughts and the words sent.
    pub(crate) prompt: usize,
    thought: usize,
    said: usize,
    /// When, and how much had been said by then; of an answer that flows.
    flow: Vec<(Instant, usize)>,
    /// Whether its asker hung up before the answer was whole.
    pub(crate) hung_up: bool,
}

impl Call {
    /// Tokens of the prompt, without those that were in the cache.
    pub(crate) fn input(&self) -> u64 {
        match self.form {
            Form::Chat => tokens(self.prompt),
            Form::Messages => self.prompt as u64 + 11,
        }
    }

    /// Tokens of the prompt that were.
    pub(crate) fn cached(&self) -> u64 {
        if self.form == Form::Messages { CACHED } else { 0 }
    }

    /// How much of an answer that flows had been said at a moment, in bytes.
    pub(crate) fn said_by(&self, moment: Instant) -> usize {
        self.flow.iter().rev().find(|(at, _)| *at <= moment).map_or(0, |(_, said)| *said)
    }

    /// Tokens of what was sent.
    pub(crate) fn output(&self) -> u64 {
        match self.form {
            Form::Chat => tokens(self.said) + tokens(self.thought),
            Form::Messages => self.said as u64 + 2,
        }
    }
}

/// As many as bytes are, without anyone counting.
pub(crate) fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

pub(crate) struct Biller {
    pub(crate) base_url: String,
    state: Arc<State>,
    door: Option<Door>,
}

#[derive(Default)]
struct State {
    calls: Mutex<Vec<Call>>,
    ending: watch::Sender<bool>,
}

/// Behind which connections wait.
enum Door {
    /// They cannot be made: those that fill the queue are kept here.
    Shut(TcpListener, Vec<TcpStream>),
    /// They can, but nobody reads what comes.
    Unread(watch::Sender<bool>),
}

impl Biller {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (biller, _) = Self::serve(listener, watch::Sender::new(true));
        biller
    }

    /// One to which nobody can connect until its door is opened.
    pub(crate) async fn shut() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        // What does not fit into the queue is not answered, and is tried again by who connects.
        let filling = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let base_url = format!("http://{address}/v1");
        Self { base_url, state: Arc::default(), door: Some(Door::Shut(listener, filling.into())) }
    }

    /// One that reads nothing until its door is opened.
    pub(crate) async fn unread() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (biller, open) = Self::serve(listener, watch::Sender::new(false));
        Self { door: Some(Door::Unread(open)), ..biller }
    }

    fn serve(listener: TcpListener, open: watch::Sender<bool>) -> (Self, watch::Sender<bool>) {
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let state = Arc::<State>::default();
        accept(listener, Arc::clone(&state), open.clone());
        (Self { base_url, state, door: None }, open)
    }

    /// Lets everyone in.
    pub(crate) fn open(&mut self) {
        match self.door.take() {
            Some(Door::Shut(listener, filling)) => {
                drop(filling);
                accept(listener, Arc::clone(&self.state), watch::Sender::new(true));
            }
            Some(Door::Unread(open)) => _ = open.send_replace(true),
            None => {}
        }
    }

    /// Lets the calls end that are held in front of that.
    pub(crate) fn end(&self) {
        self.state.ending.send_replace(true);
    }

    /// The calls of a question, in order.
    pub(crate) fn calls(&self, question: &str) -> Vec<Call> {
        let calls = self.state.calls.lock().unwrap();
        calls.iter().filter(|call| call.question == question).cloned().collect()
    }

    /// Returns once a question has been asked and what its call is held behind has been sent.
    pub(crate) async fn until_said(&self, question: &str, bytes: usize) {
        let said = || self.calls(question).first().is_some_and(|call| call.said + call.thought >= bytes);
        until(&format!("{question:?} is asked"), async || said()).await;
    }

    /// Returns once the first asker of a question has hung up.
    pub(crate) async fn until_hung_up(&self, question: &str) {
        let hung_up = || self.calls(question).first().is_some_and(|call| call.hung_up);
        until(&format!("the asker of {question:?} hangs up"), async || hung_up()).await;
    }
}

fn accept(listener: TcpListener, state: Arc<State>, open: watch::Sender<bool>) {
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (state, mut open) = (Arc::clone(&state), open.subscribe());
            tokio::spawn(async move {
                if open.wait_for(|open| *open).await.is_ok() {
                    answer(socket, &state).await;
                }
            });
        }
    });
}

async fn answer(socket: TcpStream, state: &State) {
    let (mut reader, mut writer) = http::sides(socket);
    let Some(request) = http::read(&mut reader).await else { return };
    let Some(messages) = request.body["messages"].as_array() else { return };
    let contents: Vec<_> = messages.iter().flat_map(|message| texts(&message["content"])).collect();
    let question = contents.last().copied().unwrap_or_default().to_owned();
    let prompt = contents.iter().map(|content| content.len()).sum();
    let form = Form::of(&request.head);
    let mut sending = {
        let mut calls = state.calls.lock().unwrap();
        let is_first = calls.iter().all(|call| call.question != question);
        calls.push(Call { question: question.clone(), form, prompt, ..Call::default() });
        let way =
            if is_first { question.split_whitespace().next().unwrap_or_default().to_owned() } else { String::new() };
        Sending { state, nth: calls.len() - 1, question, form, way }
    };
    tokio::select! {
        biased;
        () = http::hung_up(&mut reader) => sending.bill(|call| call.hung_up = true),
        _ = sending.send(&mut writer) => {}
    }
}

/// The texts of a message: one, or blocks of it.
fn texts(content: &Value) -> Vec<&str> {
    match content {
        Value::Array(blocks) => blocks.iter().filter_map(|block| block["text"].as_str()).collect(),
        content => content.as_str().into_iter().collect(),
    }
}

/// A call that is being answered.
struct Sending<'a> {
    state: &'a State,
    nth: usize,
    question: String,
    form: Form,
    way: String,
}

impl Sending<'_> {
    fn bill(&self, change: impl FnOnce(&mut Call)) {
        change(&mut self.state.calls.lock().unwrap()[self.nth]);
    }

    fn call(&self) -> Call {
        self.state.calls.lock().unwrap()[self.nth].clone()
    }

    async fn send(&mut self, to: &mut OwnedWriteHalf) -> std::io::Result<()> {
        match self.way.as_str() {
            "status" => return self.refuse(to).await,
            "html" => {
                return http::respond(to, "200 OK", "text/html", "<!doctype html><title>Sign in</title>").await;
            }
            "raw" => {
                return http::respond(to, "200 OK", "text/event-stream", self.question["raw".len()..].trim()).await;
            }
            _ => {}
        }
        self.held("silent").await;
        http::respond(to, "200 OK", "text/event-stream", []).await?;
        self.held("headed").await;
        let call = self.call();
        to.write_all(self.form.begin(call.input(), call.cached()).as_bytes()).await?;
        self.held("begun").await;
        if self.way == "thinking" {
            to.write_all(chunk(&json!({ "reasoning_content": THOUGHT })).as_bytes()).await?;
            self.bill(|call| call.thought = THOUGHT.len());
        }
        self.held("thinking").await;
        if self.way == "flowing" {
            return self.flow(to).await;
        }
        to.write_all(self.form.say(HALF).as_bytes()).await?;
        self.bill(|call| call.said = HALF.len());
        self.held("middle").await;
        if self.way == "ending" {
            let _ = self.state.ending.subscribe().wait_for(|ending| *ending).await;
        }
        to.write_all(self.form.say(&WHOLE[HALF.len()..]).as_bytes()).await?;
        self.bill(|call| call.said = WHOLE.len());
        let call = self.call();
        to.write_all(self.form.end(call.input(), call.output()).as_bytes()).await
    }

    /// Answers with a status, a header if one is named, and a body of JSON.
    async fn refuse(&self, to: &mut OwnedWriteHalf) -> std::io::Result<()> {
        let words = self.question["status".len()..].trim_start();
        let (head, body) = words.split_at(words.find('{').unwrap_or(words.len()));
        let (status, header) = head.trim_end().split_once(' ').unwrap_or((head.trim_end(), ""));
        let kind = ["application/json", header].join(if header.is_empty() { "" } else { "\r\n" });
        http::respond(to, &format!("{status} Refused"), &kind, body).await
    }

    /// Says a word after the other until the asker hangs up.
    async fn flow(&self, to: &mut OwnedWriteHalf) -> std::io::Result<()> {
        loop {
            to.write_all(self.form.say(WORD).as_bytes()).await?;
            self.bill(|call| {
                call.said += WORD.len();
                call.flow.push((Instant::now(), call.said));
            });
            tokio::time::sleep(PACE).await;
        }
    }

    /// Goes no further when the call is held here.
    async fn held(&self, here: &str) {
        if self.way == here {
            std::future::pending::<()>().await;
        }
    }
}
