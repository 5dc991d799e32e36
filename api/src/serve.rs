//! Answering on a listener: everything of an edge, or, for a process that serves no clients, how it is.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::routing::get;
use axum::serve::ListenerExt;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::edge::Edge;
use crate::http::{self, health};

/// Serves an edge until it is stopping and every socket has been closed, every request answered. Until then whoever asks
/// is told that it is not ready, rather than nothing.
///
/// # Errors
/// When the listener fails.
pub async fn serve(edge: Arc<Edge>, listener: TcpListener) -> std::io::Result<()> {
    let closing = Arc::clone(&edge);
    let closed = async move {
        closing.stopping.cancelled().await;
        closing.closed().await;
    };
    // A token of a few bytes must not wait for the next one.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, http::router(edge.clone())).with_graceful_shutdown(closed).await
}

/// A process that serves no clients.
#[derive(Clone)]
pub struct Backstage {
    /// Its Postgres.
    pub pool: PgPool,
    /// Its NATS.
    pub client: nats::Client,
    /// Cancelled when it stops: it is no longer ready.
    pub stopping: CancellationToken,
}

/// Answers `GET /livez` and `GET /readyz` for as long as the process lives.
///
/// # Errors
/// When the listener fails.
pub async fn serve_health(process: Backstage, listener: TcpListener) -> std::io::Result<()> {
    let router = Router::new().route("/livez", get(health::alive)).route("/readyz", get(ready)).with_state(process);
    axum::serve(listener, router).await
}

/// Answers `GET /metrics` with what `render` gives, Prometheus' text format, for as long as the process lives.
///
/// # Errors
/// When the listener fails.
pub async fn serve_metrics(
    listener: TcpListener,
    render: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> std::io::Result<()> {
    let format = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let router = Router::new().route("/metrics", get(async move || (format, render())));
    axum::serve(listener, router).await
}

async fn ready(State(Backstage { pool, client, stopping }): State<Backstage>) -> (StatusCode, &'static str) {
    health::readiness(&pool, &client, &stopping).await
}
