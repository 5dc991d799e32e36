//! The Responses API of `OpenAI`, and of whoever speaks it after them. Stateless: the provider keeps nothing, and gets its
//! model's sealed thoughts back with the next call.
//!
//! Source: `https://platform.openai.com/docs/api-reference/responses` and `…/responses-streaming`.

mod input;
mod model;
mod read;
#[cfg(test)]
mod tests;
mod usage;
mod write;

use domain::ModelRef;

use super::models::Listing;
use super::request::Request;
use super::turns::{Calls, Turns};
use super::wire::{Framing, Read, Unsayable, Wire, Written};

/// The protocol, as one provider speaks it.
#[derive(Debug)]
pub(super) struct OpenAiResponses {
    /// The provider's configured id: what its models thought means nothing to another.
    provider: String,
}

impl OpenAiResponses {
    /// For the provider configured as `provider`.
    pub(super) fn new(provider: impl Into<String>) -> Self {
        Self { provider: provider.into() }
    }

    fn is_own(&self, thinker: &ModelRef, model: &str) -> bool {
        thinker.provider() == self.provider && thinker.model() == model
    }
}

impl Wire for OpenAiResponses {
    fn framing(&self) -> Framing {
        Framing::Events
    }

    fn write(&self, request: &Request) -> Result<Written, Unsayable> {
        let turns = Turns::of(request, Calls::AsBlocks, |thinker| self.is_own(thinker, &request.model))?;
        let body = serde_json::to_vec(&write::Body::new(request, &turns)?)
            .map_err(|_| Unsayable("the prompt cannot be written as JSON".to_owned()))?;
        Ok(Written { path: "/responses".to_owned(), query: None, headers: Vec::new(), body })
    }

    fn reader(&self) -> Box<dyn Read> {
        Box::<read::Reader>::default()
    }

    fn listing(&self) -> Option<Listing> {
        Some(Listing::OpenAi)
    }
}
