//! Chat, the protocol of Cohere (version 2).
//!
//! Sources: `https://docs.cohere.com/reference/chat-stream`, `https://docs.cohere.com/v2/docs/streaming`,
//! `https://docs.cohere.com/v2/docs/reasoning`. The address is what `/chat` follows: `https://api.cohere.com/v2`.

mod read;
#[cfg(test)]
mod tests;
mod usage;
mod write;

use domain::ModelRef;

use super::models::Listing;
use super::request::Request;
use super::wire::{Framing, Read, Unsayable, Wire, Written};

/// Marks a thought that was told as the plan for the calls after it.
const PLAN: &str = "tool_plan";
/// Marks a thought that was told in a block of its own.
const THINKING: &str = "thinking";

/// The protocol, as one provider speaks it.
#[derive(Debug)]
pub(super) struct Cohere {
    /// The provider's configured id: what its models thought is shown to no other.
    provider: String,
}

impl Cohere {
    /// For the provider configured as `provider`.
    pub(super) fn new(provider: String) -> Self {
        Self { provider }
    }

    fn is_own(&self, thinker: &ModelRef, model: &str) -> bool {
        thinker.provider() == self.provider && thinker.model() == model
    }
}

impl Wire for Cohere {
    fn framing(&self) -> Framing {
        Framing::Events
    }

    fn write(&self, request: &Request) -> Result<Written, Unsayable> {
        let body = serde_json::to_vec(&write::Body::new(self, request)?)
            .map_err(|_| Unsayable("the prompt cannot be written as JSON".to_owned()))?;
        Ok(Written { path: "/chat".to_owned(), query: None, headers: Vec::new(), body })
    }

    fn reader(&self) -> Box<dyn Read> {
        Box::<read::Reader>::default()
    }

    fn listing(&self) -> Option<Listing> {
        Some(Listing::Cohere)
    }
}

/// Whether a model can think, by its name: the others refuse the setting.
fn thinks(model: &str) -> bool {
    model.contains("reasoning") || model.contains("command-a-plus")
}
