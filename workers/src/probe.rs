//! Trying providers out for people, as edges ask it on `probe.>`.

use nats::probe::{Outcome, Refusal, Request};
use tokio_util::sync::CancellationToken;

/// Answers edges until cancelled.
pub async fn run(client: nats::Client, cancelled: CancellationToken) {
    nats::probe::serve(client, try_provider_out, cancelled).await;
}

/// Asks the provider what the edge wants to know of it. It cannot yet, and says so: what is missing is to load the
/// person's account, open the key (`store::sealing`), and call the provider.
async fn try_provider_out(_request: Request) -> Outcome {
    Err(Refusal::NotAvailable)
}
