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
use crate::measure::{Latencies, number};

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
/// How long it runs before it counts.
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
        // So short a run may end before its first transaction on a busy machine, and then has no rate.
        self.once(clients, WARM_UP).await?;
        let (rate, latencies) = self.once(clients, time).await?;
        let rate = rate.ok_or_else(|| Error("pgbench finished no transaction".to_owned()))?;
        Ok(Run { rate, latencies })
    }

    async fn once(&mut self, clients: usize, time: Duration) -> Result<(Option<f64>, Latencies), Error> {
        self.runs += 1;
        let name = format!("run-{}", self.runs);
        let mut command = Command::new(&self.program);
        // The log costs it something where commits come fast.
        let sampling = if clients == 1 { "1" } else { "0.1" };
        command
            .args(["--no-vacuum", "--protocol=prepared", "--file=insert.sql", "--log", "--define=n=0"])
            .arg(format!("--define=run={}", self.runs))
            .arg(format!("--client={clients}"))
            .arg(format!("--jobs={}", clients.min(2)))
            .arg(format!("--time={}", time.as_secs().max(1)))
            .arg(format!("--log-prefix={name}"))
            .arg(format!("--sampling-rate={sampling}"))
            .arg(&self.url)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output =
            timeout(time + GRACE, command.output()).await.map_err(|_| Error("pgbench does not end".to_owned()))?;
        let output = output?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(Error(format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr))));
        }
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        Ok((rate, self.latencies(&name)?))
    }

    /// pgbench's log: client, transaction, microseconds, and when.
    fn latencies(&self, name: &str) -> Result<Latencies, Error> {
        let mut latencies = Latencies::new()?;
        for file in std::fs::read_dir(self.folder.path())?.flatten() {
            // `run-1.<pid>` and, of further threads, `run-1.<pid>.<n>`.
            if !file.file_name().to_string_lossy().starts_with(&format!("{name}.")) {
                continue;
            }
            for line in std::fs::read_to_string(file.path())?.lines() {
                if let Some(micros) = line.split(' ').nth(2).and_then(|field| field.parse::<u64>().ok()) {
                    latencies.record(Duration::from_secs_f64(number(micros) / 1e6));
                }
            }
        }
        Ok(latencies)
    }
}
