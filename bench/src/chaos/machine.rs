//! How busy the machine is with other things: by how much longer work takes than it would on a core of its own. What is
//! promised within a time is promised on a machine that has that time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{Clock, locked};

/// The pause between two samples.
const PAUSE: Duration = Duration::from_millis(200);
/// The work of a sample: so many steps of a small sum, some milliseconds.
const STEPS: u64 = 400_000;
/// By how much work may be stretched by the system under test alone, which has every core to itself at its best.
const OWN_STRETCH: f64 = 2.0;

/// A thread that samples; dropping it ends it.
#[derive(Debug, Default)]
pub(super) struct Machine {
    samples: Arc<Mutex<Vec<(u64, f64)>>>,
    stopping: Arc<AtomicBool>,
}

impl Machine {
    /// Begins to sample.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(super) fn watch(clock: Clock) -> std::io::Result<Self> {
        let machine = Self::default();
        let (samples, stopping) = (Arc::clone(&machine.samples), Arc::clone(&machine.stopping));
        thread::Builder::new().name("machine".to_owned()).spawn(move || {
            while !stopping.load(Ordering::Relaxed) {
                let took = sample();
                locked(&samples).push((clock.now(), took.as_secs_f64()));
                thread::sleep(PAUSE);
            }
        })?;
        Ok(machine)
    }

    /// By how much longer than on a quiet machine things may take, 1 or more, at moments in milliseconds since the run began.
    pub(super) fn stretches(&self) -> Vec<(u64, f64)> {
        let samples = locked(&self.samples);
        // The quickest had a core to itself.
        let quickest = samples.iter().map(|(_, took)| *took).fold(f64::INFINITY, f64::min);
        samples.iter().map(|(at, took)| (*at, (took / quickest / OWN_STRETCH).max(1.0))).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

/// How long a fixed piece of work takes.
fn sample() -> Duration {
    let began = Instant::now();
    let sum = (0..STEPS).fold(0_u64, |sum, step| std::hint::black_box(sum.rotate_left(5) ^ step));
    std::hint::black_box(sum);
    began.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stretched_by_what_others_take() {
        let machine = Machine::default();
        assert!(machine.stretches().is_empty());
        locked(&machine.samples).extend([(0, 0.01), (1, 0.02), (2, 0.1)]);
        let stretches = machine.stretches();
        assert!((stretches[1].1 - 1.0).abs() < 1e-9, "our own doing");
        assert!((stretches[2].1 - 5.0).abs() < 1e-9);
    }
}
