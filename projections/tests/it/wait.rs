//! Waiting for something to come true.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Longer than anything here may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Returns when `condition` holds; fails when it does not in time.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "in time: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
