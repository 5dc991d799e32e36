//! What the name of a model tells about it. Names of other servers tell nothing, and then only what every model takes is sent.

use crate::provider::request::Effort;

/// What is known of a model by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// It thinks; the efforts that it knows differ.
    Thinks(Efforts),
    /// It does not think, and refuses whatever is about thinking.
    Plain,
    /// Nobody we know: a deployment's own name, or another vendor's model.
    Unknown,
}

/// Which efforts a thinking model accepts. Every one not listed is refused with a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Efforts {
    /// `low`, `medium`, `high`.
    FromLow,
    /// `minimal` too: the first gpt-5.
    FromMinimal,
    /// `none` too: gpt-5.1 and what followed.
    FromNone,
    /// One, or few that differ by model: what it does by itself is best left alone.
    Own,
}

impl Family {
    /// By the name that the provider gave the model; what stands before a slash is a router's.
    pub(super) fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        let is_o_series = name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if is_o_series {
            return Self::Thinks(if name.contains("-pro") { Efforts::Own } else { Efforts::FromLow });
        }
        let Some(version) = name.strip_prefix("gpt-") else {
            return if name.starts_with("chatgpt-") { Self::Plain } else { Self::Unknown };
        };
        if version.starts_with("3.") || version.starts_with('4') {
            return Self::Plain;
        }
        let Some(rest) = version.strip_prefix('5') else { return Self::Unknown };
        match rest {
            _ if rest.contains("-chat") => Self::Unknown,
            _ if rest.contains("-pro") => Self::Thinks(Efforts::Own),
            _ if rest.contains("-codex") => Self::Thinks(Efforts::FromLow),
            _ if rest.starts_with('.') => Self::Thinks(Efforts::FromNone),
            _ => Self::Thinks(Efforts::FromMinimal),
        }
    }

    /// How the effort is called in a request, if it is said at all.
    pub(super) fn effort(self, effort: Effort) -> Option<&'static str> {
        let efforts = match self {
            Self::Thinks(Efforts::Own) | Self::Plain => return None,
            Self::Thinks(efforts) => efforts,
            Self::Unknown => Efforts::FromLow,
        };
        Some(match (effort, efforts) {
            (Effort::Minimal, Efforts::FromNone) => "none",
            (Effort::Minimal, Efforts::FromMinimal) => "minimal",
            (Effort::Minimal | Effort::Low, _) => "low",
            (Effort::Medium, _) => "medium",
            (Effort::High, _) => "high",
        })
    }
}
