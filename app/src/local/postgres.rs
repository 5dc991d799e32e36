//! A private Postgres: a cluster of its own in one folder, loopback only, one database.

use std::{
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Error, binary,
    folder::{self, Folder},
    identity::Identity,
    process::{Place, Process},
    server::{POLL, Server},
};

/// Also the name of the superuser.
const DATABASE: &str = "bestchat";
/// Replaying the log after a crash takes its time, so the deadline is generous.
const START_DEADLINE: Duration = Duration::from_mins(1);
/// Cuts connections and flushes everything.
const STOPS_ON: &str = "INT";
/// Tries with another port when someone takes the chosen one first.
const PORT_TRIES: usize = 5;

/// How a private Postgres is run.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The loopback port; `None` picks a free one.
    pub port: Option<u16>,
    /// Whether commits are flushed to disk. Without it, a power cut loses everything; a killed process loses nothing.
    pub durable: bool,
    /// How many connections it admits.
    pub max_connections: u16,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { port: None, durable: true, max_connections: 100 }
    }
}

/// A running private Postgres. Dropping it asks the server to stop without waiting for that.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    identity: Identity,
    binaries: PathBuf,
    options: PostgresOptions,
    password: String,
}

impl Postgres {
    /// Starts the server whose data lies in `dir`, making both when they do not exist yet, and returns when it
    /// takes connections and has the database.
    pub async fn start(dir: &Path, options: PostgresOptions) -> Result<Self, Error> {
        let folder = Folder::open(dir)?;
        let data = folder.join("data");
        let binaries = binary::postgres(&data)?;
        let place = Place { folder: data.clone(), program: "postgres" };
        place.stop_leftovers(STOPS_ON).await?;
        let mut identity = Identity::not_root(&data)?;
        let password = folder.password("password")?;
        if data.exists() {
            identity.reach(&data)?;
        } else {
            initialise(&folder, &mut identity, &binaries, options.durable).await?;
        }
        let (process, port) = run(&folder, &place, &identity, &binaries, &options, &password).await?;
        let server = Server { folder, place, process, port, stops_on: STOPS_ON };
        let postgres = Self { server, identity, binaries, options, password };
        postgres.create_database().await?;
        Ok(postgres)
    }

    /// Where to connect, password included.
    pub fn url(&self) -> String {
        url(&self.password, self.port(), DATABASE)
    }

    /// Starts it again on the same data and port, after [`stop`](Self::stop) or [`kill`](Self::kill), or after it
    /// has ended by itself.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await;
        let Server { folder, place, port, .. } = &self.server;
        let options = PostgresOptions { port: Some(*port), ..self.options.clone() };
        (self.server.process, _) = run(folder, place, &self.identity, &self.binaries, &options, &self.password).await?;
        Ok(())
    }

    async fn create_database(&self) -> Result<(), Error> {
        let failed = |e: sqlx::Error| Error::Failed {
            what: format!("cannot create the database in {}", self.server.folder.path().display()),
            said: e.to_string(),
        };
        let mut connection =
            PgConnection::connect(&url(&self.password, self.port(), "postgres")).await.map_err(failed)?;
        let exists = sqlx::query("select 1 from pg_database where datname = $1").bind(DATABASE);
        if exists.fetch_optional(&mut connection).await.map_err(failed)?.is_none() {
            sqlx::raw_sql("create database bestchat").execute(&mut connection).await.map_err(failed)?;
        }
        connection.close().await.map_err(failed)
    }
}

impl Deref for Postgres {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Postgres {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

/// Makes a new cluster beside its final place and moves it there when it is whole, so that an interrupted first
/// start leaves nothing half made.
async fn initialise(folder: &Folder, identity: &mut Identity, binaries: &Path, durable: bool) -> Result<(), Error> {
    let draft = folder.join("data.new");
    folder::remove(&draft)?;
    folder::make(&draft)?;
    identity.give(&draft)?;
    identity.give(&folder.join("password"))?;
    identity.reach(&draft)?;
    let mut initdb = identity.command(binaries.join("initdb"), Some("KILL"));
    initdb
        .args(["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--username", DATABASE])
        .arg("--pwfile")
        .arg(folder.join("password"))
        .arg("--pgdata")
        .arg(&draft)
        .args((!durable).then_some("--no-sync"))
        .current_dir(&draft);
    let process = spawn(initdb, folder)?;
    process.ended().await;
    if !process.exit().is_some_and(|status| status.success()) {
        let what = format!("cannot make a Postgres cluster in {}", folder.path().display());
        return Err(Error::Failed { what, said: folder.last_words() });
    }
    std::fs::rename(&draft, folder.join("data")).map_err(Error::io("cannot move the new Postgres cluster"))
}

/// Begins the server and waits until it takes connections; a port that someone else takes first is exchanged for
/// another, unless it was asked for.
async fn run(
    folder: &Folder,
    place: &Place,
    identity: &Identity,
    binaries: &Path,
    options: &PostgresOptions,
    password: &str,
) -> Result<(Process, u16), Error> {
    let mut tries = if options.port.is_some() { 1 } else { PORT_TRIES };
    loop {
        // Nothing runs here and the lock is ours: a file that says otherwise is stale, and its process id may by
        // now be someone else's, which would keep Postgres from starting.
        let _ = std::fs::remove_file(place.folder.join("postmaster.pid"));
        let port = options.port.map_or_else(folder::free_port, Ok)?;
        let mut server = identity.command(binaries.join("postgres"), Some(STOPS_ON));
        server.arg("-D").arg(&place.folder).args(settings(port, options)).current_dir(&place.folder);
        let process = spawn(server, folder)?;
        match ready(&process, &url(password, port, "postgres"), folder).await {
            Ok(()) => return Ok((process, port)),
            Err(e) => {
                process.stop(STOPS_ON, place).await;
                tries -= 1;
                if tries == 0 {
                    return Err(e);
                }
            }
        }
    }
}

/// Its settings, as arguments: the files in the data folder stay as `initdb` made them.
fn settings(port: u16, options: &PostgresOptions) -> Vec<String> {
    let durable = if options.durable { "on" } else { "off" };
    [
        "listen_addresses=127.0.0.1".into(),
        format!("port={port}"),
        // No socket file: its path would have to be short, and loopback does.
        "unix_socket_directories=".into(),
        format!("max_connections={}", options.max_connections),
        "shared_buffers=128MB".into(),
        "synchronous_commit=on".into(),
        format!("fsync={durable}"),
        format!("full_page_writes={durable}"),
        // No replica reads this log.
        "wal_level=minimal".into(),
        "max_wal_senders=0".into(),
        // Our statements are short: compiling one takes longer than running it.
        "jit=off".into(),
        "timezone=UTC".into(),
        "logging_collector=off".into(),
        "log_destination=stderr".into(),
    ]
    .into_iter()
    .flat_map(|setting: String| ["-c".into(), setting])
    .collect()
}

fn spawn(mut command: Command, folder: &Folder) -> Result<Process, Error> {
    let log = folder.log()?;
    let copy = log.try_clone().map_err(Error::io("cannot open the log twice"))?;
    // The environment may hold PGDATA, PGPORT and the like of another installation.
    command.env_clear().env("LC_ALL", "C").stdout(Stdio::from(log)).stderr(Stdio::from(copy));
    Process::spawn(command).map_err(Error::io("cannot run Postgres"))
}

/// Waits until a connection succeeds, the server ends, or the deadline comes.
async fn ready(process: &Process, url: &str, folder: &Folder) -> Result<(), Error> {
    let deadline = Instant::now() + START_DEADLINE;
    let mut last = String::new();
    while process.exit().is_none() && Instant::now() < deadline {
        match timeout(Duration::from_secs(2), PgConnection::connect(url)).await {
            Ok(Ok(connection)) => {
                let _ = connection.close().await;
                return Ok(());
            }
            Ok(Err(e)) => last = e.to_string(),
            Err(_) => "no answer within two seconds".clone_into(&mut last),
        }
        sleep(POLL).await;
    }
    let what = match process.exit() {
        Some(status) => format!("Postgres in {} ended while starting ({status})", folder.path().display()),
        None => format!("Postgres in {} took no connection in time: {last}", folder.path().display()),
    };
    Err(Error::Failed { what, said: folder.last_words() })
}

fn url(password: &str, port: u16, database: &str) -> String {
    format!("postgres://{DATABASE}:{password}@127.0.0.1:{port}/{database}?sslmode=disable")
}
