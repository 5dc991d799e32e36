//! How a process lays its roles down: at once not ready any more, then in the order in which they need each other, each
//! step within a deadline, so that whoever waits for the process to end knows for how long.
//!
//! Edges, replies and projections begin at the same moment. The owners of shards follow: the last words of replies, and
//! the commands of sockets that are still open, are theirs to carry out. A shard is served until then and free right after.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{cli, traces};

/// How long a process may take to end, all in all; docs/operations.md promises it.
const STOP_DEADLINE: Duration = Duration::from_secs(20);
/// How long edges, replies and projections may take: sockets are closed within eleven seconds, replies finished or handed
/// back within ten.
const FIRST_DEADLINE: Duration = Duration::from_secs(12);
/// How long the owners of shards may take to answer what was asked and to publish what was committed.
const OWNERS_DEADLINE: Duration = Duration::from_secs(3);

const _: () = assert!(
    FIRST_DEADLINE.as_millis()
        + OWNERS_DEADLINE.as_millis()
        + nats::CLOSE_DEADLINE.as_millis()
        + traces::CLOSE_DEADLINE.as_millis()
        + cli::LEAVE_DEADLINE.as_millis()
        <= STOP_DEADLINE.as_millis()
);

/// A role at work: how it is told to stop, and its end.
pub(crate) type Role = (CancellationToken, JoinHandle<()>);

/// The roles of a process, and what tells that it is ready.
#[derive(Default)]
pub(crate) struct Roles {
    /// Cancelled first of all: `/readyz` says no, new sockets are refused.
    pub(crate) stopping: CancellationToken,
    /// What needs owners of shards.
    pub(crate) first: Vec<Role>,
    /// The owners of shards.
    pub(crate) owners: Vec<Role>,
}

impl Roles {
    /// Lays them down. Fifteen seconds at most.
    pub(crate) async fn stop(self) {
        self.stopping.cancel();
        lay_down(self.first, FIRST_DEADLINE).await;
        lay_down(self.owners, OWNERS_DEADLINE).await;
    }
}

/// All at once, within one deadline.
async fn lay_down(roles: Vec<Role>, deadline: Duration) {
    let deadline = Instant::now() + deadline;
    for (cancelled, _) in &roles {
        cancelled.cancel();
    }
    for (_, mut task) in roles {
        if timeout_at(deadline, &mut task).await.is_err() {
            tracing::warn!("a role did not stop in time");
            task.abort();
        }
    }
}
