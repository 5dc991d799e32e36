//! A collector of traces: takes OTLP over HTTP and reads as much of its protobuf as the tests ask about.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use serde_json::Value;
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
    pub(crate) attributes: HashMap<String, Value>,
    /// Whether its status says so.
    pub(crate) failed: bool,
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
        let resource = attributes(&fields(&fields(resource_spans, 1).concat(), 1));
        for span in fields(resource_spans, 2).into_iter().flat_map(|scope| fields(scope, 2)) {
            spans.push(Span {
                service: resource["service.name"].as_str().unwrap().to_owned(),
                trace: hex(&fields(span, 1).concat()),
                id: hex(&fields(span, 2).concat()),
                parent: hex(&fields(span, 4).concat()),
                name: text(&fields(span, 5).concat()),
                attributes: attributes(&fields(span, 9)),
                failed: parse(&fields(span, 15).concat()).iter().any(|(key, code, _)| (key >> 3, *code) == (3, 2)),
            });
        }
    }
    spans
}

/// `KeyValue`s, by the field numbers of opentelemetry/proto/common/v1/common.proto.
fn attributes(pairs: &[&[u8]]) -> HashMap<String, Value> {
    pairs.iter().map(|pair| (text(&fields(pair, 1).concat()), value(&fields(pair, 2).concat()))).collect()
}

/// An `AnyValue`.
fn value(any: &[u8]) -> Value {
    let Some(&(key, number, bytes)) = parse(any).first() else { return Value::Null };
    match key >> 3 {
        1 => text(bytes).into(),
        2 => (number != 0).into(),
        3 => number.cast_signed().into(),
        5 => fields(bytes, 1).into_iter().map(value).collect(),
        kind => panic!("an attribute of the kind {kind}"),
    }
}

/// The length-delimited fields of a message with this number.
fn fields(message: &[u8], number: u64) -> Vec<&[u8]> {
    let wanted = number << 3 | 2;
    parse(message).into_iter().filter(|(key, ..)| *key == wanted).map(|(_, _, bytes)| bytes).collect()
}

/// The fields of a message: the key of each, and the number or the bytes that it holds.
fn parse(mut message: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let (number, size) = match key & 7 {
            0 => (varint(&mut message), 0),
            1 => (0, 8),
            2 => (0, usize::try_from(varint(&mut message)).unwrap()),
            5 => (0, 4),
            kind => panic!("no protobuf: {kind}"),
        };
        let (bytes, rest) = message.split_at(size);
        message = rest;
        found.push((key, number, bytes));
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
