//! What differs from model to model behind Messages, as data.

use serde::Deserialize;

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::provider) struct Quirks {
    /// The most tokens of an answer, its reasoning included. Messages demands a limit: where a request has none, this is it.
    pub(in crate::provider) max_output: u64,
    /// How it is made to think.
    pub(in crate::provider) thinking: Thinking,
    /// How its answer is given a shape.
    pub(in crate::provider) structured: Structured,
    /// Whether it can be made to call a tool.
    pub(in crate::provider) forced_tools: bool,
    /// Whether it goes on with an answer whose beginning the prompt ends with.
    pub(in crate::provider) prefill: bool,
    /// Whether its thoughts are bound to all that stood before them, and a request that shows them after anything else is
    /// refused unless it says that they may be dropped.
    pub(in crate::provider) bound_thoughts: bool,
}

/// How a model is made to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::provider) enum Thinking {
    /// It cannot.
    Never,
    /// It gets a budget of tokens.
    Budget,
    /// It decides by itself, more or less of it by an effort; can be turned off.
    Adaptive,
    /// The same, but it always thinks.
    Always,
}

/// How an answer is given a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::provider) enum Structured {
    /// The protocol has a field for it.
    Native,
    /// The model is made to call a tool that has this shape.
    Tool,
}

impl Default for Quirks {
    /// Of a model that nobody knows: what every server that speaks Messages understands.
    fn default() -> Self {
        Self {
            max_output: 8_192,
            thinking: Thinking::Budget,
            structured: Structured::Tool,
            forced_tools: true,
            prefill: false,
            bound_thoughts: false,
        }
    }
}

/// Since May 2025.
const BUDGET: Quirks = Quirks {
    max_output: 64_000,
    thinking: Thinking::Budget,
    structured: Structured::Native,
    forced_tools: true,
    prefill: true,
    bound_thoughts: false,
};
/// Since February 2026.
const ADAPTIVE: Quirks = Quirks { thinking: Thinking::Adaptive, prefill: false, ..BUDGET };
/// The largest ones of 2026.
const ALWAYS: Quirks = Quirks { thinking: Thinking::Always, ..ADAPTIVE };
/// Since August 2026: no tool can be forced, and thoughts are bound.
const BOUND: Quirks = Quirks { forced_tools: false, bound_thoughts: true, ..ALWAYS };
const OLD: Quirks = Quirks { max_output: 4_096, thinking: Thinking::Never, structured: Structured::Tool, ..BUDGET };

/// Parts of names; the narrow ones stand before the broad ones that contain them.
const KNOWN: &[(&str, Quirks)] = &[
    ("claude-fable-5-1", BOUND),
    ("claude-fable-5-2", BOUND),
    ("claude-mythos-5-1", BOUND),
    ("claude-mythos-5-2", BOUND),
    ("claude-opus-5-5", BOUND),
    ("claude-sonnet-5-5", BOUND),
    ("claude-haiku-5-5", BOUND),
    ("claude-fable", ALWAYS),
    ("claude-mythos", ALWAYS),
    ("claude-opus-5", ADAPTIVE),
    ("claude-sonnet-5", ADAPTIVE),
    ("claude-opus-4-8", ADAPTIVE),
    ("claude-opus-4-7", ADAPTIVE),
    ("claude-opus-4-6", ADAPTIVE),
    ("claude-sonnet-4-6", ADAPTIVE),
    ("claude-opus-4-5", BUDGET),
    ("claude-sonnet-4-5", BUDGET),
    ("claude-haiku-4-5", BUDGET),
    ("claude-opus-4", Quirks { max_output: 32_000, structured: Structured::Tool, ..BUDGET }),
    ("claude-sonnet-4", Quirks { structured: Structured::Tool, ..BUDGET }),
    ("claude-3-7-sonnet", Quirks { structured: Structured::Tool, ..BUDGET }),
    ("claude-3-5", Quirks { max_output: 8_192, ..OLD }),
    ("claude-3-", OLD),
];

impl Quirks {
    /// What is known of a model by its name, wherever it is hosted (`anthropic.claude-…-v1:0`, `claude-…@20250929`).
    pub(in crate::provider) fn of(model: &str) -> Self {
        // What goes on with a digit is a date: `-5-20260601` is no `-5-2`.
        let ends = |rest: &str| !rest.starts_with(|char: char| char.is_ascii_digit());
        let known = KNOWN.iter().find(|(part, _)| model.split_once(part).is_some_and(|(_, rest)| ends(rest)));
        known.map_or_else(Self::default, |(_, quirks)| *quirks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_known_by_their_names() {
        for (model, thinking, max_output) in [
            ("claude-opus-5-5", Thinking::Always, 64_000),
            ("claude-opus-5", Thinking::Adaptive, 64_000),
            ("claude-opus-5-20260601", Thinking::Adaptive, 64_000),
            ("claude-fable-5", Thinking::Always, 64_000),
            ("us.anthropic.claude-opus-4-6-v1", Thinking::Adaptive, 64_000),
            ("claude-sonnet-4-5@20250929", Thinking::Budget, 64_000),
            ("claude-opus-4-20250514", Thinking::Budget, 32_000),
            ("claude-3-5-haiku-latest", Thinking::Never, 8_192),
            ("anthropic.claude-3-haiku-20240307-v1:0", Thinking::Never, 4_096),
            ("MiniMax-M2", Thinking::Budget, 8_192),
        ] {
            let quirks = Quirks::of(model);
            assert_eq!((quirks.thinking, quirks.max_output), (thinking, max_output), "{model}");
        }
        assert!(Quirks::of("claude-fable-5-1").bound_thoughts);
        assert!(!Quirks::of("claude-fable-5-20260601").bound_thoughts);
    }
}
