//! A client of chat completions: straight to the provider, or through whoever passes them on.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::socket::PATIENCE;
use crate::Error;
use crate::provider::MARK;

/// A kept connection.
#[derive(Debug)]
pub struct Completions {
    stream: TcpStream,
    request: Vec<u8>,
    received: BytesMut,
}

/// How long an answer took.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// Until its first token.
    pub first: Duration,
    /// Until its end.
    pub whole: Duration,
    /// How many tokens it had.
    pub tokens: usize,
}

impl Completions {
    /// Connects to a server that is told `key`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn open(address: SocketAddr, key: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let body = json!({ "model": "m1", "messages": [{ "role": "user", "content": "Hello." }], "stream": true });
        let body = body.to_string();
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             authorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        Ok(Self { stream, request: request.into_bytes(), received: BytesMut::new() })
    }

    /// Asks once, and reads the answer to its end.
    ///
    /// # Errors
    /// When it is not an answer.
    pub async fn ask(&mut self) -> Result<Took, Error> {
        timeout(PATIENCE, self.ask_patiently()).await.map_err(|_| Error("a completion does not end".to_owned()))?
    }

    async fn ask_patiently(&mut self) -> Result<Took, Error> {
        let asked = Instant::now();
        self.received.clear();
        self.stream.write_all(&self.request).await?;
        let mut first = None;
        // The last chunk of a chunked body (RFC 9112, 7.1): without it the connection could not be used again.
        while !self.received.ends_with(b"\r\n0\r\n\r\n") {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(Error(format!("it hung up after {}", String::from_utf8_lossy(&self.received))));
            }
            if first.is_none() && memchr::memchr(MARK, &self.received).is_some() {
                first = Some(asked.elapsed());
            }
        }
        let whole = asked.elapsed();
        let tokens = memchr::memchr_iter(MARK, &self.received).count();
        let first = first.ok_or_else(|| Error(format!("no token in {}", String::from_utf8_lossy(&self.received))))?;
        Ok(Took { first, whole, tokens })
    }
}
