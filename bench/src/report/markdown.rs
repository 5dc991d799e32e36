//! The report as a table for people.

use std::fmt::Write;

use super::{Report, Row};

impl Report {
    /// The table, its conditions and the plots of a report of this name.
    pub fn markdown(&self, name: &str) -> String {
        let mut page = format!(
            "# Figures\n\n{}. Commit {}, {}{}. It took {:.0} s. Before it, other things used {:.0} % of the \
             processors.\n\n",
            self.machine,
            self.commit,
            self.date,
            if self.quick { ", quick run" } else { "" },
            self.took_s,
            self.busy_before * 100.0,
        );
        if !self.whole {
            let groups = if self.groups.is_empty() { "no group".to_owned() } else { self.groups.join(", ") };
            // Writing to a string cannot fail.
            let _ = writeln!(page, "**Not whole: only {groups} measured to the end.**\n");
        }
        page.push_str("| What | Ours | Beside | Ratio | Target | |\n|---|---:|---:|---:|---:|---|\n");
        for row in &self.rows {
            page.push_str(&line(row));
        }
        page.push_str("\nConditions:\n\n");
        for row in self.rows.iter().filter(|row| !row.note.is_empty()) {
            let _ = writeln!(page, "- **{}**: {}", row.name, row.note);
        }
        for plot in &self.plots {
            let _ = write!(page, "\n![{}]({})\n", plot.title, plot.file(name));
        }
        page
    }
}

fn line(row: &Row) -> String {
    let with_unit = |figure: Option<f64>| figure.map(|figure| format!("{} {}", short(figure), row.unit));
    let beside = match (with_unit(row.divisor), &row.divided_by) {
        (Some(figure), Some(whose)) => format!("{figure} ({whose})"),
        (None, Some(whose)) => format!("? ({whose})"),
        _ => String::new(),
    };
    let met = match (row.met, row.value) {
        (Some(true), _) => "met",
        (Some(false), _) => "**missed**",
        (None, None) => "skipped",
        (None, Some(_)) => "",
    };
    format!(
        "| {} | {} | {beside} | {} | {} | {met} |\n",
        row.name,
        with_unit(row.value).unwrap_or_default(),
        row.ratio.map(short).unwrap_or_default(),
        row.target.map(|target| target.to_string()).unwrap_or_default(),
    )
}

/// Three digits that count, and no more.
fn short(figure: f64) -> String {
    match figure.abs() {
        100.0.. => format!("{figure:.0}"),
        10.0.. => format!("{figure:.1}"),
        1.0.. => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}
