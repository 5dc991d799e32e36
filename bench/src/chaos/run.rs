//! One run: start, load, faults by the clock, quiet, check.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::checker;
use super::clients::{Clients, Phase};
use super::history::{History, Outage, Skipped};
use super::machine::Machine;
use super::report::Report;
use super::schedule::{self, Fault, Kind, Role};
use super::system::{self, System};
use super::{Clock, collect, settle};
use crate::Error;

/// How often the processes are looked after.
const TICK: Duration = Duration::from_millis(50);
/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(10);

/// Faults of a role are at about the same time if less lies between them, in milliseconds: a process that was killed
/// serves again by then.
const TOGETHER: u64 = 10_000;

/// What is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed of the schedule.
    pub seed: u64,
    /// For how long faults begin.
    pub length: Duration,
    /// Where logs and history are kept when something is found.
    pub keep: PathBuf,
}

/// Runs and checks. Progress goes to standard output.
///
/// # Errors
/// When the run could not be carried out: nothing is known then about what was to be checked.
pub async fn run(options: &Options) -> Result<Report, Error> {
    let plan = schedule::plan(options.seed, options.length);
    say(&format!("seed {}, {} s, {} faults:", options.seed, options.length.as_secs(), plan.len()));
    for fault in &plan {
        say(&fault.to_string());
    }
    let mut system = System::start(options.seed, &plan).await?;
    let outcome = drive(options, plan, &mut system).await;
    let failed = !matches!(&outcome, Ok((_, report)) if report.findings.is_empty());
    if failed {
        let history = outcome.as_ref().ok().map(|(history, _)| history);
        keep(&options.keep, &system, history)?;
        say(&format!("logs and history are kept in {}", options.keep.display()));
    }
    system.stop().await?;
    outcome.map(|(_, report)| report)
}

async fn drive(options: &Options, plan: Vec<Fault>, system: &mut System) -> Result<(History, Report), Error> {
    let clock = Clock::start();
    let machine = Machine::watch(clock)?;
    let clients = Clients::start(&system.edges(), options.seed, clock)?;
    let mut faults = Faults { clock, broken: Vec::new(), injected: BTreeMap::new(), skipped: Vec::new() };
    faults.carry_out(plan, options.length, system, &clients).await?;
    system.until_ready().await?;
    clients.set_phase(Phase::Settling);
    let began = Instant::now();
    let unsettled = settle::settle(system, &clients).await?;
    say(&format!("settled {:.1} s after the last fault: {}", began.elapsed().as_secs_f64(), unsettled.is_empty()));
    let (ledgers, probes) = clients.finish().await?;
    let mut history = collect::collect(system, clock).await?;
    (history.ledgers, history.probes) = (ledgers, probes);
    history.calls = system.provider.calls();
    history.route = system::ROUTE.map(str::to_owned).to_vec();
    history.crashes.clone_from(&system.crashes);
    (history.outages, history.injected, history.skipped) = (outages(&faults.broken), faults.injected, faults.skipped);
    (history.unsettled, history.stretches) = (unsettled, machine.stretches());
    let report = Report::new(options.seed, &history, checker::check(&history));
    Ok((history, report))
}

/// The faults of a run as they are carried out.
struct Faults {
    clock: Clock,
    /// What was broken, from when until when.
    broken: Vec<(Kind, u64, u64)>,
    injected: BTreeMap<String, usize>,
    skipped: Vec<Skipped>,
}

impl Faults {
    async fn carry_out(
        &mut self,
        plan: Vec<Fault>,
        length: Duration,
        system: &mut System,
        clients: &Clients,
    ) -> Result<(), Error> {
        let began = Instant::now();
        let mut steps: Vec<(Duration, bool, Kind)> = plan
            .iter()
            .flat_map(|Fault { at, lasts, kind }| [(*at, true, *kind), (*at + *lasts, false, *kind)])
            .collect();
        steps.sort_by_key(|(at, ..)| *at);
        let mut open: Vec<(Kind, u64)> = Vec::new();
        // What takes longer than planned moves all that comes after it.
        let mut late = Duration::ZERO;
        for (at, begins, kind) in steps {
            self.wait(began + at + late, system, clients).await?;
            if begins {
                let from = self.clock.now();
                if self.inject(kind, system).await? {
                    open.push((kind, from));
                }
            } else if let Some(nth) = open.iter().position(|(other, _)| *other == kind) {
                let (kind, from) = open.remove(nth);
                system.heal(kind).await?;
                say(&format!("{:>7.3} s  over: {kind}", seconds(self.clock.now())));
                self.broken.push((kind, from, self.clock.now()));
                late = late.max(began.elapsed().saturating_sub(at));
            }
        }
        self.wait(began + length + late, system, clients).await
    }

    /// Whether the fault could be had.
    async fn inject(&mut self, kind: Kind, system: &mut System) -> Result<bool, Error> {
        say(&format!("{:>7.3} s  {kind}", seconds(self.clock.now())));
        if let Some(skipped) = system.inject(kind).await? {
            say(&format!("           skipped: {}", skipped.reason));
            self.skipped.push(skipped);
            return Ok(false);
        }
        *self.injected.entry(kind.name().to_owned()).or_default() += 1;
        Ok(true)
    }

    /// Waits for a moment, looking after the processes.
    async fn wait(&self, until: Instant, system: &mut System, clients: &Clients) -> Result<(), Error> {
        let mut told = self.clock.now() / millis(PROGRESS);
        loop {
            system.look_after()?;
            let now = self.clock.now() / millis(PROGRESS);
            if now != told {
                told = now;
                progress(self.clock, clients);
            }
            if Instant::now() >= until {
                return Ok(());
            }
            sleep_until(until.min(Instant::now() + TICK)).await;
        }
    }
}

/// When someone may have felt what was broken. Of two workers or edges the other does the work of one that is killed or
/// frozen, within the time that recovery is given anyway: unless something else is wrong with them at about the same time,
/// that is felt for a moment, however long it lasts. Not so when a link is broken: one that is there, but hears nothing,
/// keeps its clients and its shards for a while.
fn outages(broken: &[(Kind, u64, u64)]) -> Vec<Outage> {
    let mut outages = Vec::new();
    for (nth, (kind, from, until)) in broken.iter().enumerate().filter(|(_, (kind, ..))| is_felt(*kind)) {
        let beside = |(other, (kind_beside, begins, ends)): (usize, &(Kind, u64, u64))| {
            let together = *begins < until + TOGETHER && *from < ends + TOGETHER;
            other != nth && hits(*kind_beside) == hits(*kind) && together
        };
        let taken_over = matches!(kind, Kind::Kill(_) | Kind::Freeze(_)) && !broken.iter().enumerate().any(beside);
        let until = if taken_over { *from } else { *until };
        outages.push(Outage { what: kind.to_string(), from: *from, until });
    }
    outages
}

/// Whose work is in trouble, if it is that of one role.
fn hits(kind: Kind) -> Option<Role> {
    match kind {
        Kind::Kill(member) | Kind::Freeze(member) | Kind::Link(member, ..) => Some(member.role),
        Kind::Clients(..) => Some(Role::Api),
        _ => None,
    }
}

/// Whether someone who sends a command may feel it; the others excuse no wait.
fn is_felt(kind: Kind) -> bool {
    match kind {
        Kind::ClockStep(..) | Kind::Provider(_) => false,
        Kind::Kill(member) | Kind::Freeze(member) | Kind::Link(member, ..) => member.role != Role::Projector,
        _ => true,
    }
}

fn progress(clock: Clock, clients: &Clients) {
    let standings = clients.standings();
    let (acked, events): (usize, usize) =
        standings.iter().fold((0, 0), |sum, standing| (sum.0 + standing.acked, sum.1 + standing.events));
    let pending: usize = standings.iter().map(|standing| standing.pending).sum();
    let waited = clients.take_longest_wait();
    let now = seconds(clock.now());
    say(&format!(
        "{now:>7.3} s  acked {acked}, events seen {events}, without an answer {pending}, longest wait {waited} ms"
    ));
}

fn keep(to: &Path, system: &System, history: Option<&History>) -> Result<(), Error> {
    system::keep_logs(&system.fleet, to)?;
    if let Some(history) = history {
        let file = std::io::BufWriter::new(std::fs::File::create(to.join("history.json"))?);
        serde_json::to_writer(file, history).map_err(Error::other)?;
    }
    Ok(())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(milliseconds: u64) -> f64 {
    Duration::from_millis(milliseconds).as_secs_f64()
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::super::schedule::{Member, Server, Trouble, Whim};
    use super::*;

    #[test]
    fn one_of_two_is_missed_for_a_moment_and_both_for_as_long_as_they_are_away() {
        let worker = |nth| Member { role: Role::Worker, nth };
        let felt = |broken: &[(Kind, u64, u64)]| -> Vec<(u64, u64)> {
            outages(broken).iter().map(|outage| (outage.from, outage.until)).collect()
        };
        let frozen = (Kind::Freeze(worker(0)), 1_000, 13_000);
        assert_eq!(felt(&[frozen, (Kind::KillPostgres, 2_000, 3_000)]), [(1_000, 1_000), (2_000, 3_000)]);
        assert_eq!(felt(&[frozen, (Kind::Kill(worker(1)), 60_000, 61_000)]), [(1_000, 1_000), (60_000, 60_000)]);
        let killed = (Kind::Kill(worker(1)), 14_000, 15_000);
        assert_eq!(felt(&[frozen, killed]), [(1_000, 13_000), (14_000, 15_000)]);
        let cut = (Kind::Link(worker(0), Server::Nats, Trouble::Cut), 1_000, 8_000);
        assert_eq!(felt(&[cut]), [(1_000, 8_000)]);
        let projector = Member { role: Role::Projector, nth: 0 };
        let unfelt = [(Kind::Freeze(projector), 1_000, 13_000), (Kind::Provider(Whim::Hang), 1_000, 2_000)];
        assert!(felt(&unfelt).is_empty());
    }
}
