//! Chat, the native protocol of Ollama: what its imitation of chat completions leaves out (how long a model thinks, the
//! length of an answer, why it ended) is told here.
//!
//! Source: `https://docs.ollama.com/api/chat`, `https://docs.ollama.com/capabilities/thinking`. The address is what
//! `/api/chat` follows: `http://127.0.0.1:11434`, or `https://ollama.com`.

mod read;
#[cfg(test)]
mod tests;
mod write;

use domain::ModelRef;
use serde_json::Value;

use super::models::Listing;
use super::refusal::Refusal;
use super::request::Request;
use super::wire::{Framing, Read, Unsayable, Wire, Written};

/// Marks a thought that is whole. Ollama signs nothing, but takes thoughts back.
const THINKING: &str = "thinking";

/// The protocol, as one provider speaks it.
#[derive(Debug)]
pub(super) struct Ollama {
    /// The provider's configured id: what its models thought is shown to no other.
    provider: String,
}

impl Ollama {
    /// For the provider configured as `provider`.
    pub(super) fn new(provider: String) -> Self {
        Self { provider }
    }

    fn is_own(&self, thinker: &ModelRef, model: &str) -> bool {
        thinker.provider() == self.provider && thinker.model() == model
    }
}

impl Wire for Ollama {
    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn write(&self, request: &Request) -> Result<Written, Unsayable> {
        let body = serde_json::to_vec(&write::Body::new(self, request)?)
            .map_err(|_| Unsayable("the prompt cannot be written as JSON".to_owned()))?;
        Ok(Written { path: "/api/chat".to_owned(), query: None, headers: Vec::new(), body })
    }

    fn reader(&self) -> Box<dyn Read> {
        Box::<read::Reader>::default()
    }

    fn refusal(&self, body: &Value) -> Refusal {
        read::refusal(body).unwrap_or_else(|| Refusal::flat(body))
    }

    fn listing(&self) -> Option<Listing> {
        Some(Listing::Ollama)
    }
}
