//! The routes: one file per resource.

mod account;
mod console;
mod conversations;
mod default_provider;
mod dev_token;
mod events;
pub(crate) mod health;
pub(crate) mod identity;
mod limits;
mod messages;
mod models;
pub(crate) mod origin;
mod provider_configs;
mod providers;
mod status;
mod usage;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{any, get, post, put};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::edge::Edge;
use crate::error::Problem;
use crate::{metrics, ws};

/// What there is not.
const UNKNOWN: &str = "/api/{*rest}";
/// The largest request body accepted, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// What a page of ours may load: nothing from elsewhere, and nothing that runs but our own scripts.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; \
     style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

/// Every route of the edge.
pub(crate) fn router(edge: Arc<Edge>) -> Router {
    let cors = cors(&edge.allowed_origins);
    Router::new()
        .route("/ws", get(ws::upgrade))
        .route("/api/conversations", get(conversations::list))
        .route("/api/conversations/{id}", get(conversations::get))
        .route("/api/conversations/{id}/messages", get(messages::page))
        .route("/api/conversations/{id}/events", get(events::page))
        .route("/api/models", get(models::list))
        .route("/api/providers", get(providers::list))
        .route("/api/providers/{provider}/models", get(providers::models))
        .route("/api/providers/default", get(default_provider::get).put(default_provider::set))
        .route("/api/providers/configs", get(provider_configs::list))
        .route("/api/providers/configs/{provider}", put(provider_configs::save).delete(provider_configs::remove))
        .route("/api/providers/configs/{provider}/test", post(provider_configs::test))
        .route("/api/limits", get(limits::get).put(limits::set))
        .route("/api/usage", get(usage::read))
        .route("/api/dev/token", post(dev_token::issue))
        .route("/api/health", get(health::health))
        .route("/api/status", get(status::status))
        .route("/livez", get(health::alive))
        .route("/readyz", get(health::ready))
        .route(UNKNOWN, any(unknown))
        .fallback(get(console::serve))
        .method_not_allowed_fallback(async || Problem::wrong_method())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(cors)
        // What is someone's own is kept nowhere on the way; the console says otherwise of its files.
        .layer(set(header::CACHE_CONTROL, "no-store"))
        .layer(set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(set(header::REFERRER_POLICY, "no-referrer"))
        .layer(middleware::from_fn(count))
        .with_state(edge)
}

/// Counts what is answered, and how fast.
async fn count(request: Request, next: Next) -> Response {
    let (began, route) = (Instant::now(), request.extensions().get::<MatchedPath>().cloned());
    let response = next.run(request).await;
    let route = route.as_ref().map(MatchedPath::as_str).filter(|route| *route != UNKNOWN);
    metrics::answered(route, response.status(), began.elapsed());
    response
}

fn set(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

fn cors(allowed: &[String]) -> CorsLayer {
    let origins = allowed.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .max_age(Duration::from_mins(10))
}

async fn unknown() -> Problem {
    Problem { message: "there is no such route".to_owned(), ..Problem::not_found() }
}
