//! A private NATS server with `JetStream`, under the same rules as in production.

use std::{
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use super::{
    Error, binary,
    folder::{self, Folder},
    identity::Identity,
    process::{Place, Process},
    server::{POLL, Server},
};

/// Accounts, users, rights and limits: docker-compose mounts this very file.
const CONFIG: &str = include_str!("../../../nats/nats-server.conf");
/// Recovering large streams after a kill takes its time.
const START_DEADLINE: Duration = Duration::from_mins(1);
const STOPS_ON: &str = "TERM";
const PORT_TRIES: usize = 5;

/// How a private NATS server is run.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    /// The loopback port; `None` picks a free one.
    pub port: Option<u16>,
}

/// A running private NATS server. Dropping it asks the server to stop without waiting for that.
#[derive(Debug)]
pub struct Nats {
    server: Server,
    program: PathBuf,
    passwords: Passwords,
}

#[derive(Debug)]
struct Passwords {
    core: String,
    edge: String,
    tools: String,
}

impl Nats {
    /// Starts the server whose streams lie in `dir`, and returns when it takes connections.
    pub async fn start(dir: &Path, options: NatsOptions) -> Result<Self, Error> {
        let program = binary::nats()?;
        let folder = Folder::open(dir)?;
        let place = Place { folder: folder.path().to_owned(), program: "nats-server" };
        place.stop_leftovers(STOPS_ON).await?;
        let passwords = Passwords {
            core: folder.password("core.password")?,
            edge: folder.password("edge.password")?,
            tools: folder.password("tools.password")?,
        };
        let config = folder.join("nats-server.conf");
        std::fs::write(&config, CONFIG).map_err(Error::io(format!("cannot write {}", config.display())))?;
        let (process, port) = run(&folder, &program, &passwords, options.port).await?;
        let server = Server { folder, place, process, port, stops_on: STOPS_ON };
        Ok(Self { server, program, passwords })
    }

    /// Where shard owners, workers and projectors connect.
    pub fn core_url(&self) -> String {
        self.url("core", &self.passwords.core)
    }

    /// Where the edge connects: it may ask and listen, and write nothing but signals.
    pub fn edge_url(&self) -> String {
        self.url("edge", &self.passwords.edge)
    }

    /// Where tools connect: they reach nothing.
    pub fn tools_url(&self) -> String {
        self.url("tools", &self.passwords.tools)
    }

    /// Starts it again with the same streams and port, after [`stop`](Self::stop) or [`kill`](Self::kill), or after
    /// it has ended by itself.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await;
        let Server { folder, port, .. } = &self.server;
        (self.server.process, _) = run(folder, &self.program, &self.passwords, Some(*port)).await?;
        Ok(())
    }

    /// Kills it, deletes every stream, and starts it again on the same port: the total loss of the bus.
    pub async fn wipe(&mut self) -> Result<(), Error> {
        self.kill().await;
        folder::remove(&store(&self.server.folder))?;
        self.restart().await
    }

    fn url(&self, user: &str, password: &str) -> String {
        format!("nats://{user}:{password}@127.0.0.1:{}", self.port())
    }
}

impl Deref for Nats {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Nats {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

fn store(folder: &Folder) -> PathBuf {
    folder.join("store")
}

/// Begins the server and waits until it takes connections; a port that someone else takes first is exchanged for
/// another, unless it was asked for.
async fn run(
    folder: &Folder,
    program: &Path,
    passwords: &Passwords,
    wanted: Option<u16>,
) -> Result<(Process, u16), Error> {
    let mut tries = if wanted.is_some() { 1 } else { PORT_TRIES };
    loop {
        let port = wanted.map_or_else(folder::free_port, Ok)?;
        let process = spawn(folder, program, passwords, port)?;
        match ready(&process, port, &passwords.core, folder).await {
            Ok(()) => return Ok((process, port)),
            Err(e) => {
                process.signal("KILL");
                process.ended().await;
                tries -= 1;
                if tries == 0 {
                    return Err(e);
                }
            }
        }
    }
}

fn spawn(folder: &Folder, program: &Path, passwords: &Passwords, port: u16) -> Result<Process, Error> {
    let mut server = Identity::current().command(program, Some(STOPS_ON));
    server
        .arg("--config")
        .arg(folder.join("nats-server.conf"))
        .args(["--server_name", "bestchat", "--addr", "127.0.0.1", "--port", &port.to_string()])
        .arg("--store_dir")
        .arg(store(folder))
        .arg("--log")
        .arg(folder.join("log"))
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::from(folder.log()?))
        .env_clear()
        .env("CORE_PASSWORD", &passwords.core)
        .env("EDGE_PASSWORD", &passwords.edge)
        .env("TOOLS_PASSWORD", &passwords.tools);
    Process::spawn(server).map_err(Error::io("cannot run nats-server"))
}

/// Waits until the server greets us and answers, it ends, or the deadline comes.
async fn ready(process: &Process, port: u16, password: &str, folder: &Folder) -> Result<(), Error> {
    let deadline = Instant::now() + START_DEADLINE;
    while process.exit().is_none() && Instant::now() < deadline {
        if let Ok(Ok(true)) = timeout(Duration::from_secs(2), answers(port, password)).await {
            return Ok(());
        }
        sleep(POLL).await;
    }
    let what = match process.exit() {
        Some(status) => format!("nats-server in {} ended while starting ({status})", folder.path().display()),
        None => format!("nats-server in {} took no connection in time", folder.path().display()),
    };
    Err(Error::Failed { what, said: folder.last_words() })
}

/// Whether the server on this port is ours (it knows the password) and answers a ping.
async fn answers(port: u16, password: &str) -> std::io::Result<bool> {
    let mut socket = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
    let connect = format!("CONNECT {{\"user\":\"core\",\"pass\":\"{password}\",\"verbose\":false}}\r\nPING\r\n");
    let mut line = String::new();
    socket.read_line(&mut line).await?;
    socket.write_all(connect.as_bytes()).await?;
    loop {
        line.clear();
        if socket.read_line(&mut line).await? == 0 || line.starts_with("-ERR") {
            return Ok(false);
        }
        if line.starts_with("PONG") {
            return Ok(true);
        }
    }
}
