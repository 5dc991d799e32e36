//! Converse, the protocol of Amazon Bedrock.
//!
//! Source: `https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html`. The address is the
//! region's, `https://bedrock-runtime.eu-central-1.amazonaws.com`; a call is signed (`sigv4`), or carries a Bedrock key as a
//! bearer token.

mod file;
pub(super) mod quirks;
mod read;
mod write;

use std::collections::BTreeMap;

use serde_json::Value;

use super::refusal::Refusal;
use super::request::Request;
use super::sigv4::encoded;
use super::wire::{Framing, Read, Unsayable, Wire, Written};
use quirks::Quirks;
use read::Reader;
use write::Body;

/// A region of Bedrock.
#[derive(Debug)]
pub(super) struct Converse {
    provider: String,
    models: BTreeMap<String, Quirks>,
}

impl Converse {
    /// The protocol as the provider called `provider` speaks it. Models that are not among `models` are known by their names.
    pub(super) fn new(provider: String, models: BTreeMap<String, Quirks>) -> Self {
        Self { provider, models }
    }
}

impl Wire for Converse {
    fn framing(&self) -> Framing {
        Framing::AwsFrames
    }

    fn write(&self, request: &Request) -> Result<Written, Unsayable> {
        let quirks = self.models.get(&request.model).copied().unwrap_or_else(|| Quirks::of(&request.model));
        let body = Body::of(request, &self.provider, &quirks)?;
        let body =
            serde_json::to_vec(&body).map_err(|_| Unsayable("the prompt cannot be written as JSON".to_owned()))?;
        // Ids hold colons and, as ARNs, slashes.
        let path = format!("/model/{}/converse-stream", encoded(&request.model, ""));
        Ok(Written { path, query: None, headers: Vec::new(), body })
    }

    fn reader(&self) -> Box<dyn Read> {
        Box::new(Reader::default())
    }

    fn refusal(&self, body: &Value) -> Refusal {
        read::refusal("", body)
    }
}

#[cfg(test)]
mod tests;
