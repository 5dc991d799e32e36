//! What attempts came to, added up.

use domain::conversation::Spent;
use serde::{Deserialize, Serialize};

/// What attempts came to. The counts of tokens do not overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[ts(rename = "UsageFigures")]
pub struct Figures {
    /// Attempts that ended.
    pub attempts: u64,
    /// Those of them that failed or were lost.
    pub failed: u64,
    /// Input tokens read anew, and not written to a provider's cache.
    pub input: u64,
    /// Input tokens read from a provider's cache.
    pub cached_input: u64,
    /// Input tokens read anew and written to a provider's cache.
    pub cache_write: u64,
    /// Output tokens without the reasoning ones.
    pub output: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
    /// What that cost, in millionths of a US dollar, as far as prices are known.
    pub micro_usd: u64,
    /// Attempts that spent something of which nobody told the price.
    pub unpriced: u64,
    /// Attempts whose tokens are our estimate, since the provider did not count them for us.
    pub estimated: u64,
}

impl Figures {
    /// The highest figure: what JSON's readers hold exactly. Providers may claim any number; sums stay here, in whatever
    /// order they are made.
    pub(super) const MOST: u64 = (1 << 53) - 1;
    /// Their names in the tables.
    pub(super) const COLUMNS: [&'static str; 10] = [
        "attempts",
        "failed",
        "input",
        "cached_input",
        "cache_write",
        "output",
        "reasoning",
        "micro_usd",
        "unpriced",
        "estimated",
    ];

    /// What one attempt came to; `spent` is none when no provider took it up.
    pub(super) fn of_attempt(failed: bool, spent: Option<&Spent>) -> Self {
        let counted = Self { attempts: 1, failed: failed.into(), ..Self::default() };
        let Some(Spent { usage, cost, estimated }) = spent else { return counted };
        let tokens = |count: Option<u64>| count.unwrap_or(0).min(Self::MOST);
        Self {
            input: tokens(usage.input),
            cached_input: tokens(usage.cached_input),
            cache_write: tokens(usage.cache_write),
            output: tokens(usage.output),
            reasoning: tokens(usage.reasoning),
            micro_usd: cost.as_ref().map_or(0, |cost| cost.micros.min(Self::MOST)),
            unpriced: cost.is_none().into(),
            estimated: (*estimated).into(),
            ..counted
        }
    }

    pub(super) fn add(&mut self, more: &Self) {
        for (figure, more) in [
            (&mut self.attempts, more.attempts),
            (&mut self.failed, more.failed),
            (&mut self.input, more.input),
            (&mut self.cached_input, more.cached_input),
            (&mut self.cache_write, more.cache_write),
            (&mut self.output, more.output),
            (&mut self.reasoning, more.reasoning),
            (&mut self.micro_usd, more.micro_usd),
            (&mut self.unpriced, more.unpriced),
            (&mut self.estimated, more.estimated),
        ] {
            *figure = figure.saturating_add(more).min(Self::MOST);
        }
    }
}
