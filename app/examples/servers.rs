//! Runs a command against a Postgres and a NATS of its own, and stops both when it ends:
//!
//! `cargo run -p app --example servers -- cargo nextest run --workspace`
//!
//! The command finds them in `DATABASE_URL`, `NATS_URL`, `NATS_EDGE_URL` and `NATS_TOOLS_URL`.

use std::{
    env,
    error::Error,
    fs,
    io::{self, Write},
    os::unix::{fs::DirBuilderExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use app::local::{Nats, NatsOptions, Postgres, PostgresOptions};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::timeout,
};

/// How long the command may take to leave after a signal.
const LEAVE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    match in_new_folder().await {
        Ok(status) => code(status),
        Err(e) => {
            let _ = writeln!(io::stderr(), "servers: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn in_new_folder() -> Result<ExitStatus, Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let program = arguments.next().ok_or("usage: servers COMMAND [ARGUMENT]...")?;
    let mut command = Command::new(program);
    command.args(arguments);

    let folder = folder()?;
    let ended = run(&folder, command).await;
    let removed = fs::remove_dir_all(&folder);
    let status = ended?;
    removed?;
    Ok(status)
}

async fn run(folder: &Path, mut command: Command) -> Result<ExitStatus, Box<dyn Error>> {
    // Listened for from here on: a signal during the start must not leave servers behind.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // Every test has a database and pools of its own, and many run at a time. Flushing makes the removal of a
    // database take 600 ms instead of 80, and only a power cut could show the difference: no kill of a process does.
    let options = PostgresOptions { max_connections: 300, durable: false, ..PostgresOptions::default() };
    let mut postgres = Postgres::start(&folder.join("postgres"), options).await?;
    let mut nats = match Nats::start(&folder.join("nats"), NatsOptions::default()).await {
        Ok(nats) => nats,
        Err(e) => {
            postgres.stop().await;
            return Err(e.into());
        }
    };
    command
        .env("DATABASE_URL", postgres.url())
        .env("NATS_URL", nats.core_url())
        .env("NATS_EDGE_URL", nats.edge_url())
        .env("NATS_TOOLS_URL", nats.tools_url());

    let ended = match command.spawn() {
        Err(e) => Err(io::Error::new(e.kind(), format!("cannot run the command: {e}"))),
        Ok(mut child) => tokio::select! {
            ended = child.wait() => ended,
            // A terminal tells the command as well; it only needs the time.
            _ = interrupt.recv() => leave(&mut child, "INT").await,
            _ = terminate.recv() => leave(&mut child, "TERM").await,
        },
    };
    nats.stop().await;
    postgres.stop().await;
    Ok(ended?)
}

/// Passes a signal on, and kills the command when it stays.
async fn leave(child: &mut Child, name: &str) -> io::Result<ExitStatus> {
    if let Some(pid) = child.id() {
        let _ = Command::new("/bin/sh").args(["-c", r#"kill -s "$0" "$1""#, name, &pid.to_string()]).status().await;
    }
    if let Ok(ended) = timeout(LEAVE, child.wait()).await {
        return ended;
    }
    child.kill().await?;
    child.wait().await
}

/// A new folder that only its owner may enter.
fn folder() -> io::Result<PathBuf> {
    let path = env::temp_dir().join(format!("bestchat-{}", uuid::Uuid::new_v4().simple()));
    fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

/// The command's exit code, as a shell would give it.
fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
