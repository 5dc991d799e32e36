//! What an attempt at a reply spent, whatever became of it.

use serde::{Deserialize, Serialize};

use super::part::Usage;

/// What an attempt spent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
pub struct Spent {
    /// Its tokens.
    pub usage: Usage,
    /// What they cost; none when nobody told the model's price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub cost: Option<Cost>,
    /// Whether the tokens are our estimate, all or some of them, since the provider did not count them for us to the end. Its bill
    /// may differ.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub estimated: bool,
}

/// Money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
pub struct Cost {
    /// In micro-USD: a million of them are one USD.
    #[ts(type = "number")]
    pub micros: u64,
    /// The version of the price by which it was reckoned.
    pub price: String,
}
