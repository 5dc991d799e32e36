//! What a run found: rows of figures, and whether they are good enough.

mod floors;
pub(crate) mod machine;
mod markdown;
mod plot;

use std::path::Path;

use serde::Serialize;

pub use floors::{Floors, Wrong};
pub use plot::{Line, Plot};

use crate::Error;

/// What the files of a run are called that has not come to its end.
pub const RUNNING: &str = "running";

/// What a figure shall be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Target {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
        }
    }
}

/// A figure, what it is divided by, and what it shall be. The target is the ratio's where there is a divisor, else the
/// value's.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name; `bench/floors.toml` knows it by that.
    pub name: String,
    /// Ours.
    pub value: Option<f64>,
    /// Of the value and the divisor.
    pub unit: &'static str,
    /// Theirs, measured in the same run.
    pub divisor: Option<f64>,
    /// Who they are.
    pub divided_by: Option<String>,
    /// Value ÷ divisor.
    pub ratio: Option<f64>,
    /// What it shall be.
    pub target: Option<Target>,
    /// Whether it is.
    pub met: Option<bool>,
    /// Under what conditions, or why there is no figure.
    pub note: String,
}

impl Row {
    /// A figure that stands for itself.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        let (divisor, divided_by, ratio, target, met) = (None, None, None, None, None);
        // What could not be measured is no number, which JSON does not know either.
        let value = value.is_finite().then_some(value);
        Self { name: name.into(), value, unit, divisor, divided_by, ratio, target, met, note: String::new() }
    }

    /// A row without a figure, and the reason.
    pub fn skipped(name: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::new(name, f64::NAN, "").note(format!("skipped: {reason}"))
    }

    /// Divided by someone else's.
    #[must_use]
    pub fn over(mut self, divisor: f64, whose: impl Into<String>) -> Self {
        self.divisor = divisor.is_finite().then_some(divisor);
        self.divided_by = Some(whose.into());
        self.ratio = self.value.zip(self.divisor).map(|(ours, theirs)| ours / theirs).filter(|ratio| ratio.is_finite());
        self
    }

    /// Shall be this.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self.met = self.figure().map(|figure| target.is_met(figure));
        self
    }

    /// Measured like this.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// What is compared: the ratio where there is a divisor, else the value.
    pub fn figure(&self) -> Option<f64> {
        if self.divided_by.is_some() { self.ratio } else { self.value }
    }
}

/// What all rows of a run have in common, and the rows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: String,
    /// Of what.
    pub commit: String,
    /// When.
    pub date: String,
    /// Whether the shorter runs were chosen.
    pub quick: bool,
    /// Whether all groups of rows were measured to their end.
    pub whole: bool,
    /// Those that were.
    pub groups: Vec<String>,
    /// How long all of it took, in seconds.
    pub took_s: f64,
    /// How busy the machine was with other things before: the share of its processors' time.
    pub busy_before: f64,
    /// The figures.
    pub rows: Vec<Row>,
    /// Drawn beside the table.
    #[serde(skip)]
    pub plots: Vec<Plot>,
}

impl Report {
    /// Writes `<name>.json`, `<name>.md` and the plots, `<name>-<plot>.svg`, into a folder.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(), Error> {
        std::fs::create_dir_all(folder)?;
        let json = serde_json::to_string_pretty(self).map_err(Error::other)?;
        self.plots.iter().try_for_each(|plot| plot.draw(&folder.join(plot.file(name))))?;
        replace(&folder.join(format!("{name}.md")), &self.markdown(name))?;
        replace(&folder.join(format!("{name}.json")), &(json + "\n"))
    }

    /// Writes what has come to its end, in place of what was written while it ran.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn finish(&self, folder: &Path, name: &str) -> Result<(), Error> {
        self.write(folder, name)?;
        let plots = self.plots.iter().map(|plot| plot.file(RUNNING));
        for file in plots.chain([format!("{RUNNING}.md"), format!("{RUNNING}.json")]) {
            // What is not there was not drawn.
            let _ = std::fs::remove_file(folder.join(file));
        }
        Ok(())
    }
}

/// Whoever reads the file finds the old text or the new one, also when this process is killed meanwhile.
fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    Ok(std::fs::rename(beside, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_its_name_on_all_its_files_and_leaves_none_of_the_running_one() {
        let folder = tempfile::tempdir().unwrap();
        let line = Line { name: "ours".to_owned(), points: vec![(1.0, 1.0), (2.0, 3.0)] };
        let plot = Plot { file: "append", title: "Rates", across: "writers", up: "events/s", lines: vec![line] };
        let report = Report { plots: vec![plot], groups: vec!["Append".to_owned()], ..Report::default() };
        report.write(folder.path(), RUNNING).unwrap();
        report.finish(folder.path(), "only").unwrap();
        let files = std::fs::read_dir(folder.path()).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        assert_eq!(files, ["only-append.svg", "only.json", "only.md"]);
        let page = std::fs::read_to_string(folder.path().join("only.md")).unwrap();
        assert!(page.contains("(only-append.svg)"), "{page}");
        assert!(page.contains("Not whole: only Append"), "{page}");
    }
}
