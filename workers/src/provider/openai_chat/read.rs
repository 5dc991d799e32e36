//! What the frames of an answer mean.

use domain::conversation::Finish;
use serde_json::Value;

use super::calls::Calls;
use super::details::Details;
use super::frame::{Choice, Content, Frame, Saying, words};
use super::think_tags::{Piece, ThinkTags};
use super::{Quirks, usage};
use crate::provider::answer::Answer;
use crate::provider::refusal::Refusal;
use crate::provider::wire::{Read, Record};

/// Reads one answer.
#[derive(Debug)]
pub(super) struct Reader {
    calls: Calls,
    tags: ThinkTags,
    /// The field in which a thought comes that has not ended.
    thinking: Option<&'static str>,
    details: Details,
    refused: bool,
}

impl Reader {
    pub(super) fn new(quirks: Quirks) -> Self {
        let tags = ThinkTags::new(quirks.begins_thinking);
        Self { calls: Calls::default(), tags, thinking: None, details: Details::default(), refused: false }
    }

    /// Takes a frame, or a whole answer.
    fn take_frame(&mut self, json: &[u8], answer: &mut Answer) -> Result<(), Refusal> {
        let frame = frame(json)?;
        let groq = || frame.x_groq.as_ref().and_then(|groq| groq.get("usage"));
        // Repeated usage is cumulative: the last one counts.
        if let Some(usage) = frame.usage.as_ref().and_then(usage::read).or_else(|| groq().and_then(usage::read)) {
            answer.usage(usage);
        }
        let choices = frame.choices.unwrap_or_default();
        // One answer was asked for; a server that sends several does not get them mixed into each other.
        choices
            .into_iter()
            .filter(|choice| choice.index.unwrap_or(0) == 0)
            .try_for_each(|choice| self.take_choice(choice, answer))
    }

    fn take_choice(&mut self, choice: Choice, answer: &mut Answer) -> Result<(), Refusal> {
        // Perplexity repeats the whole text in `message` beside each delta: only an answer without deltas is there.
        match (choice.delta, choice.message) {
            (Some(delta), _) => self.take_saying(delta, answer)?,
            (None, Some(message)) if answer.is_empty() => self.take_saying(message, answer)?,
            _ => {}
        }
        match choice.finish_reason.as_deref() {
            None | Some("" | "null") => Ok(()),
            Some("error" | "abort" | "aborted" | "cancelled" | "insufficient_system_resource") => {
                Err(Refusal::interrupted("the provider broke the answer off"))
            }
            Some(reason) => {
                let held = self.tags.end();
                self.take_piece(held, answer)?;
                self.end_thought(answer)?;
                answer.finish(self.finish(reason));
                Ok(())
            }
        }
    }

    fn take_saying(&mut self, saying: Saying, answer: &mut Answer) -> Result<(), Refusal> {
        if let Some(thought) = saying.thought() {
            self.think(thought.field, &thought.text, answer)?;
        }
        if let Some(details) = saying.reasoning_details {
            self.details.take(details, answer)?;
        }
        match saying.content {
            Some(Content::Text(text)) => self.say(&text, answer)?,
            Some(Content::Parts(parts)) => {
                for part in parts {
                    let thought = part.thinking.as_ref().map(words).unwrap_or_default();
                    self.think("content", &thought, answer)?;
                    self.say(&part.text.unwrap_or_default(), answer)?;
                }
            }
            None => {}
        }
        if let Some(refusal) = saying.refusal.filter(|refusal| !refusal.is_empty()) {
            self.refused = true;
            self.say(&refusal, answer)?;
        }
        for call in saying.tool_calls.unwrap_or_default() {
            self.end_thought(answer)?;
            self.calls.take(call, answer)?;
        }
        match saying.function_call {
            Some(function) => self.calls.take_function(function, answer),
            None => Ok(()),
        }
    }

    fn say(&mut self, text: &str, answer: &mut Answer) -> Result<(), Refusal> {
        if text.is_empty() {
            return Ok(());
        }
        if self.tags.is_over() {
            self.end_thought(answer)?;
            return answer.text(text);
        }
        let pieces = self.tags.take(text);
        pieces.into_iter().try_for_each(|piece| self.take_piece(piece, answer))
    }

    fn take_piece(&mut self, piece: Piece, answer: &mut Answer) -> Result<(), Refusal> {
        match piece {
            Piece::Thought(thought) => self.think("content", &thought, answer),
            Piece::Text(text) if text.is_empty() => Ok(()),
            Piece::Text(text) => {
                self.end_thought(answer)?;
                answer.text(&text)
            }
        }
    }

    fn think(&mut self, field: &'static str, thought: &str, answer: &mut Answer) -> Result<(), Refusal> {
        if !thought.is_empty() {
            self.thinking = Some(field);
        }
        answer.reasoning(thought)
    }

    /// A thought is marked with the field that it came in, where some servers want it back; or with all that was said of it.
    fn end_thought(&mut self, answer: &mut Answer) -> Result<(), Refusal> {
        let field = self.thinking.take();
        if let Some(details) = self.details.end() {
            return answer.reasoning_signature(&details);
        }
        match field {
            Some(field @ ("reasoning_content" | "reasoning")) => answer.reasoning_signature(field),
            _ => Ok(()),
        }
    }

    fn finish(&self, reason: &str) -> Finish {
        match reason.to_lowercase().as_str() {
            "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" | "completed" if self.refused => {
                Finish::ContentFilter
            }
            "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" | "completed" => Finish::Stop,
            "length" | "max_tokens" | "max_output_tokens" | "model_length" => Finish::Length,
            "tool_calls" | "tool_call" | "tool_use" | "function_call" => Finish::ToolCalls,
            "content_filter" | "safety" | "refusal" => Finish::ContentFilter,
            _ => Finish::Other,
        }
    }
}

impl Read for Reader {
    fn take(&mut self, record: &Record, answer: &mut Answer) -> Result<(), Refusal> {
        let data = record.data.trim();
        if data == "[DONE]" {
            let held = self.tags.end();
            self.take_piece(held, answer)?;
            answer.done();
            return Ok(());
        }
        if record.name == "error" {
            let error = serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_owned()));
            return Err(Refusal::find(&error).unwrap_or_else(|| Refusal::flat(&error)));
        }
        self.take_frame(data.as_bytes(), answer)
    }

    fn take_document(&mut self, json: &[u8], answer: &mut Answer) -> Result<(), Refusal> {
        self.take_frame(json, answer)?;
        if answer.finished().is_none() && answer.is_empty() {
            return Err(Refusal::protocol("the provider sent JSON that is not a chat completion"));
        }
        let held = self.tags.end();
        self.take_piece(held, answer)?;
        // A document is whole or does not parse.
        answer.done();
        Ok(())
    }
}

fn frame(json: &[u8]) -> Result<Frame<'_>, Refusal> {
    match serde_json::from_slice::<Frame>(json) {
        Ok(frame) if !frame.is_error() => Ok(frame),
        // Off the usual way: an error, or nothing that we know.
        result => {
            let refusal = serde_json::from_slice(json).ok().and_then(|value| Refusal::find(&value));
            match (refusal, result) {
                (Some(refusal), _) => Err(refusal),
                // `"error":{}`: some servers always send the field.
                (None, Ok(frame)) => Ok(frame),
                (None, Err(_)) => Err(Refusal::protocol("the provider sent something that is not a chat completion")),
            }
        }
    }
}
