//! Calls to models: what a reply worker asks, what it gets back, and how a call goes wrong.
//!
//! A provider streams one answer and knows nothing of conversations, attempts or retries: whoever calls decides
//! what an error means for the reply. Two rules hold for every protocol. [`Chunk::Finished`] comes last and only
//! when the provider said that it was done: a stream that merely ends is an error. And dropping the stream closes
//! the provider's socket, so that stopping a reply also stops its bill.

pub mod address;
mod answer;
mod anthropic;
mod aws_frames;
mod bedrock;
mod call;
pub mod catalog;
mod cohere;
mod config;
mod connect;
mod decode;
pub mod demo;
mod error;
pub mod found;
mod frames;
mod gemini;
#[cfg(test)]
mod histories;
pub mod known;
mod lines;
mod media;
mod models;
#[doc(hidden)]
pub mod offline;
mod ollama;
mod openai_chat;
mod openai_responses;
#[cfg(test)]
mod playback;
pub mod price;
#[cfg(any(test, feature = "test-support"))]
pub mod recorded;
mod refusal;
#[cfg(test)]
mod replay;
mod request;
pub mod route;
#[cfg(any(test, feature = "test-support"))]
pub mod rules;
mod sigv4;
pub mod sse;
mod turns;
mod wire;

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;

pub use answer::{Chunk, MAX_ANSWER_BYTES, MAX_TOOL_CALLS};
pub use catalog::{Catalog, ConfigError, ModelInfo};
pub use config::{ApiKey, ModelConfig, Protocol, ProviderConfig};
pub(crate) use connect::Connected;
pub use error::{Deadline, Error, ErrorKind, Remedy};
pub use models::{LIST_DEADLINE, MAX_MODELS, Model};
pub use request::{
    Effort, Media, OutputSchema, PromptMessage, PromptPart, Reasoning, Request, Role, Tool, ToolCall, ToolChoice,
    ToolResult,
};

/// Someone who answers prompts.
pub trait Provider: Send + Sync {
    /// Asks for an answer. Nothing is sent before the stream is first polled.
    ///
    /// The stream ends after its first error, or after [`Chunk::Finished`].
    fn stream(&self, request: Request) -> BoxStream<'static, Result<Chunk, Error>>;

    /// Asks which models it has: in its order, each once, [`MAX_MODELS`] at most. Not every provider tells.
    fn models(&self) -> BoxFuture<'static, Result<Vec<Model>, Error>>;
}

/// How long each part of a call may take.
///
/// A token is text or reasoning that the model produced; keep-alive comments and empty frames are no tokens, so a
/// provider that only keeps the line open still runs out of time. Time in which nobody polls the stream does not
/// count between tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Until the connection stands: name look-up, TCP and TLS.
    pub connect: Duration,
    /// From the first poll until the first token, the connection included.
    pub first_token: Duration,
    /// From one token to the next.
    pub between_tokens: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_token: Duration::from_mins(2),
            between_tokens: Duration::from_secs(30),
        }
    }
}
