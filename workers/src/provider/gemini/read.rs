//! What the events of an answer mean: each is a response of its own, and the answer is all of them.

use domain::conversation::Finish;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::partial::{Arguments, Piece};
use super::signature::Mark;
use super::{refusal, usage};
use crate::provider::ErrorKind;
use crate::provider::answer::Answer;
use crate::provider::refusal::Refusal;
use crate::provider::wire::{Read, Record};

/// Of so many responses one is asked what has been counted by then: each says it, and what is said between two is estimated should
/// the answer break off there.
const COUNTED_EVERY: usize = 8;
const NOT_A_RESPONSE: &str = "the provider sent something that is not a response of generateContent";

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// How many responses have come.
    frames: usize,
    /// How many tools were called: a call's key is its number.
    calls: usize,
    /// The call whose arguments still come in pieces.
    open: Option<(String, Arguments)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame<'a> {
    candidates: Option<Vec<Candidate>>,
    prompt_feedback: Option<Value>,
    /// In every frame; most of it is not looked at.
    #[serde(borrow)]
    usage_metadata: Option<&'a RawValue>,
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    index: Option<u64>,
    content: Option<Content>,
    /// Open: there are new ones every few months.
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    parts: Option<Vec<Part>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    text: Option<String>,
    thought: Option<bool>,
    thought_signature: Option<String>,
    function_call: Option<FunctionCall>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionCall {
    id: Option<String>,
    name: Option<String>,
    args: Option<Box<RawValue>>,
    partial_args: Option<Vec<Piece>>,
    will_continue: Option<bool>,
}

impl Read for Reader {
    fn take(&mut self, record: &Record, answer: &mut Answer) -> Result<(), Refusal> {
        self.take_json(record.data.as_bytes(), answer)
    }

    /// What a server answers that did not understand `alt=sse`, errors among it: the same responses, as a list.
    fn take_document(&mut self, json: &[u8], answer: &mut Answer) -> Result<(), Refusal> {
        self.take_json(json, answer)
    }
}

impl Reader {
    fn take_json(&mut self, json: &[u8], answer: &mut Answer) -> Result<(), Refusal> {
        let parsed = match json.trim_ascii_start().first() {
            Some(b'[') => serde_json::from_slice::<Vec<Frame>>(json),
            _ => serde_json::from_slice::<Frame>(json).map(|frame| vec![frame]),
        };
        let Ok(frames) = parsed else {
            let error = serde_json::from_slice::<Value>(json).ok().filter(|value| Refusal::find(value).is_some());
            return Err(error.map_or_else(|| Refusal::protocol(NOT_A_RESPONSE), |error| refusal::read(&error)));
        };
        frames.into_iter().try_for_each(|frame| self.frame(frame, answer))
    }

    fn frame(&mut self, frame: Frame<'_>, answer: &mut Answer) -> Result<(), Refusal> {
        answer.begin();
        if let Some(error) = frame.error.filter(|error| !error.is_null()) {
            return Err(refusal::read(&error));
        }
        let candidates = frame.candidates.unwrap_or_default();
        let goes_on = candidates.iter().any(|candidate| candidate.finish_reason.is_none()) && !answer.is_finished();
        let is_asked = !goes_on || self.frames.is_multiple_of(COUNTED_EVERY);
        self.frames += 1;
        if let Some(usage) = frame.usage_metadata.filter(|_| is_asked).and_then(usage::read) {
            answer.usage(usage);
        }
        if candidates.is_empty() && frame.prompt_feedback.as_ref().is_some_and(is_blocked) {
            return Err(Refusal::protocol("the provider declines to answer this").with_kind(ErrorKind::ContentFilter));
        }
        // One answer was asked for.
        candidates
            .into_iter()
            .filter(|candidate| candidate.index.unwrap_or(0) == 0)
            .try_for_each(|candidate| self.candidate(candidate, answer))
    }

    fn candidate(&mut self, candidate: Candidate, answer: &mut Answer) -> Result<(), Refusal> {
        let parts = candidate.content.and_then(|content| content.parts).unwrap_or_default();
        parts.into_iter().try_for_each(|part| self.part(part, answer))?;
        let Some(reason) = candidate.finish_reason else { return Ok(()) };
        let Some(finish) = Self::finish(&reason)? else { return Ok(()) };
        self.close(answer)?;
        answer.finish(finish);
        Ok(())
    }

    fn part(&mut self, part: Part, answer: &mut Answer) -> Result<(), Refusal> {
        let signature = part.thought_signature.as_deref().filter(|signature| !signature.is_empty());
        if let Some(call) = part.function_call {
            return self.call(call, signature, answer);
        }
        // Of parts that we do not know, a signature alone is of no use.
        let Some(text) = part.text else { return Ok(()) };
        let mark = if part.thought == Some(true) {
            answer.reasoning(&text)?;
            signature.map(Mark::Thought)
        } else {
            answer.text(&text)?;
            signature.map(|signature| Mark::Text { bytes: text.len(), signature })
        };
        mark.map_or(Ok(()), |mark| answer.reasoning_signature(&mark.keep()))
    }

    fn call(&mut self, call: FunctionCall, signature: Option<&str>, answer: &mut Answer) -> Result<(), Refusal> {
        let name = call.name.as_deref().filter(|name| !name.is_empty());
        // Without a name, it goes on with the one before.
        if let Some(name) = name {
            self.close(answer)?;
            let key = self.calls.to_string();
            self.calls += 1;
            answer.tool(&key, call.id.as_deref().unwrap_or_default(), name)?;
            self.open = Some((key, Arguments::default()));
        }
        let Some((key, arguments)) = &mut self.open else {
            return Err(Refusal::protocol("the provider sent a tool call without a name"));
        };
        if let Some(signature) = signature {
            answer.tool_signature(key, signature)?;
        }
        call.partial_args.into_iter().flatten().try_for_each(|piece| arguments.put(piece))?;
        if call.will_continue == Some(true) {
            return Ok(());
        }
        let Some(args) = call.args.filter(|args| args.get() != "null") else { return self.close(answer) };
        answer.arguments(key, args.get())?;
        answer.end_tool(key)?;
        self.open = None;
        Ok(())
    }

    /// Ends the call whose arguments came in pieces.
    fn close(&mut self, answer: &mut Answer) -> Result<(), Refusal> {
        let Some((key, arguments)) = self.open.take() else { return Ok(()) };
        answer.arguments(&key, &arguments.into_json())?;
        answer.end_tool(&key)
    }

    /// Why the model stopped; none when it did not.
    fn finish(reason: &str) -> Result<Option<Finish>, Refusal> {
        Ok(Some(match reason {
            "" | "FINISH_REASON_UNSPECIFIED" => return Ok(None),
            "STOP" => Finish::Stop,
            "MAX_TOKENS" => Finish::Length,
            "SAFETY"
            | "RECITATION"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "MODEL_ARMOR"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION" => Finish::ContentFilter,
            // The next try usually goes well.
            "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "MALFORMED_RESPONSE" => {
                return Err(Refusal::interrupted("the model's tool call made no sense to its provider"));
            }
            "MISSING_THOUGHT_SIGNATURE" => {
                return Err(
                    Refusal::protocol("the provider misses a thought's signature").with_kind(ErrorKind::Invalid)
                );
            }
            _ => Finish::Other,
        }))
    }
}

fn is_blocked(feedback: &Value) -> bool {
    let reason = feedback.get("blockReason").and_then(Value::as_str);
    reason.is_some_and(|reason| !matches!(reason, "" | "BLOCK_REASON_UNSPECIFIED" | "BLOCKED_REASON_UNSPECIFIED"))
}
