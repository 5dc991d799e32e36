//! One call on the wire: sends it, waits no longer than the deadlines, reads the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use reqwest::Response;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::answer::Answer;
use super::wire::Body;
use super::{Endpoint, MAX_ERROR_BYTES, MAX_REPLY_BYTES, root};
use crate::provider::refusal::Refusal;
use crate::provider::sse::{BOM, Framer};
use crate::provider::{Chunk, Deadline, Error, ErrorKind, Request};

/// How long usage is waited for once the model has said why it stopped: the answer itself is whole.
const USAGE_GRACE: Duration = Duration::from_secs(2);
/// How long a finished response may take to end, so that its connection can serve the next call.
const RELEASE_GRACE: Duration = Duration::from_secs(1);
/// How long the body of an error may take to arrive; its status alone says enough.
const ERROR_GRACE: Duration = Duration::from_secs(5);
/// The largest answer accepted that does not stream: the text, escaped, and what surrounds it.
const MAX_DOCUMENT_BYTES: usize = 2 * MAX_REPLY_BYTES;

/// An answer that is being read.
pub(super) struct Reply {
    endpoint: Arc<Endpoint>,
    response: Response,
    form: Form,
    framer: Framer,
    answer: Answer,
    /// What comes after the texts that still wait in `answer`.
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
    Events,
    /// One JSON document: an error, or an answer that does not stream.
    Document(BytesMut),
}

impl Reply {
    /// Sends the request and waits for the head of an answer that is not an error.
    pub(super) async fn open(endpoint: Arc<Endpoint>, request: &Request) -> Result<Self, Error> {
        let deadline = Instant::now() + endpoint.deadlines.first_token;
        let body = serde_json::to_vec(&Body::from(request))
            .map_err(|_| endpoint.error(ErrorKind::Invalid, "the prompt cannot be written as JSON"))?;
        let call = endpoint
            .client
            .post(endpoint.url.clone())
            .headers(endpoint.headers.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream")
            .body(body);
        let span = span(&endpoint);
        let response = match timeout_at(deadline, call.send()).instrument(span.clone()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(unreachable(&endpoint, &error)),
            Err(_) => return Err(late(&endpoint, Deadline::FirstToken)),
        };
        span.record("http.response.status_code", response.status().as_u16());
        if !response.status().is_success() {
            return Err(refused(&endpoint, response).await);
        }
        Ok(Self {
            endpoint,
            response,
            form: Form::Unknown(BytesMut::new()),
            framer: Framer::default(),
            answer: Answer::default(),
            failed: None,
            deadline,
            spoken: false,
            closing: false,
            ended: false,
        })
    }

    /// The next text, or the end.
    pub(super) async fn next(&mut self) -> Result<Chunk, Error> {
        if self.spoken && !self.closing {
            // From now on, not from the last token: whoever reads may have been busy in between.
            self.deadline = Instant::now() + self.endpoint.deadlines.between_tokens;
        }
        loop {
            if let Some(text) = self.answer.next_text() {
                return Ok(text);
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.answer.is_done() {
                return self.end_of_answer();
            }
            match self.decode() {
                Ok(true) => self.extend_deadline(),
                Ok(false) if self.ended => return self.end_of_answer(),
                Ok(false) => self.read().await?,
                Err(error) => self.failed = Some(error),
            }
        }
    }

    /// Lets the connection serve the next call: it can once the response has been read to its end, which after
    /// `[DONE]` is usually already on its way.
    pub(super) fn release(self) {
        if self.ended {
            return;
        }
        let mut response = self.response;
        let rest = async move {
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

    /// Takes one event out of what has arrived; false when there is none.
    fn decode(&mut self) -> Result<bool, Error> {
        let taken = match self.framer.next_event() {
            Ok(Some(event)) => self.answer.take(event, &self.endpoint),
            Ok(None) => return Ok(false),
            Err(error) => Err(self.endpoint.error(ErrorKind::Protocol, &error.to_string())),
        };
        match taken {
            Ok(()) => {}
            // The model has said why it stopped: its text is whole, and the error comes too late to matter.
            Err(_) if self.answer.finished().is_some() => self.answer.close(),
            // The end of the stream has cut its last event in two: a break, not bad grammar.
            Err(error) if self.ended && error.kind == ErrorKind::Protocol => return Err(self.broken_off()),
            Err(error) => return Err(error),
        }
        Ok(true)
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
                Err(late(&self.endpoint, if self.spoken { Deadline::BetweenTokens } else { Deadline::FirstToken }))
            }
        }
    }

    fn accept(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.form {
            Form::Events => self.framer.feed(bytes),
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
        match lead[0] {
            b'<' => {
                return Err(self.endpoint.error(ErrorKind::Protocol, "the provider's address answers with a web page"));
            }
            b'{' | b'[' if !self.is_event_stream() => self.form = Form::Document(lead),
            _ => {
                self.form = Form::Events;
                self.framer.feed(&lead);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        self.ended = true;
        self.framer.end();
        let Form::Document(document) = &self.form else { return Ok(()) };
        if serde_json::from_slice::<IgnoredAny>(document).is_err_and(|error| error.is_eof()) {
            return Err(self.broken_off());
        }
        self.answer.take_document(document, &self.endpoint)
    }

    fn is_event_stream(&self) -> bool {
        content_type(&self.response).contains("event-stream")
    }

    fn end_of_answer(&self) -> Result<Chunk, Error> {
        self.answer.finished().ok_or_else(|| self.broken_off())
    }

    /// The stream has ended, the answer has not.
    fn broken_off(&self) -> Error {
        let other_type = !content_type(&self.response).is_empty() && !self.is_event_stream();
        if other_type && !self.answer.is_begun() && !matches!(self.form, Form::Document(_)) {
            return self
                .endpoint
                .error(ErrorKind::Protocol, "the provider's address does not answer with a chat completion");
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
        server.address = endpoint.url.host_str(),
        http.response.status_code = Empty,
    )
}

fn content_type(response: &Response) -> &str {
    response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn late(endpoint: &Endpoint, deadline: Deadline) -> Error {
    let message = match deadline {
        Deadline::Connect => format!("no connection within {:?}", endpoint.deadlines.connect),
        Deadline::FirstToken => format!("the answer did not begin within {:?}", endpoint.deadlines.first_token),
        Deadline::BetweenTokens => format!("the answer paused for more than {:?}", endpoint.deadlines.between_tokens),
    };
    endpoint.error(ErrorKind::Timeout(deadline), &message)
}

fn unreachable(endpoint: &Endpoint, error: &reqwest::Error) -> Error {
    if error.is_connect() && error.is_timeout() {
        return late(endpoint, Deadline::Connect);
    }
    let what =
        if error.is_connect() { "the provider cannot be reached" } else { "the provider hung up before it answered" };
    endpoint.error(ErrorKind::Network, &format!("{what} ({})", root(error)))
}

/// The typed error of an answer whose status is not a success.
async fn refused(endpoint: &Endpoint, mut response: Response) -> Error {
    let status = response.status();
    let headers = response.headers().clone();
    if status.is_redirection() {
        return endpoint.error(ErrorKind::Invalid, "the provider redirects elsewhere; its base_url needs correcting");
    }
    let body = error_body(&mut response).await;
    let json = serde_json::from_slice::<Value>(&body).ok();
    let refusal = json.map(|json| Refusal::find(&json).unwrap_or_else(|| Refusal::flat(&json))).unwrap_or_default();
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
