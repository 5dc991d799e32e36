//! Answers of Converse.
//!
//! An event's name stands in the frame, not in its JSON. Unknown ones are passed over. `metadata` comes after `messageStop`
//! and ends the answer: it has the usage.

use std::collections::BTreeMap;

use domain::conversation::{Finish, Usage};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::provider::ErrorKind;
use crate::provider::answer::{Answer, raw_usage, tokens};
use crate::provider::anthropic::tools::OUTPUT_TOOL;
use crate::provider::refusal::Refusal;
use crate::provider::turns::REDACTED;
use crate::provider::wire::{Read, Record};

/// The most blocks that are open at a time. One is usual.
const MAX_OPEN_BLOCKS: usize = 256;

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    open: BTreeMap<u64, Open>,
}

/// A block that has begun.
#[derive(Debug)]
enum Open {
    /// A thought, and the signature so far.
    Thought { signature: String },
    /// A call.
    Call,
    /// The call that stands for the answer.
    Output,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart {
    #[serde(default)]
    content_block_index: u64,
    start: Option<Start>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    tool_use: Option<ToolStart>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolStart {
    tool_use_id: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta {
    #[serde(default)]
    content_block_index: u64,
    delta: Option<Delta>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta {
    text: Option<String>,
    tool_use: Option<ToolDelta>,
    reasoning_content: Option<ReasoningDelta>,
}

#[derive(Debug, Deserialize)]
struct ToolDelta {
    input: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningDelta {
    text: Option<String>,
    signature: Option<String>,
    redacted_content: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageStop {
    stop_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    usage: Option<Value>,
}

impl Read for Reader {
    fn take(&mut self, record: &Record, answer: &mut Answer) -> Result<(), Refusal> {
        if record.is_exception {
            let body = serde_json::from_str(&record.data).unwrap_or(Value::Null);
            return Err(refusal(&record.name, &body));
        }
        answer.begin();
        match record.name.as_str() {
            "contentBlockStart" => {
                let block: BlockStart = parsed(record)?;
                self.begin(block, answer)
            }
            "contentBlockDelta" => {
                let block: BlockDelta = parsed(record)?;
                let Some(delta) = block.delta else { return Ok(()) };
                self.extend(block.content_block_index, delta, answer)
            }
            "contentBlockStop" => {
                let block: BlockStart = parsed(record)?;
                self.end(block.content_block_index, answer)
            }
            "messageStop" => {
                let stop: MessageStop = parsed(record)?;
                self.end_all(answer)?;
                answer.finish(finish(stop.stop_reason.as_deref().unwrap_or_default()));
                Ok(())
            }
            "metadata" => {
                let metadata: Metadata = parsed(record)?;
                if let Some(usage) = &metadata.usage {
                    answer.usage(counts(usage));
                }
                self.end_all(answer)?;
                answer.done();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Reader {
    fn begin(&mut self, block: BlockStart, answer: &mut Answer) -> Result<(), Refusal> {
        let index = block.content_block_index;
        let Some(tool) = block.start.and_then(|start| start.tool_use) else { return Ok(()) };
        self.end(index, answer)?;
        let name = tool.name.unwrap_or_default();
        if name == OUTPUT_TOOL {
            return self.open(index, Open::Output);
        }
        answer.tool(&index.to_string(), &tool.tool_use_id.unwrap_or_default(), &name)?;
        self.open(index, Open::Call)
    }

    fn extend(&mut self, index: u64, delta: Delta, answer: &mut Answer) -> Result<(), Refusal> {
        if let Some(text) = delta.text {
            answer.text(&text)?;
        }
        if let Some(reasoning) = delta.reasoning_content {
            self.think(index, reasoning, answer)?;
        }
        let input = delta.tool_use.and_then(|tool| tool.input).unwrap_or_default();
        match self.open.get(&index) {
            Some(Open::Call) => answer.arguments(&index.to_string(), &input),
            Some(Open::Output) => answer.text(&input),
            _ => Ok(()),
        }
    }

    fn think(&mut self, index: u64, delta: ReasoningDelta, answer: &mut Answer) -> Result<(), Refusal> {
        answer.reasoning(&delta.text.unwrap_or_default())?;
        // A thought has no beginning of its own.
        if !self.open.contains_key(&index) {
            self.open(index, Open::Thought { signature: String::new() })?;
        }
        let Some(Open::Thought { signature }) = self.open.get_mut(&index) else { return Ok(()) };
        let more = delta.signature.unwrap_or_default();
        answer.hold(more.len())?;
        signature.push_str(&more);
        if let Some(hidden) = delta.redacted_content {
            if signature.is_empty() {
                signature.push_str(REDACTED);
            }
            answer.hold(hidden.len())?;
            signature.push_str(&hidden);
        }
        Ok(())
    }

    fn open(&mut self, index: u64, open: Open) -> Result<(), Refusal> {
        if self.open.len() == MAX_OPEN_BLOCKS {
            return Err(Refusal::protocol("the answer has too many open blocks"));
        }
        self.open.insert(index, open);
        Ok(())
    }

    fn end(&mut self, index: u64, answer: &mut Answer) -> Result<(), Refusal> {
        match self.open.remove(&index) {
            Some(Open::Thought { signature }) if !signature.is_empty() => answer.reasoning_signature(&signature),
            Some(Open::Call) => answer.end_tool(&index.to_string()),
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
        "guardrail_intervened" | "content_filtered" => Finish::ContentFilter,
        _ => Finish::Other,
    }
}

fn parsed<T: DeserializeOwned>(record: &Record) -> Result<T, Refusal> {
    serde_json::from_str(&record.data)
        .map_err(|_| Refusal::protocol("the provider sent an event that is not one of Converse"))
}

/// The counts do not overlap; reasoning is among the output and not told apart.
fn counts(usage: &Value) -> Usage {
    let count = |key: &str| usage.get(key).and_then(tokens);
    Usage {
        input: count("inputTokens"),
        cached_input: count("cacheReadInputTokens"),
        cache_write: count("cacheWriteInputTokens"),
        output: count("outputTokens"),
        reasoning: None,
        raw: raw_usage(usage),
    }
}

/// What an error says: `{"message":…}`, its kind in the frame, in `__type`, or in the status alone.
pub(super) fn refusal(exception: &str, body: &Value) -> Refusal {
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    let refusal = Refusal::flat(body);
    // As in `com.amazon.coral.service#ThrottlingException`.
    let told = if exception.is_empty() { text("__type") } else { exception };
    let name = told.rsplit('#').next().unwrap_or_default().to_lowercase();
    let message = format!("{}{}", text("message"), text("Message")).to_lowercase();
    match kind_by_message(&message).or_else(|| kind_by_name(&name)) {
        Some(kind) => refusal.with_kind(kind),
        None => refusal,
    }
}

fn kind_by_message(message: &str) -> Option<ErrorKind> {
    const PHRASES: &[(&str, ErrorKind)] = &[
        ("input is too long", ErrorKind::ContextTooLong),
        ("prompt is too long", ErrorKind::ContextTooLong),
        ("exceed context limit", ErrorKind::ContextTooLong),
        ("maximum context length", ErrorKind::ContextTooLong),
        ("tokens per day", ErrorKind::Quota),
        ("model identifier is invalid", ErrorKind::UnknownModel),
        ("on-demand throughput isn", ErrorKind::UnknownModel),
        ("don't have access to the model", ErrorKind::Auth),
    ];
    PHRASES.iter().find(|(phrase, _)| message.contains(phrase)).map(|(_, kind)| *kind)
}

fn kind_by_name(name: &str) -> Option<ErrorKind> {
    Some(match name {
        "throttlingexception" => ErrorKind::Rate,
        "servicequotaexceededexception" => ErrorKind::Quota,
        "validationexception" => ErrorKind::Invalid,
        "resourcenotfoundexception" => ErrorKind::UnknownModel,
        "internalserverexception"
        | "serviceunavailableexception"
        | "modelnotreadyexception"
        | "modeltimeoutexception"
        | "modelerrorexception"
        | "internalerror" => ErrorKind::Overload,
        // The model broke off; the same call may go through.
        "modelstreamerrorexception" => ErrorKind::Interrupted,
        "accessdeniedexception"
        | "unrecognizedclientexception"
        | "invalidsignatureexception"
        | "expiredtokenexception"
        | "missingauthenticationtokenexception"
        | "incompletesignatureexception" => ErrorKind::Auth,
        _ => return None,
    })
}
