//! What differs from server to server behind chat completions, as data.

use serde::Deserialize;

/// How a server, or one of its models, departs from what `OpenAI` documents. The default departs in nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a departure of its own")]
pub(in crate::provider) struct Quirks {
    /// It calls the limit of an answer `max_tokens`; by default that is `max_completion_tokens`.
    pub(in crate::provider) max_tokens: bool,
    /// It refuses `stream_options`. It may tell its usage all the same.
    pub(in crate::provider) no_stream_options: bool,
    /// It refuses `user`.
    pub(in crate::provider) no_user: bool,
    /// How it is told for how long to think.
    pub(in crate::provider) effort: EffortField,
    /// What it is told when it shall think as little as it can.
    pub(in crate::provider) least_effort: LeastEffort,
    /// How it is told which shape its answer shall have.
    pub(in crate::provider) output: OutputField,
    /// Its ids of tool calls are nine letters and digits, and it refuses others (Mistral).
    pub(in crate::provider) short_call_ids: bool,
    /// It refuses that a person speaks right after a tool: `Unexpected role 'user' after role 'tool'` (Mistral).
    pub(in crate::provider) speaks_after_tools: bool,
    /// It goes on with an answer whose beginning the prompt ends with, if that says that it is a `prefix` (Mistral).
    pub(in crate::provider) prefix: bool,
    /// It wants what it thought back, in the field in which it told it (`DeepSeek`, Moonshot), or as the details that it told of it
    /// (`OpenRouter`).
    pub(in crate::provider) replays_reasoning: bool,
    /// Its answers begin in the middle of a thought, which ends with `</think>` (a server whose template opens the thought).
    /// Only for a server as a whole.
    pub(in crate::provider) begins_thinking: bool,
}

/// How a server is told for how long to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::provider) enum EffortField {
    /// By `reasoning_effort`.
    #[default]
    ReasoningEffort,
    /// By an object, `reasoning` (`OpenRouter`).
    Reasoning,
    /// Not at all: it refuses to be told.
    Never,
}

/// What a server is told when it shall think as little as it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::provider) enum LeastEffort {
    /// `low`, which every one of them knows.
    #[default]
    Low,
    /// `minimal`.
    Minimal,
    /// `none`.
    None,
}

/// How a server is told which shape an answer shall have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::provider) enum OutputField {
    /// By a JSON schema.
    #[default]
    JsonSchema,
    /// It knows only that it shall be JSON; the schema is told in words.
    JsonObject,
}
