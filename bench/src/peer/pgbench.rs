//! pgbench, the machine's own limit: what Postgres commits here when nothing stands before it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use app::local::Postgres;
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::Error;
use crate::measure::Latencies;

/// Its table has the seven columns and the key of postgres-es, which is less than ours has, and its rows are as long.
const TABLE: &str = "
create table if not exists pgbench_events (
    aggregate_type text not null, aggregate_id text not null, sequence bigint not null,
    event_type text not null, event_version text not null, payload jsonb not null, metadata jsonb not null,
    primary key (aggregate_type, aggregate_id, sequence))";

/// As the bare insert of an event: one row, one transaction. No colon before a letter: pgbench takes that for a variable.
const SCRIPT: &str = r#"\set n :n + 1
insert into pgbench_events values ('conversation', '0190163d-8694-739b-aea5-' || :run::text || '-' || :client_id::text, :n::bigint, 'MessageSubmitted', '1.0', '{"type":"MessageSubmitted","message":"0190163d-8694-739b-aea5-966c26f8ad91","parent":"0190163d-8694-739b-aea5-966c26f8ad92","author":"ann","parts":[{"type":"text","text":"How do the tides follow the moon, and why are there two of them a day?"}],"edit_of": null}', '{"actor":"user ann","command":"0190163d-8694-739b-aea5-966c26f8ad93","digest":"00112233445566778899aabbccddeeff"}');
"#;
/// The part of a run that does not count, since the server's processes for it are new: a second, as it tells its rate by
/// the second.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long it may take beyond its time.
const GRACE: Duration = Duration::from_mins(1);

/// pgbench over a server, with a table of its own there.
#[derive(Debug)]
pub struct Pgbench {
    program: PathBuf,
    url: String,
    folder: TempDir,
    runs: u32,
}

/// What a run gave.
#[derive(Clone, Debug)]
pub struct Run {
    /// Commits a second.
    pub rate: f64,
    /// How long each took; of one in ten where there are many clients.
    pub latencies: Latencies,
}

impl Pgbench {
    /// Finds it beside the server's programs or in the PATH.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn find(postgres: &Postgres, pool: &PgPool) -> Result<Self, Error> {
        let server = std::fs::read_link(format!("/proc/{}/exe", postgres.pid())).unwrap_or_default();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = server.parent().map(Path::to_owned).into_iter().chain(std::env::split_paths(&path));
        let program = folders.map(|folder| folder.join("pgbench")).find(|program| program.is_file());
        let program = program.ok_or_else(|| {
            Error(
                "pgbench is neither beside the server's programs nor in the PATH; Debian has it in `postgresql`"
                    .to_owned(),
            )
        })?;
        sqlx::query(TABLE).execute(pool).await?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("insert.sql"), SCRIPT)?;
        Ok(Self { program, url: postgres.url(), folder, runs: 0 })
    }

    /// Runs it with so many clients for so long, after a warm-up that does not count.
    ///
    /// # Errors
    /// When it fails.
    pub async fn run(&mut self, clients: usize, time: Duration) -> Result<Run, Error> {
        self.runs += 1;
        let name = format!("run-{}", self.runs);
        let mut command = Command::new(&self.program);
        // The log costs it something where commits come fast.
        let sampling = if clients == 1 { "1" } else { "0.1" };
        command
            .args(["--no-vacuum", "--protocol=prepared", "--file=insert.sql", "--log", "--progress=1", "--define=n=0"])
            .arg(format!("--define=run={}", self.runs))
            .arg(format!("--client={clients}"))
            .arg(format!("--jobs={}", clients.min(2)))
            .arg(format!("--time={}", (WARM_UP + time).as_secs()))
            .arg(format!("--log-prefix={name}"))
            .arg(format!("--sampling-rate={sampling}"))
            .arg(&self.url)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output =
            timeout(time + GRACE, command.output()).await.map_err(|_| Error("pgbench does not end".to_owned()))?;
        let output = output?;
        let (said, progress) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Err(Error(format!("pgbench failed: {progress}")));
        }
        let rate = rate(&said, &progress, time).ok_or_else(|| Error("pgbench finished no transaction".to_owned()))?;
        Ok(Run { rate, latencies: self.latencies(&name)? })
    }

    /// What its log tells of the time after the warm-up.
    fn latencies(&self, name: &str) -> Result<Latencies, Error> {
        let mut all: Vec<(Duration, Duration)> = Vec::new();
        for file in std::fs::read_dir(self.folder.path())?.flatten() {
            // `run-1.<pid>` and, of further threads, `run-1.<pid>.<n>`.
            if file.file_name().to_string_lossy().starts_with(&format!("{name}.")) {
                all.extend(std::fs::read_to_string(file.path())?.lines().filter_map(logged));
            }
        }
        let from = all.iter().map(|(at, _)| *at).min().unwrap_or_default() + WARM_UP;
        let mut latencies = Latencies::new()?;
        for (_, took) in all.into_iter().filter(|(at, _)| *at >= from) {
            latencies.record(took);
        }
        Ok(latencies)
    }
}

/// Commits a second, those of the first second taken off: `tps = 4389.1 (…)` is of the whole run, and
/// `progress: 1.0 s, 4200.0 tps, …` of one second.
fn rate(said: &str, progress: &str, time: Duration) -> Option<f64> {
    let whole: f64 = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())?;
    let second = |line: &str| {
        let rate = line.strip_prefix("progress: ")?.split(", ").nth(1)?.strip_suffix(" tps")?;
        rate.parse::<f64>().ok()
    };
    // It tells none when it had not a moment for it; then nothing is taken off.
    let first = progress.lines().find_map(second).unwrap_or(whole);
    let warm_up = WARM_UP.as_secs_f64();
    Some((whole * (warm_up + time.as_secs_f64()) - first * warm_up) / time.as_secs_f64())
}

/// When a transaction had ended, since the epoch, and how long it took. A line of the log: client, transaction,
/// microseconds, script, and the end in seconds and microseconds.
fn logged(line: &str) -> Option<(Duration, Duration)> {
    let numbers: Vec<u64> = line.split(' ').map(|field| field.parse().ok()).collect::<Option<_>>()?;
    let [_, _, took, _, seconds, micros, ..] = numbers[..] else { return None };
    Some((Duration::from_secs(seconds) + Duration::from_micros(micros), Duration::from_micros(took)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_second_does_not_count() {
        let said = "number of failed transactions: 0 (0.000%)\ntps = 4000.5 (without initial connection time)\n";
        let progress = "pgbench (17.5)\nprogress: 1.0 s, 3001.5 tps, lat 0.3 ms stddev 0.1, 0 failed\n\
                        progress: 2.0 s, 4500.0 tps, lat 0.2 ms stddev 0.1, 0 failed\n";
        assert_eq!(rate(said, progress, Duration::from_secs(2)), Some(4500.0));
        assert_eq!(rate(said, "", Duration::from_secs(2)), Some(4000.5));
    }

    #[test]
    fn a_line_of_the_log_tells_when_and_how_long() {
        let read = logged("0 199 2241 0 1175850568 995598");
        assert_eq!(read, Some((Duration::from_micros(1_175_850_568_995_598), Duration::from_micros(2_241))));
        assert_eq!(logged("0 199 failed 0 1175850568 995598"), None);
    }
}
