//! The command line.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use domain::ConversationId;
use store::{Position, Role};
use tokio::runtime::Runtime;

use crate::config::{LogFormat, Settings, WorkerRole};
use crate::replay::Speed;
use crate::roles::{self, Process};
use crate::wire::Error;
use crate::{dead_letters, providers, replay, rotate_keys, shutdown, telemetry, up, wire};

/// How long a process waits at its end for what cannot be cancelled: the name of a host is looked up on a thread of its own.
pub(crate) const LEAVE_DEADLINE: Duration = Duration::from_secs(1);

/// The chat backend that loses nothing.
#[derive(Debug, Parser)]
#[command(name = "bestchat", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything here, with a private Postgres and NATS where no other is set
    Up,
    /// Run an edge: WebSocket, HTTP and the console
    Api,
    /// Run workers
    Worker {
        /// What to do, separated by commas; what the settings say where left out
        #[arg(long, value_delimiter = ',')]
        roles: Vec<WorkerRole>,
    },
    /// Keep the read models
    Projector,
    /// Bring the database up to date
    Migrate,
    /// Make a read model anew from the log while everything runs
    Rebuild {
        /// Which: `account`, `conversation_list`, `transcript` or `usage`
        name: String,
    },
    /// Print a conversation as it stood, or as it came about
    Replay {
        /// The conversation
        id: ConversationId,
        /// As it stood after this event; as it came about where left out
        #[arg(long)]
        at: Option<u64>,
        /// How many times faster than it came about, a number above 0; without any pause where left out
        #[arg(long)]
        speed: Option<Speed>,
    },
    /// Show the events that a consumer could not take in, or have one retried
    DeadLetters {
        /// Have the one at this place retried: its consumer, then its position
        #[arg(long, num_args = 2, value_names = ["CONSUMER", "POSITION"])]
        retry: Option<Vec<String>>,
    },
    /// List the providers that are known, how to use them, and their models
    Providers {
        /// As JSON, with what is known of each model
        #[arg(long)]
        json: bool,
    },
    /// Put every key of a provider under the current key-encryption key; those of `[sealing]` before it can go then
    RotateKeys,
    /// List every setting, where it comes from, and its value; secrets are hidden
    Config,
}

impl Command {
    /// What its process is called in traces.
    fn service(&self) -> &'static str {
        match self {
            Self::Api => "bestchat-api",
            Self::Worker { .. } => "bestchat-worker",
            Self::Projector => "bestchat-projector",
            _ => "bestchat",
        }
    }
}

/// Does what the command line says.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let outcome = Runtime::new().map_err(Error::other).and_then(|runtime| {
        let outcome = runtime.block_on(carry_out(cli.command));
        runtime.shutdown_timeout(LEAVE_DEADLINE);
        outcome
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bestchat: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(command: Command) -> Result<ExitCode, Error> {
    let settings = Settings::load().map_err(Error::other)?;
    let format = settings.log_format;
    // reqwest and sqlx take whichever TLS implementation the process has; a second call changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let traces = telemetry::init(&settings, command.service()).map_err(Error::other)?;
    let outcome = carry_out_as_set(command, settings).await;
    traces.close().await;
    match outcome {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // Whoever reads the lines of a log as JSON reads the last word too.
        Err(error) if format == LogFormat::Json => {
            tracing::error!(%error, "bestchat ends");
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error),
    }
}

async fn carry_out_as_set(command: Command, settings: Settings) -> Result<(), Error> {
    match command {
        Command::Up => up::up(settings).await,
        Command::Api => serve(&settings, &[], Process::Api).await,
        Command::Worker { roles } => serve(&settings, &roles, Process::Worker).await,
        Command::Projector => serve(&settings, &[], Process::Projector).await,
        Command::Migrate => {
            let owner = wire::pool(&settings, Role::Owner).await?;
            let shards = store::migrate(&owner, settings.shards, wire::PRODUCTION_SHARDS).await?;
            print(&format!("The database is up to date. It has {shards} shards."))
        }
        Command::Rebuild { name } => {
            let owner = wire::pool(&settings, Role::Owner).await?;
            let events = projections::rebuild(&owner, &name).await.map_err(Error::other)?;
            print(&format!("{name} was made anew from {events} events."))
        }
        Command::Replay { id, at, speed } => {
            replay::replay(&wire::pool(&settings, Role::Owner).await?, id, at, speed).await
        }
        Command::DeadLetters { retry } => {
            let pool = wire::pool(&settings, Role::Owner).await?;
            match retry.as_deref() {
                Some([consumer, position]) => {
                    let position: Position = position.parse().map_err(Error::other)?;
                    dead_letters::retry(&pool, consumer, position).await
                }
                _ => dead_letters::list(&pool).await,
            }
        }
        Command::Providers { json } => print(&providers::list::text(&settings, json)?),
        Command::RotateKeys => rotate_keys::rotate_keys(&settings).await,
        Command::Config => print(settings.describe()),
    }
}

/// Runs one process of a distributed installation until it is told to stop.
async fn serve(settings: &Settings, worker_roles: &[WorkerRole], process: Process) -> Result<(), Error> {
    let mut signals = shutdown::Signals::listen().map_err(Error::other)?;
    let running = tokio::select! {
        () = signals.received() => return Ok(()),
        started = roles::start(settings, worker_roles, process) => started?,
    };
    if let Some(address) = running.address() {
        tracing::info!(%address, "ready");
    } else {
        tracing::info!("ready");
    }
    signals.received().await;
    tokio::select! {
        () = running.stop() => {}
        // Whoever says it twice does not want to wait; others take over as after a crash.
        () = signals.received() => {}
    }
    Ok(())
}

/// Writes an answer to standard output.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    match writeln!(std::io::stdout(), "{}", text.trim_end()) {
        // Whoever reads has read enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Error::other),
    }
}
