//! A WebSocket client of few instructions: no compression, no fragments, one buffer. RFC 6455.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::Error;

/// How long a server may take to answer anything at all.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Sockets from one address, so that the ports for outgoing connections last.
const PER_ADDRESS: usize = 8_000;

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Lengths that say how many bytes the length itself takes.
const TWO_BYTES: u8 = 0x7e;
const EIGHT_BYTES: u8 = 0x7f;

/// An open socket.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    received: BytesMut,
    /// How many bytes of `received` the caller has been lent and is done with by the next call.
    lent: usize,
}

impl Socket {
    /// Connects; the `nth` of many takes one of several source addresses.
    ///
    /// # Errors
    /// When the server does not open it.
    pub async fn open(address: SocketAddr, path: &str, nth: usize) -> Result<Self, Error> {
        let opening = Self::open_patiently(address, path, nth);
        timeout(PATIENCE, opening).await.map_err(|_| Error(format!("{address} does not open a socket")))?
    }

    async fn open_patiently(address: SocketAddr, path: &str, nth: usize) -> Result<Self, Error> {
        let socket = TcpSocket::new_v4()?;
        if nth >= PER_ADDRESS {
            let last = u8::try_from(1 + nth / PER_ADDRESS).map_err(Error::other)?;
            socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0))?;
        }
        let mut stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut received = BytesMut::new();
        let head = loop {
            if let Some(end) = memchr::memmem::find(&received, b"\r\n\r\n") {
                break received.split_to(end + 4);
            }
            if stream.read_buf(&mut received).await? == 0 {
                return Err(Error(format!("{address} hangs up instead of opening a socket")));
            }
        };
        if !head.starts_with(b"HTTP/1.1 101") {
            return Err(Error(format!("{address} opens no socket: {}", String::from_utf8_lossy(&head))));
        }
        Ok(Self { stream, received, lent: 0 })
    }

    /// Sends a text.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn say(&mut self, text: &str) -> Result<(), Error> {
        self.send(TEXT, text.as_bytes()).await
    }

    async fn send(&mut self, opcode: u8, payload: &[u8]) -> Result<(), Error> {
        let mut frame = Vec::with_capacity(payload.len() + 14);
        frame.push(FINAL | opcode);
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(length @ ..TWO_BYTES), _) => frame.push(MASKED | length),
            (_, Ok(length)) => {
                frame.push(MASKED | TWO_BYTES);
                frame.extend_from_slice(&length.to_be_bytes());
            }
            _ => {
                frame.push(MASKED | EIGHT_BYTES);
                frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
            }
        }
        // A client must mask; a mask of zeros costs the server the same and us nothing.
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(payload);
        let sent = timeout(PATIENCE, self.stream.write_all(&frame)).await;
        Ok(sent.map_err(|_| Error("the server takes nothing in".to_owned()))??)
    }

    /// The next text. May be dropped at any time without losing anything.
    ///
    /// # Errors
    /// When the server has closed the socket.
    pub async fn hear(&mut self) -> Result<&str, Error> {
        let (start, length) = self.text().await?;
        self.lent = start + length;
        std::str::from_utf8(&self.received[start..start + length]).map_err(Error::other)
    }

    /// What [`Self::hear`] will give next.
    ///
    /// # Errors
    /// When the server has closed the socket.
    pub async fn peek(&mut self) -> Result<&[u8], Error> {
        let (start, length) = self.text().await?;
        Ok(&self.received[start..start + length])
    }

    /// Where the next text begins and how long it is, once it is there.
    async fn text(&mut self) -> Result<(usize, usize), Error> {
        self.received.advance(std::mem::take(&mut self.lent));
        loop {
            let Some((opcode, start, length)) = self.frame()? else {
                if self.stream.read_buf(&mut self.received).await? == 0 {
                    return Err(Error("the server hung up".to_owned()));
                }
                continue;
            };
            if opcode == TEXT {
                return Ok((start, length));
            }
            let payload = self.received[start..start + length].to_vec();
            self.received.advance(start + length);
            match opcode {
                PING => self.send(PONG, &payload).await?,
                CLOSE => return Err(Error(format!("the server closed: {}", reason(&payload)))),
                _ => {}
            }
        }
    }

    /// The opcode of the first whole frame received, and where its payload starts and how long it is.
    fn frame(&self) -> Result<Option<(u8, usize, usize)>, Error> {
        let received = &self.received[..];
        let [first, second, ..] = received else { return Ok(None) };
        if first & FINAL == 0 || second & MASKED != 0 {
            return Err(Error("the server fragments or masks its frames".to_owned()));
        }
        let after = &received[2..];
        let (start, length) = match second & 0x7f {
            TWO_BYTES => (4, after.first_chunk().map(|length| u64::from(u16::from_be_bytes(*length)))),
            EIGHT_BYTES => (10, after.first_chunk().map(|length| u64::from_be_bytes(*length))),
            length => (2, Some(u64::from(length))),
        };
        let Some(length) = length else { return Ok(None) };
        let length = usize::try_from(length).map_err(Error::other)?;
        Ok((received.len() >= start + length).then_some((first & 0x0f, start, length)))
    }
}

/// RFC 6455, 5.5.1: a code, then words.
fn reason(payload: &[u8]) -> String {
    match payload {
        [a, b, words @ ..] => format!("{} {}", u16::from_be_bytes([*a, *b]), String::from_utf8_lossy(words)),
        _ => "no reason given".to_owned(),
    }
}
