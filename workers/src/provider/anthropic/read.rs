//! Answers of Messages. Source: `https://platform.claude.com/docs/en/build-with-claude/streaming`.
//!
//! Unknown events, blocks and deltas are passed over: the protocol announces that there will be more of them.

use std::collections::BTreeMap;

use domain::conversation::Finish;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::tools::OUTPUT_TOOL;
use super::usage::Counts;
use crate::provider::ErrorKind;
use crate::provider::answer::Answer;
use crate::provider::refusal::Refusal;
use crate::provider::turns::REDACTED;
use crate::provider::wire::{Read, Record};

/// The most blocks that are open at a time. One is usual.
const MAX_OPEN_BLOCKS: usize = 256;

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    open: BTreeMap<u64, Open>,
    counts: Counts,
}

/// A block that has begun.
#[derive(Debug)]
enum Open {
    /// A thought, and the signature so far.
    Thought { signature: String },
    /// A call: the arguments that its beginning held, until others come.
    Call { given: Option<String> },
    /// The call that stands for the answer, likewise.
    Output { given: Option<String> },
}

impl Open {
    /// How many bytes it keeps.
    fn bytes(&self) -> usize {
        match self {
            Self::Thought { signature } => signature.len(),
            Self::Call { given } | Self::Output { given } => given.as_ref().map_or(0, String::len),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Event {
    r#type: Option<String>,
    index: Option<u64>,
    message: Option<Message>,
    content_block: Option<Block>,
    delta: Option<Delta>,
    usage: Option<Value>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Message {
    usage: Option<Value>,
}

/// An answer that does not stream.
#[derive(Debug, Deserialize)]
struct Document {
    content: Vec<Block>,
    stop_reason: Option<String>,
    usage: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Block {
    r#type: Option<String>,
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    /// A thought that the provider hides.
    data: Option<String>,
    id: Option<String>,
    name: Option<String>,
    input: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Delta {
    r#type: Option<String>,
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    partial_json: Option<String>,
    stop_reason: Option<String>,
}

impl Event {
    /// Whether it is named, and no error.
    fn is_usual(&self, name: &str) -> bool {
        let is_named = self.r#type.is_some() || !name.is_empty();
        is_named && name != "error" && self.error.is_none() && self.r#type.as_deref() != Some("error")
    }
}

impl Read for Reader {
    fn take(&mut self, record: &Record, answer: &mut Answer) -> Result<(), Refusal> {
        let data = record.data.trim();
        // Some servers end as they do in other protocols.
        if data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        let event = match serde_json::from_str::<Event>(data) {
            Ok(event) if event.is_usual(&record.name) => event,
            // Off the usual way: an error, or nothing that we know.
            _ => return strange(&record.name, data),
        };
        answer.begin();
        let kind = event.r#type.clone();
        self.apply(kind.as_deref().unwrap_or(&record.name), event, answer)
    }

    fn take_document(&mut self, json: &[u8], answer: &mut Answer) -> Result<(), Refusal> {
        let nonsense = || Refusal::protocol("the provider sent JSON that is not a message");
        let value: Value = serde_json::from_slice(json).map_err(|_| nonsense())?;
        if value["type"] != "message" {
            return Err(if Refusal::find(&value).is_some() { refusal(&value) } else { nonsense() });
        }
        let document: Document = serde_json::from_value(value).map_err(|_| nonsense())?;
        answer.begin();
        for (block, index) in document.content.into_iter().zip(0..) {
            self.begin(index, block, answer)?;
            self.end(index, answer)?;
        }
        if let Some(usage) = document.usage {
            self.count(usage, answer);
        }
        answer.finish(finish(document.stop_reason.as_deref().unwrap_or_default()));
        answer.done();
        Ok(())
    }
}

impl Reader {
    fn apply(&mut self, kind: &str, event: Event, answer: &mut Answer) -> Result<(), Refusal> {
        let index = event.index.unwrap_or(0);
        match (kind, event.content_block, event.delta) {
            ("message_start", ..) => {
                self.counts.begin(event.message.and_then(|message| message.usage).unwrap_or_default());
                answer.usage(self.counts.usage());
                Ok(())
            }
            ("content_block_start", Some(block), _) => self.begin(index, block, answer),
            ("content_block_delta", _, Some(delta)) => self.extend(index, delta, answer),
            ("content_block_stop", ..) => self.end(index, answer),
            ("message_delta", _, delta) => {
                self.count(event.usage.unwrap_or_default(), answer);
                let Some(reason) = delta.and_then(|delta| delta.stop_reason) else { return Ok(()) };
                self.end_all(answer)?;
                answer.finish(finish(&reason));
                Ok(())
            }
            ("message_stop", ..) => {
                self.end_all(answer)?;
                answer.done();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, usage: Value, answer: &mut Answer) {
        self.counts.take(usage);
        answer.usage(self.counts.usage());
    }

    fn begin(&mut self, index: u64, block: Block, answer: &mut Answer) -> Result<(), Refusal> {
        self.end(index, answer)?;
        let open = match block.r#type.as_deref() {
            Some("text") => return answer.text(&block.text.unwrap_or_default()),
            Some("thinking") => {
                answer.reasoning(&block.thinking.unwrap_or_default())?;
                Open::Thought { signature: block.signature.unwrap_or_default() }
            }
            Some("redacted_thinking") => {
                Open::Thought { signature: format!("{REDACTED}{}", block.data.unwrap_or_default()) }
            }
            Some("tool_use") => {
                let given =
                    block.input.filter(|input| *input != Value::Object(Map::new())).map(|input| input.to_string());
                let name = block.name.unwrap_or_default();
                if name == OUTPUT_TOOL {
                    Open::Output { given }
                } else {
                    answer.tool(&index.to_string(), &block.id.unwrap_or_default(), &name)?;
                    Open::Call { given }
                }
            }
            // What the provider ran by itself, and what is not known yet.
            _ => return Ok(()),
        };
        if self.open.len() == MAX_OPEN_BLOCKS {
            return Err(Refusal::protocol("the answer has too many open blocks"));
        }
        answer.hold(open.bytes())?;
        self.open.insert(index, open);
        Ok(())
    }

    fn extend(&mut self, index: u64, delta: Delta, answer: &mut Answer) -> Result<(), Refusal> {
        match (delta.r#type.as_deref(), self.open.get_mut(&index)) {
            (Some("text_delta"), _) => answer.text(&delta.text.unwrap_or_default()),
            (Some("thinking_delta"), _) => answer.reasoning(&delta.thinking.unwrap_or_default()),
            (Some("signature_delta"), Some(Open::Thought { signature })) => {
                let more = delta.signature.unwrap_or_default();
                answer.hold(more.len())?;
                signature.push_str(&more);
                Ok(())
            }
            (Some("input_json_delta"), Some(Open::Call { given })) => {
                let json = delta.partial_json.unwrap_or_default();
                if !json.is_empty() {
                    *given = None;
                }
                answer.arguments(&index.to_string(), &json)
            }
            (Some("input_json_delta"), Some(Open::Output { given })) => {
                let json = delta.partial_json.unwrap_or_default();
                if !json.is_empty() {
                    *given = None;
                }
                answer.text(&json)
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self, index: u64, answer: &mut Answer) -> Result<(), Refusal> {
        match self.open.remove(&index) {
            Some(Open::Thought { signature }) if !signature.is_empty() => answer.reasoning_signature(&signature),
            Some(Open::Call { given }) => {
                let key = index.to_string();
                if let Some(arguments) = given {
                    answer.arguments(&key, &arguments)?;
                }
                answer.end_tool(&key)
            }
            Some(Open::Output { given }) => answer.text(&given.unwrap_or_default()),
            _ => Ok(()),
        }
    }

    fn end_all(&mut self, answer: &mut Answer) -> Result<(), Refusal> {
        while let Some(index) = self.open.first_entry().map(|entry| *entry.key()) {
            self.end(index, answer)?;
        }
        Ok(())
    }
}

fn finish(reason: &str) -> Finish {
    match reason {
        // Where a tool was called that is one, the answer knows. The one that stands for the answer is none.
        "end_turn" | "stop_sequence" | "tool_use" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "refusal" => Finish::ContentFilter,
        // `pause_turn` belongs to tools of the provider, which we do not ask for.
        _ => Finish::Other,
    }
}

/// What is no event that can be read: an error, a kind that does not concern us, or nothing of this protocol.
fn strange(name: &str, data: &str) -> Result<(), Refusal> {
    let value = serde_json::from_str::<Value>(data);
    if name == "error" {
        return Err(refusal(&value.unwrap_or_else(|_| Value::String(data.to_owned()))));
    }
    let known = ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta"];
    match value {
        Ok(value) if value.get("error").is_some_and(|error| !error.is_null()) => Err(refusal(&value)),
        Ok(value) if value["type"] == "error" => Err(refusal(&value)),
        Ok(value) if value["type"].as_str().is_some_and(|kind| !known.contains(&kind)) => Ok(()),
        _ => Err(Refusal::protocol("the provider sent something that is not a message")),
    }
}

/// What an error says: `{"type":"error","error":{"type":…,"message":…,"details":{"error_code":…}},"request_id":…}`.
pub(super) fn refusal(body: &Value) -> Refusal {
    let refusal = Refusal::find(body).unwrap_or_else(|| Refusal::flat(body));
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let message = text("/error/message");
    let kind = match (text("/error/type"), text("/error/details/error_code")) {
        // The type of the first is that of a rate limit, but waiting does not help before next month.
        (_, "enforced_spend_limit_reached") | ("billing_error", _) => Some(ErrorKind::Quota),
        ("permission_error", _) => Some(ErrorKind::Auth),
        ("request_too_large", _) => Some(ErrorKind::ContextTooLong),
        ("timeout_error" | "api_error", _) => Some(ErrorKind::Overload),
        // Of type `invalid_request_error`.
        _ if message.contains("credit balance is too low") || message.contains("API usage limits") => {
            Some(ErrorKind::Quota)
        }
        _ if message.contains("exceed context limit") => Some(ErrorKind::ContextTooLong),
        _ => None,
    };
    match kind {
        Some(kind) => refusal.with_kind(kind),
        None => refusal,
    }
}
