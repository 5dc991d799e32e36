//! A client of the WebSocket protocol that remembers all it is told.

use std::collections::HashMap;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::id;
use super::transcript::Transcript;
use super::wait::DEADLINE;

pub(crate) struct Client {
    token: String,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Every frame but the text and events of conversations.
    pub(crate) frames: Vec<Value>,
    transcripts: HashMap<String, Transcript>,
}

/// The command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: String,
    pub(crate) retryable: bool,
}

/// The socket has ended.
#[derive(Debug)]
pub(crate) struct Ended;

impl Client {
    /// Connects and logs in.
    pub(crate) async fn connect(address: &str, token: &str) -> Result<Self, Ended> {
        let deadline = Instant::now() + Duration::from_secs(5);
        let connecting = timeout_at(deadline, connect_async(format!("ws://{address}/ws"))).await;
        let (socket, _) = connecting.map_err(|_| Ended)?.map_err(|_| Ended)?;
        let mut client = Self { token: token.to_owned(), socket, frames: Vec::new(), transcripts: HashMap::new() };
        client.log_in().await?;
        Ok(client)
    }

    async fn log_in(&mut self) -> Result<(), Ended> {
        self.frames.clear();
        self.send(&json!({ "type": "auth", "token": self.token })).await?;
        self.find(|frame| frame["type"] == "authenticated").await.map(|_| ())
    }

    /// Goes on at one of these edges once its socket has ended: the first that lets it in.
    pub(crate) async fn come_back(&mut self, addresses: &[String]) {
        let deadline = Instant::now() + DEADLINE;
        for address in addresses.iter().cycle() {
            assert!(Instant::now() < deadline, "an edge lets the client in");
            if let Ok((socket, _)) = connect_async(format!("ws://{address}/ws")).await {
                self.socket = socket;
                if self.log_in().await.is_ok() && self.subscribe_again().await.is_ok() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn subscribe_again(&mut self) -> Result<(), Ended> {
        let subscribing: Vec<Value> =
            self.transcripts.iter().map(|(id, transcript)| transcript.subscribe(id)).collect();
        for frame in subscribing {
            self.send(&frame).await?;
        }
        Ok(())
    }

    /// Drops the socket without a word and comes back, at the edge at `address`, with what the client has.
    pub(crate) async fn cut_and_return(&mut self, address: &str) {
        let (socket, _) = connect_async(format!("ws://{address}/ws")).await.unwrap();
        self.socket = socket;
        self.log_in().await.unwrap();
        self.subscribe_again().await.unwrap();
    }

    pub(crate) async fn send(&mut self, frame: &Value) -> Result<(), Ended> {
        self.socket.send(Message::text(frame.to_string())).await.map_err(|_| Ended)
    }

    /// Begins a conversation.
    pub(crate) async fn start(&mut self) -> String {
        let conversation = id();
        self.ask(&conversation, json!({ "type": "StartConversation" })).await.unwrap();
        conversation
    }

    /// Begins a conversation with a model, none meaning the default, follows it and asks; gives its id and the reply's.
    pub(crate) async fn ask_anew(&mut self, model: Option<&str>, question: &str) -> (String, String) {
        let conversation = id();
        self.ask(&conversation, json!({ "type": "StartConversation", "model": model })).await.unwrap();
        self.follow(&conversation).await;
        let reply = self.submit(&conversation, question).await;
        (conversation, reply)
    }

    /// Says something; gives the reply's id.
    pub(crate) async fn submit(&mut self, conversation: &str, text: &str) -> String {
        let reply = id();
        self.ask(conversation, json!({ "type": "SubmitMessage", "text": text, "reply": reply })).await.unwrap();
        reply
    }

    /// Says something at the root, beside what is being answered; gives the reply's id.
    pub(crate) async fn submit_beside(&mut self, conversation: &str, text: &str) -> String {
        let reply = id();
        let command = json!({ "type": "SubmitMessage", "text": text, "parent": null, "reply": reply });
        self.ask(conversation, command).await.unwrap();
        reply
    }

    /// Reads until the server closes the socket: by which code, and when.
    pub(crate) async fn closed(&mut self) -> (u16, Instant) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match timeout_at(deadline, self.socket.next()).await.expect("the socket is closed in time") {
                Some(Ok(Message::Close(frame))) => return (frame.map_or(0, |frame| frame.code.into()), Instant::now()),
                Some(Ok(Message::Text(text))) => self.take(serde_json::from_str(&text).unwrap()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return (0, Instant::now()),
            }
        }
    }

    /// Stops a reply.
    pub(crate) async fn stop(&mut self, conversation: &str, reply: &str) -> Result<Value, Refused> {
        self.ask(conversation, json!({ "type": "StopReply", "reply": reply })).await
    }

    /// Has a command carried out; gives its `ack`.
    pub(crate) async fn ask(&mut self, conversation: &str, command: Value) -> Result<Value, Refused> {
        self.ask_as(&id(), conversation, &command).await
    }

    /// The same, under a given id.
    pub(crate) async fn ask_as(&mut self, id: &str, conversation: &str, command: &Value) -> Result<Value, Refused> {
        let frame = json!({ "type": "command", "id": id, "conversation": conversation, "command": command });
        self.answer_to(id, &frame).await.expect("the socket stays open")
    }

    /// Sends a command and waits for what becomes of it.
    pub(crate) async fn answer_to(&mut self, id: &str, frame: &Value) -> Result<Result<Value, Refused>, Ended> {
        // An earlier answer to the same command is not this one's.
        self.frames.retain(|frame| frame["id"] != id);
        self.send(frame).await?;
        let answer =
            self.find(|frame| frame["id"] == id && (frame["type"] == "ack" || frame["type"] == "refused")).await?;
        if answer["type"] == "ack" {
            return Ok(Ok(answer));
        }
        let (code, retryable) = (answer["code"].as_str().unwrap().to_owned(), answer["retryable"] == true);
        Ok(Err(Refused { code, retryable }))
    }

    /// Follows a conversation from its beginning.
    pub(crate) async fn follow(&mut self, conversation: &str) {
        let transcript = Transcript::default();
        let frame = transcript.subscribe(conversation);
        self.transcripts.insert(conversation.to_owned(), transcript);
        self.send(&frame).await.unwrap();
        self.find(|frame| frame["type"] == "live" && frame["conversation"] == conversation).await.unwrap();
    }

    /// What it knows of a conversation that it follows.
    pub(crate) fn transcript(&self, conversation: &str) -> &Transcript {
        &self.transcripts[conversation]
    }

    /// Reads until a conversation is as `condition` wants it.
    pub(crate) async fn read_until(&mut self, conversation: &str, what: &str, condition: impl Fn(&Transcript) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition(self.transcript(conversation)) {
            let told = self.read(deadline).await;
            assert!(matches!(told, Ok(true)), "{what}: {told:?} with {:#?}", self.transcript(conversation));
        }
    }

    /// Reads until a reply has ended; gives the event that says so.
    pub(crate) async fn end_of(&mut self, conversation: &str, reply: &str) -> Value {
        self.read_until(conversation, "the reply ends", |transcript| transcript.end_of(reply).is_some()).await;
        self.transcript(conversation).end_of(reply).unwrap().clone()
    }

    /// Reads until some text of a reply has come.
    pub(crate) async fn until_text(&mut self, conversation: &str, reply: &str, bytes: usize) {
        let has = |transcript: &Transcript| transcript.running.get(reply).is_some_and(|(_, text)| text.len() >= bytes);
        self.read_until(conversation, "text comes", has).await;
    }

    /// Reads until a frame comes, or has come, that is wanted.
    pub(crate) async fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value, Ended> {
        let (deadline, mut seen) = (Instant::now() + DEADLINE, 0);
        loop {
            if let Some(frame) = self.frames[seen..].iter().find(|frame| wanted(frame)) {
                return Ok(frame.clone());
            }
            seen = self.frames.len();
            assert!(self.read(deadline).await?, "the frame comes in time; there were {:#?}", self.frames);
        }
    }

    /// Reads one frame; false when none came before the deadline.
    pub(crate) async fn read(&mut self, deadline: Instant) -> Result<bool, Ended> {
        let message = match timeout_at(deadline, self.socket.next()).await {
            Err(_) => return Ok(false),
            Ok(Some(Ok(message))) => message,
            Ok(None | Some(Err(_))) => return Err(Ended),
        };
        match message {
            Message::Text(text) => self.take(serde_json::from_str(&text).unwrap()),
            Message::Close(_) => return Err(Ended),
            _ => {}
        }
        Ok(true)
    }

    fn take(&mut self, frame: Value) {
        if let Some(transcript) = frame["conversation"].as_str().and_then(|id| self.transcripts.get_mut(id)) {
            transcript.take(&frame);
        }
        if frame["type"] != "event" && frame["type"] != "delta" {
            self.frames.push(frame);
        }
    }
}
