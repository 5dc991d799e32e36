//! The Express + Socket.IO server of `bench/peers/express-socketio`: what many teams have before BestChat.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command as StdCommand;

use tokio::process::Command;

use super::{install, root};
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
    /// Installs it if need be, and starts it over an empty database.
    ///
    /// # Errors
    /// When npm or node is not there, or it does not come up.
    pub async fn start(database: &str, provider: &str, folder: &Path) -> Result<Self, Error> {
        let place = root().join("bench/peers/express-socketio");
        if !place.join("package.json").is_file() {
            return Err(Error("bench/peers/express-socketio is not there".to_owned()));
        }
        // npm writes this file last: a folder without it is half installed.
        if !place.join("node_modules/.package-lock.json").is_file() {
            let arguments = ["ci", "--omit=dev", "--no-audit", "--no-fund"];
            install("npm ci", Command::new("npm").args(arguments).current_dir(&place)).await?;
        }
        let mut command = StdCommand::new("node");
        command.arg(TUNING).arg(place.join("src/server.js")).envs([
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
