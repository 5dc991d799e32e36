//! The catalogue of providers, and the models that one has.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::ProviderId;
use domain::account::Model;
use nats::probe::{self, Answer, Question};
use projections::account;
use serde::Serialize;

use super::account::ProviderPath;
use super::default_provider::check_known;
use super::identity::Caller;
use super::provider_configs::failed;
use crate::access;
use crate::edge::{Edge, ModelView};
use crate::error::Problem;
use crate::provider_catalog::{CatalogModel, Providers};

/// The models of a provider, and who says so.
#[derive(Serialize)]
pub(super) struct Models {
    models: Vec<ModelView>,
    source: Source,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    /// The provider itself.
    Provider,
    /// What is known of it here.
    Catalog,
}

/// `GET /api/providers`
pub(super) async fn list(State(edge): State<Arc<Edge>>, _: Caller) -> Json<Providers> {
    Json(edge.providers.clone())
}

/// `GET /api/providers/{provider}/models`
pub(super) async fn models(
    State(edge): State<Arc<Edge>>,
    Caller(identity): Caller,
    ProviderPath(provider): ProviderPath,
) -> Result<Json<Models>, Problem> {
    check_known(&edge, &identity, &provider).await?;
    let request = probe::Request {
        tenant: identity.tenant.clone(),
        user: identity.user.clone(),
        provider: provider.clone(),
        question: Question::Models,
    };
    let known = edge.providers.get(&provider).map(|known| known.models.as_slice()).unwrap_or_default();
    let problem = match probe::ask(&edge.client, &request).await {
        Ok(Ok(Answer::Models { models })) => {
            let models = models.iter().map(|model| view(&provider, model, known)).collect();
            return Ok(Json(Models { models, source: Source::Provider }));
        }
        Ok(Ok(Answer::Answered { .. })) | Err(_) => Problem::unavailable(),
        Ok(Err(refusal)) => failed(&refusal),
    };
    // Better an old list than none: their own, else the catalogue's.
    let configs = account::configs(&edge.pool, access::account(&identity)).await?;
    let own = configs.iter().find(|config| config.provider == provider).map(|config| config.models.as_slice());
    let models = match own.unwrap_or_default() {
        [] => known.iter().map(CatalogModel::view).collect(),
        own => own.iter().map(|model| view(&provider, &as_listed(model), known)).collect::<Vec<_>>(),
    };
    if models.is_empty() { Err(problem) } else { Ok(Json(Models { models, source: Source::Catalog })) }
}

fn as_listed(model: &Model) -> probe::Model {
    probe::Model { id: model.id.clone(), context_window: model.context_window.map(u64::from) }
}

/// A model as a provider tells it; what it leaves out is as the catalogue has it.
fn view(provider: &ProviderId, model: &probe::Model, known: &[CatalogModel]) -> ModelView {
    let id = format!("{provider}/{}", model.id);
    let known = known.iter().find(|known| known.id == id);
    let context_window = model.context_window.or(known.and_then(|known| known.context_window));
    ModelView { label: id.clone(), id, context_window, default: known.is_some_and(|known| known.default) }
}
