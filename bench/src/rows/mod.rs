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
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Error;
use crate::measure::open_many_files;
use crate::report::{Floors, Plot, Report, Row, Worse};

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
    failed: usize,
}

/// How long and how often things are measured.
#[derive(Clone, Copy, Debug)]
struct Plan {
    quick: bool,
}

/// What a group of rows gives.
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
    /// A run that has measured nothing yet.
    ///
    /// # Errors
    /// When the system does not tell what it is.
    pub fn new(quick: bool) -> Result<Self, Error> {
        let files = open_many_files();
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load_before = load.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(f64::NAN);
        let machine = format!("{}, {files} open files allowed", machine());
        let date = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).to_rfc3339();
        let (rows, plots) = (Vec::new(), Vec::new());
        Ok(Self { report: Report { machine, commit: commit(), date, quick, load_before, rows, plots }, failed: 0 })
    }

    /// Measures these rows, or all. One that fails is in the table with its reason, and the others go on.
    pub async fn measure(&mut self, only: &[Which]) {
        let plan = Plan { quick: self.report.quick };
        for which in ALL.into_iter().filter(|which| only.is_empty() || only.contains(which)) {
            say(&format!("{which:?} …"));
            let begun = Instant::now();
            match rows(which, plan).await {
                Ok(found) => {
                    self.report.rows.extend(found.rows);
                    self.report.plots.extend(found.plots);
                }
                Err(error) => {
                    self.failed += 1;
                    self.report.rows.push(Row::skipped(format!("{which:?}"), error));
                }
            }
            say(&format!("{which:?}: {:.0} s", begun.elapsed().as_secs_f64()));
        }
    }

    /// How many groups of rows could not be measured at all.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// The report, and the rows that are worse than their floors.
    ///
    /// # Errors
    /// When the floors cannot be read.
    pub fn finish(&self, floors: &Path) -> Result<(Report, Vec<Worse>), Error> {
        let worse = Floors::read(floors)?.worse(&self.report.rows);
        Ok((self.report.clone(), worse))
    }
}

async fn rows(which: Which, plan: Plan) -> Result<Found, Error> {
    match which {
        Which::Append => append::measure(plan).await,
        Which::Command => command::measure(plan).await,
        Which::Propagation => propagation::measure(plan).await,
        Which::Decode => decode::measure(plan),
        Which::Delta => delta::measure(plan).await,
        Which::FirstToken => first_token::measure(plan).await,
        Which::FanOut => fan_out::measure(plan).await,
        Which::Sockets => sockets::measure(plan).await,
        Which::Projections => projections::measure(plan).await,
        Which::Growth => growth::measure(plan).await,
        Which::ScaleOut => scale_out::measure(plan).await,
    }
}

/// Tells whoever waits how far it has come.
fn say(what: &str) {
    // Whoever does not listen does not want to know.
    let _ = writeln!(std::io::stderr(), "bench: {what}");
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let read = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        text.lines().find(|line| line.starts_with(key))?.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let model = read("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory = read("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned());
    format!("{cores} cores ({model}), memory {memory}, {}", std::env::consts::OS)
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(crate::peer::root()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    if changed { format!("{commit} with changes") } else { commit }
}
