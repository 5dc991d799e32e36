//! Answering on a listener: everything of an edge, or, for a process that serves no clients, how it is.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::ListenerExt;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::edge::Edge;
use crate::http::{self, health};

/// Serves an edge until it is stopping and every request has been answered, every socket closed.
///
/// # Errors
/// When the listener fails.
pub async fn serve(edge: Arc<Edge>, listener: TcpListener) -> std::io::Result<()> {
    let stopping = edge.stopping.clone();
    // A token of a few bytes must not wait for the next one.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, http::router(edge.clone())).with_graceful_shutdown(stopping.cancelled_owned()).await?;
    edge.closed().await;
    Ok(())
}

/// A process that serves no clients.
#[derive(Clone)]
pub struct Backstage {
    /// Its Postgres.
    pub pool: PgPool,
    /// Its NATS.
    pub client: nats::Client,
    /// Cancelled when it stops.
    pub stopping: CancellationToken,
}

/// Answers `GET /livez` and `GET /readyz` until stopping.
///
/// # Errors
/// When the listener fails.
pub async fn serve_health(process: Backstage, listener: TcpListener) -> std::io::Result<()> {
    let stopping = process.stopping.clone();
    let router = Router::new().route("/livez", get(health::alive)).route("/readyz", get(ready)).with_state(process);
    axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await
}

async fn ready(State(Backstage { pool, client, stopping }): State<Backstage>) -> (StatusCode, &'static str) {
    health::readiness(&pool, &client, &stopping).await
}
