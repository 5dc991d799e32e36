//! Calls to models: what a reply worker asks, what it gets back, and how a call goes wrong.
//!
//! A provider streams one answer and knows nothing of conversations, attempts or retries: whoever calls decides
//! what an error means for the reply. Two rules hold for every protocol. [`Chunk::Finished`] comes last and only
//! when the provider said that it was done: a stream that merely ends is an error. And dropping the stream closes
//! the provider's socket, so that stopping a reply also stops its bill.

pub mod catalog;
pub mod demo;
mod error;
pub mod found;
pub mod openai_chat;
pub mod sse;

use std::time::Duration;

use domain::conversation::{Finish, Usage};
use futures::stream::BoxStream;

pub use catalog::{ApiKey, Catalog, ConfigError, ModelConfig, ModelInfo, Protocol, ProviderConfig};
pub use error::{Deadline, Error, ErrorKind};

/// Someone who answers prompts.
pub trait Provider: Send + Sync {
    /// Asks for an answer. Nothing is sent before the stream is first polled.
    ///
    /// The stream ends after its first error, or after [`Chunk::Finished`].
    fn stream(&self, request: Request) -> BoxStream<'static, Result<Chunk, Error>>;
}

/// One streamed call to a model.
#[derive(Clone, Debug)]
pub struct Request {
    /// The model, as its provider knows it.
    pub model: String,
    /// The prompt, oldest message first.
    pub messages: Vec<PromptMessage>,
    /// An opaque name for the person asking, for the provider's abuse limits.
    pub user: Option<String>,
}

/// A message of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PromptMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Who speaks in a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The installation or the conversation's owner: instructions.
    System,
    /// A person.
    User,
    /// The model.
    Assistant,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// The next piece of text, never empty.
    Text(String),
    /// The answer is whole. Always the last item, and only after the provider's own terminal mark.
    Finished {
        /// Why the model stopped.
        finish: Finish,
        /// Tokens used, as far as the provider told.
        usage: Usage,
    },
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
            first_token: Duration::from_mins(1),
            between_tokens: Duration::from_secs(30),
        }
    }
}
