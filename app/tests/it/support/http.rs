//! What fakes of providers need of HTTP: a request read, the head of a response written.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A request as it came.
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// Both sides of a connection.
pub(crate) fn sides(socket: TcpStream) -> (BufReader<OwnedReadHalf>, OwnedWriteHalf) {
    socket.set_nodelay(true).unwrap();
    let (reader, writer) = socket.into_split();
    (BufReader::new(reader), writer)
}

/// Reads a request with a JSON body; none when the client has hung up before it was whole.
pub(crate) async fn read(reader: &mut BufReader<OwnedReadHalf>) -> Option<Request> {
    let (mut length, mut head) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.ok()?;
    Some(Request { head, body: serde_json::from_slice(&body).ok()? })
}

/// Writes a response that ends with its connection: its head, and what is known of its body.
pub(crate) async fn respond(
    to: &mut OwnedWriteHalf,
    status: &str,
    kind: &str,
    body: impl AsRef<[u8]>,
) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n");
    to.write_all(&[head.as_bytes(), body.as_ref()].concat()).await
}

/// Returns when the client hangs up.
pub(crate) async fn hung_up(reader: &mut BufReader<OwnedReadHalf>) {
    let _ = reader.read(&mut [0]).await;
}
