//! A nats-server of a test's own, under the rules of `nats-server.conf`: tests with the same shards would hear each other on
//! a common one. It can be stopped, and lose everything. For tests alone (feature `test-support`).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::{Client, Inbox};

/// How long it may take until it takes connections.
const READY_DEADLINE: Duration = Duration::from_secs(30);

/// A running nats-server; dropping it ends it, and fails the test if anyone was kept from what he wanted to do.
pub struct Server {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Server {
    /// Starts it at a port of its own.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Free now, and ours in a moment: ports are handed out in turn.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let process = run(folder.path(), port);
        let server = Self { folder, port, process };
        server.ready().await;
        server
    }

    /// A connection inside CORE, as owners, workers and projectors have it.
    pub async fn core(&self) -> Client {
        crate::connect(&self.url("core"), "test", Inbox::Core).await.unwrap()
    }

    /// A connection inside EDGE.
    pub async fn edge(&self) -> Client {
        crate::connect(&self.url("edge"), "test", Inbox::Edge).await.unwrap()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again after [`Server::kill`], at the same address.
    pub async fn restart(&mut self) {
        self.process = run(self.folder.path(), self.port);
        self.ready().await;
    }

    /// Kills it and starts it again without anything that it had.
    pub async fn wipe(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.folder.path().join("store")).unwrap();
        self.restart().await;
    }

    /// The server greets whoever connects.
    async fn ready(&self) {
        let deadline = Instant::now() + READY_DEADLINE;
        loop {
            if let Ok(mut socket) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await
                && matches!(socket.read_u8().await, Ok(b'I'))
            {
                return;
            }
            assert!(Instant::now() < deadline, "nats-server takes connections in time");
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn url(&self, user: &str) -> String {
        format!("nats://{user}:{user}-password@127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let denied: Vec<&str> = log.lines().filter(|line| line.contains("Violation")).collect();
        assert!(std::thread::panicking() || denied.is_empty(), "the rights are enough: {denied:#?}");
    }
}

fn run(folder: &Path, port: u16) -> Child {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut server = Command::new(program(&crate_folder.join("..")));
    server.arg("--config").arg(crate_folder.join("nats-server.conf"));
    server.args(["--server_name", "test", "--addr", "127.0.0.1", "--port", &port.to_string()]);
    server.arg("--store_dir").arg(folder.join("store")).arg("--log").arg(folder.join("log"));
    for user in ["core", "edge", "tools"] {
        server.env(format!("{}_PASSWORD", user.to_uppercase()), format!("{user}-password"));
    }
    server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The one that `NATS_SERVER_BIN` names, that `scripts/setup` has fetched, or that is installed.
fn program(root: &Path) -> PathBuf {
    let fetched = root.join(".tools/bin/nats-server");
    match env::var_os("NATS_SERVER_BIN") {
        Some(named) => named.into(),
        None if fetched.exists() => fetched,
        None => "nats-server".into(),
    }
}
