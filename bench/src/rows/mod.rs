//! The rows of the table, a file each. They run one after the other, so that none disturbs another.

mod append;
mod command;
mod decode;
mod delta;
mod fan_out;
mod first_token;
mod growth;
mod projections;
mod propagation;
mod scale_out;
mod sockets;
mod stack;

use std::io::Write;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use crate::Error;
use crate::measure::open_many_files;
use crate::report::{Plot, RUNNING, Report, Row, machine};

/// A group of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Which {
    /// Durable events a second, beside pgbench and postgres-es
    Append,
    /// From a WebSocket frame to its ack
    Command,
    /// From a commit to another client's socket; the relay
    Propagation,
    /// A provider's events, read, beside parsing their JSON
    Decode,
    /// From a provider's first byte to the delta on the bus
    Delta,
    /// Through us to a model, beside straight to it and through `LiteLLM`
    FirstToken,
    /// Many sockets at one reply, beside Express and Socket.IO
    FanOut,
    /// Idle ones, and a thousand people chatting
    Sockets,
    /// Rebuilding read models, and how far they lag
    Projections,
    /// What grows with a conversation, and with their number
    Growth,
    /// More processes
    ScaleOut,
}

const ALL: [Which; 11] = [
    Which::Append,
    Which::Command,
    Which::Propagation,
    Which::Decode,
    Which::Delta,
    Which::FirstToken,
    Which::FanOut,
    Which::Sockets,
    Which::Projections,
    Which::Growth,
    Which::ScaleOut,
];

/// A run of the benchmarks.
#[derive(Debug)]
pub struct Bench {
    report: Report,
    begun: Instant,
}

/// How long and how often things are measured.
#[derive(Clone, Copy, Debug)]
struct Plan {
    quick: bool,
}

/// What a group of rows has given so far.
#[derive(Debug, Default)]
struct Found {
    rows: Vec<Row>,
    plots: Vec<Plot>,
}

impl Plan {
    /// How often each side of an interleaved comparison is run.
    fn rounds(self) -> usize {
        if self.quick { 3 } else { 5 }
    }

    /// How long one such run takes.
    fn run(self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { 10 })
    }

    /// One of two, for the shorter and the longer run.
    fn pick<T>(self, quick: T, thorough: T) -> T {
        if self.quick { quick } else { thorough }
    }
}

impl Bench {
    /// A run that has measured nothing yet, once the machine has come to rest from what was done before.
    ///
    /// # Errors
    /// When the system does not tell how busy it is.
    pub async fn begin(quick: bool) -> Result<Self, Error> {
        let files = open_many_files();
        say("waiting for the machine to come to rest …");
        let report = Report {
            machine: format!("{}, {files} open files allowed", machine::name()),
            commit: machine::commit(),
            date: chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).to_rfc3339(),
            quick,
            busy_before: machine::busy_at_rest().await?,
            ..Report::default()
        };
        Ok(Self { report, begun: Instant::now() })
    }

    /// Measures these groups of rows, or all, until told to stop; whether all of them came to their end. What was found
    /// is written after each, so that nothing takes it away again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn measure(
        &mut self,
        only: &[Which],
        results: &Path,
        stop: impl Future<Output = ()>,
    ) -> Result<bool, Error> {
        let mut stop = pin!(stop);
        let (plan, mut done) = (Plan { quick: self.report.quick }, true);
        for which in ALL.into_iter().filter(|which| only.is_empty() || only.contains(which)) {
            say(&format!("{which:?} …"));
            let (begun, mut found) = (Instant::now(), Found::default());
            let (measured, stopped) = tokio::select! {
                biased;
                () = &mut stop => (Err(Error("interrupted".to_owned())), true),
                measured = rows(which, plan, &mut found) => (measured, false),
            };
            say(&format!("{which:?}: {:.0} s", begun.elapsed().as_secs_f64()));
            done &= measured.is_ok();
            self.take_in(which, found, measured);
            self.report.write(results, RUNNING)?;
            if stopped {
                break;
            }
        }
        Ok(done)
    }

    /// A group that failed is in the table with its reason, beside the rows that it has given.
    fn take_in(&mut self, which: Which, found: Found, measured: Result<(), Error>) {
        let report = &mut self.report;
        report.rows.extend(found.rows);
        report.plots.extend(found.plots);
        match measured {
            Ok(()) => report.groups.push(format!("{which:?}")),
            Err(error) => report.rows.push(Row::skipped(format!("{which:?}"), error)),
        }
        report.whole = report.groups.len() == ALL.len() && report.rows.iter().all(|row| row.figure().is_some());
        report.took_s = self.begun.elapsed().as_secs_f64();
    }

    /// What was found.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

async fn rows(which: Which, plan: Plan, found: &mut Found) -> Result<(), Error> {
    match which {
        Which::Append => append::measure(plan, found).await,
        Which::Command => command::measure(plan, found).await,
        Which::Propagation => propagation::measure(plan, found).await,
        Which::Decode => decode::measure(plan, found),
        Which::Delta => delta::measure(plan, found).await,
        Which::FirstToken => first_token::measure(plan, found).await,
        Which::FanOut => fan_out::measure(plan, found).await,
        Which::Sockets => sockets::measure(plan, found).await,
        Which::Projections => projections::measure(plan, found).await,
        Which::Growth => growth::measure(plan, found).await,
        Which::ScaleOut => scale_out::measure(plan, found).await,
    }
}

/// Tells whoever waits how far it has come.
fn say(what: &str) {
    // Whoever does not listen does not want to know.
    let _ = writeln!(std::io::stderr(), "bench: {what}");
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    fn bench() -> Bench {
        Bench { report: Report::default(), begun: Instant::now() }
    }

    #[test]
    fn a_group_that_fails_keeps_the_rows_that_it_has() {
        let mut bench = bench();
        let found = Found { rows: vec![Row::new("rate", 1.0, "")], plots: Vec::new() };
        bench.take_in(Which::Append, found, Err(Error("no pgbench".to_owned())));
        let names: Vec<&str> = bench.report.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!((names, bench.report.groups.len()), (vec!["rate", "Append"], 0));
    }

    #[test]
    fn a_report_is_whole_when_every_group_came_to_its_end() {
        let mut bench = bench();
        for which in ALL {
            assert!(!bench.report.whole, "{which:?} is not there yet");
            bench.take_in(which, Found::default(), Ok(()));
        }
        assert!(bench.report.whole);
        bench.take_in(
            Which::Append,
            Found { rows: vec![Row::skipped("a peer", "not installed")], plots: Vec::new() },
            Ok(()),
        );
        assert!(!bench.report.whole, "a row lacks its figure");
    }

    #[tokio::test]
    async fn an_interrupt_leaves_what_was_found_in_a_file() {
        let results = tempfile::tempdir().unwrap();
        let mut bench = bench();
        bench.take_in(Which::Append, Found { rows: vec![Row::new("rate", 1.0, "")], plots: Vec::new() }, Ok(()));
        assert!(!bench.measure(&[Which::Command, Which::Delta], results.path(), ready(())).await.unwrap());
        let json = std::fs::read_to_string(results.path().join("running.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(report["whole"], false);
        assert_eq!(report["groups"], serde_json::json!(["Append"]));
        let names: Vec<_> = report["rows"].as_array().into_iter().flatten().map(|row| row["name"].clone()).collect();
        assert_eq!(names, ["rate", "Command"], "the next group is not begun");
    }
}
