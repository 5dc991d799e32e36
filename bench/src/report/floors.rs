//! What figures must not fall below: `bench/floors.toml`, a table for each row.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use super::{Row, Target};
use crate::Error;

/// How good a row's figure was when the floor was set, and how much it varies by itself.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Floor {
    /// The figure: the ratio of a row that has a divisor, else the value.
    #[serde(rename = "floor")]
    figure: f64,
    /// The share of it by which runs of the same code differ.
    noise: f64,
    /// Whether more is better; a row's target says so where it has one.
    #[serde(default)]
    more_is_better: Option<bool>,
}

/// The floors of all rows.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Floors(BTreeMap<String, Floor>);

/// A row that is worse than its floor.
#[derive(Clone, Debug, PartialEq)]
pub struct Worse {
    /// Which.
    pub name: String,
    /// What it is.
    pub figure: f64,
    /// What it may just be.
    pub bound: f64,
}

impl fmt::Display for Worse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {:.3}, worse than its floor with noise, {:.3}", self.name, self.figure, self.bound)
    }
}

impl Floors {
    /// Reads them; none when there is no such file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> Result<Self, Error> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self(BTreeMap::new())),
            Err(error) => Err(error.into()),
        }
    }

    fn parse(text: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| Error(format!("the floors cannot be read: {error}")))
    }

    /// The rows that are worse than their floor by more than their noise. A row without a figure is not.
    pub fn worse(&self, rows: &[Row]) -> Vec<Worse> {
        let judge = |row: &Row| {
            let (floor, figure) = (self.0.get(&row.name)?, row.figure()?);
            let more_is_better = match (floor.more_is_better, row.target) {
                (Some(said), _) => said,
                (None, Some(Target::AtMost(_))) => false,
                (None, _) => true,
            };
            let bound = floor.figure * if more_is_better { 1.0 - floor.noise } else { 1.0 + floor.noise };
            let worse = if more_is_better { figure < bound } else { figure > bound };
            worse.then(|| Worse { name: row.name.clone(), figure, bound })
        };
        rows.iter().filter_map(judge).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worse(row: Row) -> bool {
        let text = "[rate]\nfloor = 2.0\nnoise = 0.1\n[latency]\nfloor = 1.0\nnoise = 0.2\nmore_is_better = false\n";
        Floors::parse(text).is_ok_and(|floors| !floors.worse(&[row]).is_empty())
    }

    #[test]
    fn noise_is_allowed_and_more_is_not() {
        assert!(!worse(Row::new("rate", 181.0, "").over(100.0, "them")));
        assert!(worse(Row::new("rate", 179.0, "").over(100.0, "them")));
        assert!(!worse(Row::new("latency", 1.19, "ms")));
        assert!(worse(Row::new("latency", 1.21, "ms")));
    }

    #[test]
    fn a_target_says_which_way_is_better() {
        let text = "[size]\nfloor = 10.0\nnoise = 0.0\n";
        let found =
            Floors::parse(text).map(|floors| floors.worse(&[Row::new("size", 11.0, "").target(Target::AtMost(20.0))]));
        assert_eq!(found.map(|worse| worse.len()).ok(), Some(1));
    }

    #[test]
    fn a_row_without_a_figure_or_a_floor_is_not_worse() {
        assert!(!worse(Row::skipped("rate", "no npm")));
        assert!(!worse(Row::new("other", 0.0, "")));
    }
}
