//! Figures for Prometheus, where the settings say so: `GET /metrics` on a port of its own. Every crate records its own
//! through the `metrics` facade; without a recorder installed here, recording does nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use metrics::{describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sqlx::PgPool;
use store::metrics::Looker;
use tokio::task::JoinSet;

use crate::edge;
use crate::wire::Error;

/// How often what nothing tells of by itself is looked at: pools, lags, what is parked.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long one look may take.
const LOOK_DEADLINE: Duration = Duration::from_secs(5);
/// The buckets of durations, in seconds: an append takes less than a millisecond, a reply minutes.
const SECONDS: [f64; 18] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
/// The buckets of batches of events.
const EVENTS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// The wake-ups whose consumers are looked at.
const ROLE: &str = "reply";

const INFO: &str = "bestchat_info";
const LOOKED_AT: &str = "bestchat_looked_at_timestamp_seconds";

/// Figures being told; no longer once this is dropped.
pub(crate) struct Metrics {
    tasks: JoinSet<()>,
}

impl Metrics {
    /// Begins to record and to tell.
    ///
    /// # Errors
    /// When the address is taken, or something else records already.
    pub(crate) async fn start(address: SocketAddr) -> Result<Self, Error> {
        let listener = edge::listen(address).await?;
        let address = listener.local_addr().map_err(Error::other)?;
        let handle = record()?;
        tracing::info!(%address, "metrics are told");
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_up(handle.clone()));
        tasks.spawn(async move {
            if let Err(error) = api::serve_metrics(listener, move || handle.render()).await {
                tracing::error!(%error, "metrics cannot be asked for");
            }
        });
        Ok(Self { tasks })
    }

    /// Looks at a pool, and through it at the log.
    pub(crate) fn look_at_log(&mut self, pool: PgPool, role: &'static str) {
        let looks = Looks::begin("log", role);
        self.tasks.spawn(async move {
            let mut looker = Looker::new(pool, role, projections::NAMES);
            loop {
                let done = tokio::time::timeout(LOOK_DEADLINE, looker.look()).await;
                looks.note(done.map_err(Error::other).and_then(|done| done.map_err(Error::other)));
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
    }

    /// Looks at the streams and consumers, for a process's `role`.
    pub(crate) fn look_at_bus(&mut self, client: &nats::Client, pool: PgPool, shards: u16, role: &'static str) {
        let (looks, jetstream) = (Looks::begin("bus", role), nats::relay::jetstream(client));
        self.tasks.spawn(async move {
            loop {
                let looking = nats::metrics::look(&jetstream, &pool, shards, ROLE);
                let done = tokio::time::timeout(LOOK_DEADLINE, looking).await;
                looks.note(done.map_err(Error::other).and_then(|done| done.map_err(Error::other)));
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
    }

    /// Looks at what an edge holds.
    pub(crate) fn look_at_edge(&mut self, edge: Arc<api::Edge>) {
        self.tasks.spawn(async move {
            loop {
                api::metrics::look(&edge);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
    }
}

/// What is looked at, in a role of the process. A look that fails leaves the figures as they were, so that is told too.
#[derive(Clone, Copy)]
struct Looks {
    what: &'static str,
    role: &'static str,
}

impl Looks {
    /// Nothing has been seen yet.
    fn begin(what: &'static str, role: &'static str) -> Self {
        let looks = Self { what, role };
        looks.tell(Duration::ZERO);
        looks
    }

    fn note(self, looked: Result<(), Error>) {
        match looked {
            Ok(()) => self.tell(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            Err(error) => tracing::debug!(what = self.what, role = self.role, %error, "some figures are old"),
        }
    }

    fn tell(self, at: Duration) {
        gauge!(LOOKED_AT, "what" => self.what, "role" => self.role).set(at);
    }
}

fn record() -> Result<PrometheusHandle, Error> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_events".to_owned()), &EVENTS));
    let handle = builder.map_err(Error::other)?.install_recorder().map_err(Error::other)?;
    describe();
    gauge!(INFO, "version" => env!("CARGO_PKG_VERSION")).set(1);
    Ok(handle)
}

/// Says what each figure of this program means.
fn describe() {
    for describe in
        [store::metrics::describe, nats::metrics::describe, workers::metrics::describe, api::metrics::describe]
    {
        describe();
    }
    describe_gauge!(INFO, "What runs here: 1.");
    describe_gauge!(LOOKED_AT, "When what is told of the log, or of the bus, was last seen, in seconds since 1970.");
}

/// What histograms gather is taken in now and then, also while nobody asks.
async fn keep_up(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

    use super::*;

    /// The names of what is described.
    #[derive(Default)]
    struct Described(Mutex<BTreeSet<String>>);

    impl Described {
        fn hear(&self, name: &KeyName) {
            self.0.lock().unwrap().insert(name.as_str().to_owned());
        }
    }

    impl Recorder for Described {
        fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
            self.hear(&name);
        }

        fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
            self.hear(&name);
        }

        fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
            self.hear(&name);
        }

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn every_figure_is_documented_and_none_that_there_is_not() {
        let described = Described::default();
        metrics::with_local_recorder(&described, describe);
        let rows = include_str!("../../docs/operations.md").lines().filter(|line| line.starts_with("| `bestchat_"));
        let names = rows.filter_map(|row| row.split('|').nth(1)).flat_map(|names| names.split(','));
        let documented: BTreeSet<String> = names.map(|name| name.trim().trim_matches('`').to_owned()).collect();
        assert_eq!(*described.0.lock().unwrap(), documented);
    }

    #[test]
    fn a_look_that_fails_is_none() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            Looks::begin("log", "edge").note(Ok(()));
            Looks::begin("bus", "worker").note(Err(Error::other("away")));
        });
        let told = recorder.handle().render();
        let seen = |labels: &str| {
            let sample = format!("{LOOKED_AT}{{{labels}}} ");
            told.lines().find_map(|line| line.strip_prefix(&sample)?.parse::<f64>().ok())
        };
        assert!(seen("what=\"log\",role=\"edge\"").is_some_and(|at| at > 1e9), "{told}");
        assert_eq!(seen("what=\"bus\",role=\"worker\""), Some(0.0), "{told}");
    }
}
