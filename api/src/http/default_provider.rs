//! The provider that answers where a person chose none.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use domain::account::Command;
use domain::{ProviderId, shard_of};
use projections::{DefaultView, account};
use serde::Deserialize;
use store::{Position, log};

use super::account::{ReadQuery, Saved, ask, read};
use super::identity::Caller;
use crate::access;
use crate::auth::Identity;
use crate::edge::Edge;
use crate::error::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DefaultBody {
    /// None: the installation's default.
    provider: Option<ProviderId>,
    model: Option<String>,
}

/// `GET /api/providers/default`
pub(super) async fn get(
    State(edge): State<Arc<Edge>>,
    Caller(identity): Caller,
    query: Result<Query<ReadQuery>, QueryRejection>,
) -> Result<Json<DefaultView>, Problem> {
    let Query(query) = query.map_err(|error| Problem::malformed(error.body_text()))?;
    access::wait_for(&edge.pool, account::NAME, query.min_position).await?;
    let (default, _) = account::settings(&edge.pool, access::account(&identity)).await?;
    Ok(Json(default))
}

/// `PUT /api/providers/default`
pub(super) async fn set(
    State(edge): State<Arc<Edge>>,
    Caller(identity): Caller,
    body: Result<Json<DefaultBody>, JsonRejection>,
) -> Result<Json<Saved>, Problem> {
    let DefaultBody { provider, model } = read(body)?;
    if let Some(provider) = &provider {
        check_known(&edge, &identity, provider).await?;
    }
    ask(&edge, &identity, Command::SetDefaultProvider { provider, model }).await
}

/// A provider is known by the catalogue, or by what its person has configured up to now, be the view behind or not.
pub(super) async fn check_known(edge: &Edge, identity: &Identity, provider: &ProviderId) -> Result<(), Problem> {
    if edge.providers.get(provider).is_some() {
        return Ok(());
    }
    let account = access::account(identity);
    let shard = shard_of(&account.to_string(), edge.asking.shards());
    let pos = log::head(&edge.pool, shard).await?;
    access::wait_for(&edge.pool, account::NAME, Some(Position { shard, pos })).await?;
    let configs = account::configs(&edge.pool, account).await?;
    if configs.iter().any(|config| config.provider == *provider) { Ok(()) } else { Err(Problem::unknown_provider()) }
}
