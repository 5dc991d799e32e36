//! What figures must not fall below: `bench/floors.toml`, a table for each row.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use super::{Report, Row, Target};
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

/// Why a run is not good enough.
#[derive(Clone, Debug, PartialEq)]
pub enum Wrong {
    /// A row is worse than its floor.
    Worse {
        /// Which.
        name: String,
        /// What it is.
        figure: f64,
        /// What it may just be.
        bound: f64,
    },
    /// A row, or what its figure is divided by, could not be measured; or there is no row for a floor.
    NoFigure(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worse { name, figure, bound } => {
                write!(f, "worse: {name} is {figure:.3}, worse than its floor with noise, {bound:.3}")
            }
            Self::NoFigure(name) => write!(f, "no figure for {name}"),
        }
    }
}

impl Floors {
    /// Reads them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| Error(format!("{}: {error}", path.display())))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| Error(format!("the floors cannot be read: {error}")))
    }

    /// The rows that are worse than their floor by more than their noise, and those that have no figure. In a whole
    /// report each floor has its row: else it would guard nothing.
    pub fn wrong(&self, report: &Report) -> Vec<Wrong> {
        let mut wrong: Vec<Wrong> = report.rows.iter().filter_map(|row| self.judge(row)).collect();
        if report.whole {
            let missing = self.0.keys().filter(|name| report.rows.iter().all(|row| row.name != **name));
            wrong.extend(missing.cloned().map(Wrong::NoFigure));
        }
        wrong
    }

    fn judge(&self, row: &Row) -> Option<Wrong> {
        let Some(figure) = row.figure() else { return Some(Wrong::NoFigure(row.name.clone())) };
        let floor = self.0.get(&row.name)?;
        let more_is_better = match (floor.more_is_better, row.target) {
            (Some(said), _) => said,
            (None, Some(Target::AtMost(_))) => false,
            (None, _) => true,
        };
        let bound = floor.figure * if more_is_better { 1.0 - floor.noise } else { 1.0 + floor.noise };
        let worse = if more_is_better { figure < bound } else { figure > bound };
        worse.then(|| Wrong::Worse { name: row.name.clone(), figure, bound })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(rows: Vec<Row>, whole: bool) -> Vec<String> {
        let text = "[rate]\nfloor = 2.0\nnoise = 0.1\n[latency]\nfloor = 1.0\nnoise = 0.2\nmore_is_better = false\n";
        let report = Report { whole, rows, ..Report::default() };
        Floors::parse(text).unwrap().wrong(&report).iter().map(ToString::to_string).collect()
    }

    fn worse(row: Row) -> bool {
        wrong(vec![row], false).iter().any(|wrong| wrong.starts_with("worse: "))
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
        let floors = Floors::parse("[size]\nfloor = 10.0\nnoise = 0.0\n").unwrap();
        let rows = vec![Row::new("size", 11.0, "").target(Target::AtMost(20.0))];
        assert_eq!(floors.wrong(&Report { rows, ..Report::default() }).len(), 1);
    }

    #[test]
    fn a_row_without_a_floor_is_not_judged() {
        assert!(wrong(vec![Row::new("other", 0.0, "")], false).is_empty());
    }

    #[test]
    fn a_row_that_could_not_be_measured_or_divided_is_wrong() {
        assert_eq!(wrong(vec![Row::skipped("LiteLLM", "no python3")], false), ["no figure for LiteLLM"]);
        assert_eq!(wrong(vec![Row::new("rate", 2.0, "").over(f64::NAN, "them")], false), ["no figure for rate"]);
    }

    #[test]
    fn a_floor_whose_row_a_whole_report_lacks_is_wrong() {
        let rows = || vec![Row::new("rate", 2.0, "")];
        assert_eq!(wrong(rows(), true), ["no figure for latency"]);
        assert!(wrong(rows(), false).is_empty());
    }

    #[test]
    fn floors_that_are_not_there_are_an_error() {
        assert!(Floors::read(Path::new("/nowhere/floors.toml")).is_err());
        assert!(Floors::read(&crate::peer::root().join("bench/floors.toml")).is_ok());
    }
}
