//! A prompt in the form that strict protocols (Messages, Converse) demand: turns that alternate, a person's first, none empty,
//! thoughts of the model's own only, every call answered at the beginning of the turn after it, ids and names from their
//! alphabet. Whatever a conversation went through, on whichever models, what comes out is accepted. The same prompt gives
//! the same turns, and what is said later changes no turn but the last: providers cache by prefix.

use std::borrow::Cow;
use std::collections::HashSet;

use domain::ModelRef;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::request::{Media, PromptMessage, PromptPart, Request, Role, ToolResult};
use super::wire::Unsayable;

/// The longest id of a call, and the longest name of a tool, that every strict protocol accepts.
const MAX_NAME_BYTES: usize = 64;
/// What the signature of a thought that the provider hides begins with, in front of the hidden thought itself; no other
/// signature can.
pub(super) const REDACTED: &str = "redacted:";
/// Stands for what came before a prompt that begins with the model's words.
pub(super) const EARLIER: &str = "(The conversation began earlier.)";
/// The result of a call that has none.
pub(super) const NOT_RUN: &str = "The tool was not run.";
/// A result of nothing but white space, which no protocol takes.
const NOTHING: &str = "(nothing)";

/// A prompt in turns.
#[derive(Debug)]
pub(super) struct Turns<'a> {
    /// The instructions, none blank.
    pub(super) system: Vec<&'a str>,
    /// Alternating, beginning with a person's; at least one.
    pub(super) turns: Vec<Turn<'a>>,
}

/// All that one side says before the other does.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    /// Whether the model speaks, not a person.
    pub(super) is_model: bool,
    /// What is said; never empty.
    pub(super) blocks: Vec<Block<'a>>,
}

/// A piece of a turn.
#[derive(Debug)]
pub(super) enum Block<'a> {
    /// Not blank.
    Text(Cow<'a, str>),
    /// A thought of the model that is asked; never the last of a turn.
    Thought {
        /// What it thought; may be empty.
        text: &'a str,
        /// What its provider wants back.
        signature: &'a str,
    },
    /// A call, answered at the beginning of the next turn.
    Call {
        /// Unique in the prompt.
        id: String,
        /// The tool.
        name: Cow<'a, str>,
        /// A JSON object.
        arguments: Cow<'a, RawValue>,
    },
    /// What a call gave; in front of all else in its turn, in the order of the calls.
    Result {
        /// The call.
        id: String,
        /// Not blank.
        content: &'a str,
        /// Whether it failed.
        is_error: bool,
    },
    /// An image or a file of a person.
    Media(&'a Media),
}

/// What becomes of the calls in a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// They stay what they are.
    AsBlocks,
    /// They are told as text, for requests that may not name tools; thoughts, which belong to calls, are left out.
    AsText,
}

impl<'a> Turns<'a> {
    /// Puts the prompt of a request in order. `own` tells whose thoughts the provider knows again.
    ///
    /// # Errors
    /// When nothing is said in it.
    pub(super) fn of(request: &'a Request, calls: Calls, own: impl Fn(&ModelRef) -> bool) -> Result<Self, Unsayable> {
        let mut system = Vec::new();
        let mut spoken: Vec<(bool, Vec<&PromptPart>)> = Vec::new();
        for message in &request.messages {
            if message.role == Role::System {
                system.extend(message.parts.iter().filter_map(text));
                continue;
            }
            let parts = shown(message, calls, &own);
            let is_model = message.role == Role::Assistant;
            match spoken.last_mut() {
                _ if parts.is_empty() => {}
                Some((speaker, said)) if *speaker == is_model => said.extend(parts),
                _ => spoken.push((is_model, parts)),
            }
        }
        if spoken.is_empty() {
            return Err(Unsayable("the prompt is empty".to_owned()));
        }
        let mut builder = Builder { calls, turns: Vec::new(), ids: HashSet::new(), open: Vec::new() };
        if spoken[0].0 {
            builder.turns.push(Turn { is_model: false, blocks: vec![Block::Text(EARLIER.into())] });
        }
        for (is_model, parts) in spoken {
            if is_model { builder.model(&parts) } else { builder.person(&parts) }
        }
        if !builder.open.is_empty() {
            builder.person(&[]);
        }
        Ok(Self { system, turns: builder.turns })
    }

    /// The names of the tools that were called.
    pub(super) fn called(&self) -> impl Iterator<Item = &str> {
        self.turns.iter().flat_map(|turn| &turn.blocks).filter_map(|block| match block {
            Block::Call { name, .. } => Some(name.as_ref()),
            _ => None,
        })
    }

    /// The turn that the model shall go on with, if the prompt ends with one of its own.
    pub(super) fn ends_with_model(&self) -> bool {
        self.turns.last().is_some_and(|turn| turn.is_model)
    }
}

struct Builder<'a> {
    calls: Calls,
    turns: Vec<Turn<'a>>,
    /// Every id given so far. Those of the history are unique within a message only.
    ids: HashSet<String>,
    /// The calls of the last turn: their ids as they were, and as they are now.
    open: Vec<(&'a str, String)>,
}

impl<'a> Builder<'a> {
    fn model(&mut self, parts: &[&'a PromptPart]) {
        let mut blocks = Vec::new();
        for part in parts {
            blocks.push(match part {
                PromptPart::Text(text) => Block::Text(text.into()),
                PromptPart::Reasoning(thought) => {
                    Block::Thought { text: &thought.text, signature: thought.signature.as_deref().unwrap_or_default() }
                }
                PromptPart::ToolCall(call) if self.calls == Calls::AsText => {
                    Block::Text(format!("(Called {} with {}.)", call.name, call.arguments).into())
                }
                PromptPart::ToolCall(call) => {
                    let id = self.id(&call.id);
                    self.open.push((&call.id, id.clone()));
                    Block::Call { id, name: name(&call.name), arguments: object(&call.arguments) }
                }
                // No protocol shows a model its own files.
                PromptPart::Media(media) => Block::Text(left_out(media).into()),
                PromptPart::ToolResult(result) => told(result),
            });
        }
        self.turns.push(Turn { is_model: true, blocks });
    }

    fn person(&mut self, parts: &[&'a PromptPart]) {
        let mut results: Vec<&ToolResult> = parts
            .iter()
            .filter_map(|part| match part {
                PromptPart::ToolResult(result) => Some(result),
                _ => None,
            })
            .collect();
        let mut blocks = Vec::new();
        for (raw, id) in std::mem::take(&mut self.open) {
            let found = results.iter().position(|result| result.id == raw).map(|position| results.remove(position));
            let (content, is_error) =
                found.map_or((NOT_RUN, true), |result| (result.content.as_str(), result.is_error));
            let content = if content.trim().is_empty() { NOTHING } else { content };
            blocks.push(Block::Result { id, content, is_error });
        }
        // Results without a call of theirs in the turn before.
        blocks.extend(results.into_iter().map(told));
        blocks.extend(parts.iter().filter_map(|part| match part {
            PromptPart::Text(text) => Some(Block::Text(text.into())),
            PromptPart::Media(media) if media.bytes.is_empty() => Some(Block::Text(left_out(media).into())),
            PromptPart::Media(media) => Some(Block::Media(media)),
            _ => None,
        }));
        self.turns.push(Turn { is_model: false, blocks });
    }

    /// The id itself where it can be, else one made from it.
    fn id(&mut self, raw: &str) -> String {
        let sound = (1..=MAX_NAME_BYTES).contains(&raw.len()) && raw.bytes().all(is_plain);
        let mut id = if sound { raw.to_owned() } else { made(raw, 0) };
        for repetition in 1.. {
            if self.ids.insert(id.clone()) {
                break;
            }
            id = made(raw, repetition);
        }
        id
    }
}

/// The parts of a message that are worth showing; thoughts at its end are not, and no protocol takes them there.
fn shown<'a>(message: &'a PromptMessage, calls: Calls, own: &impl Fn(&ModelRef) -> bool) -> Vec<&'a PromptPart> {
    let is_model = message.role == Role::Assistant;
    let mut parts: Vec<_> = message
        .parts
        .iter()
        .filter(|part| match part {
            PromptPart::Text(_) => text(part).is_some(),
            PromptPart::Reasoning(thought) => {
                is_model && calls == Calls::AsBlocks && thought.signature.is_some() && own(&thought.model)
            }
            PromptPart::ToolCall(_) => is_model,
            PromptPart::ToolResult(_) | PromptPart::Media(_) => true,
        })
        .collect();
    while parts.pop_if(|part| matches!(part, PromptPart::Reasoning(_))).is_some() {}
    parts
}

fn text(part: &PromptPart) -> Option<&str> {
    match part {
        PromptPart::Text(text) if !text.trim().is_empty() => Some(text),
        _ => None,
    }
}

fn told<'a>(result: &ToolResult) -> Block<'a> {
    Block::Text(format!("(Result of {}: {})", result.name, result.content).into())
}

/// What stands for a file that cannot be shown.
pub(super) fn left_out(media: &Media) -> String {
    let name = media.name.as_deref().unwrap_or("without a name");
    format!("(A file, {name}, of type {}, is left out.)", media.media_type)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn made(raw: &str, repetition: u32) -> String {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{repetition} {raw}").as_bytes());
    format!("call_{}", id.simple())
}

/// Models call tools by names that no tool has; their own words must not make the next request invalid.
fn name(raw: &str) -> Cow<'_, str> {
    if (1..=MAX_NAME_BYTES).contains(&raw.len()) && raw.bytes().all(is_plain) {
        return raw.into();
    }
    let plain = |char: char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' };
    let name: String = raw.chars().take(MAX_NAME_BYTES).map(plain).collect();
    if name.is_empty() { "unknown".into() } else { name.into() }
}

/// The arguments as they are, so that a provider finds its own bytes again; wrapped where they are no object.
fn object(arguments: &str) -> Cow<'_, RawValue> {
    let text = arguments.trim();
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) if raw.get().starts_with('{') => Cow::Borrowed(raw),
        _ => {
            let wrapped = if text.is_empty() { serde_json::json!({}) } else { serde_json::json!({ "invalid": text }) };
            Cow::Owned(serde_json::value::to_raw_value(&wrapped).unwrap_or_default())
        }
    }
}
