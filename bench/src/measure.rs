//! Medians, latencies, and what the kernel says of a process.

use std::collections::HashMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::Error;

/// The longest latency that is told from longer ones.
const LONGEST: Duration = Duration::from_mins(2);
/// The kernel's clock ticks a second in `/proc`: fixed at 100 for programs, whatever the kernel itself uses.
const TICKS_PER_SECOND: f64 = 100.0;
/// Bytes in a page of memory, as `/proc` counts it.
const PAGE_BYTES: u64 = 4096;

/// The median; not a number when there is nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (length, middle) if length % 2 == 1 => values[middle],
        (_, middle) => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
pub fn number(count: u64) -> f64 {
    count as f64
}

/// Latencies, to three digits.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet.
    ///
    /// # Errors
    /// Never, as long as the bounds make sense.
    pub fn new() -> Result<Self, Error> {
        Histogram::new_with_bounds(1, nanos(LONGEST), 3).map(Self).map_err(Error::other)
    }

    /// Adds one of a closed loop, where the next request waits for this one.
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(nanos(latency).max(1));
    }

    /// Adds all of another.
    ///
    /// # Errors
    /// When the two have other bounds.
    pub fn add(&mut self, other: &Self) -> Result<(), Error> {
        self.0.add(&other.0).map_err(Error::other)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that a share of them does not exceed, in milliseconds.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        if self.0.is_empty() {
            return f64::NAN;
        }
        number(self.0.value_at_quantile(share)) / 1e6
    }

    /// The median, in milliseconds.
    pub fn p50_ms(&self) -> f64 {
        self.quantile_ms(0.5)
    }

    /// What one in a hundred exceeds, in milliseconds.
    pub fn p99_ms(&self) -> f64 {
        self.quantile_ms(0.99)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The processor time that a process and all its descendants have used, those that have ended and were waited for
/// among them.
///
/// # Errors
/// When the system does not tell.
pub fn cpu(pid: u32) -> Result<Duration, Error> {
    let mut processes = HashMap::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // One that has just ended is none any more.
        if let Ok(stat) = std::fs::read_to_string(entry.path().join("stat"))
            && let Some(process) = parse(&stat)
        {
            processes.insert(pid, process);
        }
    }
    let descends = |mut of: u32| {
        while of != pid && of != 0 {
            of = processes.get(&of).map_or(0, |process| process.parent);
        }
        of == pid
    };
    let ticks: u64 = processes.iter().filter(|(of, _)| descends(**of)).map(|(_, process)| process.ticks).sum();
    Ok(Duration::from_secs_f64(number(ticks) / TICKS_PER_SECOND))
}

/// The processor time of several.
///
/// # Errors
/// When the system does not tell.
pub fn cpu_of(pids: &[u32]) -> Result<Duration, Error> {
    pids.iter().map(|pid| cpu(*pid)).sum()
}

struct Stat {
    parent: u32,
    ticks: u64,
}

/// proc(5): the fields after the name, which is in brackets and may hold anything.
fn parse(stat: &str) -> Option<Stat> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |nth: usize| fields.get(nth).and_then(|field| field.parse::<u64>().ok());
    Some(Stat { parent: fields.get(1)?.parse().ok()?, ticks: ticks(11)? + ticks(12)? + ticks(13)? + ticks(14)? })
}

/// The memory that a process holds, in bytes: its resident set.
///
/// # Errors
/// When the system does not tell.
pub fn resident(pid: u32) -> Result<u64, Error> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages = statm.split_whitespace().nth(1).and_then(|field| field.parse::<u64>().ok());
    pages.map(|pages| pages * PAGE_BYTES).ok_or_else(|| Error(format!("{statm:?} is no statm")))
}

/// Lets this process, and those that it starts, open as many files as the system allows it; gives that number.
pub fn open_many_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current.unwrap_or(u64::MAX);
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(_) => current.unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn processor_time_is_read_after_the_name() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7";
        let read = parse(stat).map(|stat| (stat.parent, stat.ticks));
        assert_eq!(read, Some((3, 100)));
    }

    #[test]
    fn our_own_processor_time_grows() {
        let before = cpu(std::process::id()).map_err(|e| e.to_string());
        assert!(before.is_ok(), "{before:?}");
        assert!(resident(std::process::id()).is_ok_and(|bytes| bytes > 100_000));
    }
}
