//! The models that a conversation can choose.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::identity::Caller;
use crate::edge::{Edge, ModelView};

#[derive(Serialize)]
pub(super) struct Models {
    models: Vec<ModelView>,
}

/// `GET /api/models`
pub(super) async fn list(State(edge): State<Arc<Edge>>, _: Caller) -> Json<Models> {
    Json(Models { models: edge.models.clone() })
}
