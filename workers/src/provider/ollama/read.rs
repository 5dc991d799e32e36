//! What the lines of an answer mean.

use domain::conversation::{Finish, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::THINKING;
use crate::provider::ErrorKind;
use crate::provider::answer::{Answer, raw_usage, rounded_tokens};
use crate::provider::refusal::Refusal;
use crate::provider::wire::{Read, Record};

const NOT_A_LINE: &str = "the provider sent something that is not a line of a chat";

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// How many tools were called: a call's key is its number. Ollama counts every message's from 0 again.
    calls: usize,
    /// A thought is being told.
    thinks: bool,
}

#[derive(Deserialize)]
struct Line {
    message: Option<Message>,
    done: Option<bool>,
    done_reason: Option<String>,
    error: Option<Value>,
    /// A count that is none says nothing, and does no harm.
    prompt_eval_count: Option<Value>,
    eval_count: Option<Value>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    thinking: Option<String>,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    id: Option<String>,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    arguments: Option<Box<RawValue>>,
}

/// Ollama does not tell the tokens of thoughts from the others.
#[derive(Serialize)]
struct Counts {
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
}

impl Read for Reader {
    fn take(&mut self, record: &Record, answer: &mut Answer) -> Result<(), Refusal> {
        self.take_line(record.data.as_bytes(), answer)
    }

    /// An answer that does not stream is one line.
    fn take_document(&mut self, json: &[u8], answer: &mut Answer) -> Result<(), Refusal> {
        self.take_line(json, answer)
    }
}

impl Reader {
    fn take_line(&mut self, json: &[u8], answer: &mut Answer) -> Result<(), Refusal> {
        let Ok(line) = serde_json::from_slice::<Line>(json) else {
            let error = serde_json::from_slice(json).ok().and_then(|value| refusal(&value));
            return Err(error.unwrap_or_else(|| Refusal::protocol(NOT_A_LINE)));
        };
        if let Some(error) = line.error.filter(|error| !error.is_null()) {
            let body = serde_json::json!({ "error": error });
            return Err(refusal(&body).unwrap_or_else(|| Refusal::flat(&error)));
        }
        if line.message.is_none() && line.done.is_none() {
            return Err(Refusal::protocol(NOT_A_LINE));
        }
        if let Some(message) = line.message {
            self.message(message, answer)?;
        }
        if line.done == Some(true) {
            self.close(answer)?;
            let count = |count: &Option<Value>| count.as_ref().and_then(rounded_tokens);
            let (prompt_eval_count, eval_count) = (count(&line.prompt_eval_count), count(&line.eval_count));
            answer.usage(usage(&Counts { prompt_eval_count, eval_count }));
            answer.finish(finish(line.done_reason.as_deref()));
            answer.done();
        }
        Ok(())
    }

    fn message(&mut self, message: Message, answer: &mut Answer) -> Result<(), Refusal> {
        let thinking = message.thinking.unwrap_or_default();
        self.thinks |= !thinking.is_empty();
        answer.reasoning(&thinking)?;
        let (text, calls) = (message.content.unwrap_or_default(), message.tool_calls.unwrap_or_default());
        if !text.is_empty() || !calls.is_empty() {
            self.close(answer)?;
        }
        answer.text(&text)?;
        for call in calls {
            let key = self.calls.to_string();
            self.calls += 1;
            answer.tool(&key, call.id.as_deref().unwrap_or_default(), &call.function.name)?;
            if let Some(arguments) = call.function.arguments {
                answer.arguments(&key, &written(&arguments))?;
            }
            answer.end_tool(&key)?;
        }
        Ok(())
    }

    /// The thought that was being told is whole.
    fn close(&mut self, answer: &mut Answer) -> Result<(), Refusal> {
        if std::mem::take(&mut self.thinks) { answer.reasoning_signature(THINKING) } else { Ok(()) }
    }
}

/// An object, or the text of one: some models behind it write that.
fn written(arguments: &RawValue) -> String {
    match arguments.get() {
        "null" => String::new(),
        raw => serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned()),
    }
}

fn usage(counts: &Counts) -> Usage {
    let raw = (counts.prompt_eval_count.is_some() || counts.eval_count.is_some()).then(|| raw_usage(counts)).flatten();
    Usage { input: counts.prompt_eval_count, output: counts.eval_count, raw, ..Usage::default() }
}

fn finish(reason: Option<&str>) -> Finish {
    match reason {
        // Versions before 0.4 give none.
        None | Some("stop" | "") => Finish::Stop,
        Some("length") => Finish::Length,
        Some(_) => Finish::Other,
    }
}

/// What an error means: Ollama has no codes, and inside an answer no status either.
pub(super) fn refusal(body: &Value) -> Option<Refusal> {
    const PHRASES: &[(&str, ErrorKind)] = &[
        ("not found, try pulling it first", ErrorKind::UnknownModel),
        ("' not found", ErrorKind::UnknownModel),
        ("exceeds the available context", ErrorKind::ContextTooLong),
        ("exceeds maximum context", ErrorKind::ContextTooLong),
        ("exceed context", ErrorKind::ContextTooLong),
        ("does not support", ErrorKind::Invalid),
        ("maximum pending requests", ErrorKind::Overload),
        ("server busy", ErrorKind::Overload),
        ("runner process has terminated", ErrorKind::Overload),
        ("requires more system memory", ErrorKind::Overload),
        ("unexpected eof", ErrorKind::Interrupted),
        ("unauthorized", ErrorKind::Auth),
    ];
    let refusal = Refusal::find(body)?;
    let message = body.get("error").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let kind = PHRASES.iter().find(|(phrase, _)| message.contains(phrase)).map(|(_, kind)| *kind);
    Some(match kind {
        Some(kind) => refusal.with_kind(kind),
        None => refusal,
    })
}
