//! The Express + Socket.IO server of `bench/peers/express-socketio`: what many teams have before BestChat.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::{installed, root};
use crate::process::Process;
use crate::{Error, login};

/// What it says when it takes connections.
const READY: &str = "listening on http://";
/// As `npm start` starts it.
const TUNING: &str = "--max-semi-space-size=64";

/// A running one.
#[derive(Debug)]
pub struct SocketIoServer {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl SocketIoServer {
    /// Starts it over an empty database.
    ///
    /// # Errors
    /// When it is not installed, or does not come up.
    pub async fn start(database: &str, provider: &str, folder: &Path) -> Result<Self, Error> {
        // npm writes this file last: a folder without it is half installed.
        installed("bench/peers/express-socketio/node_modules/.package-lock.json")?;
        let mut command = Command::new("node");
        command.arg(TUNING).arg(root().join("bench/peers/express-socketio/src/server.js")).envs([
            ("NODE_ENV", "production"),
            ("PORT", "0"),
            ("DATABASE_URL", database),
            ("PROVIDER_URL", provider),
            ("PROVIDER_MODEL", "m1"),
            ("JWT_SECRET", login::SECRET),
        ]);
        let mut process = Process::start("express-socketio", command, folder)?;
        let line = process.says(READY).await?;
        let address = line.rsplit_once("http://").and_then(|(_, address)| address.trim().parse().ok());
        let address = address.ok_or_else(|| Error(format!("no address in {line}")))?;
        Ok(Self { process, address })
    }
}
