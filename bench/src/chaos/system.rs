//! The system under test: its processes, what stands between them, and the ways to break it.

mod disk;
mod faketime;
mod seat;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::history::Skipped;
use super::provider::Provider;
use super::proxy::Proxy;
use super::schedule::{Fault, Kind, Member, PER_ROLE, Role, Server};
use crate::Error;
use crate::fleet::{self, Fleet};
use disk::Disk;
use seat::Seat;

/// The number of shards.
pub(super) const SHARDS: u16 = 4;
/// Short deadlines of the provider, so that a reply that it spoils ends within a run, in seconds.
const DEADLINES: &str = "[deadlines]\nconnect = 2\nfirst_token = 4\nbetween_tokens = 3";
/// The models that replies are asked of, in this order. Both are the one provider that misbehaves, under two names.
pub(super) const ROUTE: [&str; 2] = ["bench/m1", "spare/m2"];
/// How long all processes may take until they are ready.
const READY_DEADLINE: Duration = Duration::from_mins(1);
/// How long a process may take to stop when it is told to.
const STOP_DEADLINE: Duration = Duration::from_secs(22);
/// The pause between two looks.
const POLL: Duration = Duration::from_millis(20);

/// Everything that runs.
pub(super) struct System {
    seats: Vec<Seat>,
    /// Where clients connect, one for each edge.
    edges: Vec<Proxy>,
    pub(super) provider: Provider,
    disk: Result<Disk, String>,
    pub(super) fleet: Fleet,
    /// Processes that ended by themselves, or badly.
    pub(super) crashes: Vec<String>,
}

impl System {
    /// Starts everything; the clocks of those whom a fault of the plan sets can be set.
    ///
    /// # Errors
    /// When something does not start.
    pub(super) async fn start(seed: u64, plan: &[Fault]) -> Result<Self, Error> {
        let provider = Provider::start(seed).await?;
        let base_url = provider.base_url();
        let options = fleet::Options {
            shards: SHARDS,
            settings: settings(&base_url),
            model: "route/main".to_owned(),
            provider: base_url,
            durable: true,
        };
        let mut fleet = Fleet::start(options).await?;
        let disk = Disk::beneath(&mut fleet).await;
        let (mut seats, mut edges) = (Vec::new(), Vec::new());
        for role in [Role::Api, Role::Worker, Role::Projector] {
            for nth in 0..PER_ROLE {
                let member = Member { role, nth };
                let is_set = |fault: &&Fault| matches!(fault.kind, Kind::ClockStep(who, _) if who == member);
                let sets_clock = plan.iter().find(is_set).is_some();
                let local = |port| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
                let postgres = Proxy::start(local(fleet.postgres.port())).await?;
                let nats = Proxy::start(local(fleet.nats.port())).await?;
                seats.push(Seat::new(member, postgres, nats, sets_clock));
                if role == Role::Api {
                    edges.push(Proxy::start(None).await?);
                }
            }
        }
        let mut system = Self { seats, edges, provider, disk, fleet, crashes: Vec::new() };
        for nth in 0..system.seats.len() {
            system.begin(nth)?;
        }
        system.until_ready().await?;
        Ok(system)
    }

    /// Where clients connect.
    pub(super) fn edges(&self) -> Vec<SocketAddr> {
        self.edges.iter().map(Proxy::address).collect()
    }

    /// Starts a fault; gives why it cannot be had here, when it cannot.
    ///
    /// # Errors
    /// When the system cannot be handled any more.
    pub(super) async fn inject(&mut self, kind: Kind) -> Result<Option<Skipped>, Error> {
        let skipped = |possible, reason| Skipped { kind: kind.name().to_owned(), reason, possible };
        let missing =
            |was_there: bool| (!was_there).then(|| skipped(true, "there was no such process just then".to_owned()));
        match kind {
            Kind::Kill(member) => return Ok(missing(self.seat(member).kill()?)),
            Kind::Freeze(member) => return Ok(missing(self.seat(member).freeze()?)),
            Kind::ClockStep(member, by) => {
                let folder = self.fleet.folder().to_owned();
                return Ok(self.seat(member).set_clock(&folder, by)?.map(|reason| skipped(false, reason)));
            }
            Kind::WipeNats | Kind::RestartNats => self.fleet.nats.kill().await,
            Kind::FillNats => return Ok(self.fill_disk()?.map(|reason| skipped(false, reason))),
            Kind::KillPostgres => self.fleet.postgres.kill().await,
            Kind::Clients(nth, trouble) => self.edges[nth].set_trouble(Some(trouble)),
            Kind::Link(member, server, trouble) => self.link(member, server).set_trouble(Some(trouble)),
            Kind::Provider(whim) => self.provider.set_whim(Some(whim)),
            Kind::RollingRestart => self.restart_all().await?,
        }
        Ok(None)
    }

    /// Ends a fault.
    ///
    /// # Errors
    /// When a server does not come back.
    pub(super) async fn heal(&mut self, kind: Kind) -> Result<(), Error> {
        match kind {
            Kind::Kill(member) => {
                let nth = self.position(member);
                self.begin(nth)?;
            }
            Kind::Freeze(member) => self.seat(member).thaw()?,
            Kind::ClockStep(member, _) => {
                let folder = self.fleet.folder().to_owned();
                self.seat(member).set_clock(&folder, 0)?;
            }
            Kind::WipeNats => {
                disk::empty(&self.store())?;
                self.fleet.nats.restart().await.map_err(Error::other)?;
            }
            Kind::RestartNats => self.fleet.nats.restart().await.map_err(Error::other)?,
            Kind::FillNats => {
                if let Ok(disk) = &self.disk {
                    disk.free()?;
                }
                // What a person would do: the server gives JetStream up when its disk is full.
                self.fleet.nats.restart().await.map_err(Error::other)?;
            }
            Kind::KillPostgres => self.fleet.postgres.restart().await.map_err(Error::other)?,
            Kind::Clients(nth, _) => self.edges[nth].set_trouble(None),
            Kind::Link(member, server, _) => self.link(member, server).set_trouble(None),
            Kind::Provider(_) => self.provider.set_whim(None),
            Kind::RollingRestart => {}
        }
        Ok(())
    }

    fn fill_disk(&self) -> Result<Option<String>, Error> {
        match &self.disk {
            Ok(disk) => disk.fill().map(|()| None),
            Err(reason) => Ok(Some(reason.clone())),
        }
    }

    fn store(&self) -> std::path::PathBuf {
        disk::store(&self.fleet)
    }

    /// Looks after the processes: notices who is ready, and starts those anew that have ended.
    ///
    /// # Errors
    /// When one cannot be started.
    pub(super) fn look_after(&mut self) -> Result<(), Error> {
        for nth in 0..self.seats.len() {
            let seat = &mut self.seats[nth];
            if let Some(address) = seat.became_ready()? {
                self.edges[seat.member.nth].set_target(Some(address));
            }
            if let Some(ended) = self.seats[nth].ended()? {
                // Before it was ready it may end: the servers that it needs may be away. Whoever started it tries again.
                if ended.was_ready {
                    self.crashes.push(ended.what);
                }
                self.begin(nth)?;
            }
        }
        Ok(())
    }

    /// Returns when every process is ready.
    ///
    /// # Errors
    /// When one is not in time.
    pub(super) async fn until_ready(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + READY_DEADLINE;
        while !self.seats.iter().all(Seat::is_ready) {
            if Instant::now() > deadline {
                let late = self.seats.iter().filter(|seat| !seat.is_ready()).map(|seat| seat.member.to_string());
                return Err(Error(format!("not ready in time: {}", late.collect::<Vec<_>>().join(", "))));
            }
            sleep(POLL).await;
            self.look_after()?;
        }
        Ok(())
    }

    /// Tells each process to stop, waits for it, and starts it anew, one after the other.
    async fn restart_all(&mut self) -> Result<(), Error> {
        self.until_ready().await?;
        for nth in 0..self.seats.len() {
            if let Some(complaint) = self.seats[nth].stop(STOP_DEADLINE).await? {
                self.crashes.push(complaint);
            }
            self.begin(nth)?;
            self.until_ready().await?;
        }
        Ok(())
    }

    /// Stops everything, gently.
    ///
    /// # Errors
    /// When a process cannot be handled.
    pub(super) async fn stop(mut self) -> Result<(), Error> {
        for seat in &mut self.seats {
            seat.kill()?;
        }
        self.fleet.nats.stop().await;
        self.fleet.postgres.stop().await;
        Ok(())
    }

    fn begin(&mut self, nth: usize) -> Result<(), Error> {
        self.seats[nth].begin(&self.fleet)
    }

    fn position(&self, member: Member) -> usize {
        self.seats.iter().position(|seat| seat.member == member).unwrap_or_default()
    }

    fn seat(&mut self, member: Member) -> &mut Seat {
        let nth = self.position(member);
        &mut self.seats[nth]
    }

    fn link(&mut self, member: Member, server: Server) -> &Proxy {
        let seat = self.seat(member);
        match server {
            Server::Postgres => &seat.postgres,
            Server::Nats => &seat.nats,
        }
    }
}

/// The deadlines, and the route with its second provider.
fn settings(base_url: &str) -> String {
    format!(
        r#"{DEADLINES}

[[routes]]
id = "main"
models = {ROUTE:?}

[[providers]]
id = "spare"
protocol = "openai-chat"
base_url = "{base_url}"
models = [{{ id = "m2" }}]
"#
    )
}

/// Copies what everything has logged into a folder.
pub(super) fn keep_logs(fleet: &Fleet, to: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(fleet.folder())? {
        let path = entry?.path();
        if let (Some("log"), Some(name)) = (path.extension().and_then(|end| end.to_str()), path.file_name()) {
            std::fs::copy(&path, to.join(name))?;
        }
    }
    for server in ["postgres", "nats"] {
        let log = fleet.folder().join(server).join("log");
        if log.is_file() {
            std::fs::copy(log, to.join(format!("{server}.log")))?;
        }
    }
    Ok(())
}
