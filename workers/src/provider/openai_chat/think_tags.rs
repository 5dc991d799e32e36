//! Thoughts that a model tells in its text, between `<think>` and `</think>` at its beginning: servers that do not take
//! them out leave that to us.

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
pub(super) enum Piece {
    Thought(String),
    Text(String),
}

impl ThinkTags {
    /// For an answer that may begin with a thought, or does.
    pub(super) fn new(begins_thinking: bool) -> Self {
        Self { state: if begins_thinking { State::Thinking } else { State::Start }, held: String::new() }
    }

    /// Whether all that comes is text.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Text
    }

    /// Takes the next piece of text and says what is certain now.
    pub(super) fn take(&mut self, text: &str) -> Vec<Piece> {
        let all = std::mem::take(&mut self.held) + text;
        let mut rest = all.as_str();
        let mut pieces = Vec::new();
        while let Some((piece, after)) = self.step(rest) {
            pieces.extend(piece);
            rest = after;
        }
        rest.clone_into(&mut self.held);
        pieces
    }

    /// The next that is certain, and what follows it; none when more must come first.
    fn step<'r>(&mut self, rest: &'r str) -> Option<(Option<Piece>, &'r str)> {
        let begun = rest.trim_start();
        match self.state {
            _ if rest.is_empty() => None,
            State::Start => {
                if let Some(thought) = begun.strip_prefix(OPEN) {
                    self.state = State::Thinking;
                    return Some((None, thought));
                }
                if OPEN.starts_with(begun) && rest.len() <= MAX_SPACE {
                    return None;
                }
                self.state = State::Text;
                Some((None, rest))
            }
            State::Thinking => {
                if let Some((thought, after)) = rest.split_once(CLOSE) {
                    self.state = State::Thought;
                    return Some((Some(Piece::Thought(thought.to_owned())), after));
                }
                let (certain, held) = rest.split_at(rest.len() - held_back(rest));
                (!certain.is_empty()).then(|| (Some(Piece::Thought(certain.to_owned())), held))
            }
            State::Thought => {
                if !begun.is_empty() {
                    self.state = State::Text;
                }
                Some((None, begun))
            }
            State::Text => Some((Some(Piece::Text(rest.to_owned())), "")),
        }
    }

    /// What was held back, now that nothing more comes.
    pub(super) fn end(&mut self) -> Piece {
        let held = std::mem::take(&mut self.held);
        if self.state == State::Thinking { Piece::Thought(held) } else { Piece::Text(held) }
    }
}

/// How many bytes at the end of a thought may be the beginning of its end.
fn held_back(thought: &str) -> usize {
    (1..CLOSE.len()).rev().find(|length| thought.ends_with(&CLOSE[..*length])).unwrap_or(0)
}
