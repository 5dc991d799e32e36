//! How long a model shall think, in the words that it understands.

use serde_json::{Value, json};

use super::quirks::{Quirks, Thinking as Way};
use crate::provider::request::{Effort, Request};
use crate::provider::turns::{Block, Turns};

/// The smallest budget that is accepted.
const MIN_BUDGET: u64 = 1_024;
/// What a budget leaves for the answer itself: budget and answer share one limit.
const ANSWER: u64 = 1_024;

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::provider) struct Thinking {
    mode: Mode,
    effort: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Nothing is said: the model does as it does.
    Unsaid,
    Off,
    Budget(u64),
    Adaptive,
}

impl Thinking {
    /// What to tell a model that answers with at most `max_tokens`. `is_forced` says whether it must call a tool: then it
    /// cannot think before, and the call is what was asked for.
    pub(in crate::provider) fn of(
        request: &Request,
        quirks: &Quirks,
        max_tokens: u64,
        is_forced: bool,
        turns: &Turns<'_>,
    ) -> Self {
        let cannot = is_forced || turns.ends_with_model();
        let mode = match (quirks.thinking, request.effort) {
            (Way::Adaptive, Some(Effort::Minimal)) => Mode::Off,
            (Way::Adaptive, _) if cannot => Mode::Off,
            (Way::Always, _) | (Way::Adaptive, Some(_)) => Mode::Adaptive,
            (Way::Budget, Some(effort)) if effort != Effort::Minimal && !cannot && begins_with_thought(turns) => {
                budget(effort, max_tokens)
            }
            (Way::Never | Way::Budget | Way::Adaptive, _) => Mode::Unsaid,
        };
        let has_effort = matches!(quirks.thinking, Way::Adaptive | Way::Always);
        Self { mode, effort: request.effort.filter(|_| has_effort).map(name) }
    }

    /// The field `thinking`.
    pub(in crate::provider) fn to_field(self, quirks: &Quirks) -> Option<Value> {
        match self.mode {
            Mode::Unsaid => None,
            Mode::Off => Some(json!({ "type": "disabled" })),
            Mode::Budget(tokens) => Some(json!({ "type": "enabled", "budget_tokens": tokens })),
            Mode::Adaptive => {
                // Unasked, newer models hide what they think, and the line stays silent meanwhile.
                let mut field = json!({ "type": "adaptive", "display": "summarized" });
                if quirks.bound_thoughts {
                    field["block_binding"] = json!({ "prefix_mismatch_behavior": "drop_block" });
                }
                Some(field)
            }
        }
    }

    /// The value of `effort`.
    pub(in crate::provider) fn effort(self) -> Option<&'static str> {
        self.effort
    }
}

fn name(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
    }
}

fn budget(effort: Effort, max_tokens: u64) -> Mode {
    let wanted = match effort {
        Effort::Minimal | Effort::Low => 2_048,
        Effort::Medium => 8_192,
        Effort::High => 24_576,
    };
    match wanted.min(max_tokens.saturating_sub(ANSWER)) {
        tokens if tokens >= MIN_BUDGET => Mode::Budget(tokens),
        // Too short an answer to think before it.
        _ => Mode::Unsaid,
    }
}

/// Whether the model's last turn allows a budget: one that is answered with results must begin with a thought, which it does
/// not when another model made the calls.
fn begins_with_thought(turns: &Turns<'_>) -> bool {
    let [.., model, person] = turns.turns.as_slice() else { return true };
    let is_answered = matches!(person.blocks.first(), Some(Block::Result { .. }));
    !is_answered || matches!(model.blocks.first(), Some(Block::Thought { .. }))
}
