//! In which form the biller answers: as chat completions, which count at the end, or as Messages, which count what they have
//! read before they say anything.

use serde_json::{Value, json};

/// What a call is answered in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    #[default]
    Chat,
    Messages,
}

impl Form {
    /// The one that a request wants, by its head.
    pub(super) fn of(head: &str) -> Self {
        if head.starts_with("POST /v1/messages ") { Self::Messages } else { Self::Chat }
    }

    /// What comes before the first word.
    pub(super) fn begin(self, input: u64, cached: u64) -> String {
        if self == Self::Chat {
            return String::new();
        }
        let usage = json!({ "input_tokens": input, "cache_read_input_tokens": cached, "output_tokens": 1 });
        let message = json!({ "type": "message", "role": "assistant", "content": [], "usage": usage });
        let block = json!({ "type": "text", "text": "" });
        event(&json!({ "type": "message_start", "message": message }))
            + &event(&json!({ "type": "content_block_start", "index": 0, "content_block": block }))
    }

    /// Some of the answer.
    pub(super) fn say(self, text: &str) -> String {
        match self {
            Self::Chat => chunk(&json!({ "content": text })),
            Self::Messages => {
                let delta = json!({ "type": "text_delta", "text": text });
                event(&json!({ "type": "content_block_delta", "index": 0, "delta": delta }))
            }
        }
    }

    /// That it is whole, and what it costs.
    pub(super) fn end(self, input: u64, output: u64) -> String {
        match self {
            Self::Chat => {
                let usage = json!({ "prompt_tokens": input, "completion_tokens": output });
                let stop = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] });
                let bill = json!({ "choices": [], "usage": usage });
                format!("data: {stop}\n\ndata: {bill}\n\ndata: [DONE]\n\n")
            }
            Self::Messages => {
                let delta = json!({ "stop_reason": "end_turn", "stop_sequence": null });
                let usage = json!({ "output_tokens": output });
                event(&json!({ "type": "content_block_stop", "index": 0 }))
                    + &event(&json!({ "type": "message_delta", "delta": delta, "usage": usage }))
                    + &event(&json!({ "type": "message_stop" }))
            }
        }
    }
}

/// A chunk of chat completions.
pub(super) fn chunk(delta: &Value) -> String {
    format!("data: {}\n\n", json!({ "choices": [{ "index": 0, "delta": delta }] }))
}

/// An event under the name of its type.
fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}
