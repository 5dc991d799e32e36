//! Whether this process lives, and whether it can serve.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::edge::Edge;

/// How long a look at Postgres may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// `GET /livez`: the process answers.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: it can serve, too.
pub(crate) async fn ready(State(edge): State<Arc<Edge>>) -> (StatusCode, &'static str) {
    readiness(&edge.pool, &edge.client, &edge.stopping).await
}

/// Whether a process with these parts can do its work.
pub(crate) async fn readiness(
    pool: &PgPool,
    client: &nats::Client,
    stopping: &CancellationToken,
) -> (StatusCode, &'static str) {
    let (postgres, nats) = parts(pool, client).await;
    if stopping.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if !postgres {
        (StatusCode::SERVICE_UNAVAILABLE, "postgres does not answer\n")
    } else if !nats {
        (StatusCode::SERVICE_UNAVAILABLE, "nats is not connected\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

/// `GET /api/health`: the same, for programs.
pub(super) async fn health(State(edge): State<Arc<Edge>>) -> Response {
    let (postgres, nats) = parts(&edge.pool, &edge.client).await;
    let well = postgres && nats && !edge.stopping.is_cancelled();
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "status": if well { "ok" } else { "unavailable" }, "postgres": postgres, "nats": nats });
    (status, Json(body)).into_response()
}

async fn parts(pool: &PgPool, client: &nats::Client) -> (bool, bool) {
    let look = sqlx::query("select 1").execute(pool);
    let postgres = tokio::time::timeout(DEADLINE, look).await.is_ok_and(|looked| looked.is_ok());
    (postgres, nats::is_connected(client))
}
