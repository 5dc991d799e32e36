//! A client of the WebSocket protocol.

use std::collections::VecDeque;
use std::time::Duration;

use domain::ConversationId;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

use super::wait::DEADLINE;

pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Frames that came while others were waited for.
    passed: VecDeque<Value>,
}

impl Client {
    pub(crate) async fn connect(address: &str) -> Self {
        Self::connect_with(address, &[]).await.unwrap()
    }

    /// With these headers.
    pub(crate) async fn connect_with(address: &str, headers: &[(&'static str, &str)]) -> tungstenite::Result<Self> {
        Self::connect_at(address, "/ws", headers).await
    }

    /// At this path, with these headers.
    pub(crate) async fn connect_at(
        address: &str,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> tungstenite::Result<Self> {
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, _) = connect_async(request).await?;
        Ok(Self { socket, passed: VecDeque::new() })
    }

    pub(crate) async fn log_in(&mut self, token: &str) -> Value {
        self.send(&json!({ "type": "auth", "token": token })).await;
        let authenticated = self.wait("authenticated").await;
        self.passed.retain(|frame| frame["type"] != "hello");
        authenticated
    }

    pub(crate) async fn send(&mut self, frame: &Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    async fn receive(&mut self) -> Result<Value, Option<u16>> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match timeout_at(deadline, self.socket.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// The next frame of a type; others are kept for later.
    pub(crate) async fn wait(&mut self, kind: &str) -> Value {
        self.find(|frame| frame["type"] == kind).await
    }

    /// The next frame that fits; others are kept for later.
    pub(crate) async fn find(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.passed.iter().position(&fits) {
            return self.passed.remove(at).unwrap();
        }
        loop {
            match self.receive().await {
                Ok(frame) if fits(&frame) => return frame,
                Ok(frame) => self.passed.push_back(frame),
                Err(code) => panic!("closed with {code:?} after {:?}", self.passed),
            }
        }
    }

    /// The code that the socket is closed with.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.receive().await {
                return code;
            }
        }
    }

    /// Whether a frame of a type comes soon; others are kept for later.
    pub(crate) async fn hears(&mut self, kind: &str) -> bool {
        timeout(Duration::from_millis(100), self.wait(kind)).await.is_ok()
    }

    /// The frames that come from now on until the answer to a ping: what was under way when it was sent.
    pub(crate) async fn until_pong(&mut self) -> Vec<Value> {
        self.send(&json!({ "type": "ping" })).await;
        let mut frames = Vec::new();
        loop {
            match self.receive().await.expect("an open socket") {
                frame if frame["type"] == "pong" => return frames,
                frame => frames.push(frame),
            }
        }
    }

    /// Nothing comes for a while, besides word of the list and of being live.
    pub(crate) async fn hears_nothing(&mut self) {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let frames = self.until_pong().await;
        let apart = ["conversation_changed", "live"];
        let heard: Vec<_> = frames.iter().filter(|frame| !apart.contains(&frame["type"].as_str().unwrap())).collect();
        assert!(heard.is_empty(), "{heard:?}");
    }

    /// No frame of a type about a conversation comes for a while; others are kept for later.
    pub(crate) async fn hears_nothing_of_kind(&mut self, conversation: ConversationId, kind: &str) {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let frames = self.until_pong().await;
        let fits = |frame: &Value| frame["type"] == kind && frame["conversation"] == json!(conversation);
        assert!(!frames.iter().any(fits), "{frames:?}");
        self.passed.extend(frames);
    }

    /// The answer to a command.
    pub(crate) async fn command(&mut self, conversation: ConversationId, command: Value) -> Value {
        self.command_with(json!({ "conversation": conversation, "command": command })).await
    }

    /// The answer to a command with further fields.
    pub(crate) async fn command_with(&mut self, mut frame: Value) -> Value {
        let id = Uuid::new_v4().to_string();
        frame["type"] = "command".into();
        frame["id"] = id.clone().into();
        self.send(&frame).await;
        self.find(|frame| frame["id"] == id && frame["type"] != "conversation_changed").await
    }

    /// Follows a conversation, from its snapshot on, until it is live; gives the snapshot's sequence.
    pub(crate) async fn follow(&mut self, conversation: ConversationId) -> u64 {
        self.send(&json!({ "type": "subscribe", "conversation": conversation })).await;
        let subscribed = self.about(conversation, "subscribed").await;
        self.about(conversation, "live").await;
        subscribed["sequence"].as_u64().unwrap()
    }

    /// The next frame of a type about a conversation.
    pub(crate) async fn about(&mut self, conversation: ConversationId, kind: &str) -> Value {
        let id = conversation.to_string();
        self.find(|frame| frame["type"] == kind && frame["conversation"] == id.as_str()).await
    }

    /// The text of a reply that the next deltas bring, up to `whole`.
    pub(crate) async fn text(&mut self, conversation: ConversationId, whole: &str) -> Vec<Value> {
        let (mut text, mut deltas) = (String::new(), Vec::new());
        while text != whole {
            let delta = self.about(conversation, "delta").await;
            let offset = usize::try_from(delta["offset"].as_u64().unwrap()).unwrap();
            assert_eq!(offset, text.len(), "nothing missing, nothing twice: {delta}");
            text.push_str(delta["text"].as_str().unwrap());
            assert!(whole.starts_with(&text), "{text}");
            deltas.push(delta);
        }
        deltas
    }
}
