//! The catalogue of providers, and the models that one has.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nats::probe::{self, Answer, Question};
use serde::Serialize;

use super::account::ProviderPath;
use super::default_provider::check_known;
use super::identity::Caller;
use super::provider_configs::failed;
use crate::edge::{Edge, ModelView, Providers};
use crate::error::Problem;

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
    let known = edge.providers.get(&provider).map(|provider| provider.models.clone());
    let request = probe::Request {
        tenant: identity.tenant,
        user: identity.user,
        provider: provider.clone(),
        question: Question::Models,
    };
    let problem = match probe::ask(&edge.client, &request).await {
        Ok(Ok(Answer::Models { models })) => {
            let models = models.iter().map(|model| view(&provider, model)).collect();
            return Ok(Json(Models { models, source: Source::Provider }));
        }
        Ok(Ok(Answer::Answered { .. })) | Err(_) => Problem::unavailable(),
        Ok(Err(refusal)) => failed(&refusal),
    };
    // Better an old list than none.
    known.map(|models| Json(Models { models, source: Source::Catalog })).ok_or(problem)
}

fn view(provider: &domain::ProviderId, model: &probe::Model) -> ModelView {
    let id = format!("{provider}/{}", model.id);
    ModelView { label: id.clone(), id, context_window: model.context_window, default: false }
}
