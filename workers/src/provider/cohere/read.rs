//! What the events of an answer mean.

use std::borrow::Cow;

use domain::conversation::Finish;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{PLAN, THINKING, usage};
use crate::provider::ErrorKind;
use crate::provider::answer::Answer;
use crate::provider::refusal::Refusal;
use crate::provider::wire::{Read, Record};

const NOT_AN_EVENT: &str = "the provider sent something that is not an event of a chat";

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The thought that is being told, by its mark.
    thought: Option<&'static str>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    /// Open: kinds that we do not know are passed over.
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    index: Option<u64>,
    /// Read once the kind is known.
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    tool_plan: Option<Cow<'a, str>>,
    tool_calls: Option<Call>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thinking: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Call {
    id: Option<String>,
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct End {
    finish_reason: Option<String>,
    error: Option<String>,
    usage: Option<Value>,
}

impl Read for Reader {
    fn take(&mut self, record: &Record, answer: &mut Answer) -> Result<(), Refusal> {
        let frame: Frame = serde_json::from_str(&record.data).map_err(|_| Refusal::protocol(NOT_AN_EVENT))?;
        let key = frame.index.unwrap_or(0).to_string();
        match frame.kind.as_deref() {
            Some("content-start" | "content-delta") => self.content(message(frame.delta)?, answer),
            Some("content-end") => self.close(answer),
            Some("tool-plan-delta") => self.plan(message(frame.delta)?, answer),
            Some("tool-call-start") => {
                self.close(answer)?;
                call(&key, message(frame.delta)?, answer)
            }
            Some("tool-call-delta") => call(&key, message(frame.delta)?, answer),
            Some("tool-call-end") => answer.end_tool(&key),
            Some("message-end") => self.end(frame.delta, answer),
            Some("error") | None => Err(error(&record.data)),
            Some(_) => Ok(()),
        }
    }
}

impl Reader {
    fn content(&mut self, message: Option<Message>, answer: &mut Answer) -> Result<(), Refusal> {
        let Some(content) = message.and_then(|message| message.content) else { return Ok(()) };
        if let Some(thinking) = content.thinking {
            self.think(THINKING, &thinking, answer)?;
        }
        if let Some(text) = content.text.filter(|text| !text.is_empty()) {
            self.close(answer)?;
            answer.text(&text)?;
        }
        Ok(())
    }

    fn plan(&mut self, message: Option<Message>, answer: &mut Answer) -> Result<(), Refusal> {
        let Some(plan) = message.and_then(|message| message.tool_plan) else { return Ok(()) };
        self.think(PLAN, &plan, answer)
    }

    fn think(&mut self, mark: &'static str, thought: &str, answer: &mut Answer) -> Result<(), Refusal> {
        if thought.is_empty() {
            return Ok(());
        }
        if self.thought != Some(mark) {
            self.close(answer)?;
            self.thought = Some(mark);
        }
        answer.reasoning(thought)
    }

    /// The thought that was being told is whole.
    fn close(&mut self, answer: &mut Answer) -> Result<(), Refusal> {
        self.thought.take().map_or(Ok(()), |mark| answer.reasoning_signature(mark))
    }

    fn end(&mut self, delta: Option<&RawValue>, answer: &mut Answer) -> Result<(), Refusal> {
        self.close(answer)?;
        let end = delta.map(|delta| serde_json::from_str::<End>(delta.get())).transpose();
        let end = end.map_err(|_| Refusal::protocol(NOT_AN_EVENT))?;
        if let Some(usage) = end.as_ref().and_then(|end| usage::read(end.usage.as_ref()?)) {
            answer.usage(usage);
        }
        let error = end.as_ref().and_then(|end| end.error.as_deref()).unwrap_or_default();
        let finish = match end.as_ref().and_then(|end| end.finish_reason.as_deref()).unwrap_or_default() {
            "COMPLETE" | "STOP_SEQUENCE" => Finish::Stop,
            "MAX_TOKENS" | "ERROR_LIMIT" => Finish::Length,
            "TOOL_CALL" => Finish::ToolCalls,
            "ERROR_TOXIC" => Finish::ContentFilter,
            "ERROR" => return Err(Refusal::default().with_message(error)),
            "TIMEOUT" => return Err(Refusal::default().with_kind(ErrorKind::Overload).with_message(error)),
            _ => Finish::Other,
        };
        answer.finish(finish);
        answer.done();
        Ok(())
    }
}

fn message(delta: Option<&RawValue>) -> Result<Option<Message<'_>>, Refusal> {
    let delta = delta.map(|delta| serde_json::from_str::<Delta>(delta.get())).transpose();
    Ok(delta.map_err(|_| Refusal::protocol(NOT_AN_EVENT))?.and_then(|delta| delta.message))
}

fn call(key: &str, message: Option<Message>, answer: &mut Answer) -> Result<(), Refusal> {
    let Some(call) = message.and_then(|message| message.tool_calls) else { return Ok(()) };
    let function = call.function.as_ref();
    let name = function.and_then(|function| function.name.as_deref()).unwrap_or_default();
    answer.tool(key, call.id.as_deref().unwrap_or_default(), name)?;
    answer.arguments(key, function.and_then(|function| function.arguments.as_deref()).unwrap_or_default())
}

/// What stands in the stream and is no event: an error, whose shape is that of the body of a refusal.
fn error(json: &str) -> Refusal {
    let Ok(value) = serde_json::from_str::<Value>(json) else { return Refusal::protocol(NOT_AN_EVENT) };
    Refusal::find(&value).unwrap_or_else(|| match value.get("message") {
        Some(Value::String(_)) => Refusal::flat(&value),
        _ => Refusal::protocol(NOT_AN_EVENT),
    })
}
