//! Whether this process lives, and whether it can serve.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::edge::Edge;

/// How long a look at Postgres may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// `GET /livez`: the process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: it can serve, too.
pub(super) async fn ready(State(edge): State<Edge>) -> (StatusCode, &'static str) {
    if edge.0.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match parts(&edge).await {
        (true, true) => (StatusCode::OK, "ok\n"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "postgres does not answer\n"),
        (_, false) => (StatusCode::SERVICE_UNAVAILABLE, "nats is not connected\n"),
    }
}

/// `GET /api/health`: the same, for programs.
pub(super) async fn health(State(edge): State<Edge>) -> Response {
    let (postgres, nats) = parts(&edge).await;
    let well = postgres && nats && !edge.0.stopping.is_cancelled();
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "status": if well { "ok" } else { "unavailable" }, "postgres": postgres, "nats": nats });
    (status, Json(body)).into_response()
}

async fn parts(edge: &Edge) -> (bool, bool) {
    let look = sqlx::query("select 1").execute(&edge.0.pool);
    let postgres = tokio::time::timeout(DEADLINE, look).await.is_ok_and(|looked| looked.is_ok());
    (postgres, nats::is_connected(&edge.0.client))
}
