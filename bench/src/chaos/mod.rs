//! The whole system in processes of its own, under load, broken on purpose by a schedule that follows from a seed; and the
//! check, from everything that was seen, that it kept what it promises.

pub mod checker;
pub mod history;
pub mod schedule;

mod clients;
mod collect;
mod machine;
mod provider;
mod proxy;
mod report;
mod run;
mod settle;
mod system;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

pub use report::Report;
pub use run::{Options, run};

/// What a mutex guards, also after a panic elsewhere: the run then fails by that.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time of a run.
#[derive(Clone, Copy, Debug)]
struct Clock {
    began: Instant,
    began_at: DateTime<Utc>,
}

impl Clock {
    fn start() -> Self {
        Self { began: Instant::now(), began_at: SystemTime::now().into() }
    }

    /// Milliseconds since the run began.
    fn now(self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The same of a moment by the clock of the wall.
    fn at(self, moment: DateTime<Utc>) -> u64 {
        u64::try_from((moment - self.began_at).num_milliseconds()).unwrap_or_default()
    }
}
