//! Health of a process that serves no clients: whoever runs it may ask.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::edge;
use crate::wire::Error;

/// How long a look at Postgres may take.
const DEADLINE: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Parts {
    pool: PgPool,
    client: nats::Client,
    stopping: CancellationToken,
}

/// Answers `GET /livez` and `GET /readyz` at `address` until stopping.
pub(crate) async fn serve(
    address: SocketAddr,
    pool: PgPool,
    client: nats::Client,
    stopping: CancellationToken,
) -> Result<(), Error> {
    let listener = edge::listen(address).await?;
    let parts = Parts { pool, client, stopping: stopping.clone() };
    let router = Router::new().route("/livez", get(async || "ok\n")).route("/readyz", get(ready)).with_state(parts);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await {
            tracing::error!(%error, "health cannot be asked");
        }
    });
    Ok(())
}

async fn ready(State(Parts { pool, client, stopping }): State<Parts>) -> (StatusCode, &'static str) {
    let look = sqlx::query("select 1").execute(&pool);
    let postgres = tokio::time::timeout(DEADLINE, look).await.is_ok_and(|looked| looked.is_ok());
    if stopping.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if !postgres {
        (StatusCode::SERVICE_UNAVAILABLE, "postgres does not answer\n")
    } else if !nats::is_connected(&client) {
        (StatusCode::SERVICE_UNAVAILABLE, "nats is not connected\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}
