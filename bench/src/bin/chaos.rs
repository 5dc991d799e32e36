//! Breaks BestChat on purpose and proves that nothing was lost.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bench::Error;
use bench::chaos::{Options, Report, run};
use bench::process::told_to_stop;
use clap::Parser;

/// Runs the whole system under load, breaks it by a schedule that follows from a seed, and checks that it kept what it promises
#[derive(Debug, Parser)]
struct Arguments {
    /// The seed of the schedule
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For how many seconds faults begin
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// How many seeds are run, one after the other, from the first on
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Where logs and history are kept when something is found; beside the binary where left out
    #[arg(long)]
    keep: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut failed = Vec::new();
    for seed in (arguments.seed..).take(usize::try_from(arguments.seeds).unwrap_or(usize::MAX)) {
        let outcome = tokio::select! {
            outcome = one(&arguments, seed) => outcome,
            () = told_to_stop() => Err(Error("interrupted".to_owned())),
        };
        let interrupted = matches!(&outcome, Err(error) if error.0 == "interrupted");
        match outcome {
            Ok(report) => {
                say(&report.to_string());
                if !report.findings.is_empty() {
                    failed.push(seed);
                }
            }
            Err(error) => {
                say(&format!("seed {seed} could not be carried out: {error}\n"));
                failed.push(seed);
            }
        }
        if interrupted {
            break;
        }
    }
    for seed in &failed {
        say(&format!("failed; once more: chaos --seed {seed} --seconds {}", arguments.seconds));
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn one(arguments: &Arguments, seed: u64) -> Result<Report, Error> {
    let keep = match &arguments.keep {
        Some(folder) => folder.clone(),
        None => std::env::current_exe()?.with_file_name("chaos-kept"),
    };
    let length = Duration::from_secs(arguments.seconds);
    run(&Options { seed, length, keep: keep.join(format!("seed-{seed}")) }).await
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
