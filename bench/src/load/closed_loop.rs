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
    /// How many steps.
    pub steps: u64,
    /// How long the measured part of each took.
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
    let mut latencies = Latencies::new()?;
    while let Some(ended) = running.join_next().await {
        let (client, measured) = ended.map_err(Error::other)??;
        latencies.add(&measured)?;
        clients.push(client);
    }
    let steps = latencies.count();
    Ok((clients, Done { rate: number(steps) / time.as_secs_f64(), steps, latencies }))
}

async fn one<C: Client>(mut client: C, from: Instant, until: Instant) -> Result<(C, Latencies), Error> {
    let mut latencies = Latencies::new()?;
    loop {
        let took = client.step().await?;
        let now = Instant::now();
        // A step counts where it ends: those that began before the time and end after it make up for each other.
        if now >= until {
            return Ok((client, latencies));
        }
        if now >= from {
            latencies.record(took);
        }
    }
}
