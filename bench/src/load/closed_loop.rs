//! Clients that each wait for one thing before they ask for the next: what a system does with so many at once.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Error;
use crate::measure::{Latencies, number};

/// Someone who does the same thing again and again.
pub trait Client: Send + 'static {
    /// Does it once; gives how long the part of it took that is measured.
    fn step(&mut self) -> impl Future<Output = Result<Duration, Error>> + Send;
}

/// What they did.
#[derive(Clone, Debug)]
pub struct Done {
    /// Steps a second, all clients together.
    pub rate: f64,
    /// How many steps there were in all, with those that do not count: the warm-up's, and each client's last one.
    pub all: u64,
    /// How long the measured part of each that counts took.
    pub latencies: Latencies,
}

/// Lets the clients do so for a time, after a warm-up that does not count; gives them back for the next run.
///
/// # Errors
/// When one of them fails.
pub async fn closed_loop<C: Client>(
    clients: Vec<C>,
    warm_up: Duration,
    time: Duration,
) -> Result<(Vec<C>, Done), Error> {
    let from = Instant::now() + warm_up;
    let until = from + time;
    let mut running = JoinSet::new();
    for client in clients {
        running.spawn(one(client, from, until));
    }
    let mut clients = Vec::new();
    let (mut latencies, mut all) = (Latencies::new()?, 0);
    while let Some(ended) = running.join_next().await {
        let (client, measured, steps) = ended.map_err(Error::other)??;
        latencies.add(&measured)?;
        all += steps;
        clients.push(client);
    }
    Ok((clients, Done { rate: number(latencies.count()) / time.as_secs_f64(), all, latencies }))
}

async fn one<C: Client>(mut client: C, from: Instant, until: Instant) -> Result<(C, Latencies, u64), Error> {
    let (mut latencies, mut all) = (Latencies::new()?, 0);
    loop {
        let took = client.step().await?;
        let now = Instant::now();
        all += 1;
        // A step counts where it ends: those that began before the time and end after it make up for each other.
        if now >= until {
            return Ok((client, latencies, all));
        }
        if now >= from {
            latencies.record(took);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Idle;

    impl Client for Idle {
        async fn step(&mut self) -> Result<Duration, Error> {
            tokio::task::yield_now().await;
            Ok(Duration::ZERO)
        }
    }

    #[tokio::test]
    async fn steps_that_end_too_late_are_among_all() {
        let (clients, done) = closed_loop(vec![Idle, Idle], Duration::ZERO, Duration::ZERO).await.unwrap();
        assert_eq!((clients.len(), done.all, done.latencies.count()), (2, 2, 0));
    }
}
