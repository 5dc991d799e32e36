//! A WebSocket that is logged in.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long it may take until a socket is open and logged in.
const OPEN_DEADLINE: Duration = Duration::from_secs(3);
/// How long a frame may take to be sent.
const SEND_DEADLINE: Duration = Duration::from_secs(4);

/// The socket has ended.
#[derive(Debug)]
pub(super) struct Ended;

pub(super) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Connects and logs in.
    pub(super) async fn open(edge: SocketAddr, token: &str) -> Result<Self, Ended> {
        timeout(OPEN_DEADLINE, Self::connect(edge, token)).await.map_err(|_| Ended)?
    }

    async fn connect(edge: SocketAddr, token: &str) -> Result<Self, Ended> {
        let (socket, _) = connect_async(format!("ws://{edge}/ws")).await.map_err(|_| Ended)?;
        let mut socket = Self(socket);
        socket.send(&json!({ "type": "auth", "token": token })).await?;
        while socket.next().await?["type"] != "authenticated" {}
        Ok(socket)
    }

    pub(super) async fn send(&mut self, frame: &Value) -> Result<(), Ended> {
        let sending = self.0.send(Message::text(frame.to_string()));
        timeout(SEND_DEADLINE, sending).await.map_err(|_| Ended)?.map_err(|_| Ended)
    }

    /// The next frame. Nothing is lost when this is cancelled.
    pub(super) async fn next(&mut self) -> Result<Value, Ended> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).map_err(|_| Ended),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Ended),
                Some(Ok(_)) => {}
            }
        }
    }

    /// Sends a command and waits for what becomes of it.
    pub(super) async fn answer_to(&mut self, frame: &Value) -> Result<Value, Ended> {
        self.send(frame).await?;
        loop {
            let answer = self.next().await?;
            if answer["id"] == frame["id"] && (answer["type"] == "ack" || answer["type"] == "refused") {
                return Ok(answer);
            }
        }
    }
}
