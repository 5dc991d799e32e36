//! The whole system in processes of its own, under load, broken on purpose by a schedule that follows from a seed; and the
//! check, from everything that was seen, that it kept what it promises.

pub mod checker;
pub mod history;
pub mod schedule;

mod clients;
mod collect;
mod provider;
mod proxy;
mod report;
mod run;
mod settle;
mod system;

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

pub use report::Report;
pub use run::{Options, run};

/// What a mutex guards, also after a panic elsewhere: the run then fails by that.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time of a run.
#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since the run began.
    fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
