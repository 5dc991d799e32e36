//! A collector of traces: takes OTLP over HTTP and reads as much of its protobuf as the tests ask about.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A span as a process sent it.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) service: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
}

pub(crate) struct Collector {
    pub(crate) endpoint: String,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let bodies = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let taken = Arc::clone(&bodies);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(take(socket, Arc::clone(&taken)));
            }
        });
        Self { endpoint, bodies }
    }

    /// All bytes that came.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bodies.lock().unwrap().concat()
    }

    /// Every span that came.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.bodies.lock().unwrap().iter().flat_map(|body| spans(body)).collect()
    }
}

async fn take(socket: TcpStream, bodies: Arc<Mutex<Vec<Vec<u8>>>>) -> Option<()> {
    let mut socket = BufReader::new(socket);
    loop {
        let mut request = String::new();
        socket.read_line(&mut request).await.ok().filter(|read| *read > 0)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            socket.read_line(&mut line).await.ok().filter(|read| *read > 2)?;
            let line = line.to_ascii_lowercase();
            length = line.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
            if line.starts_with("content-type:") {
                assert!(line.contains("application/x-protobuf"), "{line}");
            }
            if socket.fill_buf().await.ok()?.starts_with(b"\r\n") {
                socket.consume(2);
                break;
            }
        }
        assert!(request.starts_with("POST /v1/traces "), "{request}");
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.ok()?;
        bodies.lock().unwrap().push(body);
        socket
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
            .await
            .ok()?;
    }
}

/// `ExportTraceServiceRequest`, by the field numbers of opentelemetry/proto/trace/v1/trace.proto.
fn spans(request: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource_spans in fields(request, 1) {
        let resource = fields(resource_spans, 1).concat();
        let attribute = |pair: &&[u8]| {
            let value = fields(pair, 2).concat();
            (text(&fields(pair, 1).concat()), text(&fields(&value, 1).concat()))
        };
        let attributes: HashMap<String, String> = fields(&resource, 1).iter().map(attribute).collect();
        for span in fields(resource_spans, 2).into_iter().flat_map(|scope| fields(scope, 2)) {
            spans.push(Span {
                service: attributes["service.name"].clone(),
                trace: hex(&fields(span, 1).concat()),
                id: hex(&fields(span, 2).concat()),
                parent: hex(&fields(span, 4).concat()),
                name: text(&fields(span, 5).concat()),
            });
        }
    }
    spans
}

/// The length-delimited fields of a message with this number.
fn fields(mut message: &[u8], number: u64) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let size = match key & 7 {
            0 => {
                varint(&mut message);
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)).unwrap(),
            5 => 4,
            kind => panic!("no protobuf: {kind}"),
        };
        let (field, rest) = message.split_at(size);
        message = rest;
        if key == number << 3 | 2 {
            found.push(field);
        }
    }
    found
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = message.split_first().unwrap();
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
