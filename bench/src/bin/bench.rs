//! `make bench`: BestChat beside its peers, in figures.

use std::io::Write;
use std::process::ExitCode;

use bench::process::told_to_stop;
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
    let name = if cli.only.is_empty() { "latest" } else { "only" };
    let mut bench = Bench::new(cli.quick)?;
    tokio::select! {
        () = bench.measure(&cli.only) => {}
        () = told_to_stop() => return Err(Error("interrupted".to_owned())),
    }
    let (report, worse) = bench.finish(&folder.join("floors.toml"))?;
    report.write(&folder.join("results"), name)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", report.markdown())?;
    for worse in &worse {
        writeln!(out, "worse: {worse}")?;
    }
    Ok(if worse.is_empty() && bench.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
