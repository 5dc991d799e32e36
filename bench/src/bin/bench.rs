//! `make bench`: BestChat beside its peers, in figures.

use std::io::Write;
use std::process::ExitCode;

use bench::process::told_to_stop;
use bench::report::{Floors, RUNNING};
use bench::rows::{Bench, Which};
use bench::{Error, peer};
use clap::Parser;

/// Measures BestChat beside what one would use instead, and beside the machine's own limit.
#[derive(Debug, Parser)]
struct Cli {
    /// Shorter runs: at most ten minutes on two cores
    #[arg(long)]
    quick: bool,
    /// Only these rows; the figures go to bench/results/only.* and leave the whole table as it is
    #[arg(long, num_args = 1.., value_enum)]
    only: Vec<Which>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Error> {
    let folder = peer::root().join("bench");
    let floors = Floors::read(&folder.join("floors.toml"))?;
    let results = folder.join("results");
    let mut bench = Bench::begin(cli.quick).await?;
    let done = bench.measure(&cli.only, &results, told_to_stop()).await?;
    let report = bench.report();
    // What lacks something leaves the last one that did not as it is.
    let name = match cli.only.is_empty() {
        true if report.whole => "latest",
        false if done => "only",
        _ => RUNNING,
    };
    if name != RUNNING {
        report.finish(&results, name)?;
    }
    let mut out = std::io::stdout();
    writeln!(out, "{}", report.markdown(name))?;
    let wrong = floors.wrong(report);
    for wrong in &wrong {
        writeln!(out, "{wrong}")?;
    }
    writeln!(out, "This is bench/results/{name}.md")?;
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
