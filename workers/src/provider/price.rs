//! What an answer costs, in whole micro-USD: a sum that is the same whoever adds it up, and never a float.

#[cfg(test)]
mod tests;

use chrono::NaiveDate;
use domain::account;
use domain::conversation::{Cost, Usage};
use serde::{Deserialize, Serialize};

/// Prices are for so many tokens.
const TOKENS: u128 = 1_000_000;

/// What costs name that are reckoned by a price that whoever has the provider said.
const OWN_VERSION: &str = "configured";

/// What the tokens of a model cost from a day on, in micro-USD per million of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The first day on which it is reckoned with, in UTC.
    pub from: NaiveDate,
    /// Where it was read; kept with every cost.
    pub version: String,
    /// Input read anew.
    pub input: u64,
    /// Input read from the provider's cache; as other input where there is no price for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_read: Option<u64>,
    /// Input written to the provider's cache; as other input where there is no price for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    /// Output.
    pub output: u64,
    /// Reasoning; as other output where there is no price for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
    /// What a call costs whose input is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongPrice>,
}

/// What all tokens of a call cost whose input is long.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LongPrice {
    /// Longer than this, in tokens, those from the cache included.
    pub above: u64,
    /// As [`Price::input`].
    pub input: u64,
    /// As [`Price::cached_read`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_read: Option<u64>,
    /// As [`Price::cache_write`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    /// As [`Price::output`].
    pub output: u64,
    /// As [`Price::reasoning`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
}

/// What `usage` costs by the last of `prices` that holds on the day `on`. None when there is none, or when the usage says
/// nothing: what is not known costs not nothing.
///
/// A count that is not told counts as none. The exact sum is rounded up, once: at most one micro-USD too many. A sum that no
/// `u64` holds is the largest one.
pub fn cost(usage: &Usage, prices: &[Price], on: NaiveDate) -> Option<Cost> {
    let price = Price::of_day(prices, on)?;
    let counts = [usage.input, usage.cached_input, usage.cache_write, usage.output, usage.reasoning];
    if counts.iter().all(Option::is_none) {
        return None;
    }
    let counts = counts.map(|count| u128::from(count.unwrap_or(0)));
    let input: u128 = counts[..3].iter().sum();
    let rates = price.rates(input);
    // Two numbers of 64 bits multiplied leave one of 128 just so: only the sum can be too large.
    let sum = counts.iter().zip(rates).fold(0_u128, |sum, (count, rate)| sum.saturating_add(count * u128::from(rate)));
    Some(Cost { micros: u64::try_from(sum.div_ceil(TOKENS)).unwrap_or(u64::MAX), price: price.version.clone() })
}

/// The most that so many tokens can cost, whichever kinds of input and output they turn out to be. None when there is no price.
pub fn most(input: u64, output: u64, prices: &[Price], on: NaiveDate) -> Option<u64> {
    let [anew, read, written, said, thought] = Price::of_day(prices, on)?.rates(input.into()).map(u128::from);
    let input = u128::from(input) * anew.max(read).max(written);
    let output = u128::from(output) * said.max(thought);
    Some(u64::try_from(input.saturating_add(output).div_ceil(TOKENS)).unwrap_or(u64::MAX))
}

impl Price {
    /// The one of `prices` that holds on the day `on`.
    pub fn of_day(prices: &[Self], on: NaiveDate) -> Option<&Self> {
        prices.iter().filter(|price| price.from <= on).max_by_key(|price| price.from)
    }

    /// The rates of calls, each from more than so many tokens of input on: of input, read and written cache, output, reasoning.
    pub fn steps(&self) -> Vec<(u64, [u64; 5])> {
        let long = self.long.as_ref().map(|long| long.above);
        let step = |above: u64| (above, self.rates(u128::from(above) + 1));
        [0].into_iter().chain(long).map(step).collect()
    }

    /// The rates of a call with so much input: of input, read and written cache, output, reasoning.
    fn rates(&self, input: u128) -> [u64; 5] {
        match &self.long {
            Some(long) if input > u128::from(long.above) => {
                rates(long.input, long.cached_read, long.cache_write, long.output, long.reasoning)
            }
            _ => rates(self.input, self.cached_read, self.cache_write, self.output, self.reasoning),
        }
    }

    /// Whether the prices are those of a market: none is absurd, the cache does not cost more to read than it saves, what is
    /// long is not cheaper.
    #[cfg(test)]
    pub(super) fn is_sound(&self) -> bool {
        let [input, cached, write, output, reasoning] = self.rates(0);
        let long = self.rates(u128::MAX);
        let is_usual = |rate: u64| (1_000..=1_000_000_000).contains(&rate);
        is_usual(input)
            && [cached, write, output, reasoning].into_iter().all(is_usual)
            && cached <= input
            && input <= write
            && input <= output
            && self.rates(0).iter().zip(long).all(|(short, long)| *short <= long)
    }
}

impl From<account::Price> for Price {
    /// A price of one's own holds for as long as it is configured.
    fn from(price: account::Price) -> Self {
        let account::Price { input, cached_read, cache_write, output, reasoning } = price;
        Self {
            from: NaiveDate::default(),
            version: OWN_VERSION.to_owned(),
            input: input.into(),
            cached_read: cached_read.map(u64::from),
            cache_write: cache_write.map(u64::from),
            output: output.into(),
            reasoning: reasoning.map(u64::from),
            long: None,
        }
    }
}

fn rates(input: u64, read: Option<u64>, write: Option<u64>, output: u64, reasoning: Option<u64>) -> [u64; 5] {
    [input, read.unwrap_or(input), write.unwrap_or(input), output, reasoning.unwrap_or(output)]
}
