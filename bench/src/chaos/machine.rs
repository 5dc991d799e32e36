//! How busy the machine is with other things: by how much longer work takes than it would on a core of its own. What is
//! promised within a time is promised on a machine that has that time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::locked;

/// The pause between two samples.
const PAUSE: Duration = Duration::from_millis(200);
/// The work of a sample: so many steps of a small sum, some milliseconds.
const STEPS: u64 = 400_000;
/// By how much work may be stretched by the system under test alone, which has every core to itself at its best.
const OWN_STRETCH: f64 = 2.0;

/// A thread that samples; dropping it ends it.
#[derive(Debug, Default)]
pub(super) struct Machine {
    samples: Arc<Mutex<Vec<f64>>>,
    stopping: Arc<AtomicBool>,
}

impl Machine {
    /// Begins to sample.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(super) fn watch() -> std::io::Result<Self> {
        let machine = Self::default();
        let (samples, stopping) = (Arc::clone(&machine.samples), Arc::clone(&machine.stopping));
        thread::Builder::new().name("machine".to_owned()).spawn(move || {
            while !stopping.load(Ordering::Relaxed) {
                let took = sample();
                locked(&samples).push(took.as_secs_f64());
                thread::sleep(PAUSE);
            }
        })?;
        Ok(machine)
    }

    /// By how much longer than planned things may take here: 1 on a quiet machine.
    pub(super) fn stretch(&self) -> f64 {
        let samples = locked(&self.samples);
        // The quickest had a core to itself.
        let quickest = samples.iter().copied().fold(f64::INFINITY, f64::min);
        let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return 1.0;
        }
        let mean = samples.iter().sum::<f64>() / f64::from(count);
        (mean / quickest / OWN_STRETCH).max(1.0)
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
        assert!((machine.stretch() - 1.0).abs() < f64::EPSILON, "nothing is known yet");
        locked(&machine.samples).extend([0.01, 0.01, 0.02]);
        assert!((machine.stretch() - 1.0).abs() < f64::EPSILON, "our own doing");
        locked(&machine.samples).extend([0.1, 0.1, 0.1]);
        assert!(machine.stretch() > 2.0);
    }
}
