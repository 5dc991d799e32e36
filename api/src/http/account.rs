//! What the routes of a person's account have in common.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use domain::account::Command;
use domain::{Asked, CommandId, ProviderId};
use nats::ask::Request;
use nats::trace;
use serde::{Deserialize, Serialize};
use store::Position;
use tracing::Instrument;
use uuid::Uuid;

use crate::access;
use crate::auth::Identity;
use crate::edge::Edge;
use crate::error::Problem;

/// What a read may wait for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadQuery {
    pub(super) min_position: Option<Position>,
}

/// A change that is durable.
#[derive(Serialize)]
pub(super) struct Saved {
    /// What a read that must see it waits for.
    position: Position,
}

/// Has a command carried out for a person, upon their own account.
pub(super) async fn ask(edge: &Edge, identity: &Identity, command: Command) -> Result<Json<Saved>, Problem> {
    let request = Request {
        command_id: CommandId(Uuid::new_v4()),
        id: access::account(identity),
        expected_sequence: None,
        asked: Asked { asker: identity.asker(), command },
    };
    let span = tracing::info_span!(target: trace::TARGET, "edge.command", otel.kind = "server");
    let accepted = edge.asking.ask(&request).instrument(span).await?;
    Ok(Json(Saved { position: accepted.position }))
}

/// A body that reads as it should. What is wrong with another one is told without a word of it: it may hold a key.
pub(super) fn read<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    body.map(|Json(body)| body).map_err(|error| match error {
        JsonRejection::JsonSyntaxError(_) => Problem::malformed("the body is no JSON"),
        JsonRejection::JsonDataError(_) => Problem::malformed("the body has not the fields of such a request"),
        JsonRejection::MissingJsonContentType(_) => Problem::malformed("the body must be application/json"),
        _ => Problem::malformed("the body cannot be read"),
    })
}

/// The provider in a path; what is no provider's name names none.
pub(super) struct ProviderPath(pub(super) ProviderId);

impl<S: Send + Sync> FromRequestParts<S> for ProviderPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<String>::from_request_parts(parts, state).await.ok();
        id.and_then(|Path(id)| id.parse().ok()).map(Self).ok_or_else(Problem::unknown_provider)
    }
}
