//! What the name of a model tells about it.
//!
//! Sources: `https://ai.google.dev/gemini-api/docs/thinking` and `…/gemini-3`.

use serde::Serialize;

use crate::provider::request::Effort;

/// A model, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Model<'a> {
    name: &'a str,
}

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThinkingConfig {
    include_thoughts: bool,
    /// In tokens; up to Gemini 2.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u32>,
    /// From Gemini 3 on, which refuses to be given both.
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}

impl<'a> Model<'a> {
    pub(super) fn new(name: &'a str) -> Self {
        Self { name: name.rsplit('/').next().unwrap_or(name) }
    }

    /// Whether it is of the third generation or later; a name without a number, as `gemini-flash-latest`, is.
    ///
    /// These refuse a function call in the history whose signature is missing, and can be held to a schema while they have
    /// tools.
    pub(super) fn is_third_generation(self) -> bool {
        let version = self.name.strip_prefix("gemini-");
        version.is_some_and(|version| !version.starts_with("1.") && !version.starts_with('2') && version != "pro")
    }

    /// What it is told about thinking; nothing where it refuses to hear of it.
    pub(super) fn thinking(self, effort: Option<Effort>) -> Option<ThinkingConfig> {
        // Models that draw or speak do not think, or not so.
        if ["-image", "-tts", "-audio", "-live"].iter().any(|kind| self.name.contains(kind)) {
            return None;
        }
        if self.is_third_generation() {
            let thinking_level = effort.map(|effort| self.level(effort));
            return Some(ThinkingConfig { include_thoughts: true, thinking_budget: None, thinking_level });
        }
        if !self.name.starts_with("gemini-2.5") {
            return None;
        }
        let thinking_budget = effort.map(|effort| self.budget(effort));
        // This one does not think unless told to; and who does not think has no thoughts to include.
        let rests = thinking_budget.map_or(self.name.contains("-lite"), |budget| budget == 0);
        match thinking_budget {
            None if rests => None,
            thinking_budget => Some(ThinkingConfig { include_thoughts: !rests, thinking_budget, thinking_level: None }),
        }
    }

    fn level(self, effort: Effort) -> &'static str {
        let is_pro = self.name.contains("-pro");
        match effort {
            Effort::Minimal if !is_pro => "MINIMAL",
            Effort::Minimal | Effort::Low => "LOW",
            Effort::Medium if self.name.starts_with("gemini-3-pro") => "HIGH",
            Effort::Medium => "MEDIUM",
            Effort::High => "HIGH",
        }
    }

    fn budget(self, effort: Effort) -> u32 {
        match effort {
            // The least that it accepts: it cannot stop thinking.
            Effort::Minimal if self.name.contains("-pro") => 128,
            Effort::Minimal => 0,
            Effort::Low => 2048,
            Effort::Medium => 8192,
            // The most that all of them accept.
            Effort::High => 24_576,
        }
    }
}
