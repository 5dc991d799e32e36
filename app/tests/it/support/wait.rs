//! Waiting for something to come true.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Longer than anything here may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);

/// Returns when `condition` holds, with how long that took; fails when it does not in time.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < DEADLINE, "in time: {what}");
        sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}

/// What `future` gives; fails when it does not within `deadline`.
pub(crate) async fn within<T>(deadline: Duration, what: &str, future: impl Future<Output = T>) -> T {
    let Ok(output) = timeout(deadline, future).await else { panic!("within {deadline:?}: {what}") };
    output
}
