//! A nats-server of a test's own: tests with the same shards would hear each other on a common one.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nats::{Client, Inbox};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::wait::until;

pub(crate) struct Server {
    _folder: TempDir,
    port: u16,
    process: Child,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Free now, and ours in a moment: ports are handed out in turn.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let process = run(folder.path(), port);
        let server = Self { _folder: folder, port, process };
        server.ready().await;
        server
    }

    /// A connection inside CORE, as owners, workers and projectors have it.
    pub(crate) async fn core(&self) -> Client {
        nats::connect(&self.url("core"), "test", Inbox::Core).await.unwrap()
    }

    /// A connection inside EDGE.
    pub(crate) async fn edge(&self) -> Client {
        nats::connect(&self.url("edge"), "test", Inbox::Edge).await.unwrap()
    }

    /// The server greets whoever connects.
    async fn ready(&self) {
        until("nats-server takes connections", async || {
            let Ok(mut socket) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await else { return false };
            matches!(socket.read_u8().await, Ok(b'I'))
        })
        .await;
    }

    fn url(&self, user: &str) -> String {
        format!("nats://{user}:{user}-password@127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(folder: &Path, port: u16) -> Child {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut server = Command::new(program(&crate_folder.join("..")));
    server.arg("--config").arg(crate_folder.join("../nats/nats-server.conf"));
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
