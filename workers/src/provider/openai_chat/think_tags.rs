//! Thoughts that a model tells in its text, between `<think>` and `</think>` at its beginning: servers that do not take
//! them out leave that to us.

use std::borrow::Cow;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";
/// How much white space before a thought is waited for.
const MAX_SPACE: usize = 64;

/// Takes the thought out of an answer's text, however that is split.
#[derive(Debug)]
pub(super) struct ThinkTags {
    state: State,
    /// What may be the beginning of a tag, and white space before one.
    held: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but white space has come.
    Start,
    Thinking,
    /// The thought is over; white space between it and the text belongs to neither.
    Thought,
    Text,
}

/// A piece of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Thought(Cow<'a, str>),
    Text(Cow<'a, str>),
}

impl ThinkTags {
    /// For an answer that may begin with a thought, or does.
    pub(super) fn new(begins_thinking: bool) -> Self {
        Self { state: if begins_thinking { State::Thinking } else { State::Start }, held: String::new() }
    }

    /// Takes the next piece of text and says what is certain now.
    pub(super) fn take<'a>(&mut self, text: &'a str) -> Vec<Piece<'a>> {
        if self.state == State::Text {
            return vec![Piece::Text(text.into())];
        }
        let mut rest = std::mem::take(&mut self.held) + text;
        let mut pieces = Vec::new();
        loop {
            match self.state {
                State::Start => {
                    let begun = rest.trim_start();
                    if let Some(thought) = begun.strip_prefix(OPEN) {
                        rest = thought.to_owned();
                        self.state = State::Thinking;
                        continue;
                    }
                    if OPEN.starts_with(begun) && rest.len() <= MAX_SPACE {
                        break;
                    }
                    self.state = State::Text;
                }
                State::Thinking => {
                    if let Some((thought, after)) = rest.split_once(CLOSE) {
                        pieces.push(Piece::Thought(thought.to_owned().into()));
                        rest = after.to_owned();
                        self.state = State::Thought;
                        continue;
                    }
                    let certain = rest.len() - held_back(&rest);
                    let held = rest.split_off(certain);
                    pieces.push(Piece::Thought(std::mem::replace(&mut rest, held).into()));
                    break;
                }
                State::Thought => {
                    rest = rest.trim_start().to_owned();
                    if rest.is_empty() {
                        break;
                    }
                    self.state = State::Text;
                }
                State::Text => {
                    pieces.push(Piece::Text(std::mem::take(&mut rest).into()));
                    break;
                }
            }
        }
        self.held = rest;
        pieces
    }

    /// What was held back, now that nothing more comes.
    pub(super) fn end(&mut self) -> Piece<'static> {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Thinking => Piece::Thought(held.into()),
            State::Start | State::Thought | State::Text => Piece::Text(held.into()),
        }
    }
}

/// How many bytes at the end of a thought may be the beginning of its end.
fn held_back(thought: &str) -> usize {
    (1..CLOSE.len()).rev().find(|length| thought.ends_with(&CLOSE[..*length])).unwrap_or(0)
}
