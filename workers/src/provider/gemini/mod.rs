//! `generateContent` of Google's Gemini models, at AI Studio and at Vertex AI.
//!
//! Sources: `https://ai.google.dev/api/generate-content`, `https://ai.google.dev/gemini-api/docs/thought-signatures` and
//! `https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference`. A stream has no mark at its end: what
//! ends an answer is the reason why the model stopped.

mod contents;
mod model;
mod partial;
mod read;
mod refusal;
mod signature;
#[cfg(test)]
mod tests;
mod usage;
mod write;

use std::fmt::Write as _;

use domain::ModelRef;

use super::models::Listing;
use super::refusal::Refusal;
use super::request::Request;
use super::wire::{Framing, Read, Unsayable, Wire, Written};

/// The protocol, as one provider speaks it. Its base URL goes up to what `/models/…` follows:
/// `https://generativelanguage.googleapis.com/v1beta`, or
/// `https://{location}-aiplatform.googleapis.com/v1/projects/{project}/locations/{location}/publishers/google`.
#[derive(Debug)]
pub(super) struct Gemini {
    /// The provider's configured id: what its models thought means nothing to another.
    provider: String,
    quirks: Quirks,
}

/// Where the two servers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quirks {
    /// Calls of functions have ids, and what they gave names them. Vertex AI refuses the field.
    pub(super) call_ids: bool,
}

impl Quirks {
    /// `generativelanguage.googleapis.com`.
    pub(super) const AI_STUDIO: Self = Self { call_ids: true };
    /// `aiplatform.googleapis.com`.
    pub(super) const VERTEX: Self = Self { call_ids: false };
}

impl Gemini {
    /// For the provider configured as `provider`.
    pub(super) fn new(provider: impl Into<String>, quirks: Quirks) -> Self {
        Self { provider: provider.into(), quirks }
    }

    fn is_own(&self, thinker: &ModelRef, model: &str) -> bool {
        thinker.provider() == self.provider && thinker.model() == model
    }
}

impl Wire for Gemini {
    fn framing(&self) -> Framing {
        Framing::Events
    }

    fn write(&self, request: &Request) -> Result<Written, Unsayable> {
        let body = serde_json::to_vec(&write::Body::new(self, request)?)
            .map_err(|_| Unsayable("the prompt cannot be written as JSON".to_owned()))?;
        // Lists of models name them `models/…`.
        let model = request.model.strip_prefix("models/").unwrap_or(&request.model);
        let path = format!("/models/{}:streamGenerateContent", segment(model));
        Ok(Written { path, query: Some("alt=sse"), headers: Vec::new(), body })
    }

    fn reader(&self) -> Box<dyn Read> {
        Box::<read::Reader>::default()
    }

    fn refusal(&self, body: &serde_json::Value) -> Refusal {
        refusal::read(body)
    }

    fn listing(&self) -> Option<Listing> {
        // Vertex AI, by its address, lists what its models are made of.
        self.quirks.call_ids.then_some(Listing::Gemini)
    }
}

/// A name as one segment of a path, whatever is in it.
fn segment(name: &str) -> String {
    name.bytes().fold(String::new(), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}
