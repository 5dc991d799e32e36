//! What every private server has: a folder, a process in it, and the ways in which that ends.

use std::time::Duration;

use super::folder::Folder;
use super::process::{Place, Process};

/// How long between two looks whether a server takes connections.
pub(super) const POLL: Duration = Duration::from_millis(10);

/// A running private server. Dropping it asks the server to stop without waiting for that.
#[derive(Debug)]
pub struct Server {
    pub(super) folder: Folder,
    pub(super) place: Place,
    pub(super) process: Process,
    pub(super) port: u16,
    /// The signal that asks it to stop cleanly.
    pub(super) stops_on: &'static str,
}

impl Server {
    /// The loopback port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns when the server has ended, for whatever reason.
    pub async fn ended(&self) {
        self.process.ended().await;
    }

    /// Stops it cleanly: open connections are cut, everything is flushed.
    pub async fn stop(&mut self) {
        self.process.stop(self.stops_on, &self.place).await;
    }

    /// Kills the server and all its children at once, as a crash would.
    pub async fn kill(&mut self) {
        self.process.kill(&self.place).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.signal(self.stops_on);
    }
}
