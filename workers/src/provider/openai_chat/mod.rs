//! Chat completions, the protocol that most providers and every local server speak.
//!
//! Source: `https://platform.openai.com/docs/api-reference/chat`, and how compatible servers depart from it. Reads
//! tolerantly whatever can be understood, and refuses to take the end of a stream for the end of an answer.

mod calls;
mod details;
mod frame;
mod quirks;
mod read;
#[cfg(test)]
mod tests;
mod think_tags;
mod usage;
mod write;

use std::collections::BTreeMap;

use super::models::Listing;
use super::request::Request;
use super::wire::{Framing, Read, Unsayable, Wire, Written};
pub(super) use quirks::Quirks;
use read::Reader;
use write::Body;

/// A server that speaks chat completions.
#[derive(Debug)]
pub(super) struct ChatCompletions {
    provider: String,
    quirks: Quirks,
    models: BTreeMap<String, Quirks>,
}

impl ChatCompletions {
    /// The protocol as the provider called `provider` speaks it; those of `models` in their own way.
    pub(super) fn new(provider: String, quirks: Quirks, models: BTreeMap<String, Quirks>) -> Self {
        Self { provider, quirks, models }
    }

    fn quirks(&self, model: &str) -> Quirks {
        self.models.get(model).copied().unwrap_or(self.quirks)
    }
}

impl Wire for ChatCompletions {
    fn framing(&self) -> Framing {
        Framing::Events
    }

    fn write(&self, request: &Request) -> Result<Written, Unsayable> {
        let body = Body::of(request, &self.provider, self.quirks(&request.model))?;
        let body =
            serde_json::to_vec(&body).map_err(|_| Unsayable("the prompt cannot be written as JSON".to_owned()))?;
        Ok(Written { path: "/chat/completions".to_owned(), query: None, headers: Vec::new(), body })
    }

    fn reader(&self) -> Box<dyn Read> {
        Box::new(Reader::new(self.quirks))
    }

    fn listing(&self) -> Option<Listing> {
        Some(Listing::OpenAi)
    }
}
