//! What a wire protocol adds to a call: how a request is written, and what the records of an answer mean. Pure: no sockets,
//! no clock. Connecting, deadlines, framing, bounds and errors are the same for all of them and live in `call`.

use reqwest::header::{HeaderName, HeaderValue};

use super::answer::Answer;
use super::models::Listing;
use super::refusal::Refusal;
use super::request::Request;

/// A wire protocol.
pub(super) trait Wire: Send + Sync {
    /// How the body of an answer is cut into records.
    fn framing(&self) -> Framing;

    /// Writes a request. The same request always gives the same bytes: providers cache by prefix.
    ///
    /// # Errors
    /// When the protocol has no way to say what is asked (a media type that it does not take, say).
    fn write(&self, request: &Request) -> Result<Written, Unsayable>;

    /// Reads one answer.
    fn reader(&self) -> Box<dyn Read>;

    /// What the body of a refusal says, whose status was not a success; the status is added by who calls. Most protocols
    /// share the shapes that [`Refusal::find`] knows.
    fn refusal(&self, body: &serde_json::Value) -> Refusal {
        Refusal::find(body).unwrap_or_else(|| Refusal::flat(body))
    }

    /// How models are listed; none where the protocol cannot, or only at another address.
    fn listing(&self) -> Option<Listing> {
        None
    }
}

/// Reads the records of one answer.
pub(super) trait Read: Send {
    /// Takes a record in and says into `answer` what it means.
    ///
    /// # Errors
    /// When it is an error of the provider, or nothing that the protocol knows.
    fn take(&mut self, record: &Record, answer: &mut Answer) -> Result<(), Refusal>;

    /// Takes in the one document of an answer that does not stream.
    ///
    /// # Errors
    /// As [`Self::take`]; always, where answers always stream.
    fn take_document(&mut self, json: &[u8], answer: &mut Answer) -> Result<(), Refusal> {
        let _ = (json, answer);
        Err(Refusal::protocol("the provider did not stream its answer"))
    }
}

/// How the body of an answer is cut into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Server-sent events.
    Events,
    /// A JSON document a line.
    Lines,
    /// Binary frames of `application/vnd.amazon.eventstream`.
    AwsFrames,
}

/// A record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The event's name; empty where the framing has none, or it was not given. An AWS frame's `:event-type`, or
    /// `:exception-type`.
    pub(super) name: String,
    /// What it carries: JSON, in every protocol, but it comes from outside.
    pub(super) data: String,
    /// Whether the framing itself says that it is an error (AWS exception frames).
    pub(super) is_exception: bool,
}

/// A request as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// What is appended to the base URL's path, beginning with a slash; may hold percent-encoded segments.
    pub(super) path: String,
    /// What is appended to its query, if anything: `alt=sse`.
    pub(super) query: Option<&'static str>,
    /// Headers beside the content's type and the credential.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// JSON.
    pub(super) body: Vec<u8>,
}

/// Why a request cannot be written; for people, one sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsayable(pub(super) String);
