//! One call on the wire: sends it, waits no longer than the deadlines, reads the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use nats::trace;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use tokio::time::{Instant, timeout_at};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::clients::Taken;
use super::endpoint::Endpoint;
use crate::provider::decode::{Declared, Decoder};
use crate::provider::refusal::Refusal;
use crate::provider::{Chunk, Deadline, Error, ErrorKind, Request};

/// How long usage is waited for once the model has said why it stopped: the answer itself is whole.
const USAGE_GRACE: Duration = Duration::from_secs(2);
/// How long a finished response may take to end, so that its connection can serve the next call.
const RELEASE_GRACE: Duration = Duration::from_secs(1);
/// How long the body of an error may take to arrive; its status alone says enough.
const ERROR_GRACE: Duration = Duration::from_secs(5);
/// How much of an answer that is an error is read.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// An answer that is being read.
pub(super) struct Reply {
    endpoint: Arc<Endpoint>,
    response: Response,
    decoder: Decoder,
    taken: Taken,
    /// Until when the next token must come, or what the provider still sends after the last one.
    deadline: Instant,
    phase: Phase,
    /// Whether what was told last is no token, so that the deadline stays.
    counted: bool,
}

/// How far the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The model has produced nothing yet.
    Waiting,
    /// It does.
    Speaking,
    /// It has said why it stopped.
    Closing,
}

impl Reply {
    /// Sends the request and waits for the head of an answer that is not an error.
    pub(super) async fn open(endpoint: Arc<Endpoint>, request: &Request) -> Result<Self, Error> {
        let deadline = Instant::now() + endpoint.deadlines.first_token;
        let (call, taken) = endpoint.post(request)?;
        let span = span(&endpoint);
        let answered = match timeout_at(deadline, call.send()).instrument(span.clone()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(endpoint.unreachable(&error)),
            Err(_) => Err(endpoint.late(Deadline::FirstToken)),
        };
        let response = answered.inspect_err(|error| trace::failed(&span, error.code()))?;
        let status = response.status();
        // Signed: of other numbers spans make texts.
        span.record("http.response.status_code", i64::from(status.as_u16()));
        if !status.is_success() {
            trace::failed(&span, status.as_str());
            drop(span);
            return Err(refused(&endpoint, response).await);
        }
        let decoder = Decoder::new(endpoint.wire.as_ref(), Declared::by(content_type(&response)));
        Ok(Self { endpoint, response, decoder, taken, deadline, phase: Phase::Waiting, counted: false })
    }

    /// The next piece, or the end.
    pub(super) async fn next(&mut self) -> Result<Chunk, Error> {
        if !std::mem::take(&mut self.counted) && self.phase == Phase::Speaking {
            // From now on, not from the last token: whoever reads may have been busy in between.
            self.deadline = Instant::now() + self.endpoint.deadlines.between_tokens;
        }
        loop {
            let told = self.decoder.next();
            self.extend_deadline();
            self.counted = matches!(told, Some(Ok(Chunk::Usage(_))));
            match told {
                Some(told) => return told.map_err(|refusal| self.endpoint.refused(refusal)),
                None => self.read().await?,
            }
        }
    }

    /// Lets the connection serve the next call: it can once the response has been read to its end, which after
    /// the terminal mark is usually already on its way.
    pub(super) fn release(self) {
        if self.decoder.is_ended() {
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

    fn extend_deadline(&mut self) {
        if self.decoder.is_finished() {
            if self.phase != Phase::Closing {
                self.phase = Phase::Closing;
                self.deadline = Instant::now() + USAGE_GRACE;
            }
        } else if self.decoder.take_spoke() {
            self.phase = Phase::Speaking;
            self.deadline = Instant::now() + self.endpoint.deadlines.between_tokens;
        }
    }

    async fn read(&mut self) -> Result<(), Error> {
        match timeout_at(self.deadline, self.response.chunk()).await {
            // The clock once more: a body that always has bytes ready never lets the timer fire.
            Ok(Ok(Some(bytes))) if Instant::now() < self.deadline => self.decoder.feed(&bytes),
            // A broken connection ends the stream like any other end: what matters is the terminal mark.
            Ok(Ok(None) | Err(_)) => self.decoder.end(),
            Ok(Ok(Some(_))) | Err(_) if self.phase == Phase::Closing => self.decoder.end(),
            Ok(Ok(Some(_))) | Err(_) => {
                let is_speaking = self.phase == Phase::Speaking;
                let deadline = if is_speaking { Deadline::BetweenTokens } else { Deadline::FirstToken };
                return Err(self.endpoint.late(deadline));
            }
        }
        Ok(())
    }
}

/// From the request to the head of its answer, if it belongs to a trace. The provider is not told of the trace.
fn span(endpoint: &Endpoint) -> Span {
    if !trace::is_traced() {
        return Span::none();
    }
    tracing::info_span!(
        target: trace::TARGET,
        "POST",
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = "POST",
        http.response.status_code = Empty,
        server.address = endpoint.host(),
        server.port = endpoint.port(),
        error.type = Empty,
    )
}

fn content_type(response: &Response) -> &str {
    response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The typed error of an answer whose status is not a success.
pub(super) async fn refused(endpoint: &Endpoint, mut response: Response) -> Error {
    let status = response.status();
    let headers = response.headers().clone();
    if status.is_redirection() {
        return endpoint.error(ErrorKind::Invalid, "the provider redirects elsewhere; its base_url needs correcting");
    }
    let body = error_body(&mut response).await;
    let status = status.as_u16();
    let refusal = serde_json::from_slice(&body)
        .map_or_else(|_| Refusal::without_words(status), |json| endpoint.wire.refusal(&json));
    endpoint.refused(refusal.with_status(status, &headers))
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
