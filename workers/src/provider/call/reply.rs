//! One call on the wire: sends it, waits no longer than the deadlines, reads the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde::de::IgnoredAny;
use tokio::time::{Instant, timeout_at};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::clients::Taken;
use super::endpoint::Endpoint;
use super::frames::Frames;
use crate::provider::answer::{Answer, MAX_ANSWER_BYTES};
use crate::provider::refusal::Refusal;
use crate::provider::sse::BOM;
use crate::provider::wire::{Framing, Read};
use crate::provider::{Chunk, Deadline, Error, ErrorKind, Request};

/// How long usage is waited for once the model has said why it stopped: the answer itself is whole.
const USAGE_GRACE: Duration = Duration::from_secs(2);
/// How long a finished response may take to end, so that its connection can serve the next call.
const RELEASE_GRACE: Duration = Duration::from_secs(1);
/// How long the body of an error may take to arrive; its status alone says enough.
const ERROR_GRACE: Duration = Duration::from_secs(5);
/// How much of an answer that is an error is read.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// The largest answer accepted that does not stream: the text, escaped, and what surrounds it.
const MAX_DOCUMENT_BYTES: usize = 2 * MAX_ANSWER_BYTES;

/// An answer that is being read.
pub(super) struct Reply {
    endpoint: Arc<Endpoint>,
    response: Response,
    taken: Taken,
    form: Form,
    frames: Frames,
    reader: Box<dyn Read>,
    answer: Answer,
    /// What comes after the pieces that still wait in `answer`.
    failed: Option<Error>,
    /// Until when the next token must come, or what the provider still sends after the last one.
    deadline: Instant,
    spoken: bool,
    closing: bool,
    ended: bool,
}

/// What the body is. The content type alone does not tell: servers send errors as JSON under `text/event-stream`,
/// and streams as `text/plain`.
enum Form {
    /// Not known yet; at most the beginning of a byte order mark.
    Unknown(BytesMut),
    Stream,
    /// One JSON document: an error, or an answer that does not stream.
    Document(BytesMut),
}

impl Reply {
    /// Sends the request and waits for the head of an answer that is not an error.
    pub(super) async fn open(endpoint: Arc<Endpoint>, request: &Request) -> Result<Self, Error> {
        let deadline = Instant::now() + endpoint.deadlines.first_token;
        let (call, taken) = endpoint.post(request)?;
        let span = span(&endpoint);
        let response = match timeout_at(deadline, call.send()).instrument(span.clone()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(endpoint.unreachable(&error)),
            Err(_) => return Err(endpoint.late(Deadline::FirstToken)),
        };
        span.record("http.response.status_code", response.status().as_u16());
        if !response.status().is_success() {
            return Err(refused(&endpoint, response).await);
        }
        let framing = endpoint.wire.framing();
        // Binary frames are told from anything else by their own checksums.
        let form = if framing == Framing::AwsFrames { Form::Stream } else { Form::Unknown(BytesMut::new()) };
        Ok(Self {
            frames: Frames::new(framing),
            reader: endpoint.wire.reader(),
            endpoint,
            response,
            taken,
            form,
            answer: Answer::default(),
            failed: None,
            deadline,
            spoken: false,
            closing: false,
            ended: false,
        })
    }

    /// The next piece, or the end.
    pub(super) async fn next(&mut self) -> Result<Chunk, Error> {
        if self.spoken && !self.closing {
            // From now on, not from the last token: whoever reads may have been busy in between.
            self.deadline = Instant::now() + self.endpoint.deadlines.between_tokens;
        }
        loop {
            if let Some(piece) = self.answer.next() {
                return Ok(piece);
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.answer.is_done() {
                return self.end_of_answer();
            }
            match self.decode() {
                Ok(true) => self.extend_deadline(),
                // Hands out what the end itself completes.
                Ok(false) if self.ended => self.end_of_stream(),
                Ok(false) => self.read().await?,
                Err(error) => self.failed = Some(error),
            }
        }
    }

    /// Lets the connection serve the next call: it can once the response has been read to its end, which after
    /// the terminal mark is usually already on its way.
    pub(super) fn release(self) {
        if self.ended {
            return;
        }
        let (mut response, taken) = (self.response, self.taken);
        let rest = async move {
            let _under_way = taken;
            let mut left = MAX_ERROR_BYTES;
            while let Ok(Some(bytes)) = response.chunk().await {
                left = left.saturating_sub(bytes.len());
                if left == 0 {
                    break;
                }
            }
        };
        tokio::spawn(tokio::time::timeout(RELEASE_GRACE, rest));
    }

    /// Takes one record out of what has arrived; false when there is none.
    fn decode(&mut self) -> Result<bool, Error> {
        let taken = match self.frames.next_record() {
            Ok(Some(record)) if record.data.trim().is_empty() => return Ok(true),
            Ok(Some(record)) => self.reader.take(&record, &mut self.answer),
            Ok(None) => return Ok(false),
            Err(what) => Err(Refusal::protocol(&what)),
        };
        self.understood(taken)?;
        Ok(true)
    }

    fn understood(&mut self, taken: Result<(), Refusal>) -> Result<(), Error> {
        match taken {
            Ok(()) => self.answer.begin(),
            // The model has said why it stopped: its answer is whole, and the error comes too late to matter.
            Err(_) if self.answer.finished().is_some() => self.answer.close(),
            // The end of the stream has cut its last record in two: a break, not bad grammar.
            Err(refusal) if self.ended && refusal.is_nonsense() && !self.is_document() => return Err(self.broken_off()),
            Err(refusal) => return Err(self.endpoint.refused(refusal)),
        }
        Ok(())
    }

    fn extend_deadline(&mut self) {
        if self.answer.finished().is_some() {
            if !self.closing {
                self.closing = true;
                self.deadline = Instant::now() + USAGE_GRACE;
            }
        } else if self.answer.take_spoke() {
            self.spoken = true;
            self.deadline = Instant::now() + self.endpoint.deadlines.between_tokens;
        }
    }

    async fn read(&mut self) -> Result<(), Error> {
        match timeout_at(self.deadline, self.response.chunk()).await {
            // The clock once more: a body that always has bytes ready never lets the timer fire.
            Ok(Ok(Some(bytes))) if Instant::now() < self.deadline => self.accept(&bytes),
            // A broken connection ends the stream like any other end: what matters is the terminal mark.
            Ok(Ok(None) | Err(_)) => self.end(),
            Ok(Ok(Some(_))) | Err(_) if self.closing => self.end(),
            Ok(Ok(Some(_))) | Err(_) => {
                let deadline = if self.spoken { Deadline::BetweenTokens } else { Deadline::FirstToken };
                Err(self.endpoint.late(deadline))
            }
        }
    }

    fn accept(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.form {
            Form::Stream => self.frames.feed(bytes),
            Form::Document(document) => {
                if document.len() + bytes.len() > MAX_DOCUMENT_BYTES {
                    return Err(self.endpoint.error(ErrorKind::Protocol, "the answer is too large"));
                }
                document.extend_from_slice(bytes);
            }
            Form::Unknown(lead) => {
                lead.extend_from_slice(bytes);
                let lead = std::mem::take(lead);
                return self.recognise(lead);
            }
        }
        Ok(())
    }

    fn recognise(&mut self, mut lead: BytesMut) -> Result<(), Error> {
        if lead.starts_with(BOM) {
            lead.advance(BOM.len());
        }
        let space = lead.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        lead.advance(space);
        // White space alone keeps the line open; or a byte order mark in pieces.
        if BOM.starts_with(&lead) {
            self.form = Form::Unknown(lead);
            return Ok(());
        }
        let events = self.endpoint.wire.framing() == Framing::Events;
        match lead[0] {
            b'<' => {
                return Err(self.endpoint.error(ErrorKind::Protocol, "the provider's address answers with a web page"));
            }
            b'{' | b'[' if events && !self.is_event_stream() => self.form = Form::Document(lead),
            _ => {
                self.form = Form::Stream;
                self.frames.feed(&lead);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        self.ended = true;
        self.frames.end();
        let Form::Document(document) = &self.form else { return Ok(()) };
        if serde_json::from_slice::<IgnoredAny>(document).is_err_and(|error| error.is_eof()) {
            return Err(self.broken_off());
        }
        let taken = self.reader.take_document(document, &mut self.answer);
        self.understood(taken)
    }

    /// Nothing more comes. Without the provider's mark, what there is is no answer.
    fn end_of_stream(&mut self) {
        match self.answer.finished() {
            Some(_) => self.answer.close(),
            None => self.failed = Some(self.broken_off()),
        }
    }

    fn end_of_answer(&self) -> Result<Chunk, Error> {
        self.answer.finished().ok_or_else(|| self.broken_off())
    }

    fn is_document(&self) -> bool {
        matches!(self.form, Form::Document(_))
    }

    fn is_event_stream(&self) -> bool {
        content_type(&self.response).contains("event-stream")
    }

    /// The stream has ended, the answer has not.
    fn broken_off(&self) -> Error {
        let events = self.endpoint.wire.framing() == Framing::Events;
        let other_type = events && !content_type(&self.response).is_empty() && !self.is_event_stream();
        if other_type && !self.answer.is_begun() && !self.is_document() {
            return self.endpoint.error(ErrorKind::Protocol, "the provider's address does not answer in its protocol");
        }
        self.endpoint.error(ErrorKind::Interrupted, "the answer broke off before it was complete")
    }
}

/// From the request to the head of its answer, if it belongs to a trace. The provider is not told of the trace.
fn span(endpoint: &Endpoint) -> Span {
    if !nats::trace::is_traced() {
        return Span::none();
    }
    tracing::info_span!(
        target: nats::trace::TARGET,
        "POST",
        otel.kind = "client",
        http.request.method = "POST",
        server.address = endpoint.host(),
        http.response.status_code = Empty,
    )
}

fn content_type(response: &Response) -> &str {
    response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The typed error of an answer whose status is not a success.
async fn refused(endpoint: &Endpoint, mut response: Response) -> Error {
    let status = response.status();
    let headers = response.headers().clone();
    if status.is_redirection() {
        return endpoint.error(ErrorKind::Invalid, "the provider redirects elsewhere; its base_url needs correcting");
    }
    let body = error_body(&mut response).await;
    let refusal = serde_json::from_slice(&body).map(|json| endpoint.wire.refusal(&json)).unwrap_or_default();
    endpoint.refused(refusal.with_status(status.as_u16(), &headers))
}

async fn error_body(response: &mut Response) -> BytesMut {
    let deadline = Instant::now() + ERROR_GRACE;
    let mut body = BytesMut::new();
    while let Ok(Ok(Some(bytes))) = timeout_at(deadline, response.chunk()).await {
        let room = MAX_ERROR_BYTES - body.len();
        body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if body.len() == MAX_ERROR_BYTES {
            break;
        }
    }
    body
}
