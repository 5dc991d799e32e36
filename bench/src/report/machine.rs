//! The machine and the code that figures are of.

use std::process::Command;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Error;
use crate::measure::number;

/// The share of the processors' time that a machine at rest uses at most.
const AT_REST: f64 = 0.05;
/// For how long its processors are watched.
const WATCHED: Duration = Duration::from_secs(2);
/// How long it may take to come to rest from a build.
const PATIENCE: Duration = Duration::from_mins(1);

/// What it is.
pub(crate) fn name() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let read = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        text.lines().find(|line| line.starts_with(key))?.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let model = read("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory = read("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned());
    format!("{cores} cores ({model}), memory {memory}, {}", std::env::consts::OS)
}

/// What is checked out.
pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(crate::peer::root()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    if changed { format!("{commit} with changes") } else { commit }
}

/// The share of the processors' time that other things use, once that is little or has had time to become so. (A load
/// average would tell of the build before.)
///
/// # Errors
/// When the system does not tell.
pub(crate) async fn busy_at_rest() -> Result<f64, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = Ticks::now()?;
        sleep(WATCHED).await;
        let busy = Ticks::now()?.busy_since(before);
        if busy < AT_REST || Instant::now() > deadline {
            return Ok(busy);
        }
    }
}

/// What all processors together have done since the system's start.
#[derive(Clone, Copy)]
struct Ticks {
    all: u64,
    idle: u64,
}

impl Ticks {
    fn now() -> Result<Self, Error> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        Self::parse(&stat).ok_or_else(|| Error("/proc/stat does not tell how busy the processors are".to_owned()))
    }

    /// `proc_stat(5)`: user, nice, system, idle, iowait, irq, softirq, steal. What guests use is in the first two.
    fn parse(stat: &str) -> Option<Self> {
        let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
        let ticks: Vec<u64> = fields.map(|field| field.parse().ok()).collect::<Option<_>>()?;
        Some(Self { all: ticks.iter().sum(), idle: ticks.get(3)? + ticks.get(4)? })
    }

    fn busy_since(self, before: Self) -> f64 {
        let (all, idle) = (self.all.saturating_sub(before.all), self.idle.saturating_sub(before.idle));
        number(all.saturating_sub(idle)) / number(all.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_what_is_neither_idle_nor_waiting_for_a_disk() {
        let ticks = |stat: &str| Ticks::parse(stat).unwrap();
        let before = ticks("cpu  100 0 50 800 40 5 5 0 100 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n");
        let after = ticks("cpu  110 0 55 860 60 5 5 5 110 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n");
        assert!((after.busy_since(before) - 0.2).abs() < 1e-9);
        assert!(after.busy_since(after).abs() < 1e-9, "no time has passed");
        assert!(Ticks::parse("intr 1 2 3 4 5 6 7 8\n").is_none());
    }

    #[test]
    fn the_system_tells_how_busy_it_is() {
        assert!(Ticks::now().is_ok_and(|ticks| ticks.all > ticks.idle));
    }
}
