//! A message of the log, and what it is in a prompt. A prompt is always valid: every call of a tool has its result in the
//! message after it.

use domain::conversation::Part;
use domain::{MessageId, ModelRef, UserId};

use crate::provider::{PromptMessage, PromptPart, Reasoning, Role, ToolCall, ToolResult};

/// The result of a call that has none: nobody ran the tool.
const NOT_RUN: &str = "The tool was not run.";

/// A message of the log.
pub(super) struct Said {
    pub(super) parent: Option<MessageId>,
    /// Who wrote it; none means the model.
    pub(super) author: Option<UserId>,
    pub(super) parts: Vec<Part>,
    /// The model that said it, as far as the log tells.
    pub(super) model: Option<ModelRef>,
}

impl Said {
    /// The messages that it is in a prompt: none when it says nothing, as a reply that was stopped before it began.
    pub(super) fn into_messages(self, several_people: bool) -> Vec<PromptMessage> {
        let Some(author) = self.author else { return replayed(self.parts, self.model.as_ref()) };
        let text = self.parts.iter().filter_map(Part::text).collect::<Vec<_>>().join("\n\n");
        if text.is_empty() {
            return Vec::new();
        }
        // Among several people the model must know who says what.
        let text = if several_people { format!("{author}: {text}") } else { text };
        vec![PromptMessage::text(Role::User, text)]
    }
}

/// A reply, as the model that said it knows it again: what it said up to its calls, what they gave, what it said then.
fn replayed(parts: Vec<Part>, model: Option<&ModelRef>) -> Vec<PromptMessage> {
    let mut replay = Replay::default();
    for part in parts {
        match part {
            Part::Text { text } if text.is_empty() => {}
            Part::Text { text } => replay.say(PromptPart::Text(text)),
            Part::Reasoning { text, signature, model } => {
                replay.say(PromptPart::Reasoning(Reasoning { model, text, signature }));
            }
            Part::ToolCall { id, name, arguments, signature } => {
                let signature = model.cloned().zip(signature);
                replay.say(PromptPart::ToolCall(ToolCall { id, name, arguments, signature }));
            }
            Part::ToolResult { id, name, content, is_error } => {
                replay.results.push(ToolResult { id, name, content, is_error });
            }
        }
    }
    replay.end();
    replay.messages
}

#[derive(Default)]
struct Replay {
    messages: Vec<PromptMessage>,
    said: Vec<PromptPart>,
    /// What the calls in `said` gave.
    results: Vec<ToolResult>,
}

impl Replay {
    fn say(&mut self, part: PromptPart) {
        if !self.results.is_empty() {
            self.end();
        }
        self.said.push(part);
    }

    /// Ends the model's message, and answers its calls.
    fn end(&mut self) {
        let (said, mut results) = (std::mem::take(&mut self.said), std::mem::take(&mut self.results));
        // A thought that led to nothing is nothing that was said.
        if said.iter().all(|part| matches!(part, PromptPart::Reasoning(_))) {
            return;
        }
        let mut answers = Vec::new();
        for part in &said {
            let PromptPart::ToolCall(ToolCall { id, name, .. }) = part else { continue };
            let given = results.iter().position(|result| result.id == *id).map(|place| results.remove(place));
            answers.push(PromptPart::ToolResult(given.unwrap_or_else(|| not_run(id, name))));
        }
        self.messages.push(PromptMessage { role: Role::Assistant, parts: said });
        if !answers.is_empty() {
            self.messages.push(PromptMessage { role: Role::User, parts: answers });
        }
    }
}

fn not_run(id: &str, name: &str) -> ToolResult {
    ToolResult { id: id.to_owned(), name: name.to_owned(), content: NOT_RUN.to_owned(), is_error: true }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::provider::Chunk;
    use crate::reply::parts::Parts;

    fn call(id: &str) -> Part {
        let (name, arguments) = ("t".to_owned(), "{}".to_owned());
        Part::ToolCall { id: id.to_owned(), name, arguments, signature: Some("s".to_owned()) }
    }

    fn result(id: &str) -> Part {
        Part::ToolResult { id: id.to_owned(), name: "t".to_owned(), content: format!("of {id}"), is_error: false }
    }

    fn text(text: &str) -> Part {
        Part::Text { text: text.to_owned() }
    }

    /// The messages in short: who speaks, and what.
    fn told(parts: Vec<Part>) -> Vec<String> {
        let model: ModelRef = "a/b".parse().unwrap_or_else(|_| unreachable!());
        let part = |part: &PromptPart| match part {
            PromptPart::Text(text) => text.clone(),
            PromptPart::Reasoning(thought) => format!("({})", thought.text),
            PromptPart::ToolCall(call) => {
                let signed = call.signature.as_ref().map(|(model, signature)| format!("{model} {signature}"));
                format!("call {} {}", call.id, signed.unwrap_or_default())
            }
            PromptPart::ToolResult(result) => format!("{}: {} {}", result.id, result.content, result.is_error),
            PromptPart::Media(_) => String::new(),
        };
        let message = |message: &PromptMessage| {
            let parts: Vec<_> = message.parts.iter().map(part).collect();
            format!("{:?} {}", message.role, parts.join(", "))
        };
        replayed(parts, Some(&model)).iter().map(message).collect()
    }

    #[test]
    fn calls_are_answered_in_the_message_after_them() {
        let model = "a/b".parse().unwrap_or_else(|_| unreachable!());
        let thought = Part::Reasoning { text: "hm".to_owned(), signature: None, model };
        let parts = vec![
            thought,
            call("1"),
            call("2"),
            result("2"),
            result("none"),
            text("so"),
            call("3"),
            text(""),
            text("end"),
        ];
        assert_eq!(
            told(parts),
            [
                "Assistant (hm), call 1 a/b s, call 2 a/b s",
                "User 1: The tool was not run. true, 2: of 2 false",
                "Assistant so, call 3 a/b s, end",
                "User 3: The tool was not run. true",
            ]
        );
    }

    #[test]
    fn a_reply_that_only_thought_said_nothing() {
        let model = "a/b".parse().unwrap_or_else(|_| unreachable!());
        let thought = Part::Reasoning { text: "hm".to_owned(), signature: Some("s".to_owned()), model };
        assert_eq!(told(vec![thought, text("")]), [""; 0]);
        assert_eq!(told(vec![]), [""; 0]);
    }

    fn chunk() -> impl Strategy<Value = Chunk> {
        let call = |id: String| {
            let (name, arguments) = ("t".to_owned(), "{}".to_owned());
            Chunk::ToolCall { id, name, arguments, signature: Some("s".to_owned()) }
        };
        prop_oneof![
            Just(Chunk::Text("a".to_owned())),
            Just(Chunk::Reasoning("hm".to_owned())),
            Just(Chunk::ReasoningSignature("s".to_owned())),
            "[a-z]{8}".prop_map(call),
        ]
    }

    proptest! {
        /// Wherever an answer was cut, what is left of it can be shown to its model.
        #[test]
        fn what_is_not_whole_is_replayed_as_valid(chunks in prop::collection::vec(chunk(), 0..12)) {
            let model: ModelRef = "a/b".parse().unwrap();
            let mut parts = Parts::default();
            for chunk in chunks {
                parts.push(chunk, &model);
            }
            let messages = replayed(parts.so_far(), Some(&model));
            for pair in messages.chunks(2) {
                let said = &pair[0];
                prop_assert_eq!(said.role, Role::Assistant);
                let is_thought = |part: &PromptPart| matches!(part, PromptPart::Reasoning(_));
                prop_assert!(!said.parts.iter().all(is_thought), "it led to nothing");
                let is_cut = |part: &PromptPart| matches!(part, PromptPart::Reasoning(thought) if thought.signature.is_none());
                prop_assert!(!said.parts.last().is_some_and(is_cut), "a thought that was cut off");
                let calls = said.parts.iter().filter(|part| matches!(part, PromptPart::ToolCall(_))).count();
                let results = pair.get(1).map_or(0, |results| results.parts.len());
                prop_assert_eq!(calls, results, "each call has its result");
            }
        }
    }
}
