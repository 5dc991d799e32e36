//! A client of the Express + Socket.IO peer: its frames as `bench/peers/express-socketio/README.md` lists them.

use std::net::SocketAddr;

use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use super::socket::{PATIENCE, Socket};
use crate::Error;

/// A socket that has connected.
#[derive(Debug)]
pub struct SocketIo {
    socket: Socket,
}

impl SocketIo {
    /// Connects; the `nth` of many.
    ///
    /// # Errors
    /// When it is not let in.
    pub async fn open(address: SocketAddr, token: &str, nth: usize) -> Result<Self, Error> {
        let socket = Socket::open(address, "/socket.io/?EIO=4&transport=websocket", nth).await?;
        let mut client = Self { socket };
        client.wait_for("0{").await?;
        client.socket.say(&format!("40{}", json!({ "token": token }))).await?;
        client.wait_for("40{").await?;
        Ok(client)
    }

    /// Joins a conversation.
    ///
    /// # Errors
    /// When that is refused.
    pub async fn join(&mut self, conversation: Uuid) -> Result<(), Error> {
        self.socket.say(&format!("420{}", json!(["join", { "conversation": conversation }]))).await?;
        self.wait_for("430[{}]").await
    }

    /// Says something, which the model answers.
    ///
    /// # Errors
    /// When the socket is broken.
    pub async fn send(&mut self, conversation: Uuid, text: &str) -> Result<(), Error> {
        self.socket.say(&format!("42{}", json!(["send", { "conversation": conversation, "text": text }]))).await
    }

    /// The next frame but pings, which it answers.
    ///
    /// # Errors
    /// When the socket has ended.
    pub async fn hear(&mut self) -> Result<&str, Error> {
        loop {
            // Asked for twice, because a borrow that is given back in one branch would last through the other.
            if self.socket.peek().await? == b"2" {
                self.socket.hear().await?;
                self.socket.say("3").await?;
            } else {
                return self.socket.hear().await;
            }
        }
    }

    async fn wait_for(&mut self, beginning: &str) -> Result<(), Error> {
        let waiting = async {
            loop {
                if self.hear().await?.starts_with(beginning) {
                    return Ok(());
                }
            }
        };
        timeout(PATIENCE, waiting).await.map_err(|_| Error(format!("no {beginning} comes")))?
    }
}
