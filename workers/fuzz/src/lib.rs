//! The decoders of `workers` under a fuzzer: the same files, compiled without what makes calls. To build all of `workers` with
//! the fuzzer's instruments would take longer than to fuzz it.

mod aws;
mod checks;

pub use checks::{answer, events, frames, models, refusal, server_sent_events};

#[path = "../../src/provider"]
#[allow(dead_code, unused_imports, reason = "what is written to a provider is compiled along, and not called")]
mod provider {
    mod answer;
    mod anthropic;
    mod aws_frames;
    mod bedrock;
    mod cohere;
    mod decode;
    mod error;
    mod frames;
    mod gemini;
    mod lines;
    mod media;
    mod models;
    pub mod offline;
    mod ollama;
    mod openai_chat;
    mod openai_responses;
    mod refusal;
    mod request;
    pub mod sse;
    mod turns;
    mod wire;

    pub use answer::{Chunk, MAX_ANSWER_BYTES, MAX_TOOL_CALLS};
    pub use error::{Deadline, Error, ErrorKind, Remedy};
    pub use request::{
        Effort, Media, OutputSchema, PromptMessage, PromptPart, Reasoning, Request, Role, Tool, ToolCall, ToolChoice,
        ToolResult,
    };

    /// Signatures of calls, of which none is made.
    mod sigv4 {
        pub(super) fn encoded(text: &str, _kept: &str) -> String {
            text.to_owned()
        }
    }
}
