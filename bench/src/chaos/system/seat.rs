//! The place of one process, which may be empty for a while; and the proxies between the process and its servers.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{POLL, faketime};
use crate::Error;
use crate::chaos::proxy::Proxy;
use crate::chaos::schedule::{Member, Role};
use crate::fleet::Fleet;
use crate::process::Process;

/// What a process says when it is.
const READY: &str = r#""message":"ready""#;

/// The place of a process.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) member: Member,
    /// Between it and Postgres.
    pub(super) postgres: Proxy,
    /// Between it and NATS.
    pub(super) nats: Proxy,
    /// Whether its clock can be set.
    sets_clock: bool,
    process: Option<Process>,
    ready: bool,
    frozen: bool,
}

/// A process that has ended by itself.
pub(super) struct Ended {
    /// Who, and how.
    pub(super) what: String,
    /// Whether it had been ready.
    pub(super) was_ready: bool,
}

impl Seat {
    pub(super) fn new(member: Member, postgres: Proxy, nats: Proxy, sets_clock: bool) -> Self {
        Self { member, postgres, nats, sets_clock, process: None, ready: false, frozen: false }
    }

    /// Starts the process, unless there is one.
    pub(super) fn begin(&mut self, fleet: &Fleet) -> Result<(), Error> {
        if self.process.is_some() {
            return Ok(());
        }
        let (name, arguments): (&str, &[&str]) = match self.member.role {
            Role::Api => ("api", &["api"]),
            Role::Worker => ("worker", &["worker", "--roles", "commands,reply"]),
            Role::Projector => ("projector", &["projector"]),
        };
        let through = |url: String, port: u16, proxy: &Proxy| {
            url.replace(&format!("127.0.0.1:{port}"), &proxy.address().to_string())
        };
        let (postgres, nats) = (&fleet.postgres, &fleet.nats);
        let postgres = through(postgres.url(), postgres.port(), &self.postgres);
        let core = through(nats.core_url(), nats.port(), &self.nats);
        let edge = through(nats.edge_url(), nats.port(), &self.nats);
        let mut environment =
            vec![("DATABASE_URL", postgres.as_str()), ("NATS_URL", core.as_str()), ("NATS_EDGE_URL", edge.as_str())];
        let clock = if self.sets_clock { faketime::environment(fleet.folder(), self.member)? } else { Vec::new() };
        environment.extend(clock.iter().map(|(name, value)| (*name, value.as_str())));
        (self.ready, self.frozen) = (false, false);
        self.process = Some(fleet.process(&format!("{name}{}", self.member.nth), arguments, &environment)?);
        Ok(())
    }

    /// Kills the process, if there is one: whether there was.
    pub(super) fn kill(&mut self) -> Result<bool, Error> {
        self.ready = false;
        let Some(mut process) = self.process.take() else { return Ok(false) };
        process.kill()?;
        Ok(true)
    }

    /// Freezes the process, if there is one: whether there was.
    pub(super) fn freeze(&mut self) -> Result<bool, Error> {
        let Some(process) = &self.process else { return Ok(false) };
        process.signal("STOP")?;
        self.frozen = true;
        Ok(true)
    }

    pub(super) fn thaw(&mut self) -> Result<(), Error> {
        self.frozen = false;
        self.process.as_ref().map_or(Ok(()), |process| process.signal("CONT"))
    }

    /// Sets the process's clock so many seconds off; gives why that cannot be done, when it cannot.
    pub(super) fn set_clock(&self, folder: &Path, by: i32) -> Result<Option<String>, Error> {
        faketime::set(folder, self.member, by)
    }

    /// Whether the process is there and ready.
    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Looks whether the process has become ready; gives the address of an edge that has.
    pub(super) fn became_ready(&mut self) -> Result<Option<SocketAddr>, Error> {
        let Some(process) = self.process.as_ref().filter(|_| !self.ready) else { return Ok(None) };
        let log = process.log();
        let Some(line) = log.lines().find(|line| line.contains(READY)) else { return Ok(None) };
        self.ready = true;
        let said: Value = serde_json::from_str(line).map_err(Error::other)?;
        Ok(said["address"].as_str().and_then(|address| address.parse().ok()))
    }

    /// Whether the process has ended by itself. The place is empty then.
    pub(super) fn ended(&mut self) -> Result<Option<Ended>, Error> {
        let Some(process) = &mut self.process else { return Ok(None) };
        let Some(status) = process.exit()? else { return Ok(None) };
        let what = format!("{} ({}) ended by itself: {status}", self.member, process.name());
        let was_ready = std::mem::take(&mut self.ready);
        self.process = None;
        Ok(Some(Ended { what, was_ready }))
    }

    /// Tells the process to stop and waits for that; gives what was wrong with how it did. The place is empty then.
    pub(super) async fn stop(&mut self, within: Duration) -> Result<Option<String>, Error> {
        self.ready = false;
        let Some(mut process) = self.process.take() else { return Ok(None) };
        process.signal("TERM")?;
        let deadline = Instant::now() + within;
        loop {
            match process.exit()? {
                Some(status) if status.success() => return Ok(None),
                Some(status) => return Ok(Some(format!("{} stopped with {status}", process.name()))),
                None if Instant::now() > deadline => return Ok(Some(format!("{} does not stop", process.name()))),
                None => sleep(POLL).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_there_cannot_be_broken() {
        let member = Member { role: Role::Worker, nth: 0 };
        let (postgres, nats) = (Proxy::start(None).await.unwrap(), Proxy::start(None).await.unwrap());
        let mut seat = Seat::new(member, postgres, nats, false);
        assert!(!seat.kill().unwrap());
        assert!(!seat.freeze().unwrap());
    }
}
